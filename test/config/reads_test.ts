// The `reads:` key and replicas of servers: what they take, and every mistake with its line.

import { test } from "uvu";
import * as assert from "uvu/assert";
import * as fs from "node:fs";
import { checkConfig, formatMistake, loadConfig } from "../../core/config/load.ts";

const SHARD = '{server: "10.0.0.1:6379:1 shard1", replicas: ["10.0.1.1:6379", "[::1]:6380"]}';

const pool = (lines: string[], servers = [SHARD]): string =>
  [
    "p:",
    "  listen: 127.0.0.1:1",
    "  redis: true",
    ...lines.map((line) => `  ${line}`),
    "  servers:",
    ...servers.map((server) => `   - ${server}`),
    "",
  ].join("\n");

const FILE_P = 'pool "p":';

test("a server has replicas, and the policy its defaults", () => {
  const { pools: [{ reads, servers }] } = loadConfig(pool(["reads: {from: replica}"]));
  assert.equal(reads, { from: "replica", max_lag: 1000, after_write: 0, zone: "", zones: {} });
  assert.is(servers[0].name, "shard1");
  assert.equal(servers[0].replicas?.map(({ name }) => name), ["10.0.1.1:6379", "::1:6380"]);
  const more = "reads: {from: zone, max_lag: 200, after_write: 50, zone: a, zones: {'10.1.': a}}";
  const { zones, ...rest } = loadConfig(pool([more])).pools[0].reads!;
  assert.equal(rest, { from: "zone", max_lag: 200, after_write: 50, zone: "a" });
  assert.equal({ ...zones }, { "10.1.": "a" });
  const cluster = pool(["distribution: cluster", "reads: {from: nearest}"], ["10.0.0.1:6379:1"]);
  assert.is(loadConfig(cluster).pools[0].reads?.from, "nearest");
  const own = ['sentinels: ["10.0.0.1:26379:1"]', "reads: {from: nearest}"];
  assert.is(loadConfig(pool(own, ["10.0.0.1:6379:1 a"])).pools[0].reads?.from, "nearest");
  assert.is(loadConfig(fs.readFileSync("conf/replicas.yml", "utf8")).pools[0].servers.length, 2);
});

const READS = "reads: {from: replica}";

const ROWS: [string, string, string[]][] = [
  ["an unknown policy", pool(["reads: {from: replicas}"]), [
    'c.yml:4: pool "p": reads.from "replicas" is not known; did you mean replica? (primary, ' +
    "prefer_primary, replica, prefer_replica, nearest, zone)",
  ]],
  ["no policy", pool(["reads: {max_lag: 5}"]), [
    `c.yml:4: ${FILE_P} reads.from is missing`,
    `c.yml:4: ${FILE_P} reads.max_lag "5" `,
  ]],
  ["reads without replicas", pool([READS], ["10.0.0.1:1:1"]), [
    `c.yml:4: ${FILE_P} reads needs replicas: {server: ..., replicas: [host:port]} under servers`,
  ]],
  ["replicas without reads", pool([]), [
    `c.yml:5: ${FILE_P} replicas need reads: nobody would read from them`,
  ]],
  ["replicas of a cluster", pool(["distribution: cluster", READS]), [
    `c.yml:7: ${FILE_P} replicas are not named here: they are learned from the servers`,
  ]],
  ["a zone that is missing, or of no use", pool(["reads: {from: zone}"]), [
    `c.yml:4: ${FILE_P} reads.from zone needs reads.zone`,
  ]],
  ["a zone of no use", pool(["reads: {from: replica, zone: a}"]), [
    `c.yml:4: ${FILE_P} reads.zone and reads.zones are only valid with reads.from zone or primary`,
  ]],
  ["ejection", pool([READS, "auto_eject_hosts: true", "health_check: {interval: 100}"]), [
    `c.yml:5: ${FILE_P} auto_eject_hosts is not allowed with reads: keys of an ejected server`,
    `c.yml:6: ${FILE_P} health_check is not allowed with reads: keys of an ejected server`,
  ]],
  [
    "replicas named where Sentinels tell of them",
    pool([READS, 'sentinels: ["10.0.0.1:26379:1"]'], [
      '{server: "10.0.0.1:1:1 a", replicas: ["10.0.0.2:1"]}',
    ]),
    [`c.yml:7: ${FILE_P} replicas are not named here: they are learned from the servers`],
  ],
  ["memcached", pool([READS]).replace("redis: true", "redis: false"), [
    `c.yml:4: ${FILE_P} reads is only valid with redis: true`,
  ]],
  [
    "replicas that are none",
    pool([READS], [
      '{server: "10.0.0.1:1:1 a", replicas: ["10.0.0.2"]}',
      '{server: "10.0.0.1:2:1 b", replicas: []}',
      '{server: "10.0.0.1:3:1 c", replica: ["10.0.0.2:1"]}',
      '{server: "10.0.0.1:4:1 d", replicas: ["10.0.0.2:1", "10.0.0.2:1"]}',
      '{replicas: ["10.0.0.3:1"]}',
      '{server: "10.0.0.1:5:1 e"}',
      '{server: "10.0.0.1:6:1 f", replicas: ["10.0.0.4:6:1"]}',
      '{server: "10.0.0.1:7:1 g", replicas: ["10.0.0.1:7"]}',
    ]),
    [
      `c.yml:6: ${FILE_P} replica "10.0.0.2" has to be`,
      `c.yml:7: ${FILE_P} replicas has to be a list of host:port, one at least`,
      `c.yml:8: ${FILE_P} key "servers.replica" is not known; known: server, replicas`,
      `c.yml:9: ${FILE_P} replica "10.0.0.2:1" is named twice in this pool`,
      `c.yml:10: ${FILE_P} server is missing: host:port:weight [name]`,
      `c.yml:11: ${FILE_P} replicas is missing: a list of host:port`,
      `c.yml:12: ${FILE_P} replica "10.0.0.4:6:1" has to be host:port`,
      `c.yml:13: ${FILE_P} server "10.0.0.1:7:1 g" is named as its own replica`,
    ],
  ],
];

for (const [name, text, expected] of ROWS) {
  test(`mistakes: ${name}`, () => {
    const got = checkConfig(text, "c.yml").mistakes.map(formatMistake);
    assert.is(got.length, expected.length, got.join("\n"));
    for (const [i, one] of expected.entries()) {
      assert.is(got[i].slice(0, one.length), one, got[i]);
    }
  });
}

test("a pool that reads from replicas may be a target of routes", () => {
  const text = `${pool([READS])}front:\n  listen: 127.0.0.1:2\n  redis: true\n` +
    "  routes: {default: p}\n";
  assert.equal(checkConfig(text, "c.yml").mistakes.map(formatMistake), []);
});

test.run();
