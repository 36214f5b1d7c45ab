// The counters of a pool and of a server: names, kinds and descriptions, in nutcracker's order
// (nc_stats.h), which the stats JSON keeps. Data only; who counts what is the proxy's business.

/** A gauge goes up and down; a timestamp is in microseconds since 1970, 0 for never. */
export type CounterKind = "counter" | "gauge" | "timestamp";

export interface Counter {
  readonly name: string;
  readonly kind: CounterKind;
  readonly description: string;
}

function row<const N extends string>(name: N, kind: CounterKind, description: string) {
  return { name, kind, description } as const;
}

export const POOL_COUNTERS = [
  row("client_eof", "counter", "# eof on client connections"),
  row("client_err", "counter", "# errors on client connections"),
  row("client_connections", "gauge", "# active client connections"),
  row("server_ejects", "counter", "# times backend server was ejected"),
  row("forward_error", "counter", "# times we encountered a forwarding error"),
  row("fragments", "counter", "# fragments created from a multi-vector request"),
] as const;

export const SERVER_COUNTERS = [
  row("server_eof", "counter", "# eof on server connections"),
  row("server_err", "counter", "# errors on server connections"),
  row("server_timedout", "counter", "# timeouts on server connections"),
  row("server_connections", "gauge", "# active server connections"),
  row(
    "server_ejected_at",
    "timestamp",
    "timestamp when server was ejected in usec since epoch",
  ),
  row("requests", "counter", "# requests"),
  row("request_bytes", "counter", "total request bytes"),
  row("responses", "counter", "# responses"),
  row("response_bytes", "counter", "total response bytes"),
  row("in_queue", "gauge", "# requests in incoming queue"),
  row("in_queue_bytes", "gauge", "current request bytes in incoming queue"),
  row("out_queue", "gauge", "# requests in outgoing queue"),
  row("out_queue_bytes", "gauge", "current request bytes in outgoing queue"),
] as const;

/** Not nutcracker's; they follow its own. */
export const MORE_SERVER_COUNTERS = [
  row("pinned_connections", "gauge", "# server connections that one client has to itself"),
] as const;

export type PoolCounterName = typeof POOL_COUNTERS[number]["name"];
export type ServerCounterName =
  | typeof SERVER_COUNTERS[number]["name"]
  | typeof MORE_SERVER_COUNTERS[number]["name"];

/** The text of `--describe-stats` (nc_stats.c stats_describe). */
export function describeCounters(): string {
  const list = (counters: readonly Counter[]): string =>
    counters.map((c) => `  ${c.name.padEnd(20)}"${c.description}"\n`).join("");
  return `pool stats:\n${list(POOL_COUNTERS)}\nserver stats:\n${list(SERVER_COUNTERS)}`;
}
