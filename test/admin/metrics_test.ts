// Metrics as text, and what is written about them elsewhere: the documentation, the dashboard and
// the alerts name metrics and labels that are there.

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { renderMetrics } from "../../adapters/admin/metrics.ts";
import { generateMetrics, METRICS_FILE } from "../../docs/make_metrics.ts";
import { statsdLines } from "../../adapters/admin/statsd.ts";
import {
  type Counter,
  infoFields,
  newPoolCounters,
  newServerCounters,
  POOL_COUNTERS,
  SERVER_COUNTERS,
} from "../../core/stats/counters.ts";
import { statsLine } from "../../core/stats/report.ts";
import { mergeSnapshots } from "../../core/stats/snapshot.ts";
import { LATENCY_BOUNDS } from "../../core/stats/latency.ts";
import { mergeMigrations, type MigrationSnapshot } from "../../core/stats/migration.ts";
import {
  clusterPool,
  migratingPool,
  pool,
  readingPool,
  sentinelPool,
  server,
  snapshot,
} from "./fixture.ts";

const root = process.env.RINGMUX_ROOT ?? process.cwd();
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8");

/** Values by name and labels as they stand in the text. */
async function scrape(...args: Parameters<typeof renderMetrics>): Promise<Map<string, number>> {
  const text = await renderMetrics(...args);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const space = line.lastIndexOf(" ");
    return [line.slice(0, space), Number(line.slice(space + 1))];
  }));
}

const full = snapshot([pool("p", [server("a", 7), server("b")]), pool("q", [server("c")])]);

test("counters and gauges have the snapshot's values under pool and server", async () => {
  const values = await scrape(
    snapshot([
      pool("p", [server("a", 7, { server_ejected_at: 1_500_000 })], { server_ejects: 3 }),
      pool("q", [{ ...server("c"), live: false }]),
    ]),
    true,
  );
  assert.is(values.get('ringmux_server_requests_total{pool="p",server="a"}'), 7);
  assert.is(values.get('ringmux_server_response_bytes_total{pool="p",server="a"}'), 140);
  assert.is(values.get('ringmux_pool_server_ejections_total{pool="p"}'), 3);
  assert.is(values.get('ringmux_server_last_ejected_timestamp_seconds{pool="p",server="a"}'), 1.5);
  assert.is(values.get('ringmux_server_live{pool="q",server="c"}'), 0);
  assert.is(values.get('ringmux_pool_live_servers{pool="q"}'), 0);
  assert.is(values.get("ringmux_ready"), 1);
  assert.is(values.get("ringmux_process_resident_memory_bytes"), 1e6);
  assert.is(values.get("ringmux_process_cpu_seconds_total"), 2);
  assert.is(values.get('ringmux_build_info{version="0.0.0",runtime="test 1.0"}'), 1);
});

test("two scrapes at once do not mix, and none adds to another", async () => {
  const one = snapshot([pool("p", [server("a", 5)])]);
  const two = snapshot([pool("p", [server("a", 9)])]);
  const [first, second, again] = await Promise.all([
    renderMetrics(one, true),
    renderMetrics(two, true),
    renderMetrics(one, true),
  ]);
  assert.is(first, again);
  assert.match(second, 'ringmux_server_requests_total{pool="p",server="a"} 9\n');
});

test("buckets are cumulative, and agree with count and sum", async () => {
  const values = await scrape(full, true);
  const labels = 'server="a",class="read"';
  const of = (le: string) =>
    values.get(`ringmux_request_duration_seconds_bucket{pool="p",${labels},le="${le}"}`);
  assert.is(of("0.000512"), 0);
  assert.is(of("0.001024"), 7);
  assert.is(of("16.777216"), 7);
  assert.is(of("+Inf"), 7);
  assert.is(values.get(`ringmux_request_duration_seconds_count{pool="p",${labels}}`), 7);
  const sum = values.get(`ringmux_request_duration_seconds_sum{pool="p",${labels}}`);
  assert.ok(Math.abs((sum ?? 0) - 0.007) < 1e-9);
  const bounds = [...values.keys()].filter((name) => name.includes(`_bucket{pool="p",${labels},`));
  assert.is(bounds.length, LATENCY_BOUNDS.length + 1);
});

test("any name of a pool or server is a label", async () => {
  const name = 'a"b\\c\nd{}=é';
  const values = await scrape(snapshot([pool(name, [server(name, 3)])]), true);
  const shown = 'a\\"b\\\\c\\nd{}=é';
  assert.is(values.get(`ringmux_server_requests_total{pool="${shown}",server="${shown}"}`), 3);
});

test("what is not known is not told", async () => {
  const { memory: _, cpu: __, ...rest } = full;
  const values = await scrape(rest, true);
  assert.not.ok([...values.keys()].some((name) => name.startsWith("ringmux_process_")));
});

test("every counter is a metric, at StatsD too, and in the stats JSON unless it says otherwise", async () => {
  const one = snapshot([{
    ...clusterPool("p"),
    isFront: true,
    replicas: [],
    near: true,
    servers: [server("a")],
  }]);
  const values = await scrape(one, true);
  const sent = statsdLines(one, null);
  const json = statsLine(one);
  const judge = (rows: readonly Counter[], kind: string, prefix: string, labels: string) => {
    for (const { name, metric, kind: type, unlisted } of rows) {
      assert.ok(values.has(`ringmux_${kind}_${metric}{${labels}}`), metric);
      const told = sent.some((line) => line.startsWith(`${prefix}.${name}:`));
      assert.is(told, type !== "timestamp", name);
      assert.is(json.includes(`"${name}":`), unlisted !== true, name);
      assert.is(metric.endsWith("_total"), type === "counter", metric);
    }
  };
  judge(POOL_COUNTERS, "pool", "ringmux.p", 'pool="p"');
  judge(SERVER_COUNTERS, "server", "ringmux.p.a", 'pool="p",server="a"');
});

test("a counter of one protocol is shown of its pools only", async () => {
  const one = snapshot([{ ...pool("p", [server("a")]), protocol: "memcached" }]);
  const texts = [statsLine(one), statsdLines(one, null).join(), await renderMetrics(one, true)];
  for (const text of texts) assert.not.match(text, /pinned_connections/);
});

test("what is followed is shown of pools that follow, and of no others", async () => {
  const ring = snapshot([pool("p", [server("a")])]);
  for (
    const text of [statsLine(ring), statsdLines(ring, null).join(), await renderMetrics(ring, true)]
  ) {
    assert.not.match(text, /parked|ownerless|moved|failover/);
  }
  const values = await scrape(
    snapshot([clusterPool("c", { failovers: 2, failover_time: 2_500_000, parked_now: 7 })]),
    true,
  );
  const of = (name: string) => values.get(`ringmux_pool_${name}{pool="c"}`);
  assert.is(of("ownerless_slots"), 384);
  assert.is(of("primaries"), 1);
  assert.is(of("replicas"), 1);
  assert.is(of("failed_nodes"), 0);
  assert.is(of("epoch"), 3);
  assert.is(of("last_refresh_timestamp_seconds"), 1_800_000_000);
  assert.is(of("failover_seconds_total"), 2.5);
  assert.is(of("parked_requests"), 7);
});

test("a followed pool whose servers are not known yet has a stats JSON too", () => {
  const { c } = JSON.parse(statsLine(snapshot([{ ...clusterPool("c"), servers: [] }])));
  assert.is(c.parked_now, 0);
});

test("workers see the same failovers, and the newest view of the servers counts", () => {
  const told = (failovers: number, at: number) => {
    const one = clusterPool("c", { failovers, parked: 2 });
    const topology = one.topology as NonNullable<typeof one.topology>;
    return snapshot([{ ...one, topology: { ...topology, look: { ...topology.look, at } } }]);
  };
  const [{ counters, topology }] = mergeSnapshots(told(0, 0), [told(2, 70), told(1, 90)]).pools;
  assert.equal([counters.failovers, counters.parked, topology?.look.at], [2, 4, 90]);
});

test("the stats JSON has nutcracker's fields in its order, then what only ringmux has", () => {
  const { p } = JSON.parse(statsLine(full));
  assert.equal(Object.keys(p), [
    ...["client_eof", "client_err", "client_connections", "server_ejects", "forward_error"],
    ...["fragments", "a", "b"],
  ]);
  assert.equal(Object.keys(p.a), [
    ...["server_eof", "server_err", "server_timedout", "server_connections", "server_ejected_at"],
    ...["requests", "request_bytes", "responses", "response_bytes", "in_queue", "in_queue_bytes"],
    ...["out_queue", "out_queue_bytes", "pinned_connections"],
  ]);
});

test("workers are added up, of moments the last is told", () => {
  const told = (n: number, ejectedAt: number) =>
    snapshot([
      pool("p", [server("a", n, { server_ejected_at: ejectedAt, in_queue: n })], { accepted: n }),
    ]);
  const [{ counters, servers }] = mergeSnapshots(told(0, 0), [told(2, 70), told(3, 50)]).pools;
  assert.is(counters.accepted, 5);
  const { requests, in_queue, server_ejected_at } = servers[0].counters;
  assert.equal([requests, in_queue, server_ejected_at], [5, 5, 70]);
});

test("what is counted begins at zero, and INFO adds up servers", () => {
  const [counters, other] = [newServerCounters(), newServerCounters()];
  assert.equal(new Set(Object.values({ ...counters, ...newPoolCounters() })), new Set([0]));
  assert.is(Object.hasOwn(counters, "in_queue"), false);
  counters.requests = 3;
  other.requests = 4;
  const fields = new Map(infoFields("Stats", newPoolCounters(), [counters, other]));
  assert.is(fields.get("total_commands_processed"), 7);
  assert.is(fields.get("forward_errors"), 0);
});

test("a proxy without pools has metrics of its process", async () => {
  const values = await scrape(snapshot([]), false);
  assert.is(values.get("ringmux_ready"), 0);
  assert.is(values.get("ringmux_workers"), 1);
});

test("a migration: what workers have moved is added up, and the time that is left told", async () => {
  const { migration } = migratingPool("m");
  const both = mergeMigrations(migration as MigrationSnapshot, {
    ...migration as MigrationSnapshot,
    phase: "barrier",
    left: [],
  });
  const values = await scrape(snapshot([{ ...migratingPool("m"), migration: both }]), true);
  const of = (name: string): number | undefined => values.get(`ringmux_pool_migration_${name}`);
  assert.is(of('info{pool="m",phase="barrier",to="b"}'), 1);
  assert.is(of('keys_total{pool="m"}'), 20);
  assert.is(of('servers_left{pool="m"}'), 0);
  assert.is(of('waiting_clients{pool="m"}'), 6);
  assert.is(of('seconds_left{pool="m"}'), undefined);
  const moving = await scrape(snapshot([migratingPool("m")]), true);
  assert.is(moving.get('ringmux_pool_migration_seconds_left{pool="m"}'), 10);
});

test("docs/monitoring.md has the metrics as they are", () => {
  const docs = read(METRICS_FILE);
  assert.ok(generateMetrics(docs) === docs, "run: deno run -A docs/make_metrics.ts");
});

/** Names of metrics in PromQL, each with the labels it is used by. */
function used(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/\b(ringmux_[a-z_]+)(?:\{([^}]*)\})?/g)].map((
    [, name, match],
  ) => ({
    name,
    labels: [...(match ?? "").matchAll(/([a-z_]+)=/g)].map(([, label]) => label),
  }));
}

test("the dashboard and the alerts use metrics and labels that are there", async () => {
  const all = snapshot([
    ...[...full.pools, clusterPool("c"), sentinelPool("s"), migratingPool("m")],
    readingPool("r"),
  ]);
  const lines = [...(await scrape(all, true)).keys()];
  const labels = new Map<string, Set<string>>();
  for (const line of lines) {
    const [name, rest = ""] = line.split("{");
    const found = labels.get(name) ?? new Set(["instance", "job"]);
    for (const [, label] of rest.matchAll(/([a-z]+)="/g)) found.add(label);
    labels.set(name, found);
  }
  const dashboard = JSON.parse(read("deploy/grafana/ringmux.json"));
  // deno-lint-ignore no-explicit-any
  type Json = any;
  const queries = [
    ...dashboard.panels.flatMap(({ targets = [] }: Json) => targets.map(({ expr }: Json) => expr)),
    ...dashboard.templating.list.map(({ definition = "" }: Json) => definition),
  ] as string[];
  const rules = read("deploy/prometheus/ringmux.rules.yml").replace(
    /^ *(summary|description):.*$/gm,
    "",
  );
  assert.ok(queries.length > 20 && used(rules).length > 8, "there are queries");
  for (const query of [...queries, rules]) {
    for (const { name, labels: own } of used(query)) {
      const known = labels.get(name);
      assert.ok(known !== undefined, `${name} in ${query}`);
      for (const label of own) assert.ok(known.has(label), `${label} of ${name} in ${query}`);
    }
  }
  const ids = dashboard.panels.map(({ id }: Json) => id);
  assert.is(new Set(ids).size, ids.length, "every panel has an id of its own");
});

test.run();
