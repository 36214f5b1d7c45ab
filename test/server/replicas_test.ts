// Who of a shard is fit to be read from, and who of those is read from: the age of data from offsets,
// the policies, what is kept of a client. On a clock that stands still.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import type { ReadsConfig } from "../../core/config/schema.ts";
import { REPLICATION } from "../../core/protocol/redis/replication.ts";
import type { ReplicationView } from "../../core/protocol/replication.ts";
import type { Member } from "../../core/server/member.ts";
import { OffsetHistory } from "../../core/server/offset_history.ts";
import { Replicas, Standing } from "../../core/server/replicas.ts";
import type { Server } from "../../core/server/server.ts";

const READS: ReadsConfig = {
  ...{ from: "prefer_replica", max_lag: 1000, after_write: 0, zone: "", zones: {} },
};
const VIEW: ReplicationView = {
  ...{
    primary: false,
    linked: true,
    loading: false,
    history: "h",
    offset: 0,
    zone: "",
    moving: [],
  },
};

class Setup {
  readonly shard: Replicas;
  readonly members: Member[];
  readonly told: string[] = [];
  now = 10_000;

  constructor(reads: Partial<ReadsConfig> = {}, n = 2) {
    let version = 0;
    this.shard = new Replicas(0, "shard1", this.server("p", 1), { ...READS, ...reads }, {
      nextVersion: () => ++version,
      changed: ({ server, fit, why }) => this.told.push(`${server.name} ${fit ? "fit" : why}`),
    });
    this.members = Array.from(
      { length: n },
      (_, i) => this.shard.newMember(this.server(`r${i + 1}`, 77 * i + 3)),
    );
    this.shard.members = this.members;
  }

  private server(name: string, seed: number): Server {
    return { name, seed } as Server;
  }

  /** It was asked `ms` ago. */
  tell(member: Member, view: Partial<ReplicationView> = {}, ms = 1): void {
    member.told({ ...VIEW, ...view }, this.now - ms, this.now);
    this.shard.told(member);
    this.shard.judge(this.now);
  }

  primary(offset: number, ms = 1, view: Partial<ReplicationView> = {}): void {
    this.tell(this.shard.primary, { primary: true, offset, ...view }, ms);
  }

  pass(ms: number): void {
    this.now += ms;
    this.shard.judge(this.now);
  }

  get read(): string[] {
    return this.shard.candidates.map(({ name }) => name);
  }
}

test("an offset says until when a replica has everything", () => {
  const history = new OffsetHistory();
  assert.is(history.knownAt(5), -Infinity);
  history.add("h", 100, 10);
  history.add("h", 200, 10);
  history.add("h", 300, 20);
  assert.is(history.knownAt(9), -Infinity, "older than all that is known");
  assert.is(history.knownAt(10), 200, "the last moment at which there was no more");
  assert.is(history.knownAt(19), 200);
  assert.is(history.knownAt(20), 300);
  assert.is(history.knownAt(99), 300, "it has come further since");
  for (let i = 0; i < 1000; i++) history.add("h", 400 + i, 30 + i);
  assert.is(history.knownAt(30), -Infinity, "only so much is kept");
  assert.is(history.knownAt(1029), 1399);
  history.add("other", 2000, 5);
  assert.is(history.knownAt(1029), 2000, "another primary's offsets are others");
  assert.not.ok(history.isOf("h"));
});

test("a replica is fit while its data is at most max_lag old", () => {
  const s = new Setup();
  const [r1, r2] = s.members;
  s.primary(100);
  assert.equal(s.read, []);
  assert.is(r1.why, "it has not answered yet");
  s.tell(r1, { offset: 100 });
  s.tell(r2, { offset: 99 });
  assert.equal(s.read, ["r1"]);
  assert.is(r2.why, "its data is older than max_lag");
  s.pass(400);
  s.primary(200);
  s.pass(599); // what it has was all there was until 1,000 ms ago
  assert.equal([s.read, r1.lag], [["r1"], 1000]);
  s.pass(1);
  assert.equal([s.read, r1.lag], [[], 1001]);
  s.tell(r1, { offset: 150 });
  assert.equal(s.read, [], "a little further, not far enough");
  s.tell(r1, { offset: 200 });
  assert.equal(s.read, ["r1"]);
  assert.equal(s.told, [
    "r1 fit",
    "r1 its data is older than max_lag",
    "r1 fit",
  ]);
});

test("why a replica is not fit", () => {
  const s = new Setup({}, 1);
  const [r1] = s.members;
  s.tell(r1);
  assert.is(r1.why, "the primary has not answered yet");
  s.primary(0);
  assert.is(r1.why, "");
  for (
    const [view, why] of [
      [{ primary: true }, "it is no replica"],
      [{ loading: true }, "it is loading"],
      [{ linked: false }, "it has lost its primary"],
      [{ history: "x" }, "it follows another primary"],
    ] as const
  ) {
    s.tell(r1, view);
    assert.equal([r1.why, s.read], [why, []]);
  }
  s.tell(r1);
  s.shard.refused(r1, "it refuses reads", s.now);
  assert.equal([r1.why, s.read], ["it refuses reads", []]);
  s.tell(r1);
  assert.equal(s.read, [], "not at once again");
  s.pass(1000);
  s.primary(0);
  assert.equal(s.read, ["r1"]);
});

test("while the primary is down replicas are as old as they were, and need no link to it", () => {
  const s = new Setup({ from: "prefer_primary" });
  const [r1, r2] = s.members;
  s.primary(100);
  s.tell(r1, { offset: 100 });
  s.tell(r2, { offset: 10 });
  assert.equal(s.read, [], "the primary is read from");
  s.tell(r1, { offset: 100, linked: false });
  s.shard.primaryLost(s.now);
  assert.equal(s.read, ["r1"], "the other one was too old when it was last known");
  s.pass(60_000);
  assert.equal(s.read, ["r1"]);
  s.primary(100);
  assert.equal(s.read, []);
});

test("policies: who is read from", () => {
  const read = (reads: Partial<ReadsConfig>, fit: boolean): string[] => {
    const s = new Setup(reads);
    s.primary(0);
    if (fit) { for (const member of s.members) s.tell(member); }
    return s.read;
  };
  for (const from of ["primary", "prefer_primary"] as const) {
    assert.equal(read({ from }, true), [], from);
  }
  for (const from of ["replica", "prefer_replica", "zone"] as const) {
    assert.equal(read({ from, zone: "x" }, true), ["r1", "r2"], from);
    assert.equal(read({ from, zone: "x" }, false), [], from);
  }
  assert.is(new Setup({ from: "prefer_replica" }).shard.nobody, null);
  const none = new Setup({ from: "replica" }).shard.nobody;
  assert.is(none?.reason, 'no replica of "shard1" within max_lag');
});

test("nearest: whoever answers soonest, and nobody goes to and fro", () => {
  const s = new Setup({ from: "nearest" });
  const [r1, r2] = s.members;
  const tell = (p: number, one: number, two: number): string[] => {
    for (let i = 0; i < 60; i++) {
      s.primary(0, p);
      s.tell(r1, {}, one);
      s.tell(r2, {}, two);
    }
    return s.read;
  };
  assert.equal(tell(50, 10, 11), ["r1", "r2"]);
  assert.equal(tell(50, 10, 20), ["r1", "r2"], "it was near, and is not clearly farther");
  assert.equal(tell(50, 10, 40), ["r1"]);
  assert.equal(tell(50, 10, 20), ["r1"], "it has to be near again, and is not");
  assert.equal(tell(50, 10, 12), ["r1", "r2"]);
  assert.equal(tell(2, 10, 12), ["p"], "the primary counts too");
});

test("zone: replicas there, else the primary if it is there, else any replica", () => {
  const s = new Setup({ from: "zone", zone: "a" });
  const [r1, r2] = s.members;
  s.primary(0, 1, { zone: "b" });
  s.tell(r1, { zone: "a" });
  s.tell(r2, { zone: "b" });
  assert.equal(s.read, ["r1"]);
  s.tell(r1, { zone: "a", loading: true });
  assert.equal(s.read, ["r2"]);
  s.primary(0, 1, { zone: "a" });
  assert.equal(s.read, []);
});

test("a client stays with its replica, and only those move whose replica goes", () => {
  const s = new Setup({}, 3);
  s.primary(0);
  for (const member of s.members) s.tell(member);
  const standings = Array.from({ length: 300 }, () => new Standing());
  const where = () => standings.map((standing, id) => s.shard.serverFor(standing, id)?.name);
  const before = where();
  for (const { server } of s.members) {
    const share = before.filter((name) => name === server.name).length;
    assert.ok(share > 60 && share < 140, `${server.name} has ${share} of 300`);
  }
  s.tell(s.members[1], { loading: true });
  const after = where();
  for (const [id, name] of before.entries()) {
    if (name === "r2") assert.ok(after[id] === "r1" || after[id] === "r3");
    else assert.is(after[id], name);
  }
  s.tell(s.members[1]);
  assert.equal(where(), before);
});

test("INFO and CLUSTER NODES of a server are understood", () => {
  const reply = (body: string) => `$${body.length}\r\n${body}\r\n`;
  const primary = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_replid:abc\r\n" +
    "master_repl_offset:1234\r\n";
  const nodes = "1 a:1@2 myself,master - 0 0 3 connected 0-5460 [93-<-node1] [77->-node2]\n" +
    "2 b:1@2 master - 0 0 3 connected 5461 [5->-node3]\n";
  assert.equal(REPLICATION.read([reply(primary), reply("loading:0\r\n"), reply(nodes)]), {
    ...{ primary: true, linked: true, loading: false, history: "abc", offset: 1234, zone: "" },
    moving: [93, 77],
  });
  const replica = "# Replication\r\nrole:slave\r\nmaster_link_status:down\r\n" +
    "master_sync_in_progress:1\r\nslave_repl_offset:99\r\nmaster_replid:abc\r\n" +
    "master_repl_offset:100\r\n";
  const zone = "# Server\r\navailability_zone:eu-1a\r\n";
  assert.equal(REPLICATION.read([reply(replica), reply(zone)]), {
    ...{ primary: false, linked: false, loading: true, history: "abc", offset: 99, zone: "eu-1a" },
    moving: [],
  });
  assert.is(REPLICATION.read(["-NOPERM no\r\n"]), null);
  const asked = REPLICATION.questions(true, true).map((one) => text(one, 0, one.length));
  assert.is(asked.length, 4);
  assert.is(REPLICATION.questions(false, false).length, 2);
  const refusal = (line: string) => REPLICATION.refusal(bytes(`${line}\r\n`), 0, line.length + 2);
  assert.equal(
    ["-LOADING Redis is", "-MASTERDOWN Link", "-MOVED 1 a:1", "-NOSCRIPT No", "-WRONGTYPE x"]
      .map(refusal),
    [1, 1, 2, 2, 0],
  );
});

test.run();
