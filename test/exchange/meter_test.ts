// Limits and faults of a front: whom they are about, what is answered, and that nobody else waits.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const GET = command("GET", "k");
const OK = "+OK\r\n";
const V = "$1\r\nv\r\n";

const start = (more: string, setting = {}) =>
  TreeFixture.start(`{default: a, ${more}}`, ["a"], setting);

test("RateLimitRoute: so many requests a second, then errors", async () => {
  const t = await start("limits: [{rate: 2}]");
  t.say(GET.repeat(3) + command("PING"));
  assert.is(t.received("a"), GET.repeat(2));
  t.reply("a", V + V);
  const error = "-ERR rate limit: at most 2 requests a second\r\n";
  assert.is(t.got(), `${V}${V}${error}+PONG\r\n`);
  assert.is(t.front.counters.limited, 1);
  t.pass(1000);
  t.say(GET);
  t.reply("a", V);
  assert.is(t.got(), V);
});

test("a limit is about commands, whatever they are", async () => {
  const t = await start("limits: [{commands: [keys, script load], rate: 1}]");
  const keys = command("KEYS", "*");
  t.say(keys + keys + GET);
  t.reply("a", "*0\r\n" + V);
  const error = "-ERR rate limit: at most 1 requests a second of keys, script|load\r\n";
  assert.is(t.got(), `*0\r\n${error}${V}`);
});

test("a limit is about a prefix, also of one of several keys", async () => {
  const t = await start('limits: [{prefix: "x:", rate: 1}]');
  t.say(command("GET", "x:1") + command("MGET", "y", "x:2") + GET);
  t.reply("a", V + V);
  assert.is(t.got(), V + "-ERR rate limit: at most 1 requests a second on this prefix\r\n" + V);
});

test("a limit is about a user", async () => {
  const front = ["auth: {users: {ann: {password: p}, bob: {password: q}}}"];
  const t = await start("limits: [{user: ann, rate: 1}]", { front });
  t.say(command("AUTH", "ann", "p") + GET + GET);
  t.reply("a", V);
  assert.is(t.got(), OK + V + "-ERR rate limit: at most 1 requests a second\r\n");
  t.say(command("AUTH", "bob", "q") + GET + GET);
  t.reply("a", V + V);
  assert.is(t.got(), OK + V + V);
});

test("a transaction that meets a limit is not carried out", async () => {
  const t = await start("limits: [{commands: [set], rate: 1}]");
  const set = command("SET", "k", "v");
  t.say(command("MULTI") + set + set + command("EXEC"));
  t.reply("a", OK);
  t.reply("a", "+QUEUED\r\n");
  t.reply("a", OK);
  assert.match(t.got(), /^\+OK\r\n\+QUEUED\r\n-ERR rate limit.*\r\n-EXECABORT/);
});

test("memcached: errors are its own, and are not sent to who wants no reply", async () => {
  const t = await start("limits: [{rate: 1}]", { memcached: true });
  t.say("get k\r\nget k\r\nset k 0 0 1 noreply\r\nv\r\nmn\r\n");
  t.reply("a", "END\r\n");
  assert.is(
    t.got(),
    "END\r\nSERVER_ERROR rate limit: at most 1 requests a second\r\nMN\r\n",
  );
});

test("ErrorRoute: a fault answers with the text of the configuration", async () => {
  const redis = await start('faults: [{error: "ERR injected", commands: [get]}]');
  redis.say(GET + command("SET", "k", "v"));
  redis.reply("a", OK);
  assert.is(redis.got(), "-ERR injected\r\n" + OK);
  assert.is(redis.front.counters.faults, 1);
  const other = await start('faults: [{error: "LOADING for a test"}]');
  other.say(GET);
  assert.is(other.got(), "-LOADING for a test\r\n");
  const memcached = await start('faults: [{error: "ERR injected"}]', { memcached: true });
  memcached.say("get k\r\n");
  assert.is(memcached.got(), "SERVER_ERROR injected\r\n");
});

test("LatencyInjectionRoute: a delay holds up its own client and nobody else", async () => {
  const t = await start("faults: [{delay: 200, commands: [get]}]");
  const other = t.host.client(7200);
  t.say(GET + command("SET", "k", "v"));
  other.send(command("SET", "o", "v"));
  t.host.settle();
  assert.is(t.received("a"), command("SET", "o", "v"));
  t.reply("a", OK);
  assert.is(other.received(), OK);
  t.pass(210);
  assert.is(t.received("a"), GET + command("SET", "k", "v"));
  t.reply("a", V + OK);
  assert.is(t.got(), V + OK);
  assert.is(t.front.counters.faults, 1);
});

test("a client that leaves while it is held up does no harm", async () => {
  const t = await start("faults: [{delay: 200}]");
  t.say(GET);
  t.client.fail("ECONNRESET");
  t.host.settle();
  t.pass(300);
  assert.is(t.front.clients.size, 0);
});

test("percent: so many of a hundred", async () => {
  const t = await start('faults: [{percent: 30, error: "ERR injected"}]');
  let n = 0;
  t.host.random = (most) => Math.floor((n++ % 10) / 10 * most);
  t.say(GET.repeat(10));
  t.reply("a", V.repeat(7));
  assert.is(t.got(), "-ERR injected\r\n".repeat(3) + V.repeat(7));
});

test.run();
