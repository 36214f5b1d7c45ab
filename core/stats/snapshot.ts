// The state of a whole ringmux at one moment, as plain data: what a process tells of itself, what a
// supervisor adds up over its workers, and what the stats JSON, the metrics and the live page show.

import {
  type Counter,
  type Kind,
  POOL_COUNTERS,
  type PoolCounterName,
  SERVER_COUNTERS,
  type ServerCounterName,
} from "./counters.ts";
import type { LatencySnapshot } from "./latency.ts";
import { mergeLatency } from "./latency.ts";
import { mergeRoutes, type RouteRow } from "./routes.ts";
import type { DiscoverySnapshot } from "./discovery.ts";
import { mergeMigrations, type MigrationSnapshot } from "./migration.ts";
import type { Look, TopologySnapshot, WatchedSnapshot } from "./topology.ts";

export interface Snapshot {
  /** Host name. */
  readonly source: string;
  readonly version: string;
  /** "node 20.20.2" */
  readonly runtime: string;
  /** Seconds since start. */
  readonly uptime: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** How many processes were added up. */
  readonly workers: number;
  /** Resident memory in bytes and CPU time in seconds, of all processes; absent if not known. */
  readonly memory?: number;
  readonly cpu?: number;
  readonly pools: readonly PoolSnapshot[];
}

export interface PoolSnapshot {
  readonly name: string;
  /** Which of the file's pools it is, from 0 on. */
  readonly place?: number;
  /** As the configuration has it. */
  readonly listen: string;
  readonly protocol: "redis" | "memcached";
  readonly counters: Readonly<Record<PoolCounterName, number>>;
  readonly servers: readonly ServerSnapshot[];
  /** It has routes, and no servers of its own. */
  readonly isFront?: true;
  /** What the single ways of its routes have had; none of a default that is one plain pool. */
  readonly routes?: readonly RouteRow[];
  /** It has a near cache. */
  readonly near?: true;
  /** Of a pool whose servers are learned and followed; absent: they are those of the configuration. */
  readonly topology?: TopologySnapshot;
  /** Of a pool whose servers are found. */
  readonly discovery?: DiscoverySnapshot;
  /** Of a pool whose primaries Sentinels tell. */
  readonly sentinel?: WatchedSnapshot;
  /** Of a pool whose keys may move to other servers. */
  readonly migration?: MigrationSnapshot;
  /** Of a pool that reads from replicas; absent: it does not. */
  readonly replicas?: readonly ReplicaSnapshot[];
}

/** A replica, as this pool reads from it. */
export interface ReplicaSnapshot {
  readonly name: string;
  /** The name of its shard. */
  readonly of: string;
  /** Reads go to it, if the policy wants that; else why not. */
  readonly fit: boolean;
  readonly why: string;
  /** How old its data is at most, and how soon it answers (ms); -1: not known. */
  readonly lag: number;
  readonly rtt: number;
  /** "" if that is not known. */
  readonly zone: string;
  /** Requests that it was sent. */
  readonly reads: number;
  readonly connections: number;
}

/** Which rows of counters.ts a pool has. */
export function kindsOf(
  { protocol, topology, sentinel, discovery, isFront, near, replicas, migration }: PoolSnapshot,
): Kind[] {
  const kinds: Kind[] = [protocol];
  if (topology !== undefined || sentinel !== undefined) kinds.push("followed");
  if (topology !== undefined) kinds.push("cluster");
  if (sentinel !== undefined) kinds.push("watched");
  if (discovery !== undefined) kinds.push("discovered");
  if (isFront) kinds.push("front");
  if (replicas !== undefined) kinds.push("reading");
  if (near) kinds.push("near");
  if (migration !== undefined) kinds.push("migrating");
  return kinds;
}

export interface ServerSnapshot {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  /** In the ring: with several workers, in at least one worker's. */
  readonly live: boolean;
  readonly counters: Readonly<Record<ServerCounterName, number>>;
  /** By class of command; see latency.ts. */
  readonly latency: readonly LatencySnapshot[];
}

/** Adds up what several workers of one configuration tell; `own` is who asks. */
export function mergeSnapshots(
  own: Omit<Snapshot, "pools" | "workers">,
  all: Snapshot[],
): Snapshot {
  const pools = new Map<string, PoolSnapshot>();
  for (const { pools: some } of all) {
    for (const pool of some) {
      const other = pools.get(pool.name);
      pools.set(pool.name, other === undefined ? pool : mergePools(other, pool));
    }
  }
  const workers = all.reduce((sum, one) => sum + one.workers, 0);
  return {
    ...own,
    workers,
    memory: total([own, ...all].map((one) => one.memory)),
    cpu: total([own, ...all].map((one) => one.cpu)),
    pools: [...pools.values()],
  };
}

/** The sum of what is known; undefined when nothing is. */
function total(values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) : undefined;
}

function mergePools(a: PoolSnapshot, b: PoolSnapshot): PoolSnapshot {
  const servers = new Map(a.servers.map((server) => [server.name, server]));
  for (const server of b.servers) {
    const other = servers.get(server.name);
    servers.set(server.name, other === undefined ? server : mergeServers(other, server));
  }
  return {
    ...a,
    counters: addUp(POOL_COUNTERS, a.counters, b.counters),
    servers: [...servers.values()],
    ...(a.routes !== undefined && { routes: mergeRoutes(a.routes, b.routes ?? []) }),
    ...(a.replicas !== undefined && { replicas: mergeReplicas(a.replicas, b.replicas ?? []) }),
    ...(a.topology !== undefined && { topology: newer(a.topology, b.topology) }),
    ...(a.sentinel !== undefined && { sentinel: newer(a.sentinel, b.sentinel) }),
    ...(a.migration !== undefined && { migration: mergeMigrations(a.migration, b.migration) }),
  };
}

/** One that any worker finds unfit is shown as that: the worst is what has to be seen. */
function mergeReplicas(
  a: readonly ReplicaSnapshot[],
  b: readonly ReplicaSnapshot[],
): ReplicaSnapshot[] {
  const all = new Map(a.map((one) => [`${one.of} ${one.name}`, one]));
  for (const one of b) {
    const key = `${one.of} ${one.name}`;
    const other = all.get(key);
    all.set(
      key,
      other === undefined ? one : {
        ...(other.fit ? one : other),
        lag: Math.max(other.lag, one.lag),
        reads: other.reads + one.reads,
        connections: other.connections + one.connections,
      },
    );
  }
  return [...all.values()];
}

/** What the worker knows that was told last: all look at the same servers. */
function newer<T extends { readonly look: Look }>(a: T, b: T | undefined): T {
  return b !== undefined && b.look.at > a.look.at ? b : a;
}

function mergeServers(a: ServerSnapshot, b: ServerSnapshot): ServerSnapshot {
  return {
    ...a,
    live: a.live || b.live,
    counters: addUp(SERVER_COUNTERS, a.counters, b.counters),
    latency: mergeLatency(a.latency, b.latency),
  };
}

/** Of timestamps the last, of what all see alike the most. */
function addUp<K extends string>(
  rows: readonly (Counter & { readonly name: K })[],
  a: Readonly<Record<K, number>>,
  b: Readonly<Record<K, number>>,
): Record<K, number> {
  const sum = {} as Record<K, number>;
  for (const { name, kind, shared } of rows) {
    const [one = 0, other = 0] = [a[name], b[name]];
    sum[name] = kind === "timestamp" || shared ? Math.max(one, other) : one + other;
  }
  return sum;
}
