// `all` and read/write/delete. Each line says whose documented behaviour it is: mcrouter's All*Route
// and OperationSelectorRoute (wiki, "List of Route Handles"), or ringmux's own rule (docs/routes.md).

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const GET = command("GET", "k");
const SET = command("SET", "k", "v");
const DEL = command("DEL", "k");
const OK = "+OK\r\n";
const V = "$1\r\nv\r\n";
const LOADING = "-LOADING Redis is loading the dataset in memory\r\n";

const start = (wait: string, names = ["a", "b", "c"]) =>
  TreeFixture.start(`{default: {all: [${names.join(", ")}], wait: ${wait}}}`, names);

test("AllSyncRoute: every child gets the request, and all are waited for", async () => {
  const t = await start("all");
  t.say(SET);
  for (const name of ["a", "b", "c"]) assert.is(t.received(name), SET);
  t.reply("a", OK);
  t.reply("c", OK);
  assert.is(t.got(), "");
  t.reply("b", OK);
  assert.is(t.got(), OK);
});

test("AllSyncRoute: the worst reply is returned", async () => {
  const t = await start("all");
  t.say(SET + DEL + SET);
  t.reply("a", OK + ":1\r\n" + OK);
  t.reply("b", LOADING + ":0\r\n" + OK);
  t.fail("c", "ECONNRESET");
  const lost = "-ERR Connection reset by peer\r\n";
  assert.is(t.got(), LOADING + lost + lost);
});

test("AllMajorityRoute: half + 1 alike are enough", async () => {
  const t = await start("majority");
  t.say(SET);
  t.reply("b", LOADING);
  t.reply("a", OK);
  assert.is(t.got(), "");
  t.reply("c", OK);
  assert.is(t.got(), OK);
});

test("AllMajorityRoute: two of two have to be alike, else the worst is returned", async () => {
  const t = await start("majority", ["a", "b"]);
  t.say(DEL + DEL);
  t.reply("a", ":1\r\n:1\r\n");
  assert.is(t.got(), "");
  t.reply("b", ":1\r\n:0\r\n");
  assert.is(t.got(), ":1\r\n:0\r\n");
});

test("AllFastestRoute: the first reply that is no error is returned", async () => {
  const t = await start("fastest");
  t.say(GET);
  t.reply("b", LOADING);
  assert.is(t.got(), "");
  t.reply("c", V);
  assert.is(t.got(), V);
  t.reply("a", "$-1\r\n");
  assert.is(t.got(), "");
});

test("AllFastestRoute: if all fail an error is returned", async () => {
  const t = await start("fastest");
  t.refuse("a", "b", "c");
  t.say(GET);
  assert.is(t.got(), "-ERR Connection refused\r\n");
});

test("AllInitialRoute: the first child's reply is returned, all get the request", async () => {
  const t = await start("first");
  t.say(SET);
  t.reply("b", OK);
  t.reply("c", LOADING);
  assert.is(t.got(), "");
  t.reply("a", ":7\r\n");
  assert.is(t.got(), ":7\r\n");
  t.fail("a");
  t.refuse("a");
  t.say(SET);
  assert.is(t.got(), "-ERR Connection refused\r\n");
});

test("AllAsyncRoute: the default reply at once, all get the request", async () => {
  const t = await start("none");
  t.say(DEL + SET + command("INCR", "k") + GET);
  assert.is(t.got(), ":0\r\n$-1\r\n:0\r\n$-1\r\n");
  for (const name of ["a", "b", "c"]) {
    assert.is(t.received(name), DEL + SET + command("INCR", "k") + GET);
    t.reply(name, `:1\r\n${OK}:2\r\n${V}`);
  }
  assert.is(t.got(), "");
});

test("AllAsyncRoute in memcached: not stored, not found, END", async () => {
  const t = await TreeFixture.start("{default: {all: [a, b], wait: none}}", ["a", "b"], {
    memcached: true,
  });
  t.say("set k 0 0 1\r\nv\r\ndelete k\r\nget k\r\nms k 1 O5\r\nv\r\nmd k\r\nmg k v\r\n");
  assert.is(t.got(), "NOT_STORED\r\nNOT_FOUND\r\nEND\r\nNS O5\r\nNF\r\nEN\r\n");
});

test("ours: a delete that fails at a child is tried again until it is taken", async () => {
  const t = await start("all", ["a", "b"]);
  t.refuse("b");
  t.say(DEL);
  t.reply("a", ":1\r\n");
  assert.is(t.got(), "-ERR Connection refused\r\n");
  assert.is(t.front.counters.deletes_queued, 1);
  t.pass(1000);
  t.refuse();
  t.pass(1100);
  assert.is(t.received("b"), DEL);
  t.reply("b", LOADING);
  t.pass(1100);
  assert.is(t.received("b"), DEL);
  t.reply("b", ":1\r\n");
  t.pass(3000);
  assert.is(t.received("b"), "");
  assert.is(t.got(), "");
  assert.is(t.front.counters.deletes_dropped, 0);
});

test("ours: no more than 1000 deletes wait, the others are dropped and counted", async () => {
  const t = await start("first", ["a", "b"]);
  t.refuse("b");
  for (let i = 0; i < 6; i++) {
    t.say(DEL.repeat(200));
    t.reply("a", ":1\r\n".repeat(200));
  }
  assert.is(t.front.counters.deletes_queued, 1000);
  assert.is(t.front.counters.deletes_dropped, 200);
});

test("OperationSelectorRoute: reads, writes and deletes each have their child", async () => {
  const t = await TreeFixture.start(
    "{default: {read: a, write: b, delete: {all: [a, b, c], wait: all}}}",
  );
  t.say(GET + SET + command("GETDEL", "k") + DEL);
  assert.is(t.received("a"), GET + DEL);
  assert.is(t.received("b"), SET + command("GETDEL", "k") + DEL);
  assert.is(t.received("c"), DEL);
  t.reply("a", V + ":1\r\n");
  t.reply("b", OK + V + ":1\r\n");
  t.reply("c", ":0\r\n");
  assert.is(t.got(), V + OK + V + ":0\r\n");
});

test("OperationSelectorRoute: without `delete` deletes are writes", async () => {
  const t = await TreeFixture.start("{default: {read: a, write: b}}");
  t.say(DEL);
  assert.is(t.received("b"), DEL);
});

test("OperationSelectorRoute in memcached: gets with reads, cas with writes; meta by its commands", async () => {
  const t = await TreeFixture.start("{default: {read: a, write: b, delete: c}}", ["a", "b", "c"], {
    memcached: true,
  });
  t.say("gets k\r\nmg k v\r\ncas k 0 0 1 7\r\nv\r\nms k 1\r\nv\r\ndelete k\r\nmd k\r\n");
  assert.is(t.received("a"), "gets k\r\nmg k v\r\n");
  assert.is(t.received("b"), "cas k 0 0 1 7\r\nv\r\nms k 1\r\nv\r\n");
  assert.is(t.received("c"), "delete k\r\nmd k\r\n");
});

test("ours: gets and cas stay at the first child: a cas unique is one server's", async () => {
  const t = await TreeFixture.start("{default: {all: [a, b], wait: all}}", ["a", "b"], {
    memcached: true,
  });
  const tied = "gets k\r\nmg k c v\r\ncas k 0 0 1 7\r\nv\r\nms k 1 C7\r\nv\r\n";
  t.say(tied);
  assert.is(t.received("a"), tied);
  t.say("set k 0 0 1\r\nv\r\n");
  assert.is(t.received("b"), "set k 0 0 1\r\nv\r\n");
});

test("targets nest: a spare for the replicated cache", async () => {
  const t = await TreeFixture.start("{default: {failover: [{all: [a, b], wait: all}, c]}}");
  t.refuse("b");
  t.say(GET);
  t.reply("a", V);
  assert.is(t.received("c"), GET, "the worst reply of `all` was an error");
  t.reply("c", "$1\r\nc\r\n");
  assert.is(t.got(), "$1\r\nc\r\n");
});

test("a write to all is split by key, each part waits for its own children", async () => {
  const t = await start("all", ["a", "b"]);
  t.say(command("MSET", "k", "1", "l", "2"));
  const parts = command("MSET", "k", "1") + command("MSET", "l", "2");
  assert.is(t.received("a"), parts);
  assert.is(t.received("b"), parts);
  t.reply("a", OK + OK);
  t.reply("b", OK);
  assert.is(t.got(), "");
  t.reply("b", OK);
  assert.is(t.got(), OK);
});

test("commands without a key: those that read ask the first child, others go to all", async () => {
  const t = await start("all", ["a", "b"]);
  t.say(command("DBSIZE"));
  t.reply("a", ":3\r\n");
  assert.is(t.got(), ":3\r\n");
  t.say(command("FLUSHALL"));
  t.reply("a", OK);
  t.reply("b", OK);
  assert.is(t.got(), OK);
});

test.run();
