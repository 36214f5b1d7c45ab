// The lines of the log about clients: what happened to whom, why, and the figures. Once as text,
// for people, and once as fields, for programs. The events are listed in docs/logs.md.

import type { Host } from "../host.ts";
import type { Log } from "../log.ts";
import type { Session } from "../protocol/codec.ts";

/** A pool, as the lines name it. */
interface Named {
  readonly name: string;
  readonly label: string;
  readonly log: Log;
}

/** A client, as the lines tell of it. */
interface Told {
  readonly context: Named & { readonly host: Host };
  readonly session: Session;
  /** Requests and bytes. */
  readonly taken: number;
  readonly received: number;
}

function of(client: Told, event: string): Record<string, string | number> {
  return { event, pool: client.context.name, client: client.session.remote };
}

function label(client: Told): string {
  return `${client.context.label}: client ${client.session.remote}`;
}

export function clientConnected(client: Told, clients: number): void {
  if (client.context.log.isTerse) return;
  client.context.log.info(`${label(client)}: connected; ${clients} clients`, {
    ...of(client, "client_connected"),
    clients,
  });
}

export function clientClosed(client: Told, reason: string): void {
  const { context, session, taken, received } = client;
  if (context.log.isTerse) return;
  const ms = context.host.wallClock() - session.since;
  const figures = `${taken} requests, ${received} bytes in ${ms} ms`;
  context.log.info(`${label(client)}: closed: ${reason}; ${figures}`, {
    ...of(client, "client_closed"),
    reason,
    requests: taken,
    bytes: received,
    ms,
  });
}

export function clientRefused(pool: Named, remote: string, most: number): void {
  pool.log.warn(`${pool.label}: client ${remote} refused: ${most} are connected`, {
    event: "client_refused",
    pool: pool.name,
    client: remote,
    reason: "max number of clients reached",
    clients: most,
  });
}

/** A client fails at TLS; `more` says how many others did of whom there was no line. */
export function clientFailsAtTls(pool: Named, remote: string, reason: string, more: string): void {
  pool.log.notice(`${pool.label}: client ${remote} refused: TLS: ${reason}${more}`, {
    event: "client_tls_failed",
    pool: pool.name,
    client: remote,
    reason,
  });
}

/** A client's PROXY header is missing, wrong, or not allowed; `more` as above. */
export function clientFailsAtHeader(
  pool: Named,
  remote: string,
  reason: string,
  more: string,
): void {
  pool.log.notice(`${pool.label}: client ${remote} refused: PROXY protocol: ${reason}${more}`, {
    event: "client_header_failed",
    pool: pool.name,
    client: remote,
    reason,
  });
}

export function protocolError(client: Told): void {
  client.context.log.info(`${label(client)}: protocol error`, of(client, "protocol_error"));
}

/** The client is cut off. */
export function clientFails(client: Told, reason: string): void {
  client.context.log.warn(`${label(client)}: ${reason}; closed`, {
    ...of(client, "client_cut_off"),
    reason,
  });
}
