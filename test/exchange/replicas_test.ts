// A client's requests where replicas are read from, on a host made of memory: which server gets what,
// in which order, and what becomes of a read whose replica refuses it or is lost.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { FakeSocket } from "../fake/fake_host.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const GET = command("GET", "k");
const SET = command("SET", "k", "v");

/** A server that says how it is, and keeps what clients ask for the test to answer. */
class Fake {
  private readonly f: Fixture;
  private readonly name: string;
  role: string;
  down = false;

  constructor(f: Fixture, name: string, role: string) {
    this.f = f;
    this.name = name;
    this.role = role;
  }

  /** Answers questions; returns the connections that carry something else, with that. */
  asked(): [FakeSocket, string][] {
    const found: [FakeSocket, string][] = [];
    for (const socket of this.f.connections(this.name)) {
      const got = socket.received();
      if (got === "") continue;
      if (!got.startsWith("*2\r\n$4\r\nINFO")) {
        found.push([socket, got]);
        continue;
      }
      if (this.down) continue;
      const link = this.role === "slave" ? "master_link_status:up\r\nslave_repl_offset:5\r\n" : "";
      const info = `role:${this.role}\r\n${link}master_replid:h\r\nmaster_repl_offset:5\r\n`;
      socket.send(bulk(info) + bulk("loading:0\r\n"));
    }
    this.f.settle();
    return found;
  }
}

async function start(reads: string, names = ["r1"]) {
  const f = await Fixture.start({
    servers: ["p"],
    replicas: { p: names },
    config: [`reads: {${reads}}`],
  });
  const all = new Map([["p", new Fake(f, "p", "master")]]);
  for (const name of names) all.set(name, new Fake(f, name, "slave"));
  /** By server, what it was asked by clients since. */
  const asked = (): Record<string, string> => {
    f.settle();
    const got: Record<string, string> = {};
    for (const [name, fake] of all) for (const [, what] of fake.asked()) got[name] = what;
    return got;
  };
  /** Time goes by, and all say how they are. */
  const pass = (ms: number): void => {
    for (let at = 0; at < ms; at += 20) {
      f.host.pass(20);
      for (const fake of all.values()) fake.asked();
    }
  };
  pass(600);
  return { f, all, asked, pass, client: f.client() };
}

/** The connection of a server that clients' requests go over. */
function link(f: Fixture, name: string): FakeSocket {
  const server = name === "p"
    ? f.pool.servers[0]
    : f.pool.reading?.servers.find((one) => one.name.endsWith(name));
  const socket = (server?.connections[0] as unknown as { socket: FakeSocket }).socket;
  if (socket === null) throw new Error(`${name} has no connection`);
  return socket;
}

function answer(f: Fixture, name: string, reply: string): void {
  link(f, portOf(f, name)).send(reply);
  f.settle();
}

/** Replicas are named by their addresses. */
function portOf(f: Fixture, name: string): string {
  return name === "p" ? "p" : f.host.outgoing.map(({ remote }) => remote)
    .find((remote) => f.connections(name).some((socket) => socket.remote === remote)) as string;
}

test("reads go to the replica, writes and what follows them in flight to the primary", async () => {
  const { f, asked, client } = await start("from: replica");
  f.say(client, GET + GET);
  assert.equal(asked(), { r1: GET + GET });
  answer(f, "r1", bulk("1") + bulk("1"));
  assert.is(client.received(), bulk("1").repeat(2));
  f.say(client, SET + GET);
  assert.equal(asked(), { p: SET + GET });
  answer(f, "p", "+OK\r\n" + bulk("v"));
  assert.is(client.received(), "+OK\r\n" + bulk("v"));
  f.say(client, GET);
  assert.equal(asked(), { r1: GET });
});

test("a write waits for the reads before it, so that they do not see it", async () => {
  for (const write of [SET, command("MSET", "k", "v", "l", "w"), command("PERSIST", "k")]) {
    const { f, asked, client } = await start("from: replica");
    f.say(client, GET + write + GET);
    assert.equal(asked(), { r1: GET });
    answer(f, "r1", bulk("old"));
    assert.equal(asked(), { p: write + GET });
    answer(f, "p", "+OK\r\n" + bulk("v"));
    assert.is(client.received(), bulk("old") + "+OK\r\n" + bulk("v"));
  }
});

test("after_write: for so long a client reads at the primary; others do not", async () => {
  const { f, asked, pass, client } = await start("from: prefer_replica, after_write: 500");
  f.say(client, SET);
  assert.equal(asked(), { p: SET });
  answer(f, "p", "+OK\r\n");
  pass(440);
  f.say(client, GET);
  assert.equal(asked(), { p: GET });
  answer(f, "p", bulk("v"));
  const other = f.client();
  f.say(other, GET);
  assert.equal(asked(), { r1: GET });
  answer(f, "r1", bulk("v"));
  pass(100);
  f.say(client, GET);
  assert.equal(asked(), { r1: GET });
});

test("cursors, scripts, transactions, WATCH and what blocks stay at the primary", async () => {
  for (
    const words of [
      ["HSCAN", "k", "0"],
      ["SSCAN", "k", "0"],
      ["SCAN", "0"],
      ["EVAL", "return 1", "1", "k"],
      ["OBJECT", "IDLETIME", "k"],
      ["XREAD", "STREAMS", "k", "0"],
      ["BLPOP", "k", "0"],
      ["WATCH", "k"],
      ["TOUCH", "k"],
      ["DBSIZE"],
    ]
  ) {
    const { f, asked, client } = await start("from: replica");
    f.say(client, command(...words));
    assert.equal(Object.keys(asked()), ["p"], words.join(" "));
  }
  const { f, asked, client } = await start("from: replica");
  f.say(client, command("MULTI") + GET + command("EXEC"));
  assert.equal(asked(), { p: command("MULTI") + GET + command("EXEC") });
});

test("a read that is refused goes to the next replica, then to the primary, at its place", async () => {
  const { f, asked, client } = await start("from: prefer_replica", ["r1", "r2"]);
  f.say(client, GET + command("GET", "l"));
  const [first] = Object.keys(asked());
  const second = first === "r1" ? "r2" : "r1";
  answer(f, first, "-LOADING Redis is loading the dataset in memory\r\n" + bulk("l"));
  assert.is(client.received(), "");
  assert.equal(asked(), { [second]: GET });
  answer(f, second, "-MASTERDOWN Link with MASTER is down\r\n");
  assert.equal(asked(), { p: GET });
  answer(f, "p", bulk("k"));
  assert.is(client.received(), bulk("k") + bulk("l"));
  assert.is(f.pool.counters.replica_retries, 2);
});

test("reads of a lost replica go elsewhere; with `replica` there is an error at last", async () => {
  const { f, asked, client } = await start("from: replica", ["r1", "r2"]);
  f.say(client, GET + command("MGET", "k", "l"));
  const sent = GET + command("MGET", "k", "l");
  const [[first, got]] = Object.entries(asked());
  assert.is(got, sent);
  link(f, portOf(f, first)).fail("ECONNRESET");
  f.settle();
  const second = first === "r1" ? "r2" : "r1";
  assert.equal(asked(), { [second]: sent });
  answer(f, second, "-LOADING x\r\n" + "*2\r\n" + bulk("k") + bulk("l"));
  const none = '-ERR no replica of "p" within max_lag\r\n';
  assert.is(client.received(), none + "*2\r\n" + bulk("k") + bulk("l"));
  f.say(client, GET + command("MGET", "k", "l"));
  assert.is(client.received(), none + none);
  assert.equal(asked(), {});
});

test("NOSCRIPT of a replica is for the primary to answer, and no fault of the replica's", async () => {
  const { f, asked, client } = await start("from: replica");
  const script = command("EVALSHA_RO", "a".repeat(40), "1", "k");
  f.say(client, script);
  assert.equal(asked(), { r1: script });
  answer(f, "r1", "-NOSCRIPT No matching script.\r\n");
  assert.equal(asked(), { p: script });
  answer(f, "p", ":1\r\n");
  assert.is(client.received(), ":1\r\n");
  f.say(client, GET);
  assert.equal(asked(), { r1: GET });
});

test("a replica that does not answer questions loses its reads to others", async () => {
  const { f, all, asked, pass, client } = await start("from: prefer_replica, max_lag: 200");
  f.say(client, GET);
  assert.equal(asked(), { r1: GET });
  (all.get("r1") as Fake).down = true;
  pass(700);
  assert.ok(f.logged.some((line) => /not read from: it does not answer/.test(line)), "logged");
  assert.equal(asked(), {});
  answer(f, "p", bulk("v"));
  assert.is(client.received(), bulk("v"));
});

test("a reload changes the policy and the replicas; reads go and come", async () => {
  const { f, asked, client } = await start("from: replica");
  await f.reload({ replicas: { p: ["r1"] }, servers: ["p"], config: ["reads: {from: primary}"] });
  f.say(client, GET);
  assert.equal(asked(), { p: GET });
  answer(f, "p", bulk("v"));
  const config = ["reads: {from: replica}"];
  const lines = await f.reload({ replicas: { p: ["r2"] }, servers: ["p"], config });
  assert.ok(
    lines.some((line) => line.includes('server "p" has replicas 10.0.0.1:7103')),
    `${lines}`,
  );
  assert.equal(f.pool.reading?.servers.map(({ name }) => name), ["10.0.0.1:7103"]);
  await f.reload({ servers: ["p"], config: [] });
  assert.is(f.pool.reading, null);
  client.received();
  f.say(client, GET);
  assert.equal(asked(), { p: GET });
  answer(f, "p", bulk("v"));
  await f.reload({ replicas: { p: ["r1"] }, servers: ["p"], config });
  assert.equal(f.pool.reading?.servers.map(({ name }) => name), ["10.0.0.1:7102"]);
});

test.run();
