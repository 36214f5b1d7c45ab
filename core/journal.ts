// The lines of the log about clients and servers: what happened to whom, why, and the figures.
// Once as text, for people, and once as fields, for programs. The events are listed in docs/logs.md.

import type { Fields } from "./log.ts";
import type { Client } from "./client/client.ts";
import type { Pool } from "./pool.ts";
import type { Server } from "./server/server.ts";

function of(client: Client, event: string): Record<string, string | number> {
  return { event, pool: client.pool.name, client: client.session.remote };
}

function at(server: Server, event: string): Record<string, string | number | boolean> {
  return { event, ...server.fields };
}

function label(client: Client): string {
  return `${client.pool.label}: client ${client.session.remote}`;
}

export function clientConnected(client: Client): void {
  const clients = client.pool.clients.size;
  client.pool.log.info(`${label(client)}: connected; ${clients} clients`, {
    ...of(client, "client_connected"),
    clients,
  });
}

export function clientClosed(client: Client, reason: string): void {
  const { pool, session, taken, received } = client;
  const ms = pool.host.wallClock() - session.since;
  const figures = `${taken} requests, ${received} bytes in ${ms} ms`;
  pool.log.info(`${label(client)}: closed: ${reason}; ${figures}`, {
    ...of(client, "client_closed"),
    reason,
    requests: taken,
    bytes: received,
    ms,
  });
}

export function clientRefused(pool: Pool, remote: string, most: number): void {
  pool.log.warn(`${pool.label}: client ${remote} refused: ${most} are connected`, {
    event: "client_refused",
    pool: pool.name,
    client: remote,
    reason: "max number of clients reached",
    clients: most,
  });
}

/** A client fails at TLS; `more` says how many others did of whom there was no line. */
export function clientFailsAtTls(pool: Pool, remote: string, reason: string, more: string): void {
  pool.log.notice(`${pool.label}: client ${remote} refused: TLS: ${reason}${more}`, {
    event: "client_tls_failed",
    pool: pool.name,
    client: remote,
    reason,
  });
}

export function protocolError(client: Client): void {
  client.pool.log.info(`${label(client)}: protocol error`, of(client, "protocol_error"));
}

/** The client is cut off. */
export function clientFails(client: Client, reason: string): void {
  client.pool.log.warn(`${label(client)}: ${reason}; closed`, {
    ...of(client, "client_cut_off"),
    reason,
  });
}

export function serverConnecting(server: Server): void {
  server.pool.log.debug(`${server.label}: connecting`, at(server, "server_connecting"));
}

export function serverConnected(server: Server): void {
  server.pool.log.info(`${server.label}: connected`, at(server, "server_connected"));
}

/** A connection is gone with `lost` requests on it; `reason` is "" when the server has closed it. */
export function serverClosed(server: Server, reason: string, text: string, lost: number): void {
  const { log } = server.pool;
  const fields: Fields = { ...at(server, "server_closed"), reason: reason || "eof", lost };
  if (lost > 0 || reason !== "") {
    log.notice(`${server.label}: closed: ${text}; ${lost} requests lost`, fields);
  } else {
    log.info(`${server.label}: closed by the server`, fields);
  }
}

/** What a server sends cannot be used. */
export function serverBabbles(server: Server, reason: string): void {
  server.pool.log.warn(`${server.label}: ${reason}; closing`, {
    ...at(server, "server_protocol_error"),
    reason,
  });
}

export function serverRefuses(server: Server, reason: string): void {
  server.pool.log.error(`${server.label}: refused redis_auth or redis_db (${reason}); closing`, {
    ...at(server, "server_refused"),
    reason,
  });
}

/** `retry`: ms until it is tried again; Infinity = not before it passes a check. */
export function serverEjected(server: Server, reason: string, retry: number): void {
  const until = retry === Infinity ? "until it passes a health check" : `for ${retry} ms`;
  server.pool.log.warn(`${server.label}: ejected ${until}: ${reason}`, {
    ...at(server, "server_ejected"),
    reason,
    ...(retry === Infinity ? {} : { retry_ms: retry }),
  });
}

export function serverReadmitted(server: Server, how: string): void {
  server.pool.log.notice(`${server.label}: ${how}`, {
    ...at(server, "server_readmitted"),
    reason: how,
  });
}

/** `failures` in a row. */
export function checkFailed(server: Server, reason: string, failures: number): void {
  const line = `${server.label}: health check failed: ${reason}; ${failures} in a row`;
  const fields = { ...at(server, "health_check_failed"), reason, failures };
  // Of a server that is out already everybody knows.
  if (server.live) server.pool.log.notice(line, fields);
  else server.pool.log.info(line, fields);
}
