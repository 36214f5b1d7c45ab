// What is counted of the single ways of a front, and that it goes on through a reload.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { loadConfig } from "../../core/config/load.ts";
import { viewPool } from "../../core/pool_view.ts";
import { mergeRoutes } from "../../core/stats/routes.ts";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

const OK = "+OK\r\n";
const ROUTES = '{default: a, prefixes: {"f:": {failover: [a, b]}, "e:": {all: [a, b]}, ' +
  '"s:": {pool: b, strip: true}}, mirror: [{pool: c}]}';

function rowsOf(t: TreeFixture): Record<string, string> {
  return Object.fromEntries((viewPool(t.front).routes ?? []).map(
    (
      { route, target, requests, errors = "-", failovers = "-" },
    ) => [`${route} > ${target}`, [requests, errors, failovers].join(" ")],
  ));
}

test("requests, errors and what went on, by route and target", async () => {
  const t = await TreeFixture.start(ROUTES);
  t.say(command("SET", "x", "1") + command("SET", "s:x", "1"));
  t.say(command("SET", "f:x", "1"));
  t.reply("a", OK + "-LOADING not yet\r\n");
  t.say(command("SET", "e:x", "1"));
  t.reply("a", "-OOM no\r\n");
  t.reply("b", OK.repeat(3));
  t.reply("c", `${OK}${OK}${OK}-OOM no\r\n`);
  assert.is(t.got(), `${OK}${OK}${OK}-OOM no\r\n`);
  assert.equal(rowsOf(t), {
    "default > a": "1 - -",
    "prefix f: > a": "1 1 1",
    "prefix f: > b": "1 0 0",
    "prefix e: > a": "1 1 0",
    "prefix e: > b": "1 0 0",
    "prefix s: > b": "1 - -",
    "mirror > c": "4 1 0",
  });
  // Asking where a key goes is no request.
  t.proxy.rings("front", "x");
  t.proxy.hot("front");
  assert.is(rowsOf(t)["default > a"], "1 - -");
  const text = TreeFixture.text('{default: a, prefixes: {"f:": {failover: [b, a]}}}', [
    "a",
    "b",
    "c",
  ]);
  await t.proxy.reload(loadConfig(text));
  assert.equal(rowsOf(t), {
    "prefix f: > b": "1 0 0",
    "prefix f: > a": "1 1 1",
    "default > a": "1 - -",
  });
  const line = JSON.parse(t.proxy.stats());
  assert.equal(line.front["prefix f: > a"], { requests: 1, errors: 1, failovers: 1 });
  assert.equal(line.front["default > a"], { requests: 1 });
});

test("a front behind a front: what it does by the command is asked there too", async () => {
  const inner = "routes: {default: {read: a, write: b}}";
  const names = ["a", "b"];
  const rest = TreeFixture.text("{default: inner}", names) +
    `inner:\n  redis: true\n  listen: 127.0.0.1:7399\n  ${inner}\n`;
  const t = await TreeFixture.start("{default: a}", names);
  await t.proxy.reload(loadConfig(rest));
  t.say(command("SET", "k", "v") + command("GET", "k"));
  assert.is(t.received("b"), command("SET", "k", "v"));
  assert.is(t.received("a"), command("GET", "k"));
});

test("rows of workers add up", () => {
  const row = { route: "default", target: "a", requests: 1 };
  const judged = { route: "prefix x", target: "a", requests: 2, errors: 1, failovers: 0 };
  assert.equal(mergeRoutes([row, judged], [judged, row]), [
    { ...row, requests: 2 },
    { ...judged, requests: 4, errors: 2 },
  ]);
});

test.run();
