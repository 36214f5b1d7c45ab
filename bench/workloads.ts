// What is measured: one row per workload. Numbers only; nothing here knows how load is made.

import type { Protocol, Shape } from "./requests.ts";

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly shape: Shape;
  readonly servers: number;
  readonly clients: number;
  /** Clients that are connected and ask nothing. */
  readonly idle: number;
  /** Batches per measurement; 0: as many as the window allows. */
  readonly batches: number;
  /** Open loop: the part that is asked for of what nutcracker can do on its core; 0: closed loop. */
  readonly load: number;
  /** A connection for every batch. */
  readonly churn: boolean;
  /** Clients come with TLS. */
  readonly tls: boolean;
  /** Not part of a run that does not name it: it takes long. */
  readonly extra: boolean;
  /** The servers are a Redis Cluster, before which only ringmux can stand. */
  readonly cluster: boolean;
  /** Its slots move all the while. */
  readonly moving: boolean;
  /** The workload that it is compared with, and measured in turns with; "": none. */
  readonly beside: string;
  /** What ringmux alone can do: a pool by a route, keys from a near cache; "": neither. */
  readonly special: "" | "route" | "near";
  /** A new process for every round: memory is taken, or code compiled, for the first time. */
  readonly fresh: boolean;
  /** Part of `--quick`. */
  readonly quick: boolean;
}

type Rest = Partial<Omit<Workload, "name" | "title" | "shape"> & Shape>;

function row(name: string, title: string, rest: Rest): Workload {
  return {
    name,
    title,
    shape: {
      protocol: rest.protocol ?? "redis",
      op: rest.op ?? "get",
      size: rest.size ?? 32,
      keyspace: rest.keyspace ?? 10000,
      keys: rest.keys ?? 1,
      pipeline: rest.pipeline ?? 1,
    },
    // Two, because with one server a proxy has no key to hash.
    servers: rest.servers ?? 2,
    clients: rest.clients ?? 50,
    idle: rest.idle ?? 0,
    batches: rest.batches ?? 0,
    load: rest.load ?? 0,
    churn: rest.churn ?? false,
    tls: rest.tls ?? false,
    extra: rest.extra ?? false,
    cluster: rest.cluster ?? false,
    moving: rest.moving ?? false,
    beside: rest.beside ?? "",
    special: rest.special ?? "",
    fresh: rest.fresh ?? false,
    quick: rest.quick ?? false,
  };
}

const BIG = 64 << 20;

/** Latency at a fixed rate, whatever the replies do: of a process that is warm, and of a new one. */
function open(protocol: Protocol): Workload[] {
  const at = (kind: string, percent: number, more: Rest) =>
    row(
      `${kind}-${protocol}-${percent}`,
      `${protocol} GET at ${percent} % of nutcracker's most${more.fresh ? ", a new process" : ""}`,
      { protocol, load: percent / 100, extra: true, ...more },
    );
  return [
    ...[10, 30, 60, 80].map((percent) => at("open", percent, {})),
    at("cold", 60, { fresh: true }),
  ];
}

/** A ring of three servers beside a Redis Cluster of three nodes. */
function three(): Workload[] {
  const kinds: [name: string, title: string, rest: Rest][] = [
    ["get", "GET", {}],
    ["set", "SET", { op: "set" }],
    ["get-p16", "GET, pipeline 16", { pipeline: 16 }],
    ["set-p16", "SET, pipeline 16", { op: "set", pipeline: 16 }],
    ["mget-10", "MGET of 10 keys", { keys: 10 }],
    ["mget-100", "MGET of 100 keys", { keys: 100 }],
  ];
  const common = { servers: 3, extra: true };
  const cluster = { ...common, cluster: true };
  return [
    ...kinds.flatMap(([name, title, rest]) => [
      row(`ring-3-${name}`, `${title}, a ring of 3 servers`, { ...common, ...rest }),
      row(`cluster-3-${name}`, `${title}, a Redis Cluster of 3 nodes`, {
        ...{ ...cluster, ...rest, beside: `ring-3-${name}` },
      }),
    ]),
    row("cluster-3-moving", "GET, pipeline 16, a Redis Cluster of 3 nodes while slots move", {
      ...{ ...cluster, pipeline: 16, moving: true, beside: "ring-3-get-p16" },
    }),
  ];
}

/** A default route that is one pool beside that pool; keys from the near cache beside `answer-*`. */
function specials(): Workload[] {
  const kinds: [name: string, title: string, rest: Rest][] = [
    ["get", "GET", {}],
    ["get-p16", "GET, pipeline 16", { pipeline: 16 }],
    ["mget-10", "MGET of 10 keys", { keys: 10 }],
  ];
  const common = { extra: true };
  return kinds.flatMap(([name, title, rest]) => [
    row(`route-${name}-pool`, `${title}, a pool by itself`, { ...common, ...rest }),
    row(`route-${name}`, `${title}, by a default route to it`, {
      ...{ ...common, ...rest, special: "route", beside: `route-${name}-pool` },
    }),
    row(`near-${name}`, `${title}, 100 keys from the near cache`, {
      ...{ ...common, ...rest, special: "near", keyspace: 100 },
    }),
  ]);
}

export const WORKLOADS: readonly Workload[] = [
  row("redis-get", "GET, 50 clients", { quick: true }),
  row("redis-set", "SET, 50 clients", { op: "set" }),
  row("redis-get-p16", "GET, 50 clients, pipeline 16", { pipeline: 16, quick: true }),
  row("redis-set-p16", "SET, 50 clients, pipeline 16", { op: "set", pipeline: 16 }),
  row("redis-get-c1", "GET, 1 client", { clients: 1 }),
  row("redis-get-c200", "GET, 200 clients", { clients: 200 }),
  row("redis-set-c200", "SET, 200 clients", { op: "set", clients: 200 }),
  row("redis-get-c1000", "GET, 1,000 clients", { clients: 1000 }),
  row("redis-get-4k", "GET, values of 4 KB", { size: 4096 }),
  row("redis-set-4k", "SET, values of 4 KB", { op: "set", size: 4096 }),
  row("redis-get-64k", "GET, values of 64 KB", { size: 65536, keyspace: 500 }),
  row("redis-set-64k", "SET, values of 64 KB", { op: "set", size: 65536, keyspace: 500 }),
  row("mget-10", "MGET of 10 keys over 4 servers", { keys: 10, servers: 4, quick: true }),
  row("mget-100", "MGET of 100 keys over 4 servers", { keys: 100, servers: 4 }),
  row("mget-10000", "MGET of 10,000 keys over 4 servers", { keys: 10000, servers: 4, clients: 4 }),
  row("mset-10", "MSET of 10 keys over 4 servers", { op: "set", keys: 10, servers: 4 }),
  row("memcached-get", "memcached get, 50 clients", { protocol: "memcached", quick: true }),
  row("memcached-set", "memcached set, 50 clients", { protocol: "memcached", op: "set" }),
  row("memcached-get-p16", "memcached get, pipeline 16", { protocol: "memcached", pipeline: 16 }),
  row("memcached-set-p16", "memcached set, pipeline 16", {
    protocol: "memcached",
    op: "set",
    pipeline: 16,
  }),
  row("memcached-get-50", "memcached get of 50 keys over 4 servers", {
    protocol: "memcached",
    keys: 50,
    servers: 4,
  }),
  row("servers-1", "GET, pipeline 16, 1 server", { pipeline: 16, servers: 1 }),
  row("servers-2", "GET, pipeline 16, 2 servers", { pipeline: 16, servers: 2 }),
  row("servers-4", "GET, pipeline 16, 4 servers", { pipeline: 16, servers: 4 }),
  row("servers-64", "GET, pipeline 16, 64 servers", { pipeline: 16, servers: 64 }),
  row("servers-256", "GET, pipeline 16, 256 servers", { pipeline: 16, servers: 256, extra: true }),
  row("mget-1000", "MGET of 1,000 keys over 4 servers", { keys: 1000, servers: 4, extra: true }),
  row("memcached-get-1000", "memcached get of 1,000 keys over 4 servers", {
    ...{ protocol: "memcached", keys: 1000, servers: 4, extra: true },
  }),
  ...open("redis"),
  ...open("memcached"),
  ...three(),
  ...specials(),
  row("churn", "a connection for every GET, 50 clients", { churn: true }),
  row("tls-get", "GET, 50 clients with TLS", { tls: true }),
  row("tls-get-p16", "GET, 50 clients with TLS, pipeline 16", { tls: true, pipeline: 16 }),
  row("tls-churn", "a connection with TLS for every GET, 50 clients", { tls: true, churn: true }),
  row("tls-idle-1000", "GET, 50 clients among 1,000 idle ones, with TLS", {
    ...{ tls: true, idle: 1000, fresh: true },
  }),
  row("idle-100", "GET, 50 clients among 100 idle ones", { idle: 100, fresh: true }),
  row("idle-1000", "GET, 50 clients among 1,000 idle ones", { idle: 1000, fresh: true }),
  row("idle-10000", "GET, 50 clients among 10,000 idle ones", { idle: 10000, fresh: true }),
  row("burst-10000", "burst of 10,000 GETs, 1 client", {
    pipeline: 10000,
    clients: 1,
    batches: 10,
  }),
  row("burst-100000", "burst of 100,000 GETs, 1 client", {
    pipeline: 100000,
    clients: 1,
    batches: 2,
  }),
  row("big-get", "GET, one value of 64 MB", {
    size: BIG,
    keyspace: 1,
    clients: 1,
    batches: 5,
    fresh: true,
  }),
  row("big-set", "SET, one value of 64 MB", {
    op: "set",
    size: BIG,
    keyspace: 1,
    clients: 1,
    batches: 5,
    fresh: true,
  }),
];
