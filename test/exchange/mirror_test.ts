// Mirrors: what goes there, in which order, and that the main route knows nothing of it.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const GET = command("GET", "k");
const SET = command("SET", "k", "v");
const OK = "+OK\r\n";
const V = "$1\r\nv\r\n";

const start = (mirror: string, setting = {}) =>
  TreeFixture.start(`{default: a, mirror: [${mirror}]}`, ["a", "m"], setting);

test("ShadowRoute: the mirror gets the request too, and nobody sees its reply", async () => {
  const t = await start("{pool: m}");
  t.say(GET + SET);
  assert.is(t.received("a"), GET + SET);
  assert.is(t.received("m"), GET + SET);
  t.reply("m", "$5\r\nother\r\n-ERR no\r\n");
  assert.is(t.got(), "");
  t.reply("a", V + OK);
  assert.is(t.got(), V + OK);
  assert.is(t.front.counters.mirrored, 2);
});

test("ours: `of` says whether writes or reads are mirrored", async () => {
  const writes = await start("{pool: m, of: writes}");
  writes.say(GET + SET + command("DEL", "k") + command("EVAL", "return 1", "1", "k"));
  assert.is(
    writes.received("m"),
    SET + command("DEL", "k") + command("EVAL", "return 1", "1", "k"),
  );
  const reads = await start("{pool: m, of: reads}");
  reads.say(GET + SET);
  assert.is(reads.received("m"), GET);
});

test("ours: a percentage is of keys: a key is mirrored always or never", async () => {
  const t = await start("{pool: m, percent: 25}");
  const keys = Array.from({ length: 400 }, (_, i) => `key${i}`);
  const seen = () =>
    new Set([...t.received("m").matchAll(/\r\n(key\d+)\r\n/g)].map(([, key]) => key));
  for (let round = 0; round < 2; round++) {
    t.say(keys.map((key) => command("SET", key, "v")).join(""));
    t.reply("a", OK.repeat(400));
    t.reply("m", OK.repeat(t.front.counters.mirrored / (round + 1)));
  }
  const mirrored = t.front.counters.mirrored / 2;
  assert.ok(mirrored > 60 && mirrored < 140, `${mirrored} of 400`);
  t.received("m");
  t.say(keys.map((key) => command("SET", key, "w")).join(""));
  const once = seen();
  t.reply("a", OK.repeat(400));
  t.reply("m", OK.repeat(once.size));
  t.say(keys.map((key) => command("GET", key)).join(""));
  assert.equal([...seen()].sort(), [...once].sort());
});

test("ours: a mirror that stands still or is gone takes 1000 requests, the others are dropped", async () => {
  const t = await start("{pool: m}");
  for (let i = 0; i < 12; i++) {
    t.say(SET.repeat(100));
    t.reply("a", OK.repeat(100));
    assert.is(t.got(), OK.repeat(100));
  }
  assert.is(t.front.counters.mirrored, 1000);
  assert.is(t.front.counters.mirror_dropped, 200);
  t.fail("m");
  t.refuse("m");
  t.say(GET);
  t.reply("a", V);
  assert.is(t.got(), V);
});

test("ours: all clients' requests of a key keep their order at the mirror", async () => {
  const t = await start("{pool: m}", { config: ["server_connections: 4"] });
  const others = Array.from({ length: 4 }, () => t.host.client(7200));
  let sent = "";
  for (let i = 0; i < 20; i++) {
    const request = command("SET", "k", String(i));
    others[i % 4].send(request);
    t.host.settle();
    sent += request;
  }
  assert.is(t.received("m"), sent);
  assert.is(t.sockets("m").length, 1);
});

test("ours: a transaction is not mirrored, and works", async () => {
  const t = await start("{pool: m}");
  t.say(command("WATCH", "k") + command("MULTI") + SET + command("EXEC"));
  t.reply("a", OK);
  t.reply("a", OK + "+QUEUED\r\n*1\r\n+OK\r\n");
  assert.is(t.got(), `${OK}${OK}+QUEUED\r\n*1\r\n+OK\r\n`);
  t.say(command("BLPOP", "k", "1") + command("PUBLISH", "k", "m"));
  assert.equal(t.sockets("m"), []);
});

test("ours: requests of several keys are mirrored key by key", async () => {
  const t = await start("{pool: m}");
  t.say(command("MGET", "k", "l"));
  t.reply("a", "*1\r\n$1\r\n1\r\n*1\r\n$1\r\n2\r\n");
  assert.is(t.got(), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
  assert.is(t.received("m"), command("MGET", "k") + command("MGET", "l"));
});

test("a mirror beside a failover: each sees the request once", async () => {
  const t = await TreeFixture.start(
    "{default: {failover: [a, b]}, mirror: [{pool: m}]}",
    ["a", "b", "m"],
  );
  t.refuse("a");
  t.say(SET);
  assert.is(t.received("b"), SET);
  assert.is(t.received("m"), SET);
  t.reply("b", OK);
  assert.is(t.got(), OK);
});

test("memcached: what wants no reply is mirrored, and its reply is seen by nobody", async () => {
  const t = await start("{pool: m}", { memcached: true });
  t.say("set k 0 0 1 noreply\r\nv\r\nget k\r\nmg k v q\r\nmn\r\n");
  const there = "set k 0 0 1\r\nv\r\nget k\r\nmg k v\r\n";
  assert.is(t.received("a"), there);
  assert.is(t.received("m"), there);
  t.reply("m", "STORED\r\nEND\r\nEN\r\n");
  t.reply("a", "STORED\r\nVALUE k 0 1\r\nv\r\nEND\r\nEN\r\n");
  assert.is(t.got(), "VALUE k 0 1\r\nv\r\nEND\r\nMN\r\n");
});

test("what was borrowed is given back", async () => {
  const t = await start("{pool: m}");
  t.say(SET + command("MGET", "k", "l"));
  t.reply("a", OK + "*1\r\n$-1\r\n*1\r\n$-1\r\n");
  t.reply("m", OK + "*1\r\n$-1\r\n*1\r\n$-1\r\n");
  assert.is(t.watch.requests.size, 0);
});

test.run();
