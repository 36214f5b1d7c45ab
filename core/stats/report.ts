// The stats JSON, byte for byte in nutcracker's shape (nc_stats.c): collectors out there cut it up
// with regular expressions. Fields that nutcracker does not have come after its own (counters.ts).

import { type Counter, having, type Kind, POOL_COUNTERS, SERVER_COUNTERS } from "./counters.ts";
import type { RouteRow } from "./routes.ts";
import { kindsOf, type PoolSnapshot, type ServerSnapshot, type Snapshot } from "./snapshot.ts";

/** One line of JSON with its line end. */
export function statsLine(snapshot: Snapshot): string {
  let total = 0;
  let current = 0;
  for (const pool of snapshot.pools) {
    // twemproxy counts clients, server connections and the listener.
    current += pool.counters.client_connections + 1;
    total += pool.counters.accepted + 1;
    for (const { counters } of pool.servers) {
      const { server_connections, server_eof, server_err, server_timedout } = counters;
      current += server_connections;
      total += server_connections + server_eof + server_err + server_timedout;
    }
  }
  let out = `{"service":"nutcracker", "source":${JSON.stringify(snapshot.source)}, ` +
    `"version":"${snapshot.version}", "uptime":${snapshot.uptime}, ` +
    `"timestamp":${Math.floor(snapshot.time / 1000)}, ` +
    `"total_connections":${total}, "curr_connections":${current}`;
  for (const pool of snapshot.pools) out += `, ${poolStats(pool)}`;
  return `${out}}\n`;
}

function poolStats(pool: PoolSnapshot): string {
  const kinds = kindsOf(pool);
  const own = fields(POOL_COUNTERS, pool.counters, kinds);
  const servers = pool.servers.map((server) => serverStats(server, kinds));
  const ways = (pool.routes ?? []).map(routeStats);
  const parts = [own, servers.join(","), ways.join(",")].filter(Boolean);
  return `${JSON.stringify(pool.name)}: {${parts.join(", ")}}`;
}

/** As if it were a server: what collectors expect to find in a pool. */
function routeStats({ route, target, requests, errors, failovers }: RouteRow): string {
  const name = JSON.stringify(`${route} > ${target}`);
  return `${name}: ${JSON.stringify({ requests, errors, failovers })}`;
}

function serverStats(server: ServerSnapshot, kinds: readonly Kind[]): string {
  return `${JSON.stringify(server.name)}: {${fields(SERVER_COUNTERS, server.counters, kinds)}}`;
}

function fields(
  rows: readonly Counter[],
  counters: Readonly<Record<string, number>>,
  kinds: readonly Kind[],
): string {
  return having(rows, kinds).filter((row) => !row.unlisted)
    .map(({ name }) => `"${name}":${counters[name]}`).join(", ");
}
