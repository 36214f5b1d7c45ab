// `strip: true`: servers see keys without their prefix.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const start = (target: string) =>
  TreeFixture.start(`{default: c, prefixes: {"pre:": {${target}, strip: true}}}`, ["a", "b", "c"]);

test("Envoy's remove_prefix: keys lose it, what they are given stays", async () => {
  const t = await start("failover: [a, b]");
  const value = "pre:\r\n$4\r\npre:x";
  t.say(command("SET", "pre:k", value) + command("GET", "pre:") + command("GET", "other"));
  assert.is(t.received("a"), command("SET", "k", value) + command("GET", ""));
  assert.is(t.received("c"), command("GET", "other"));
});

test("commands of several keys", async () => {
  const t = await start("pool: a");
  t.say(command("MGET", "pre:1", "x", "pre:22"));
  assert.is(t.received("a"), command("MGET", "1") + command("MGET", "22"));
  t.say(command("MSET", "pre:1", "v", "pre:22", "pre:w"));
  assert.is(t.received("a"), command("MSET", "1", "v") + command("MSET", "22", "pre:w"));
  t.say(command("EVAL", "return KEYS[1]", "2", "pre:1", "pre:2", "pre:arg"));
  assert.is(t.received("a"), command("EVAL", "return KEYS[1]", "2", "1", "2", "pre:arg"));
  t.say(command("RENAME", "pre:1", "pre:2"));
  assert.is(t.received("a"), command("RENAME", "1", "2"));
});

test("an inline request too", async () => {
  const t = await start("pool: a");
  t.say("SET pre:k v\r\n");
  assert.is(t.received("a"), command("SET", "k", "v"));
});

test("what cannot be is refused with the reason", async () => {
  const t = await start("pool: a");
  t.say(command("XREAD", "STREAMS", "pre:s", "0"));
  assert.is(
    t.got(),
    "-ERR its reply names keys, which have another name where `strip` is on\r\n",
  );
  t.say(command("BLPOP", "pre:l", "1"));
  assert.match(t.got(), /^-ERR the route of this key strips its prefix/);
});

test.run();
