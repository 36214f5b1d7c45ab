// mcrouter's documented semantics (wiki, "List of Route Handles"), a line for each route handle that is
// not in a file of its own: failover_test.ts, every_test.ts, mirror_test.ts, meter_test.ts, warm_test.ts.
// Each handle of docs/routes.md's table has a line somewhere.

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { viewPool } from "../../core/pool_view.ts";
import { TreeFixture } from "../fake/tree.ts";

const root = process.env.RINGMUX_ROOT ?? process.cwd();
const start = (routes: string, names?: string[]) =>
  TreeFixture.start(routes, names, { memcached: true });
const SET = "set k 0 0 1\r\nv\r\n";
const V = "VALUE k 0 1\r\nv\r\nEND\r\n";

test("PoolRoute: the pool has the request, and its reply is returned as it is", async () => {
  const t = await start("{default: a}");
  t.say("get k\r\nincr k 1\r\n");
  assert.is(t.received("a"), "get k\r\nincr k 1\r\n");
  t.reply("a", `${V}CLIENT_ERROR cannot increment or decrement non-numeric value\r\n`);
  assert.is(t.got(), `${V}CLIENT_ERROR cannot increment or decrement non-numeric value\r\n`);
});

test("PrefixSelectorRoute: the longest matching policy has the key", async () => {
  const t = await start('{default: c, prefixes: {"x": a, "xy:": b}}');
  t.say("get x\r\nget xy\r\nget xy:\r\nget xy:z\r\n");
  assert.is(t.received("a"), "get x\r\nget xy\r\n");
  assert.is(t.received("b"), "get xy:\r\nget xy:z\r\n");
});

test("PrefixSelectorRoute: what matches no policy goes to the wildcard", async () => {
  const t = await start('{default: c, prefixes: {"x": a, "xy:": b}}');
  t.say("get yx\r\n");
  assert.is(t.received("c"), "get yx\r\n");
});

test("PrefixSelectorRoute: without a wildcard what matches none is an error", async () => {
  const t = await start('{prefixes: {"x": a}}');
  t.say("get yx\r\n");
  assert.is(t.got(), "SERVER_ERROR no route for this key\r\n");
});

test("NullRoute (wait: none): delete: not found, get: a miss, set: not stored, at once", async () => {
  const t = await start("{default: {all: [a, b], wait: none}}");
  t.say(`delete k\r\nget k\r\n${SET}`);
  assert.is(t.got(), "NOT_FOUND\r\nEND\r\nNOT_STORED\r\n");
});

test("DevNullRoute (wait: none): as NullRoute, and its requests are counted", async () => {
  const t = await start("{default: {all: [a, b], wait: none}}");
  t.say(SET);
  const rows = viewPool(t.front).routes ?? [];
  assert.equal(rows.map(({ target, requests }) => [target, requests]), [["a", 1], ["b", 1]]);
});

test("asynclog: a delete that fails is answered, and done later", async () => {
  const t = await start("{default: {read: a, write: a, delete: {all: [a, b], wait: first}}}");
  t.refuse("b");
  t.say("delete k\r\n");
  t.reply("a", "DELETED\r\n");
  assert.is(t.got(), "DELETED\r\n");
  t.refuse();
  t.pass(1100);
  assert.is(t.received("b"), "delete k\r\n");
});

test("routing prefixes: /region/cluster/ chooses the route, and is stripped", async () => {
  const t = await start('{default: a, prefixes: {"/there/b/": {pool: b, strip: true}}}');
  t.say("get /there/b/k\r\nget k\r\n");
  assert.is(t.received("b"), "get k\r\n");
  assert.is(t.received("a"), "get k\r\n");
});

test("shadows: key_fraction_range: a key is always shadowed or never", async () => {
  const t = await start("{default: a, mirror: [{pool: b, percent: 50}]}", ["a", "b"]);
  const keys = Array.from({ length: 60 }, (_, i) => `key${i}`);
  const seen = () => {
    t.say(keys.map((key) => `get ${key}\r\n`).join(""));
    t.reply("a", "END\r\n".repeat(keys.length));
    const shadowed = t.received("b");
    t.reply("b", "END\r\n".repeat(shadowed.split("\n").length - 1));
    return shadowed;
  };
  const first = seen();
  assert.ok(first !== "" && first.length < keys.length * 11);
  assert.is(seen(), first);
});

test("every route handle of the table in docs/routes.md has a line here or in another test", () => {
  const titles: string[] = [];
  for (const folder of ["test/exchange", "test/e2e"]) {
    for (const file of fs.readdirSync(path.join(root, folder))) {
      if (!file.endsWith("_test.ts")) continue;
      const text = fs.readFileSync(path.join(root, folder, file), "utf8");
      titles.push(
        ...[...text.matchAll(/^(?:test|once|ours)\(\s*["`](.*)["`],/gm)].map((m) => m[1]),
      );
    }
  }
  const doc = fs.readFileSync(path.join(root, "docs/routes.md"), "utf8");
  const table = doc.slice(doc.indexOf("| mcrouter's route handle"), doc.indexOf("```json"));
  const untested = table.split("\n").flatMap((row) => {
    const [, handles = "", ours = ""] = row.split(/(?<!\\)\|/);
    if (ours.trim().startsWith("none")) return [];
    const names = [...handles.matchAll(/`(\w+Route|asynclog)`/g)].map((m) => m[1]);
    return names.filter((name) => !titles.some((title) => title.startsWith(name)));
  });
  assert.equal(untested, []);
});

test.run();
