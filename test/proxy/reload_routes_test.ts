// Reloads of fronts and their targets: clients stay, replies are not lost, lanes go on.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadConfig } from "../../core/config/load.ts";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const GET = command("GET", "k");
const OK = "+OK\r\n";
const V = "$1\r\nv\r\n";

const start = (routes: string, setting = {}) => TreeFixture.start(routes, ["a", "b"], setting);

async function reload(
  t: TreeFixture,
  routes: string,
  names = ["a", "b"],
  setting = {},
): Promise<string[]> {
  const lines = await t.proxy.reload(loadConfig(TreeFixture.text(routes, names, setting)));
  t.host.settle();
  return lines;
}

test("another target: a client stays, what is on its way is answered", async () => {
  const t = await start("{default: a}");
  t.say(GET);
  const lines = await reload(t, "{default: b}");
  assert.ok(lines.some((line) => line.startsWith('pool "front": routes is now')), lines.join());
  t.say(GET);
  assert.is(t.received("b"), GET);
  t.reply("b", "$1\r\nb\r\n");
  assert.is(t.got(), "");
  t.reply("a", "$1\r\na\r\n");
  assert.is(t.got(), "$1\r\na\r\n$1\r\nb\r\n");
});

test("a target's server that gets another name: a front's client overtakes nothing of its own", async () => {
  const t = await start("{default: a}");
  t.say(command("SET", "k", "1"));
  const [old] = t.sockets("a");
  const text = TreeFixture.text("{default: a}", ["a", "b"]).replace(" sa]", " renamed]");
  await t.proxy.reload(loadConfig(text));
  t.say(GET);
  assert.equal(t.sockets("a"), [old], "the GET waits for the SET");
  old.send(OK);
  t.host.settle();
  const [, next] = t.sockets("a");
  assert.is(next.received(), GET);
  next.send(V);
  t.host.settle();
  assert.is(t.got(), OK + V);
});

test("a target that is removed answers what it has, and goes", async () => {
  const t = await start("{default: a, prefixes: {x: b}}");
  t.say(command("GET", "x"));
  await reload(t, "{default: a}", ["a"]);
  t.pass(100);
  assert.is(t.sockets("b").length, 1);
  t.reply("b", V);
  assert.is(t.got(), V);
  t.pass(100);
  assert.is(t.sockets("b").length, 0);
});

test("a proxy that ends waits for the clients of a front, and no longer", async () => {
  const t = await start("{default: a, prefixes: {x: b}}");
  t.say(command("GET", "x"));
  let over = false;
  const drained = t.proxy.drain(30_000).then(() => over = true);
  t.pass(100);
  assert.not.ok(over);
  t.reply("b", V);
  assert.is(t.got(), V);
  t.client.end();
  t.pass(100);
  await drained;
});

test("a new target is there for clients that are", async () => {
  const t = await TreeFixture.start("{default: a}", ["a", "b"]);
  t.say(command("SELECT", "3") + GET);
  t.reply("a", OK + V);
  assert.is(t.got(), OK + V);
  await reload(t, "{default: {all: [a, b], wait: all}}");
  t.received("a");
  t.say(GET);
  assert.is(t.received("b"), command("SELECT", "3"));
  t.reply("b", OK);
  assert.is(t.received("b"), GET);
  t.reply("b", V);
  t.reply("a", V);
  assert.is(t.got(), V);
});

test("a target with another password: its connections are replaced, in every lane", async () => {
  const t = await start("{default: a}");
  t.say(command("SELECT", "3") + GET);
  t.reply("a", OK + V);
  t.got();
  await reload(t, "{default: a}", ["a", "b"], { config: ["redis_auth: secret"] });
  t.say(GET);
  const fresh = t.host.outgoing.filter((socket) => !socket.gone).at(-1)!;
  assert.is(fresh.received(), command("AUTH", "secret") + command("SELECT", "3"));
  fresh.send(OK + OK);
  t.host.settle();
  assert.is(fresh.received(), GET);
  fresh.send(V);
  t.host.settle();
  assert.is(t.got(), V);
});

test("servers cannot become routes while clients use the pool", async () => {
  const t = await start("{default: a}");
  const text = TreeFixture.text("{default: a}", ["a", "b"])
    .replace("  routes: {default: a}", "  servers: [10.0.0.1:1:1]");
  let message = "";
  await t.proxy.reload(loadConfig(text)).catch((error) => message = error.message);
  assert.match(message, /pool "front": servers cannot become routes, nor routes servers/);
});

test("a front that is removed lets its clients finish, and its targets live on", async () => {
  const t = await start("{default: {failover: [a, b]}}");
  t.say(GET);
  const text = TreeFixture.text("{default: a}", ["a", "b"]).replace(/^front:[^]*?\na:/, "a:");
  await t.proxy.reload(loadConfig(text));
  t.host.settle();
  t.pass(100);
  t.reply("a", V);
  assert.is(t.got(), V);
  t.pass(100);
  assert.ok(t.client.finished || t.client.gone);
  assert.is(t.sockets("a").length, 1);
});

test("limits come and go with a reload", async () => {
  const t = await start("{default: a, limits: [{rate: 1}]}");
  t.say(GET + GET);
  t.reply("a", V);
  assert.match(t.got(), /^\$1\r\nv\r\n-ERR rate limit/);
  await reload(t, "{default: a}");
  t.say(GET + GET);
  t.reply("a", V + V);
  assert.is(t.got(), V + V);
});

test.run();
