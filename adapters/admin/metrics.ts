// A snapshot as Prometheus text. The tables below are the whole list of metrics; the documentation
// is written from them (docs/make_metrics.ts). Names and units follow
// https://prometheus.io/docs/practices/naming/.

import { Counter, Gauge, type Metric, Registry } from "prom-client";
import { LATENCY_BOUNDS } from "../../core/stats/latency.ts";
import type { PoolSnapshot, ServerSnapshot, Snapshot } from "../../core/stats/snapshot.ts";

export const CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

type Kind = "counter" | "gauge";
/** Name without the prefix, kind, help, value (undefined: not shown), labels beyond the usual. */
type Row<T> = readonly [
  name: string,
  kind: Kind,
  help: string,
  value: (of: T) => number | undefined,
  labels?: (of: T) => Record<string, string>,
];
type Whole = Snapshot & { readonly ready: boolean };

export const PREFIX = "ringmux_";

export const PROCESS_METRICS: readonly Row<Whole>[] = [
  ["build_info", "gauge", "Always 1; version and runtime are labels.", () => 1, (s) => ({
    version: s.version,
    runtime: s.runtime,
  })],
  ["uptime_seconds", "gauge", "Time since the start.", (s) => s.uptime],
  ["ready", "gauge", "1 while clients are served.", (s) => Number(s.ready)],
  ["workers", "gauge", "Processes that share the work.", (s) => s.workers],
  [
    "process_resident_memory_bytes",
    "gauge",
    "Resident memory of all processes.",
    (s) => s.memory,
  ],
  ["process_cpu_seconds_total", "counter", "CPU time of all processes.", (s) => s.cpu],
];

const live = (pool: PoolSnapshot) => pool.servers.filter((server) => server.live).length;

export const POOL_METRICS: readonly Row<PoolSnapshot>[] = [
  ["pool_info", "gauge", "Always 1; protocol and address are labels.", () => 1, (p) => ({
    protocol: p.protocol,
    listen: p.listen,
  })],
  ["pool_servers", "gauge", "Servers in the configuration.", (p) => p.servers.length],
  ["pool_live_servers", "gauge", "Servers in the ring.", live],
  [
    "pool_client_connections",
    "gauge",
    "Clients connected.",
    (p) => p.counters.client_connections,
  ],
  [
    "pool_client_connections_accepted_total",
    "counter",
    "Clients ever accepted.",
    (p) => p.accepted,
  ],
  ["pool_client_eof_total", "counter", "Clients that hung up.", (p) => p.counters.client_eof],
  [
    "pool_client_errors_total",
    "counter",
    "Client connections that broke.",
    (p) => p.counters.client_err,
  ],
  [
    "pool_forward_errors_total",
    "counter",
    "Requests answered with an error because of their server.",
    (p) => p.counters.forward_error,
  ],
  [
    "pool_fragments_total",
    "counter",
    "Parts that requests were split into.",
    (p) => p.counters.fragments,
  ],
  [
    "pool_server_ejections_total",
    "counter",
    "Times a server was taken out of the ring.",
    (p) => p.counters.server_ejects,
  ],
];

export const SERVER_METRICS: readonly Row<ServerSnapshot>[] = [
  ["server_info", "gauge", "Always 1; the address is a label.", () => 1, (s) => ({
    address: s.address,
  })],
  ["server_live", "gauge", "1 while the server is in the ring.", (s) => Number(s.live)],
  ["server_weight", "gauge", "Weight in the configuration.", (s) => s.weight],
  [
    "server_connections",
    "gauge",
    "Connections to the server.",
    (s) => s.counters.server_connections,
  ],
  [
    "server_pinned_connections",
    "gauge",
    "Those of them that one client has to itself.",
    (s) => s.counters.pinned_connections,
  ],
  ["server_requests_total", "counter", "Requests forwarded.", (s) => s.counters.requests],
  [
    "server_request_bytes_total",
    "counter",
    "Bytes of requests forwarded.",
    (s) => s.counters.request_bytes,
  ],
  ["server_responses_total", "counter", "Replies received.", (s) => s.counters.responses],
  [
    "server_response_bytes_total",
    "counter",
    "Bytes of replies received.",
    (s) => s.counters.response_bytes,
  ],
  [
    "server_in_flight_requests",
    "gauge",
    "Requests sent and not answered yet.",
    (s) => s.counters.out_queue,
  ],
  ["server_in_flight_bytes", "gauge", "Their bytes.", (s) => s.counters.out_queue_bytes],
  [
    "server_queued_requests",
    "gauge",
    "Requests not sent yet.",
    (s) => s.counters.in_queue,
  ],
  ["server_queued_bytes", "gauge", "Their bytes.", (s) => s.counters.in_queue_bytes],
  [
    "server_eof_total",
    "counter",
    "Connections that the server closed.",
    (s) => s.counters.server_eof,
  ],
  [
    "server_errors_total",
    "counter",
    "Connections that broke or could not be made.",
    (s) => s.counters.server_err,
  ],
  [
    "server_timeouts_total",
    "counter",
    "Connections closed because the server did not answer in time.",
    (s) => s.counters.server_timedout,
  ],
  [
    "server_last_ejected_timestamp_seconds",
    "gauge",
    "When the server last left the ring; 0: never.",
    (s) => s.counters.server_ejected_at / 1e6,
  ],
];

export const LATENCY_METRIC = [
  "request_duration_seconds",
  "histogram",
  "From the moment a request is read to its reply, by class of command (read, write, other).",
] as const;

/** The metrics of one scrape. Each has a registry of its own, so that two cannot mix. */
export function renderMetrics(snapshot: Snapshot, ready: boolean): Promise<string> {
  const registry = new Registry();
  const whole = [{ of: { ...snapshot, ready }, labels: {} }];
  const pools = snapshot.pools.map((pool) => ({ of: pool, labels: { pool: pool.name } }));
  const servers = pools.flatMap(({ of, labels }) =>
    of.servers.map((server) => ({ of: server, labels: { ...labels, server: server.name } }))
  );
  for (const row of PROCESS_METRICS) addMetric(registry, row, whole);
  for (const row of POOL_METRICS) addMetric(registry, row, pools);
  for (const row of SERVER_METRICS) addMetric(registry, row, servers);
  registry.registerMetric(latencyHistogram(servers) as unknown as Metric);
  return registry.metrics();
}

interface Labelled<T> {
  readonly of: T;
  readonly labels: Record<string, string>;
}

function addMetric<T>(registry: Registry, row: Row<T>, all: readonly Labelled<T>[]): void {
  const [name, kind, help, value, more] = row;
  const values = all.flatMap(({ of, labels }) => {
    const known = value(of);
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
  const name = PREFIX + LATENCY_METRIC[0];
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
    help: LATENCY_METRIC[2],
    type: "histogram",
    get: () => ({
      name,
      help: LATENCY_METRIC[2],
      type: "histogram",
      values,
    }),
  };
}

/** A bound without the noise of binary fractions: 0.000064, not 0.00006400000000000001. */
function shortest(seconds: number): string {
  return String(Number(seconds.toPrecision(9)));
}
