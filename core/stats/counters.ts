// What is counted, a row for each: in nutcracker's order (nc_stats.h), which the stats JSON keeps. The
// JSON, the metrics of Prometheus and StatsD, INFO, what workers add up and the documentation are
// made from these rows. Data only; who counts is the floors' business: `counters.requests++`.

/** A gauge goes up and down; a timestamp is in microseconds since 1970, 0 for never. */
export type CounterKind = "counter" | "gauge" | "timestamp";

/**
 * Kinds of pools: by protocol, those whose servers are learned and followed, those with routes, those
 * that read from replicas.
 */
export type Kind =
  | "redis"
  | "memcached"
  | "followed"
  | "cluster"
  | "discovered"
  | "watched"
  | "front"
  | "near"
  | "migrating"
  | "reading";

export interface Counter {
  /** The field of the counters' object; also the name in the stats JSON and at StatsD. */
  readonly name: string;
  readonly kind: CounterKind;
  /** Of one; absent: it is a number of the things that `help` names. */
  readonly unit?: "bytes" | "microseconds";
  /** Prometheus's name, after `ringmux_pool_` or `ringmux_server_`. */
  readonly metric: string;
  /** What it is, for Prometheus and the documentation. */
  readonly help: string;
  /** nutcracker's text of `--describe-stats`, if it has this counter. */
  readonly nutcracker?: string;
  /** Not in the stats JSON, which has nutcracker's and, after them, all others. */
  readonly unlisted?: true;
  /** Made up when somebody asks, from what there is at that moment: nobody counts it. */
  readonly seen?: true;
  /** The only pools that have it. */
  readonly only?: Kind;
  /** Every worker sees the same: it is the most that counts, not the sum. */
  readonly shared?: true;
  /** Section and field of INFO that show it; a server's is the sum over all servers. */
  readonly info?: readonly [section: "Clients" | "Stats", field: string];
}

export const POOL_COUNTERS = [
  {
    name: "client_eof",
    kind: "counter",
    metric: "client_eof_total",
    help: "Clients that hung up.",
    nutcracker: "# eof on client connections",
  },
  {
    name: "client_err",
    kind: "counter",
    metric: "client_errors_total",
    help: "Client connections that broke.",
    nutcracker: "# errors on client connections",
  },
  {
    name: "client_connections",
    kind: "gauge",
    metric: "client_connections",
    help: "Clients connected.",
    nutcracker: "# active client connections",
    info: ["Clients", "connected_clients"],
  },
  {
    name: "server_ejects",
    kind: "counter",
    metric: "server_ejections_total",
    help: "Times a server was taken out of the ring.",
    nutcracker: "# times backend server was ejected",
    info: ["Stats", "server_ejects"],
  },
  {
    name: "forward_error",
    kind: "counter",
    metric: "forward_errors_total",
    help: "Requests answered with an error because of their server.",
    nutcracker: "# times we encountered a forwarding error",
    info: ["Stats", "forward_errors"],
  },
  {
    name: "fragments",
    kind: "counter",
    metric: "fragments_total",
    help: "Parts that requests were split into.",
    nutcracker: "# fragments created from a multi-vector request",
  },
  {
    name: "accepted",
    kind: "counter",
    metric: "client_connections_accepted_total",
    help: "Clients ever accepted.",
    unlisted: true,
    info: ["Stats", "total_connections_received"],
  },
  {
    name: "header_errors",
    kind: "counter",
    metric: "client_header_errors_total",
    help: "Clients turned away because of the PROXY protocol: no header, a wrong one, or one of " +
      "somebody who may not send any.",
    unlisted: true,
  },
  {
    name: "hot_keys",
    kind: "gauge",
    seen: true,
    shared: true,
    metric: "hot_keys",
    help: "Keys that more than one in a hundred requests is for, each.",
    unlisted: true,
  },
  {
    name: "big_requests",
    kind: "counter",
    metric: "big_requests_total",
    help: "Requests larger than `big_key`.",
    unlisted: true,
  },
  {
    name: "big_replies",
    kind: "counter",
    metric: "big_replies_total",
    help: "Replies larger than `big_key`.",
    unlisted: true,
  },
  {
    name: "near_hits",
    kind: "counter",
    metric: "near_hits_total",
    help: "Reads of keys that were answered from the near cache.",
    only: "near",
  },
  {
    name: "near_misses",
    kind: "counter",
    metric: "near_misses_total",
    help: "Reads of keys that it could have had and did not.",
    only: "near",
  },
  {
    name: "near_joined",
    kind: "counter",
    metric: "near_joined_total",
    help: "Those of them that shared a question to a server with others.",
    only: "near",
  },
  {
    name: "near_invalidations",
    kind: "counter",
    metric: "near_invalidations_total",
    help: "Kept keys of which a server has told a change.",
    only: "near",
  },
  {
    name: "near_flushes",
    kind: "counter",
    metric: "near_flushes_total",
    help: "Times that values were forgotten together: a connection was lost, keys moved, FLUSHALL.",
    only: "near",
  },
  {
    name: "near_keys",
    kind: "gauge",
    seen: true,
    metric: "near_keys",
    help: "Keys in the near cache.",
    only: "near",
  },
  {
    name: "near_bytes",
    kind: "gauge",
    unit: "bytes",
    seen: true,
    metric: "near_bytes",
    help: "Bytes that they take.",
    only: "near",
  },
  {
    name: "near_staleness",
    kind: "gauge",
    unit: "microseconds",
    seen: true,
    shared: true,
    metric: "near_staleness_bound_seconds",
    help: "How old a value from the near cache can be if all else fails.",
    only: "near",
  },
  {
    name: "moved",
    kind: "counter",
    metric: "moved_total",
    help: "Redirections followed because a slot has another owner (MOVED).",
    only: "cluster",
  },
  {
    name: "ask",
    kind: "counter",
    metric: "ask_total",
    help: "Redirections followed by one request while its slot moves (ASK).",
    only: "cluster",
  },
  {
    name: "tryagain",
    kind: "counter",
    metric: "tryagain_total",
    help: "Requests tried again because their keys were on their way (TRYAGAIN).",
    only: "cluster",
  },
  {
    name: "unfit",
    kind: "counter",
    metric: "unfit_total",
    help:
      "Requests tried again because their server could not serve them now (CLUSTERDOWN, LOADING, " +
      "MASTERDOWN, READONLY).",
    only: "followed",
  },
  {
    name: "replica_reads",
    kind: "counter",
    seen: true,
    metric: "replica_reads_total",
    help: "Reads sent to replicas.",
    only: "reading",
  },
  {
    name: "replica_retries",
    kind: "counter",
    metric: "replica_retries_total",
    help: "Reads sent again to another server, because theirs refused them or was lost.",
    only: "reading",
  },
  {
    name: "replica_fallbacks",
    kind: "counter",
    metric: "replica_fallbacks_total",
    help: "Reads sent to a primary because none of its replicas was fit.",
    only: "reading",
  },
  {
    name: "parked",
    kind: "counter",
    seen: true,
    metric: "parked_total",
    help: "Requests that had to wait because nobody could take them.",
    only: "followed",
  },
  {
    name: "parked_in_vain",
    kind: "counter",
    seen: true,
    metric: "parked_in_vain_total",
    help: "Those of them that got an error in the end.",
    only: "followed",
  },
  {
    name: "parked_now",
    kind: "gauge",
    seen: true,
    metric: "parked_requests",
    help: "Requests that wait now because nobody can take them.",
    only: "followed",
  },
  {
    name: "parked_bytes",
    kind: "gauge",
    unit: "bytes",
    seen: true,
    metric: "parked_bytes",
    help: "What they take of `park_bytes`.",
    only: "followed",
  },
  {
    name: "refreshes",
    kind: "counter",
    seen: true,
    metric: "refreshes_total",
    help: "Times that somebody has told who the servers are.",
    only: "followed",
  },
  {
    name: "refresh_failures",
    kind: "counter",
    seen: true,
    metric: "refresh_failures_total",
    help: "Times that somebody was asked in vain.",
    only: "followed",
  },
  {
    name: "failovers",
    kind: "counter",
    shared: true,
    metric: "failovers_total",
    help: "Times that another server took the place of a primary.",
    only: "followed",
  },
  {
    name: "failover_time",
    kind: "counter",
    unit: "microseconds",
    shared: true,
    metric: "failover_seconds_total",
    help:
      "Time from the first trouble with a primary until another was known, all failovers together.",
    only: "followed",
  },
  {
    name: "route_failovers",
    kind: "counter",
    metric: "route_failovers_total",
    help: "Requests that went on to another child of a failover.",
    only: "front",
  },
  {
    name: "route_failovers_refused",
    kind: "counter",
    metric: "route_failovers_refused_total",
    help: "Requests that did not go on because of the failover's rate.",
    only: "front",
  },
  {
    name: "deletes_queued",
    kind: "counter",
    metric: "deletes_queued_total",
    help: "Deletes that failed at a child of `all` and are tried again.",
    only: "front",
  },
  {
    name: "deletes_retried",
    kind: "counter",
    metric: "deletes_retried_total",
    help: "Attempts to carry them out.",
    only: "front",
  },
  {
    name: "deletes_dropped",
    kind: "counter",
    metric: "deletes_dropped_total",
    help: "Deletes that failed and are not tried again: too many wait, or their server is gone.",
    only: "front",
  },
  {
    name: "mirrored",
    kind: "counter",
    metric: "mirrored_total",
    help: "Requests that a mirror got too.",
    only: "front",
  },
  {
    name: "mirror_dropped",
    kind: "counter",
    metric: "mirror_dropped_total",
    help: "Requests that a mirror did not get, for it had not answered too many.",
    only: "front",
  },
  {
    name: "limited",
    kind: "counter",
    metric: "limited_total",
    help: "Requests answered with an error because of `limits`.",
    only: "front",
  },
  {
    name: "faults",
    kind: "counter",
    metric: "faults_total",
    help: "Requests that were delayed, or answered with an error, because of `faults`.",
    only: "front",
  },
] as const satisfies readonly Counter[];

export const SERVER_COUNTERS = [
  {
    name: "server_eof",
    kind: "counter",
    metric: "eof_total",
    help: "Connections that the server closed.",
    nutcracker: "# eof on server connections",
  },
  {
    name: "server_err",
    kind: "counter",
    metric: "errors_total",
    help: "Connections that broke or could not be made.",
    nutcracker: "# errors on server connections",
  },
  {
    name: "server_timedout",
    kind: "counter",
    metric: "timeouts_total",
    help: "Connections closed because the server did not answer in time.",
    nutcracker: "# timeouts on server connections",
  },
  {
    name: "server_connections",
    kind: "gauge",
    metric: "connections",
    help: "Connections to the server.",
    nutcracker: "# active server connections",
  },
  {
    name: "server_ejected_at",
    kind: "timestamp",
    unit: "microseconds",
    metric: "last_ejected_timestamp_seconds",
    help: "When the server last left the ring; 0: never.",
    nutcracker: "timestamp when server was ejected in usec since epoch",
  },
  {
    name: "requests",
    kind: "counter",
    metric: "requests_total",
    help: "Requests forwarded.",
    nutcracker: "# requests",
    info: ["Stats", "total_commands_processed"],
  },
  {
    name: "request_bytes",
    kind: "counter",
    unit: "bytes",
    metric: "request_bytes_total",
    help: "Bytes of requests forwarded.",
    nutcracker: "total request bytes",
    info: ["Stats", "total_net_input_bytes"],
  },
  {
    name: "responses",
    kind: "counter",
    metric: "responses_total",
    help: "Replies received.",
    nutcracker: "# responses",
  },
  {
    name: "response_bytes",
    kind: "counter",
    unit: "bytes",
    metric: "response_bytes_total",
    help: "Bytes of replies received.",
    nutcracker: "total response bytes",
    info: ["Stats", "total_net_output_bytes"],
  },
  {
    name: "in_queue",
    kind: "gauge",
    seen: true,
    metric: "queued_requests",
    help: "Requests not sent yet.",
    nutcracker: "# requests in incoming queue",
  },
  {
    name: "in_queue_bytes",
    kind: "gauge",
    unit: "bytes",
    seen: true,
    metric: "queued_bytes",
    help: "Their bytes.",
    nutcracker: "current request bytes in incoming queue",
  },
  {
    name: "out_queue",
    kind: "gauge",
    seen: true,
    metric: "in_flight_requests",
    help: "Requests sent and not answered yet.",
    nutcracker: "# requests in outgoing queue",
  },
  {
    name: "out_queue_bytes",
    kind: "gauge",
    unit: "bytes",
    seen: true,
    metric: "in_flight_bytes",
    help: "Their bytes.",
    nutcracker: "current request bytes in outgoing queue",
  },
  {
    name: "pinned_connections",
    kind: "gauge",
    metric: "pinned_connections",
    help: "Connections to the server that one client has to itself.",
    only: "redis",
  },
] as const satisfies readonly Counter[];

type NameOf<R> = R extends { name: infer N extends string } ? N : never;
type SeenOf<R> = R extends { seen: true } ? NameOf<R> : never;
type CountedOf<R> = R extends { seen: true } ? never : NameOf<R>;

export type PoolCounterName = NameOf<typeof POOL_COUNTERS[number]>;
export type ServerCounterName = NameOf<typeof SERVER_COUNTERS[number]>;
/** What is counted as it happens. */
export type PoolCounters = Record<CountedOf<typeof POOL_COUNTERS[number]>, number>;
/** What is made up when somebody asks. */
export type SeenPoolCounters = Record<SeenOf<typeof POOL_COUNTERS[number]>, number>;
export type ServerCounters = Record<CountedOf<typeof SERVER_COUNTERS[number]>, number>;

// V8 gives what it parses all fields in the object itself and one shape, as to a literal; to fields
// that are added one by one it does not.
const zeros = (rows: readonly Counter[]): string =>
  `{${rows.filter((row) => !row.seen).map(({ name }) => `"${name}":0`).join(",")}}`;
const POOL_ZEROS = zeros(POOL_COUNTERS);
const SERVER_ZEROS = zeros(SERVER_COUNTERS);

export function newPoolCounters(): PoolCounters {
  return JSON.parse(POOL_ZEROS);
}

export function newServerCounters(): ServerCounters {
  return JSON.parse(SERVER_ZEROS);
}

/** The rows that pools of these kinds have. */
export function having<R extends { readonly only?: Kind }>(
  rows: readonly R[],
  kinds: readonly Kind[],
): R[] {
  return rows.filter(({ only }) => only === undefined || kinds.includes(only));
}

/** The text of `--describe-stats` (nc_stats.c stats_describe). */
export function describeCounters(): string {
  const list = (counters: readonly Counter[]): string =>
    counters.filter(({ nutcracker }) => nutcracker !== undefined)
      .map(({ name, nutcracker }) => `  ${name.padEnd(20)}"${nutcracker}"\n`).join("");
  return `pool stats:\n${list(POOL_COUNTERS)}\nserver stats:\n${list(SERVER_COUNTERS)}`;
}

type Fields = [field: string, value: number | string][];

/** What INFO shows of one section; servers added up. */
export function infoFields(
  section: "Clients" | "Stats",
  pool: PoolCounters,
  servers: readonly ServerCounters[],
): Fields {
  const fields: Fields = [];
  const add = (rows: readonly Counter[], of: readonly Record<string, number>[]): void => {
    for (const { name, info } of rows) {
      if (info?.[0] !== section) continue;
      fields.push([info[1], of.reduce((sum, counters) => sum + counters[name], 0)]);
    }
  };
  add(POOL_COUNTERS, [pool]);
  add(SERVER_COUNTERS, servers);
  return fields;
}
