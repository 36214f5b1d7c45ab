// The stats JSON, byte for byte in nutcracker's shape (nc_stats.c): collectors out there cut it up
// with regular expressions. Fields that nutcracker does not have come after its own.

import type { Pool } from "../proxy/pool.ts";
import type { Server } from "../proxy/server.ts";
import { MORE_SERVER_COUNTERS, POOL_COUNTERS, SERVER_COUNTERS } from "./counters.ts";

export interface StatsHead {
  /** Host name. */
  readonly source: string;
  readonly version: string;
  /** Seconds. */
  readonly uptime: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

/** One line of JSON with its line end. */
export function statsLine(pools: readonly Pool[], head: StatsHead): string {
  let total = 0;
  let current = 0;
  for (const pool of pools) {
    // twemproxy counts clients, server connections and the listener.
    current += pool.clients.size + 1;
    total += pool.counters.accepted + 1;
    for (const server of pool.servers) {
      const { server_connections, server_eof, server_err, server_timedout } = server.counters;
      current += server_connections;
      total += server_connections + server_eof + server_err + server_timedout;
    }
  }
  let out = `{"service":"nutcracker", "source":${JSON.stringify(head.source)}, ` +
    `"version":"${head.version}", "uptime":${head.uptime}, "timestamp":${head.timestamp}, ` +
    `"total_connections":${total}, "curr_connections":${current}`;
  for (const pool of pools) out += `, ${poolStats(pool)}`;
  return `${out}}\n`;
}

function poolStats(pool: Pool): string {
  const fields = POOL_COUNTERS.map(({ name }) => `"${name}":${pool.counters[name]}`);
  const servers = pool.servers.map(serverStats);
  return `${JSON.stringify(pool.name)}: {${fields.join(", ")}, ${servers.join(",")}}`;
}

function serverStats(server: Server): string {
  let unsent = 0;
  let unsentBytes = 0;
  let inFlight = 0;
  let inFlightBytes = 0;
  for (const connection of server.connections) {
    unsent += connection.unsent;
    unsentBytes += connection.out.size;
    inFlight += connection.inFlight;
    inFlightBytes += connection.inFlightBytes;
  }
  const values: Record<string, number> = {
    ...server.counters,
    in_queue: unsent,
    in_queue_bytes: unsentBytes,
    out_queue: inFlight - unsent,
    out_queue_bytes: Math.max(0, inFlightBytes - unsentBytes),
  };
  const fields = [...SERVER_COUNTERS, ...MORE_SERVER_COUNTERS]
    .map(({ name }) => `"${name}":${values[name]}`);
  return `${JSON.stringify(server.name)}: {${fields.join(", ")}}`;
}
