// The near cache on servers made of memory: what is answered without them, and in which order of
// events a value is not kept.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture, type Setting } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const NEAR = ["near_cache:", "  prefixes:", '    - "n:"', "  ttl: 4000"];
const GREETING = command("HELLO", "3") +
  command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "n:");
const HELLO = "%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n";
const ask = (key: string): string => command("PTTL", key) + command("GET", key);
const told = (value: string, life = -1): string => `:${life}\r\n${bulk(value)}`;
const changed = (...keys: string[]): string =>
  `>2\r\n${bulk("invalidate")}*${keys.length}\r\n${keys.map(bulk).join("")}`;
const ALL = `>2\r\n${bulk("invalidate")}_\r\n`;

/** A pool whose near connection is there, the connection all others use, and a client. */
class Near {
  readonly f: Fixture;
  readonly near: FakeSocket;
  readonly plain: FakeSocket;
  readonly client: FakeSocket;

  private constructor(f: Fixture, near: FakeSocket, plain: FakeSocket, client: FakeSocket) {
    this.f = f;
    this.near = near;
    this.plain = plain;
    this.client = client;
  }

  /** `prepared`: what the client says first. */
  static async start(setting: Setting = {}, prepared = ""): Promise<Near> {
    const f = await Fixture.start({ ...setting, config: [...NEAR, ...(setting.config ?? [])] });
    const client = f.client();
    f.say(client, prepared);
    client.received();
    f.say(client, command("GET", "n:first"));
    const sockets = f.connections("a");
    assert.is(sockets.length, 2);
    const near = sockets.find((one) => one.received() === GREETING) as FakeSocket;
    const plain = sockets.find((one) => one !== near) as FakeSocket;
    f.say(near, HELLO);
    f.say(plain, "$-1\r\n");
    assert.is(client.received(), "$-1\r\n");
    plain.received();
    return new Near(f, near, plain, client);
  }

  /** The client says so, nothing goes to the server, and this is the answer. */
  answers(key: string, value: string, client = this.client): void {
    this.f.say(client, command("GET", key));
    assert.is(client.received(), bulk(value));
    assert.is(this.near.received(), "");
    assert.is(this.plain.received(), "");
  }

  /** GET is asked over the near connection, and answered so. */
  reads(key: string, value: string, life = -1, client = this.client): void {
    this.f.say(client, command("GET", key));
    assert.is(this.near.received(), ask(key));
    this.f.say(this.near, told(value, life));
    assert.is(client.received(), bulk(value));
  }

  counters(): Record<string, number> {
    return this.f.proxy.snapshot().pools[0].counters;
  }
}

test("a value is read once, and answered from memory until the server tells of a change", async () => {
  const n = await Near.start();
  n.reads("n:k", "one");
  n.answers("n:k", "one");
  const other = n.f.client();
  n.answers("n:k", "one", other);
  n.f.say(n.near, changed("n:x", "n:k"));
  n.reads("n:k", "two");
  n.f.say(n.near, ALL);
  n.reads("n:k", "three");
  n.answers("n:k", "three");
  const { near_hits, near_misses, near_invalidations, near_flushes, near_keys } = n.counters();
  assert.equal([near_hits, near_misses, near_invalidations, near_flushes, near_keys], [
    3,
    4,
    1,
    1,
    1,
  ]);
});

test("other keys, other commands and clients elsewhere go to servers as ever", async () => {
  const n = await Near.start();
  n.reads("n:k", "one");
  for (const request of [command("GET", "k"), command("STRLEN", "n:k"), command("TYPE", "n:k")]) {
    n.f.say(n.client, request);
    assert.is(n.plain.received(), request);
    n.f.say(n.plain, ":1\r\n");
    assert.is(n.client.received(), ":1\r\n");
  }
  n.f.say(n.client, command("SELECT", "3"));
  n.client.received();
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(n.client.received(), "");
});

test("a key that is not there is asked for again, and said in the client's RESP", async () => {
  const n = await Near.start();
  for (const [hello, nothing] of [["2", "$-1\r\n"], ["3", "_\r\n"]]) {
    const client = n.f.client();
    n.f.say(client, command("HELLO", hello));
    client.received();
    for (let i = 0; i < 2; i++) {
      n.f.say(client, command("GET", "n:none"));
      assert.is(n.near.received(), ask("n:none"));
      n.f.say(n.near, ":-2\r\n_\r\n");
      assert.is(client.received(), nothing);
    }
  }
  assert.is(n.counters().near_keys, 0);
});

test("it is not kept longer than the key lives, nor than ttl", async () => {
  const n = await Near.start();
  n.reads("n:short", "one", 300);
  n.reads("n:long", "two", 100_000);
  n.f.host.time += 299;
  n.answers("n:short", "one");
  n.f.host.time += 2;
  n.reads("n:short", "three", 0);
  n.reads("n:short", "three", 0); // it is about to go
  n.f.host.time += 3600;
  n.answers("n:long", "two");
  n.f.host.time += 200;
  n.reads("n:long", "four");
});

test("those who ask for what is on its way get the same answer, each in its place", async () => {
  const n = await Near.start();
  const clients = Array.from({ length: 5 }, () => n.f.client());
  for (const client of clients) client.send(command("GET", "n:k") + command("PING"));
  n.f.settle();
  assert.is(n.near.received(), ask("n:k"));
  n.f.say(n.near, told("v"));
  for (const client of clients) assert.is(client.received(), bulk("v") + "+PONG\r\n");
  assert.is(n.counters().near_joined, 4);
});

test("news that comes between question and answer: the answer is given and not kept", async () => {
  const n = await Near.start();
  const other = n.f.client();
  n.f.say(n.client, command("GET", "n:k"));
  n.near.received();
  n.f.say(n.near, changed("n:k"));
  // Whoever asks after that news does not join.
  n.f.say(other, command("GET", "n:k"));
  assert.is(n.near.received(), ask("n:k"));
  n.f.say(n.near, told("old") + told("new"));
  assert.is(n.client.received(), bulk("old"));
  assert.is(other.received(), bulk("new"));
  n.answers("n:k", "new");
});

test("a write through the proxy: from its sending to its answer nothing of its key is kept", async () => {
  const n = await Near.start();
  const other = n.f.client();
  n.reads("n:k", "old");
  n.f.say(other, command("GET", "n:k2"));
  n.near.received();
  // k2 is on its way, k is kept: both are written now.
  n.f.say(n.client, command("MSET", "n:k", "new", "n:k2", "new"));
  n.plain.received();
  n.f.say(n.near, told("old2"));
  assert.is(other.received(), bulk("old2"));
  // Others may see either; it is not kept, for it may have been read before the write.
  for (let i = 0; i < 2; i++) n.reads("n:k", "old", -1, other);
  n.f.say(other, command("GET", "n:k"));
  assert.is(n.near.received(), ask("n:k"));
  n.f.say(n.plain, "+OK\r\n");
  assert.is(n.client.received(), "+OK\r\n");
  // The writer does not join what was asked for before its write was answered.
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(n.near.received(), ask("n:k"));
  n.f.say(n.near, told("old") + told("new"));
  assert.is(other.received(), bulk("old"));
  assert.is(n.client.received(), bulk("new"));
  n.answers("n:k", "new", other);
});

test("one client's SET and GET in one go keep their order", async () => {
  const n = await Near.start();
  n.reads("n:k", "old");
  n.f.say(n.client, command("SET", "n:k", "new") + command("GET", "n:k") + command("GET", "n:k"));
  assert.is(n.near.received(), "", "it waits for the write");
  assert.is(n.plain.received(), command("SET", "n:k", "new"));
  n.f.say(n.plain, "+OK\r\n");
  assert.is(n.near.received(), ask("n:k"));
  n.f.say(n.near, told("new"));
  assert.is(n.client.received(), "+OK\r\n" + bulk("new") + bulk("new"));
  // Other keys do not wait.
  n.reads("n:other", "v");
  n.f.say(n.client, command("SET", "n:k", "newer") + command("GET", "n:other"));
  n.f.say(n.plain, "+OK\r\n");
  assert.is(n.client.received(), "+OK\r\n" + bulk("v"));
});

test("after a script or a transaction its client sees only what came after the servers' last word", async () => {
  const n = await Near.start();
  const other = n.f.client();
  n.reads("n:k", "old");
  n.f.say(n.client, command("EVAL", "return 1", "1", "other") + command("GET", "n:k"));
  n.plain.received();
  assert.is(n.near.received(), "");
  n.f.say(n.plain, ":1\r\n");
  assert.is(n.client.received(), ":1\r\n");
  // It is asked anew; the question for the last word goes before.
  const [probe, question] = [command("PING"), ask("n:k")];
  assert.is(n.near.received(), probe + question);
  n.answers("n:k", "old", other);
  n.f.say(n.near, changed("n:k") + "+PONG\r\n" + told("new"));
  assert.is(n.client.received(), bulk("new"));
  n.reads("n:k", "new", -1, other); // the news came in between
  n.answers("n:k", "new");
});

test("FLUSHALL forgets all, and nothing is kept until it is answered", async () => {
  const n = await Near.start();
  n.reads("n:k", "old");
  const other = n.f.client();
  n.f.say(n.client, command("FLUSHALL"));
  n.plain.received();
  n.reads("n:k", "old", -1, other);
  n.reads("n:k", "old", -1, other);
  n.f.say(n.plain, "+OK\r\n");
  n.reads("n:k", "new", -1, other);
  n.answers("n:k", "new", other);
});

test("a connection that is lost: its values are forgotten, who waits is served otherwise", async () => {
  const n = await Near.start();
  n.reads("n:k", "one");
  n.f.say(n.client, command("GET", "n:j"));
  n.near.received();
  n.near.fail("ECONNRESET");
  n.f.settle();
  assert.is(n.plain.received(), command("GET", "n:j"));
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(n.plain.received(), command("GET", "n:k"));
  n.f.say(n.plain, bulk("j") + bulk("two"));
  assert.is(n.client.received(), bulk("j") + bulk("two"));
  n.f.host.pass(6000);
  const again = n.f.connections("a").find((one) => one !== n.plain) as FakeSocket;
  assert.is(again.received(), GREETING);
  n.f.say(again, HELLO);
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(again.received(), ask("n:k"));
});

test("a server that falls silent: nothing older than `silence` is given", async () => {
  const n = await Near.start({ config: ["  silence: 1000", "timeout: 60000"] });
  n.reads("n:k", "one");
  n.f.host.pass(300);
  assert.is(n.near.received(), command("PING"));
  n.f.host.time += 600;
  n.answers("n:k", "one");
  n.f.host.time += 300;
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(n.client.received(), "");
  assert.is(n.plain.received(), command("GET", "n:k"));
  n.f.host.pass(500);
  assert.ok(n.near.gone);
  assert.is(n.counters().near_keys, 0);
});

test("errors and large values are found out about in the usual way", async () => {
  const n = await Near.start();
  n.f.say(n.client, command("GET", "n:list"));
  n.near.received();
  const error = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
  n.f.say(n.near, `:-1\r\n${error}`);
  assert.is(n.plain.received(), command("GET", "n:list"));
  n.f.say(n.plain, error);
  assert.is(n.client.received(), error);
  const large = bulk("x".repeat(2_000_000));
  n.f.say(n.client, command("GET", "n:large"));
  n.near.received();
  n.near.send(`:-1\r\n${large}`);
  while (n.near.deliver(65536)) n.f.host.turn();
  n.f.settle();
  assert.is(n.plain.received(), command("GET", "n:large"));
  n.f.say(n.plain, large);
  assert.is(n.client.received().length, large.length);
  // The next one does not try.
  n.f.say(n.client, command("GET", "n:large"));
  assert.is(n.near.received(), "");
  assert.is(n.plain.received(), command("GET", "n:large"));
});

test("MGET is answered when all of its values are known", async () => {
  const n = await Near.start();
  n.reads("n:1", "one");
  n.reads("n:2", "two");
  n.f.say(n.client, command("MGET", "n:1", "n:2", "n:1"));
  assert.is(n.client.received(), `*3\r\n${bulk("one")}${bulk("two")}${bulk("one")}`);
  const request = command("MGET", "n:1", "n:3");
  n.f.say(n.client, request);
  assert.is(n.plain.received(), request);
  n.f.say(n.plain, "*2\r\n$-1\r\n$-1\r\n");
});

test("its bytes are bounded: what is not asked for makes room", async () => {
  const n = await Near.start({ config: ["  bytes: 65536"] });
  const value = "x".repeat(5000);
  n.reads("n:hot", value);
  for (let i = 0; i < 40; i++) {
    n.reads(`n:${i}`, value);
    n.answers("n:hot", value);
    assert.ok(n.counters().near_bytes <= 65536, String(n.counters().near_bytes));
  }
  assert.ok(n.counters().near_keys > 5);
  n.reads("n:wide", "x".repeat(9000)); // more than an eighth
  assert.ok(n.counters().near_bytes <= 65536);
});

test("users with restrictions are not answered from it, and what they write is not kept", async () => {
  const users = "auth: {users: {part: {password: p, prefixes: ['n:open']}, all: {password: p}}}";
  const n = await Near.start({ config: [users] }, command("AUTH", "all", "p"));
  n.reads("n:open", "one");
  n.reads("n:shut", "one");
  const part = n.f.client();
  n.f.say(part, command("AUTH", "part", "p") + command("GET", "n:shut"));
  assert.match(part.received(), /^\+OK\r\n-NOPERM/);
  n.f.say(part, command("GET", "n:open"));
  assert.is(n.plain.received(), command("GET", "n:open"));
  n.f.say(n.plain, bulk("one"));
  assert.is(part.received(), bulk("one"));
  n.f.say(part, command("SET", "n:open", "two"));
  assert.is(n.plain.received(), command("SET", "n:open", "two"));
  n.reads("n:open", "one");
  n.f.say(n.plain, "+OK\r\n");
  n.reads("n:open", "two");
  n.answers("n:open", "two");
});

test("nothing in a transaction, or under WATCH, is answered from it", async () => {
  const n = await Near.start();
  n.reads("n:k", "one");
  n.f.say(n.client, command("MULTI") + command("GET", "n:k"));
  assert.is(n.client.received(), "+OK\r\n");
  assert.is(n.near.received(), "");
  const watching = n.f.client();
  n.f.say(watching, command("WATCH", "n:k") + command("GET", "n:k"));
  assert.is(watching.received(), "");
});

test("a ring that changes: what is kept is forgotten, for its keys may be elsewhere", async () => {
  const n = await Near.start();
  n.reads("n:k", "one");
  n.answers("n:k", "one");
  await n.f.reload({ servers: ["a", "b"], config: NEAR });
  n.f.settle();
  assert.is(n.counters().near_keys, 0);
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(n.client.received(), "");
});

test("clients that leave, and a reload that takes the cache away, lose nothing", async () => {
  const n = await Near.start();
  const leaves = n.f.client();
  for (const client of [leaves, n.client]) n.f.say(client, command("GET", "n:k"));
  leaves.fail("ECONNRESET");
  n.f.settle();
  assert.is(n.near.received(), ask("n:k"));
  await n.f.reload({ config: [] });
  n.f.settle();
  assert.ok(n.near.gone);
  assert.is(n.plain.received(), command("GET", "n:k"));
  n.f.say(n.plain, bulk("v"));
  assert.is(n.client.received(), bulk("v"));
  assert.is(n.f.watch.requests.size, 0);
  n.f.say(n.client, command("GET", "n:k"));
  assert.is(n.plain.received(), command("GET", "n:k"));
});

test.run();
