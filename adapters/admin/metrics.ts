// A snapshot as Prometheus text. The metrics are those of core/stats/metrics.ts.

import { Counter, Gauge, type Metric as PromMetric, Registry } from "prom-client";
import { LATENCY_BOUNDS } from "../../core/stats/latency.ts";
import {
  LATENCY_METRIC,
  type Metric,
  POOL_METRICS,
  PREFIX,
  PROCESS_METRICS,
  REPLICA_METRICS,
  ROUTE_METRICS,
  SERVER_METRICS,
} from "../../core/stats/metrics.ts";
import type { Kind } from "../../core/stats/counters.ts";
import { kindsOf, type ServerSnapshot, type Snapshot } from "../../core/stats/snapshot.ts";

export const CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** The metrics of one scrape. Each has a registry of its own, so that two cannot mix. */
export function renderMetrics(snapshot: Snapshot, ready: boolean): Promise<string> {
  const registry = new Registry();
  const whole = [{ of: { ...snapshot, ready }, kinds: [], labels: {} }];
  const pools = snapshot.pools.map((pool) => ({
    of: pool,
    kinds: kindsOf(pool),
    labels: { pool: pool.name },
  }));
  const servers = pools.flatMap(({ of, kinds, labels }) =>
    of.servers.map((server) => ({
      of: server,
      kinds,
      labels: { ...labels, server: server.name },
    }))
  );
  for (const metric of PROCESS_METRICS) addMetric(registry, metric, whole);
  for (const metric of POOL_METRICS) addMetric(registry, metric, pools);
  for (const metric of SERVER_METRICS) addMetric(registry, metric, servers);
  const replicas = pools.flatMap(({ of, kinds, labels }) =>
    (of.replicas ?? []).map((one) => ({
      of: one,
      kinds,
      labels: { ...labels, server: one.of, replica: one.name },
    }))
  );
  for (const metric of REPLICA_METRICS) addMetric(registry, metric, replicas);
  const ways = pools.flatMap(({ of, kinds, labels }) =>
    (of.routes ?? []).map((one) => ({
      of: one,
      kinds,
      labels: { ...labels, route: one.route, target: one.target },
    }))
  );
  for (const metric of ROUTE_METRICS) addMetric(registry, metric, ways);
  registry.registerMetric(latencyHistogram(servers) as unknown as PromMetric);
  return registry.metrics();
}

interface Labelled<T> {
  readonly of: T;
  readonly kinds: readonly Kind[];
  readonly labels: Record<string, string>;
}

function addMetric<T>(registry: Registry, metric: Metric<T>, all: readonly Labelled<T>[]): void {
  const { name, kind, help, only, value, labels: more } = metric;
  const values = all.flatMap(({ of, kinds, labels }) => {
    const known = only === undefined || kinds.includes(only) ? value(of) : undefined;
    return known === undefined ? [] : [{ labels: { ...labels, ...more?.(of) }, known }];
  });
  if (values.length === 0) return;
  const labelNames = Object.keys(values[0].labels);
  const options = { name: PREFIX + name, help, labelNames, registers: [registry] };
  if (kind === "counter") {
    const counter = new Counter(options);
    for (const { labels, known } of values) counter.inc(labels, known);
  } else {
    const gauge = new Gauge(options);
    for (const { labels, known } of values) gauge.set(labels, known);
  }
}

/** prom-client's own Histogram counts one observation at a time; these are counted already. */
function latencyHistogram(servers: readonly Labelled<ServerSnapshot>[]) {
  const name = PREFIX + LATENCY_METRIC.name;
  const values: { metricName: string; labels: Record<string, string>; value: number }[] = [];
  for (const { of, labels } of servers) {
    for (const { class: cls, counts, sum } of of.latency) {
      const own = { ...labels, class: cls };
      let total = 0;
      counts.forEach((count, i) => {
        total += count;
        const le = i < LATENCY_BOUNDS.length ? shortest(LATENCY_BOUNDS[i]) : "+Inf";
        values.push({ metricName: `${name}_bucket`, labels: { ...own, le }, value: total });
      });
      values.push({ metricName: `${name}_sum`, labels: own, value: sum });
      values.push({ metricName: `${name}_count`, labels: own, value: total });
    }
  }
  return {
    name,
    help: LATENCY_METRIC.help,
    type: "histogram",
    get: () => ({
      name,
      help: LATENCY_METRIC.help,
      type: "histogram",
      values,
    }),
  };
}

/** A bound without the noise of binary fractions: 0.000064, not 0.00006400000000000001. */
function shortest(seconds: number): string {
  return String(Number(seconds.toPrecision(9)));
}
