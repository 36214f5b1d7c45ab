// Every metric, as Prometheus and StatsD get it and docs/monitoring.md lists it: what is counted (the
// rows of counters.ts) and what is seen of the state. Names and units follow
// https://prometheus.io/docs/practices/naming/.

import { type Counter, type Kind, POOL_COUNTERS, SERVER_COUNTERS } from "./counters.ts";
import type { RouteRow } from "./routes.ts";
import { secondsLeft } from "./migration.ts";
import type { PoolSnapshot, ReplicaSnapshot, ServerSnapshot, Snapshot } from "./snapshot.ts";

export interface Metric<T> {
  /** Prometheus's name, without PREFIX. */
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly help: string;
  /** StatsD's name, without what it is of; absent: it is not sent. */
  readonly statsd?: string;
  /** The only pools that have it. */
  readonly only?: Kind;
  /** undefined: not known. */
  readonly value: (of: T) => number | undefined;
  /** Labels beyond the usual. */
  readonly labels?: (of: T) => Record<string, string>;
}

export type Whole = Snapshot & { readonly ready: boolean };

export const PREFIX = "ringmux_";

export const PROCESS_METRICS: readonly Metric<Whole>[] = [
  {
    name: "build_info",
    kind: "gauge",
    help: "Always 1; version and runtime are labels.",
    value: () => 1,
    labels: ({ version, runtime }) => ({ version, runtime }),
  },
  {
    name: "uptime_seconds",
    kind: "gauge",
    help: "Time since the start.",
    statsd: "uptime",
    value: (s) => s.uptime,
  },
  {
    name: "ready",
    kind: "gauge",
    help: "1 while clients are served.",
    value: (s) => Number(s.ready),
  },
  {
    name: "workers",
    kind: "gauge",
    help: "Processes that share the work.",
    statsd: "workers",
    value: (s) => s.workers,
  },
  {
    name: "process_resident_memory_bytes",
    kind: "gauge",
    help: "Resident memory of all processes.",
    value: (s) => s.memory,
  },
  {
    name: "process_cpu_seconds_total",
    kind: "counter",
    help: "CPU time of all processes.",
    value: (s) => s.cpu,
  },
];

/** Of pools whose servers are found. */
const DISCOVERY_METRICS: readonly Metric<PoolSnapshot>[] = [
  {
    name: "pool_discovered_servers",
    kind: "gauge",
    help: "Servers that were found.",
    statsd: "discovered_servers",
    only: "discovered",
    value: ({ discovery }) => discovery?.size,
  },
  {
    name: "pool_discovery_last_answer_timestamp_seconds",
    kind: "gauge",
    help: "When the last answer came that counts; 0: never.",
    only: "discovered",
    value: ({ discovery }) => discovery === undefined ? undefined : discovery.at / 1000,
  },
  {
    name: "pool_discovery_changes_total",
    kind: "counter",
    help: "Times that another set of servers was found.",
    only: "discovered",
    value: ({ discovery }) => discovery?.changes,
  },
  {
    name: "pool_discovery_failures_total",
    kind: "counter",
    help: "Questions for servers that were in vain: the set stays.",
    only: "discovered",
    value: ({ discovery }) => discovery?.failures,
  },
  {
    name: "pool_discovery_refused_losses_total",
    kind: "counter",
    help: "Answers that lost more than `max_loss` of the servers, and did not count.",
    only: "discovered",
    value: ({ discovery }) => discovery?.refused,
  },
];

/** Of pools before a Redis Cluster. */
const CLUSTER_METRICS: readonly Metric<PoolSnapshot>[] = [
  {
    name: "pool_primaries",
    kind: "gauge",
    help: "Primaries that have slots.",
    statsd: "primaries",
    only: "cluster",
    value: ({ topology }) =>
      topology?.nodes.filter(({ role, slots }) => role === "primary" && slots > 0).length,
  },
  {
    name: "pool_replicas",
    kind: "gauge",
    help: "Replicas.",
    statsd: "replicas",
    only: "cluster",
    value: ({ topology }) => topology?.nodes.filter(({ role }) => role === "replica").length,
  },
  {
    name: "pool_failed_nodes",
    kind: "gauge",
    help: "Nodes, primaries and replicas, that the others have agreed to be down.",
    statsd: "failed_nodes",
    only: "cluster",
    value: ({ topology }) => topology?.nodes.filter(({ failed }) => failed).length,
  },
  {
    name: "pool_ownerless_slots",
    kind: "gauge",
    help: "Slots that nobody has.",
    statsd: "ownerless_slots",
    only: "cluster",
    value: ({ topology }) => topology?.ownerless,
  },
  {
    name: "pool_unreachable_slots",
    kind: "gauge",
    help: "Slots whose owner is down.",
    statsd: "unreachable_slots",
    only: "cluster",
    value: ({ topology }) => topology?.unreachable,
  },
  {
    name: "pool_epoch",
    kind: "gauge",
    help: "The highest epoch of the configuration that the servers have agreed on.",
    statsd: "epoch",
    only: "cluster",
    value: ({ topology }) => topology?.epoch,
  },
  {
    name: "pool_last_refresh_timestamp_seconds",
    kind: "gauge",
    help: "When somebody last told who the servers are; 0: never.",
    only: "cluster",
    value: ({ topology }) => topology === undefined ? undefined : topology.look.at / 1000,
  },
];

/** Of pools whose primaries Sentinels tell. */
const WATCHED_METRICS: readonly Metric<PoolSnapshot>[] = [
  {
    name: "pool_sentinels",
    kind: "gauge",
    help: "Sentinels that are known.",
    statsd: "sentinels",
    only: "watched",
    value: ({ sentinel }) => sentinel?.sentinels.length,
  },
  {
    name: "pool_sentinels_subscribed",
    kind: "gauge",
    help: "Those of them whose events are heard.",
    statsd: "sentinels_subscribed",
    only: "watched",
    value: ({ sentinel }) => sentinel?.sentinels.filter(({ subscribed }) => subscribed).length,
  },
  {
    name: "pool_shards_without_primary",
    kind: "gauge",
    help: "Shards whose primary is being looked for, or is about to change.",
    statsd: "shards_without_primary",
    only: "watched",
    value: ({ sentinel }) => sentinel?.shards.filter(({ state }) => state !== "served").length,
  },
  {
    name: "pool_last_sentinel_answer_timestamp_seconds",
    kind: "gauge",
    help: "When a Sentinel last told who the primaries are; 0: never.",
    only: "watched",
    value: ({ sentinel }) => sentinel === undefined ? undefined : sentinel.look.at / 1000,
  },
];

/** Of pools whose keys may move to other servers. */
const MIGRATION_METRICS: readonly Metric<PoolSnapshot>[] = [
  {
    name: "pool_migration_info",
    kind: "gauge",
    help: "Always 1; the phase, and the pool that keys move to, are labels.",
    only: "migrating",
    value: ({ migration }) => migration === undefined ? undefined : 1,
    labels: ({ migration }) => ({ phase: migration?.phase ?? "", to: migration?.to ?? "" }),
  },
  {
    name: "pool_migration_keys_total",
    kind: "counter",
    help: "Keys that were moved.",
    statsd: "migration_keys",
    only: "migrating",
    value: ({ migration }) => migration?.keys,
  },
  {
    name: "pool_migration_bytes_total",
    kind: "counter",
    help: "Their values, as they went over the wire.",
    statsd: "migration_bytes",
    only: "migrating",
    value: ({ migration }) => migration?.bytes,
  },
  {
    name: "pool_migration_keys_per_second",
    kind: "gauge",
    help: "How fast, over the last ten seconds.",
    only: "migrating",
    value: ({ migration }) => migration?.rate,
  },
  {
    name: "pool_migration_seconds_left",
    kind: "gauge",
    help: "Until the server that is being copied has nothing left; absent while nobody knows.",
    only: "migrating",
    value: ({ migration }) => migration === undefined ? undefined : secondsLeft(migration),
  },
  {
    name: "pool_migration_added_seconds",
    kind: "gauge",
    help: "How much longer servers take to answer because keys are copied, smoothed.",
    only: "migrating",
    value: ({ migration }) => migration === undefined ? undefined : migration.added / 1000,
  },
  {
    name: "pool_migration_slowed",
    kind: "gauge",
    help: "1 while that is more than `migrate.latency` and copying goes more slowly, else 0.",
    only: "migrating",
    value: ({ migration }) => migration === undefined ? undefined : migration.slowed ? 1 : 0,
  },
  {
    name: "pool_migration_servers_left",
    kind: "gauge",
    help: "Servers that may have keys to go.",
    statsd: "migration_servers_left",
    only: "migrating",
    value: ({ migration }) => migration?.left.length,
  },
  {
    name: "pool_migration_errors_total",
    kind: "counter",
    help: "Keys that could not be moved, and were tried again.",
    statsd: "migration_errors",
    only: "migrating",
    value: ({ migration }) => migration?.errors,
  },
  {
    name: "pool_migration_set_aside_total",
    kind: "counter",
    help: "Values that were set aside, since their new server had one already.",
    statsd: "migration_set_aside",
    only: "migrating",
    value: ({ migration }) => migration?.aside,
  },
  {
    name: "pool_migration_big_keys_total",
    kind: "counter",
    help: "Keys above `migrate.big_key`.",
    only: "migrating",
    value: ({ migration }) => migration?.bigs,
  },
  {
    name: "pool_migration_waiting_clients",
    kind: "gauge",
    help: "Clients whose requests wait for another phase.",
    statsd: "migration_waiting_clients",
    only: "migrating",
    value: ({ migration }) => migration?.waiting,
  },
];

export const POOL_METRICS: readonly Metric<PoolSnapshot>[] = [
  {
    name: "pool_info",
    kind: "gauge",
    help: "Always 1; protocol and address are labels.",
    value: () => 1,
    labels: ({ protocol, listen }) => ({ protocol, listen }),
  },
  {
    name: "pool_servers",
    kind: "gauge",
    help: "Servers: of the configuration, or learned.",
    value: (pool) => pool.servers.length,
  },
  {
    name: "pool_live_servers",
    kind: "gauge",
    help: "Servers in the ring.",
    statsd: "live_servers",
    value: (pool) => pool.servers.filter((server) => server.live).length,
  },
  ...POOL_COUNTERS.map((row) => counted<PoolSnapshot>("pool_", row)),
  ...CLUSTER_METRICS,
  ...DISCOVERY_METRICS,
  ...WATCHED_METRICS,
  ...MIGRATION_METRICS,
];

export const SERVER_METRICS: readonly Metric<ServerSnapshot>[] = [
  {
    name: "server_info",
    kind: "gauge",
    help: "Always 1; the address is a label.",
    value: () => 1,
    labels: ({ address }) => ({ address }),
  },
  {
    name: "server_live",
    kind: "gauge",
    help: "1 while the server is in the ring.",
    statsd: "live",
    value: (server) => Number(server.live),
  },
  {
    name: "server_weight",
    kind: "gauge",
    help: "Weight in the configuration.",
    value: (server) => server.weight,
  },
  ...SERVER_COUNTERS.map((row) => counted<ServerSnapshot>("server_", row)),
];

/** Of replicas that a pool may read from. */
export const REPLICA_METRICS: readonly Metric<ReplicaSnapshot>[] = [
  {
    name: "replica_fit",
    kind: "gauge",
    help: "1 while the replica is fit to be read from; in every worker, if there are several.",
    only: "reading",
    statsd: "fit",
    value: ({ fit }) => Number(fit),
  },
  {
    name: "replica_lag_seconds",
    kind: "gauge",
    help: "How old its data is at most; absent while nobody knows.",
    only: "reading",
    statsd: "lag_seconds",
    value: ({ lag }) => lag < 0 ? undefined : lag / 1000,
  },
  {
    name: "replica_answer_seconds",
    kind: "gauge",
    help: "How soon it answers, smoothed; absent while nobody knows.",
    only: "reading",
    statsd: "answer_seconds",
    value: ({ rtt }) => rtt < 0 ? undefined : rtt / 1000,
  },
  {
    name: "replica_requests_total",
    kind: "counter",
    help: "Reads sent to it.",
    only: "reading",
    statsd: "reads",
    value: ({ reads }) => reads,
  },
];

/** Of single ways of routes. */
export const ROUTE_METRICS: readonly Metric<RouteRow>[] = [
  {
    name: "route_requests_total",
    kind: "counter",
    help: "Requests that a target had by a route.",
    only: "front",
    value: ({ requests }) => requests,
  },
  {
    name: "route_errors_total",
    kind: "counter",
    help: "Those that failed there; absent where nobody judges replies (see docs/routes.md).",
    only: "front",
    value: ({ errors }) => errors,
  },
  {
    name: "route_failovers_total",
    kind: "counter",
    help: "Those that went on to the next target.",
    only: "front",
    value: ({ failovers }) => failovers,
  },
];

/** Its values are the histograms of a snapshot's servers (latency.ts). */
export const LATENCY_METRIC = {
  name: "request_duration_seconds",
  kind: "histogram",
  help: "From the moment a request is read to its reply, by class of command " +
    "(read, write, other).",
} as const;

function counted<T extends { readonly counters: Readonly<Record<string, number>> }>(
  prefix: string,
  { name, kind, metric, help, unit, only }: Counter,
): Metric<T> {
  return {
    name: prefix + metric,
    kind: kind === "counter" ? "counter" : "gauge",
    help,
    // StatsD has no type for a moment.
    ...(kind !== "timestamp" && { statsd: name }),
    ...(only !== undefined && { only }),
    value: ({ counters }) => unit === "microseconds" ? counters[name] / 1e6 : counters[name],
  };
}
