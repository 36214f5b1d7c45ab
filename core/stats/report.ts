// The stats JSON, byte for byte in nutcracker's shape (nc_stats.c): collectors out there cut it up
// with regular expressions. Fields that nutcracker does not have come after its own.

import { MORE_SERVER_COUNTERS, POOL_COUNTERS, SERVER_COUNTERS } from "./counters.ts";
import type { PoolSnapshot, ServerSnapshot, Snapshot } from "./snapshot.ts";

/** One line of JSON with its line end. */
export function statsLine(snapshot: Snapshot): string {
  let total = 0;
  let current = 0;
  for (const pool of snapshot.pools) {
    // twemproxy counts clients, server connections and the listener.
    current += pool.counters.client_connections + 1;
    total += pool.accepted + 1;
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
  const fields = POOL_COUNTERS.map(({ name }) => `"${name}":${pool.counters[name]}`);
  const servers = pool.servers.map(serverStats);
  return `${JSON.stringify(pool.name)}: {${fields.join(", ")}, ${servers.join(",")}}`;
}

function serverStats(server: ServerSnapshot): string {
  const fields = [...SERVER_COUNTERS, ...MORE_SERVER_COUNTERS]
    .map(({ name }) => `"${name}":${server.counters[name]}`);
  return `${JSON.stringify(server.name)}: {${fields.join(", ")}}`;
}
