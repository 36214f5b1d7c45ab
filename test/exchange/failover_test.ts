// Failover. Each line says whose documented behaviour it is: mcrouter's FailoverRoute and its
// siblings (wiki, "List of Route Handles"), or ringmux's own rule (docs/routes.md).

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const GET = command("GET", "k");
const SET = command("SET", "k", "v");
const OK = "+OK\r\n";
const V = "$1\r\nv\r\n";
const NIL = "$-1\r\n";

const start = (routes: string, names?: string[]) => TreeFixture.start(routes, names);

test("FailoverRoute: the first child's reply is returned if it is no error", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  t.say(GET);
  t.reply("a", V);
  assert.is(t.got(), V);
  assert.equal(t.sockets("b"), []);
});

test("FailoverRoute: an error sends the request to the next child, in its order", async () => {
  const t = await start("{default: {failover: [a, b, c]}}");
  t.refuse("a", "b");
  t.say(GET);
  assert.is(t.received("c"), GET);
  t.reply("c", V);
  assert.is(t.got(), V);
  assert.is(t.front.counters.route_failovers, 2);
});

test("FailoverRoute: a miss is no error", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  t.say(GET);
  t.reply("a", NIL);
  assert.is(t.got(), NIL);
});

test("MissFailoverRoute: on a miss the next child is asked; a hit anywhere is returned", async () => {
  const t = await start("{default: {failover: [a, b], on: [miss]}}");
  t.say(GET);
  t.reply("a", NIL);
  assert.is(t.received("b"), GET);
  t.reply("b", V);
  assert.is(t.got(), V);
});

test("MissFailoverRoute: writes go to the first child only", async () => {
  const t = await start("{default: {failover: [a, b], on: [error, miss]}}");
  t.say(command("DEL", "k"));
  t.reply("a", ":0\r\n");
  assert.is(t.got(), ":0\r\n");
  assert.equal(t.sockets("b"), []);
});

test("ours: if all fail a miss counts more than an error, whichever came first", async () => {
  for (const first of ["a", "b"]) {
    const t = await start("{default: {failover: [a, b], on: [error, miss]}}");
    t.refuse(first);
    t.say(GET);
    t.reply(first === "a" ? "b" : "a", NIL);
    assert.is(t.got(), NIL, first);
  }
  const t = await start("{default: {failover: [a, b], on: [error, miss]}}");
  t.refuse("a", "b");
  t.say(GET);
  assert.is(t.got(), "-ERR Connection refused\r\n");
});

test("FailoverExceptionsConfig: with `on: miss` alone an error is returned", async () => {
  const t = await start("{default: {failover: [a, b], on: miss}}");
  t.refuse("a");
  t.say(GET);
  assert.is(t.got(), "-ERR Connection refused\r\n");
});

test("ours: a read whose connection is lost goes on; a write may have been carried out", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  t.say(GET + SET);
  assert.is(t.received("a"), GET + SET);
  t.fail("a");
  assert.is(t.received("b"), GET);
  t.reply("b", V);
  assert.is(t.got(), V + "-ERR Connection reset by peer; it may have been carried out\r\n");
});

test("ours: a write that was surely not carried out goes on", async () => {
  const t = await start("{default: {failover: [a, b, c]}}");
  t.refuse("a");
  t.say(SET);
  assert.is(t.received("b"), SET);
  t.reply("b", "-LOADING Redis is loading the dataset in memory\r\n");
  assert.is(t.received("c"), SET);
  t.reply("c", OK);
  assert.is(t.got(), OK);
});

test("ours: what the client did wrong is nobody's failure", async () => {
  const t = await start("{default: {failover: [a, b], on: [error, miss]}}");
  t.say(GET);
  t.reply("a", "-WRONGTYPE Operation against a key\r\n");
  assert.is(t.got(), "-WRONGTYPE Operation against a key\r\n");
  assert.equal(t.sockets("b"), []);
});

test("ours: each key of an MGET fails over by itself, and the replies keep their order", async () => {
  const t = await start("{default: {failover: [a, b], on: [error, miss]}, prefixes: {x: c}}");
  t.say(command("MGET", "k1", "x1", "k2"));
  t.reply("a", "*1\r\n$1\r\n1\r\n*1\r\n$-1\r\n");
  assert.is(t.received("b"), command("MGET", "k2"));
  t.reply("b", "*1\r\n$1\r\n2\r\n");
  assert.is(t.got(), "");
  t.reply("c", "*1\r\n$1\r\nx\r\n");
  assert.is(t.got(), "*3\r\n$1\r\n1\r\n$1\r\nx\r\n$1\r\n2\r\n");
});

test("FailoverRateLimit: so many a second go on, the others get the error", async () => {
  const t = await start("{default: {failover: [a, b], rate: 2}}");
  t.refuse("a");
  t.say(GET + GET + GET);
  t.reply("b", V + V);
  assert.is(t.got(), V + V + "-ERR Connection refused\r\n");
  assert.is(t.front.counters.route_failovers_refused, 1);
  t.pass(1000);
  t.say(GET);
  t.reply("b", V);
  assert.is(t.got(), V);
});

test("ours: when a server's time is over the next one has all of its own", async () => {
  const t = await TreeFixture.start("{default: {failover: [a, b, c]}}", ["a", "b", "c"], {
    config: ["timeout: 300"],
  });
  t.say(GET);
  t.pass(400);
  assert.is(t.received("b"), GET);
  t.pass(200);
  assert.is(t.got(), "");
  assert.equal(t.sockets("c"), []);
  t.reply("b", V);
  assert.is(t.got(), V);
});

test("a client's replies keep their order while one of them fails over", async () => {
  const t = await start("{default: a, prefixes: {k: {failover: [b, c]}}}");
  t.say(GET + command("GET", "other"));
  t.reply("a", "$5\r\nother\r\n");
  t.fail("b");
  assert.is(t.got(), "");
  t.reply("c", V);
  assert.is(t.got(), V + "$5\r\nother\r\n");
});

test("transactions, blocking commands and channels say what they need", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  const why =
    "-ERR the route of this key is a failover: transactions, blocking commands, publish and " +
    "subscribe, and commands of keys on several servers, need a route to one pool\r\n";
  for (
    const words of [
      ["BLPOP", "k", "1"],
      ["WATCH", "k"],
      ["PUBLISH", "k", "m"],
      ["SUBSCRIBE", "k"],
      ["SSUBSCRIBE", "k"],
    ]
  ) {
    t.say(command(...words));
    assert.is(t.got(), why, words[0]);
  }
  t.say(command("MULTI") + command("SET", "k", "v") + command("EXEC"));
  assert.match(t.got(), /^\+OK\r\n-ERR the route of this key is a failover.*\r\n-EXECABORT/);
});

test("a command of several keys goes through a failover if they have the same servers", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  const rename = command("RENAME", "k", "k2");
  t.refuse("a");
  t.say(rename);
  assert.is(t.received("b"), rename);
  t.reply("b", OK);
  assert.is(t.got(), OK);
});

test("a large reply streams, and one that is gathered for another branch does not break", async () => {
  const t = await start("{default: {failover: [a, b], on: [error, miss]}}");
  const body = "x".repeat(100_000);
  t.say(GET);
  t.reply("a", `$100000\r\n${body.slice(0, 40_000)}`);
  assert.ok(t.got().length >= 40_000, "its beginning is there");
  t.reply("a", body.slice(40_000) + "\r\n");
  t.say(GET);
  t.reply("a", V);
  assert.ok(t.got().endsWith(V));
});

test("memcached: text, meta and binary; gets and cas stay at the first child", async () => {
  const t = await TreeFixture.start(
    "{default: {failover: [a, b], on: [error, miss]}}",
    ["a", "b"],
    {
      memcached: true,
    },
  );
  t.say("get k\r\nmg k v\r\n");
  t.reply("a", "END\r\nEN\r\n");
  assert.is(t.received("b"), "get k\r\nmg k v\r\n");
  t.reply("b", "VALUE k 0 1\r\nv\r\nEND\r\nVA 1\r\nv\r\n");
  assert.is(t.got(), "VALUE k 0 1\r\nv\r\nEND\r\nVA 1\r\nv\r\n");
  t.received("a");
  t.say("gets k\r\nmg k c v\r\ncas k 0 0 1 7\r\nv\r\nms k 1 C7\r\nv\r\n");
  assert.is(t.received("a"), "gets k\r\nmg k c v\r\ncas k 0 0 1 7\r\nv\r\nms k 1 C7\r\nv\r\n");
  t.reply("a", "END\r\nEN\r\nNOT_FOUND\r\nNF\r\n");
  assert.is(t.got(), "END\r\nEN\r\nNOT_FOUND\r\nNF\r\n");
  t.say("set k 0 0 1\r\nv\r\n");
  t.reply("a", "SERVER_ERROR out of memory storing object\r\n");
  assert.is(t.received("b"), "set k 0 0 1\r\nv\r\n");
  t.reply("b", "STORED\r\n");
  assert.is(t.got(), "STORED\r\n");
  t.say("set k 0 0 1 noreply\r\nv\r\nget k\r\n");
  t.reply("a", "SERVER_ERROR out of memory storing object\r\n");
  t.reply("b", "STORED\r\n");
  t.reply("a", "VALUE k 0 1\r\nv\r\nEND\r\n");
  assert.is(t.got(), "VALUE k 0 1\r\nv\r\nEND\r\n");
});

test("the slow log of a target tells keys, in a plain branch and in a failover", async () => {
  const t = await TreeFixture.start(
    "{default: {failover: [a, b]}, prefixes: {x: b}}",
    ["a", "b"],
    { config: ["slowlog_ms: 50"] },
  );
  t.say(GET + command("GET", "xkey"));
  t.host.time += 100;
  t.reply("a", V);
  t.reply("b", V);
  const slow = t.logged.filter((line) => /slow/i.test(line)).join("\n");
  assert.match(slow, /\bk\b/);
  assert.match(slow, /xkey/);
});

test("nothing that was borrowed is kept: requests and buffers are all given back", async () => {
  const t = await start("{default: {failover: [a, b], on: [error, miss]}}");
  t.say(GET + SET + GET);
  t.reply("a", NIL);
  t.fail("a");
  t.reply("b", V + V);
  t.client.end();
  t.host.settle();
  assert.is(t.watch.requests.size, 0);
  assert.is(t.front.front?.kept, 0);
});

test("a client that leaves while its request is on its way does no harm", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  t.say(GET + SET);
  t.client.fail("ECONNRESET");
  t.host.settle();
  t.fail("a");
  assert.is(t.watch.requests.size, 0);
  assert.is(t.front.front?.kept, 0);
});

test.run();
