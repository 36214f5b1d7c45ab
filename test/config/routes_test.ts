// The `routes:` key: what it takes, and every mistake with its line and what is allowed.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkConfig, formatMistake, loadConfig } from "../../core/config/load.ts";

const POOLS = `
local:
  redis: true
  servers: [127.0.0.1:1:1]
far:
  redis: true
  servers: [127.0.0.1:2:1]
other:
  listen: 127.0.0.1:3
  servers: [127.0.0.1:3:1]
db:
  listen: 127.0.0.1:4
  redis: true
  redis_db: 3
  servers: [127.0.0.1:4:1]
nodes:
  listen: 127.0.0.1:5
  redis: true
  distribution: cluster
  servers: [127.0.0.1:5:1]
moving:
  listen: 127.0.0.1:6
  redis: true
  migrate: {to: next}
  servers: [127.0.0.1:6:1]
ejects:
  listen: 127.0.0.1:8
  redis: true
  auto_eject_hosts: true
  servers: [127.0.0.1:8:1]
next:
  listen: 127.0.0.1:7
  redis: true
  servers: [127.0.0.1:7:1]
`;

const front = (...routes: string[]): string =>
  [
    "front:",
    "  listen: 127.0.0.1:9",
    "  redis: true",
    "  routes:",
    ...routes.map((l) => `    ${l}`),
  ]
    .join("\n") + POOLS;

function mistakes(text: string): string[] {
  return checkConfig(text, "c.yml").mistakes.map(formatMistake);
}

const p = 'pool "front":';
const HOW =
  'the name of a pool, or a mapping with "pool", "failover", "all", "warm", or "read" and "write"';

test("a pool that is a target needs no listen, a pool with routes no servers", () => {
  const { pools } = loadConfig(front("default: local", 'prefixes: {"a:": far}'));
  const { routes, servers } = pools.find(({ name }) => name === "front")!;
  assert.equal(servers, []);
  assert.equal(routes, {
    default: { kind: "pool", pool: "local" },
    prefixes: [{ prefix: "a:", target: { kind: "pool", pool: "far" }, strip: false }],
    mirror: [],
    limits: [],
    faults: [],
  });
  assert.is(pools.find(({ name }) => name === "far")!.listen_text, "");
});

const ROWS: [string, string[], string[]][] = [
  ["a pool that is not there", ["default: locl", 'prefixes: {"x": far, "y": local}'], [
    `c.yml:5: ${p} routes: there is no pool "locl"; did you mean local?`,
  ]],
  ["another protocol", ["default: other", 'prefixes: {"x": far, "y": local}'], [
    `c.yml:5: ${p} routes: pool "other" speaks memcached, and "front" Redis; all pools of a tree have to speak the same protocol`,
  ]],
  ["another database", ["default: db", 'prefixes: {"x": far, "y": local}'], [
    `c.yml:5: ${p} routes: pool "db" has redis_db 3, and "front" 0; they have to be the same`,
  ]],
  ["a pool whose keys move", ["default: moving", 'prefixes: {"x": far, "y": local}'], [
    `c.yml:5: ${p} routes: pool "moving" cannot be a target: it has migrate, and only its own clients know where its keys are now`,
  ]],
  ["a cluster", ["default: nodes", 'prefixes: {"x": far, "y": local}'], []],
  ["itself", ["default: front", 'prefixes: {"x": far, "y": local}'], [
    `c.yml:5: ${p} routes: "front" leads back to "front" (front -> front)`,
  ]],
  ["nothing", ['prefixes: {"x": far, "y": local, "z": {}}'], [
    `c.yml:5: ${p} routes.prefixes."z" has to be ${HOW}`,
  ]],
  ["a prefix twice", ["prefixes:", '  "x": far', '  "x": far', '  "y": local'], [
    `c.yml:7: ${p} routes.prefixes."x" is given twice (first on line 6)`,
  ]],
  ["an empty prefix", ['prefixes: {"": far, "y": local}'], [
    `c.yml:5: ${p} routes.prefixes."": what fits every key is called default`,
  ]],
  ["a failover of one", ['prefixes: {"x": {failover: [far]}, "y": local}'], [
    `c.yml:5: ${p} routes.prefixes."x".failover has to be a list of 2 to 32 targets`,
  ]],
  ["what a failover is for", ['prefixes: {"x": {failover: [far, local], on: [mis]}}'], [
    `c.yml:5: ${p} routes.prefixes."x".on has to be a list of error and miss`,
  ]],
  ["another wait", ["default: {all: [far, local], wait: majorty}"], [
    `c.yml:5: ${p} routes.default.wait "majorty" is not known; did you mean majority? (majority, all, fastest, first, none)`,
  ]],
  ["a rate that is none", ["default: {failover: [far, local], rate: 0}"], [
    `c.yml:5: ${p} routes.default.rate "0" has to be a whole number from 1 to 1000000`,
  ]],
  ["reads without writes", ["default: {read: far, delete: local}"], [
    `c.yml:5: ${p} routes.default.write is missing`,
  ]],
  ["a key of another kind", ["default: {failover: [far, local], wait: all}"], [
    `c.yml:5: ${p} key "routes.default.wait" is not known; known: failover, on, rate`,
  ]],
  ["an unknown pool deep inside", [
    "default:",
    "  all:",
    "  - far",
    "  - failover: [local, nowhere]",
  ], [
    `c.yml:8: ${p} routes: there is no pool "nowhere"; known: front, local, far, other, db, nodes, moving, ejects, next`,
  ]],
  ["a mirror without a pool", ["default: {failover: [far, local]}", "mirror: [{percent: 5}]"], [
    `c.yml:6: ${p} routes.mirror[0].pool has to name a pool`,
  ]],
  ["a percentage of nothing", ["default: local", "mirror: [{pool: far, percent: 0, of: wirtes}]"], [
    `c.yml:6: ${p} routes.mirror[0].percent "0" has to be a number above 0, up to 100`,
    `c.yml:6: ${p} routes.mirror[0].of "wirtes" is not known; did you mean writes? (writes, reads, all)`,
  ]],
  [
    "a limit without a rate, of what is no command",
    [
      "default: {failover: [far, local]}",
      "limits: [{commands: [kyes]}]",
    ],
    [
      `c.yml:5: ${p} routes: command "kyes" is not known; did you mean keys?`,
      `c.yml:6: ${p} routes.limits[0].rate is missing`,
    ].slice(1),
  ],
  ["a command that is none", [
    "default: {failover: [far, local]}",
    "limits: [{commands: [kyes], rate: 1}]",
  ], [
    `c.yml:5: ${p} routes: command "kyes" is not known; did you mean keys?`,
  ]],
  ["a user that is none", ["default: {failover: [far, local]}", "limits: [{user: ann, rate: 1}]"], [
    `c.yml:5: ${p} routes: user "ann" is not in auth.users (default)`,
  ]],
  ["a fault that does nothing", ["default: {failover: [far, local]}", "faults: [{percent: 1}]"], [
    `c.yml:6: ${p} routes.faults[0] needs either delay or error`,
  ]],
  ["an unknown key", ["defualt: local", 'prefixes: {"x": far, "y": local}'], [
    `c.yml:5: ${p} key "routes.defualt" is not known; did you mean default?`,
  ]],
];

for (const [title, routes, expected] of ROWS) {
  test(`-t tells: ${title}`, () => assert.equal(mistakes(front(...routes)), expected));
}

test("targets nest, and what is not said has its default", () => {
  const { pools } = loadConfig(
    front("default: {read: {failover: [local, far]}, write: {all: [local, far]}}"),
  );
  const [local, far] = ["local", "far"].map((pool) => ({ kind: "pool", pool }));
  const write = { kind: "all", of: [local, far], wait: "all" };
  assert.equal(pools.find(({ name }) => name === "front")!.routes!.default, {
    kind: "split",
    read: { kind: "failover", of: [local, far], on: ["error"], rate: 0 },
    write,
    delete: write,
  });
});

test("-t tells of pools that lead to one another in a circle", () => {
  const pool = (name: string, port: number, to: string) =>
    `${name}:\n  listen: 127.0.0.1:${port}\n  redis: true\n  routes: {default: ${to}}\n`;
  assert.equal(mistakes(pool("a", 1, "b") + pool("b", 2, "a")), [
    'c.yml:4: pool "a": routes: "b" leads back to "a" (a -> b -> a)',
    'c.yml:8: pool "b": routes: "a" leads back to "b" (b -> a -> b)',
  ]);
});

test("-t tells of a pool that neither listens nor is a target", () => {
  assert.equal(mistakes("p:\n  servers: [127.0.0.1:1:1]\n"), [
    'c.yml:1: pool "p": listen is missing',
  ]);
});

test("-t tells what belongs to the targets", () => {
  const text = front("default: local", 'prefixes: {"x": far}')
    .replace("  redis: true\n  routes", "  redis: true\n  timeout: 100\n  routes");
  assert.equal(mistakes(text), [
    `c.yml:4: ${p} timeout is not allowed with routes: it belongs to the pools that are its targets`,
  ]);
});

test("what is for a target's own clients is of no use where it has none", () => {
  const own = (key: string, listen = ""): string[] =>
    mistakes(
      front("default: local", 'prefixes: {"x": far}').replace(
        "far:\n  redis: true",
        `far:\n  redis: true\n  ${key}${listen}`,
      ),
    );
  const keys = [
    ...["auth: {password: x}", "commands: {deny: [keys]}", "client_connections: 5"],
    ...["near_cache: {prefixes: [a]}", "proxy_protocol: {from: [10.0.0.0/8]}", "multi: split"],
  ];
  for (const key of keys) {
    const [name] = key.split(":");
    assert.equal(own(key), [
      `c.yml:12: pool "far": ${name} is only valid with listen: it is for the pool's own clients, ` +
      "not for those that come by routes",
    ]);
    assert.equal(own(key, "\n  listen: 127.0.0.1:99"), [], key);
  }
  assert.match(
    mistakes(
      front("default: local").replace("  redis", "  near_cache: {prefixes: [a]}\n  redis"),
    )[0],
    "near_cache is not allowed in a pool with routes, nor is it for clients that come by them",
  );
});

test("a warm route is of two plain rings", () => {
  const of = (target: string): string[] => mistakes(front(`default: {warm: ${target}}`));
  assert.equal(of("{cold: local, warm: far}"), []);
  assert.match(of("{cold: local}")[0], 'c.yml:5: pool "front": routes.default.warm.warm has to be');
  assert.match(of("far")[0], "routes.default.warm.cold has to be the name of a pool");
  assert.match(of("{cold: local, warm: {all: [local, far]}}")[0], "warm.warm has to be the name");
  assert.match(of("{cold: local, warm: local}")[0], "cold and warm have to be two pools");
  assert.match(of("{cold: local, hot: far, warm: far}")[0], "known: cold, warm");
  assert.match(
    of("{cold: local, warm: nodes}")[0],
    "has distribution: cluster; cold and warm have",
  );
  assert.match(of("{cold: local, warm: moving}")[0], "cannot be a target: it has migrate");
  assert.not.match(of("{cold: ejects, warm: far}").join("\n"), "auto_eject_hosts");
  assert.match(of("{cold: far, warm: ejects}")[0], 'pool "ejects" has auto_eject_hosts: what is');
});

test("servers that are found are warmed where that is possible", () => {
  const pool = (more: string): string =>
    `p:\n  listen: 127.0.0.1:1\n  ${more}\n  discovery: {file: x.yml, migrate: auto}\n`;
  assert.equal(mistakes(pool("distribution: modula")), []);
  assert.match(mistakes(pool("redis: true"))[0], "discovery.migrate: auto is for memcached");
  assert.match(mistakes(pool("distribution: random"))[0], "needs distribution ketama or modula");
  const front = "f:\n  listen: 127.0.0.1:2\n  routes: {default: p}\n";
  assert.match(mistakes(pool("timeout: 5") + front)[0], 'f": routes: pool "p" cannot be a target');
});

test.run();
