// What a changed configuration does to servers and their connections: those that are not wanted any
// more take no new requests, have what is in flight answered, and are closed.

import type { ServerConfig } from "../config/address.ts";
import { sameServer } from "../config/diff.ts";
import type { Pool } from "../pool.ts";
import { Server } from "../server/server.ts";
import type { ServerConnection } from "./server_connection.ts";

/** Errors for requests that were not answered in time. */
const REMOVED = "the server is not in the pool any more";
const REPLACED = "the connection to the server was replaced";

/** The servers of a new configuration: those that were there before are the same objects. */
export function keepServers(
  pool: Pool,
  before: readonly ServerConfig[],
  after: readonly ServerConfig[],
): { servers: Server[]; removed: Server[] } {
  const old = pool.servers;
  const servers = after.map((config, index) => {
    const at = before.findIndex((one) => sameServer(one, config));
    if (at < 0) return new Server(pool, config, index);
    const server = old[at];
    server.index = index;
    server.weight = config.weight;
    return server;
  });
  return { servers, removed: old.filter((server) => !servers.includes(server)) };
}

/** Connections on their way out. They are looked after every tick: the data path knows nothing. */
export class Retired {
  private waiting: { connection: ServerConnection; deadline: number }[];

  constructor() {
    this.waiting = [];
  }

  /** After `deadline` (pool time) what is not answered gets an error. */
  add(connections: readonly ServerConnection[], deadline: number): void {
    for (const connection of connections) this.waiting.push({ connection, deadline });
  }

  tick(now: number, timeout: number): void {
    if (this.waiting.length === 0) return;
    this.waiting = this.waiting.filter(({ connection, deadline }) => {
      const { server } = connection;
      if (server.removed) connection.tick(now, timeout); // else its server's, which is ticked
      if (connection.head !== null && now < deadline) return true;
      connection.discard(server.removed ? REMOVED : REPLACED);
      server.forget(connection);
      return false;
    });
  }

  /** Closes all of them at once. */
  drop(): void {
    for (const { connection } of this.waiting) connection.discard();
    this.waiting = [];
  }
}
