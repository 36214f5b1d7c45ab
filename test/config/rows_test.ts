// What a row of a configuration key can say, with rows made up for it: a key that is to come is a row.

import { test } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { judgeConditions, readKeys } from "../../core/config/group.ts";
import { changes, hasSecret, type Rows, schemaOf, type ValuesOf } from "../../core/config/rows.ts";
import { flag, integer, milliseconds, oneOf, text } from "../../core/config/values.ts";
import { type Mapping, parseYaml } from "../../core/config/yaml.ts";

const ROWS = {
  redis: { type: flag(), default: false, text: "Redis." },
  distribution: {
    type: oneOf(["ketama", "cluster"]),
    default: "ketama",
    reload: ["ring"],
    text: "How a server is chosen.",
  },
  cluster: {
    keys: {
      refresh: { type: milliseconds(), default: 1000, text: "How often it is asked." },
      password: { type: text(), optional: true, secret: true, text: "The password." },
    },
    optional: true,
    only: "redis",
    with: ["distribution", "cluster"],
    reload: ["connections"],
    text: "How the cluster is spoken to.",
  },
  sentinels: { items: { type: text(), text: "" }, only: "redis", text: "Where sentinels are." },
  reads: { type: oneOf(["primary", "replicas"]), default: "primary", text: "Who reads." },
  park_bytes: { type: integer(0, 1000), default: 100, text: "Bytes that may wait." },
  routes: {
    each: {
      keys: {
        pool: { type: text(), text: "Where to." },
        mirror: { type: text(), optional: true, text: "Where to as well." },
      },
      text: "",
    },
    text: "Prefixes of keys.",
  },
  failover: {
    items: { keys: { to: { type: text(), text: "Where to." } }, text: "" },
    text: "In this order.",
  },
} as const satisfies Rows;

function read(yaml: string): { values: ValuesOf<typeof ROWS>; told: string[] } {
  const { root } = parseYaml(yaml);
  const told: string[] = [];
  const note = (place: { line: number }, message: string) => told.push(`${place.line}: ${message}`);
  judgeConditions(ROWS, root as Mapping, note);
  return { values: readKeys(ROWS, root as Mapping, "p", note) as ValuesOf<typeof ROWS>, told };
}

test("values, lists, mappings, names and lists of mappings are rows", () => {
  const { values, told } = read(
    "redis: true\ndistribution: cluster\ncluster: {refresh: 5}\nsentinels: ['a:1', 'b:1']\n" +
      "routes:\n  user: {pool: a}\n  cart: {pool: b, mirror: c}\nfailover: [{to: x}, {to: y}]\n",
  );
  assert.equal(told, []);
  assert.equal(values.cluster, { refresh: 5, password: undefined });
  assert.equal(values.sentinels, ["a:1", "b:1"]);
  assert.equal([values.reads, values.park_bytes], ["primary", 100]);
  assert.equal(Object.keys(values.routes), ["user", "cart"]);
  assert.is(values.routes.cart.mirror, "c");
  assert.equal(values.failover, [{ to: "x" }, { to: "y" }]);
});

test("what is not given has its default, and a schema says the same", () => {
  const { values, told } = read("redis: false\n");
  assert.equal(told, []);
  const plain = JSON.parse(JSON.stringify(values));
  assert.equal(plain, JSON.parse(JSON.stringify(v.parse(schemaOf(ROWS), {}))));
  assert.equal([values.sentinels, values.routes, values.failover], [[], {}, []]);
});

test("a key that needs another is told so, with its line", () => {
  assert.equal(read("redis: true\ncluster: {}\n").told, [
    "2: cluster is only valid with distribution: cluster",
  ]);
  assert.equal(read("distribution: cluster\ncluster: {}\nsentinels: [a]\n").told, [
    "2: cluster is only valid with redis: true",
    "3: sentinels is only valid with redis: true",
  ]);
});

test("mistakes in lists and in what is named have their place and path", () => {
  assert.equal(read("failover:\n  - {to: a}\n  - {too: b}\nroutes:\n  x: {mirror: a}\n").told, [
    '3: key "p.failover.too" is not known; did you mean to?',
    "3: p.failover.to is missing",
    "5: p.routes.x.pool is missing",
  ]);
  assert.equal(read("redis: true\nsentinels: {a: b}\nroutes: [a]\n").told, [
    "2: p.sentinels has to be a list",
    "3: p.routes has to be a mapping",
  ]);
});

test("a secret makes all that it is in one, and effects are asked by key", () => {
  const secret = Object.keys(ROWS).filter((key) => hasSecret(ROWS[key as keyof typeof ROWS]));
  assert.equal(secret, ["cluster"]);
  assert.is(changes(ROWS, new Set(["reads", "cluster"]), "connections"), true);
  assert.is(changes(ROWS, new Set(["reads", "distribution"]), "connections"), false);
  assert.is(changes(ROWS, new Set(["toString"]), "ring"), false);
});

test.run();
