// The lines of the log about servers: what happened to which, why, and the figures. Once as text,
// for people, and once as fields, for programs. The events are listed in docs/logs.md.

import type { Fields, Log } from "../log.ts";

/** A server, as the lines name it. */
interface Named {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly live: boolean;
  readonly context: { readonly log: Log };
}

function at(server: Named, event: string): Record<string, string | number | boolean> {
  return { event, ...server.fields };
}

export function serverConnecting(server: Named): void {
  server.context.log.debug(`${server.label}: connecting`, at(server, "server_connecting"));
}

export function serverConnected(server: Named): void {
  server.context.log.info(`${server.label}: connected`, at(server, "server_connected"));
}

/**
 * A connection is gone with `lost` requests on it, which fail or are sent again; `reason` is "" when the
 * server has closed it.
 */
export function serverClosed(server: Named, reason: string, text: string, lost: number): void {
  const { log } = server.context;
  const fields: Fields = { ...at(server, "server_closed"), reason: reason || "eof", lost };
  if (lost > 0 || reason !== "") {
    log.notice(`${server.label}: closed: ${text}; ${lost} requests not answered`, fields);
  } else {
    log.info(`${server.label}: closed by the server`, fields);
  }
}

/** What a server sends cannot be used. */
export function serverBroken(server: Named, reason: string): void {
  server.context.log.warn(`${server.label}: ${reason}; closing`, {
    ...at(server, "server_protocol_error"),
    reason,
  });
}

export function serverRefuses(server: Named, reason: string): void {
  server.context.log.error(
    `${server.label}: refused redis_auth or redis_db (${reason}); closing`,
    { ...at(server, "server_refused"), reason },
  );
}

/** `retry`: ms until it is tried again; Infinity = not before it passes a check. */
export function serverEjected(server: Named, reason: string, retry: number): void {
  const until = retry === Infinity ? "until it passes a health check" : `for ${retry} ms`;
  server.context.log.warn(`${server.label}: ejected ${until}: ${reason}`, {
    ...at(server, "server_ejected"),
    reason,
    ...(retry === Infinity ? {} : { retry_ms: retry }),
  });
}

export function serverReadmitted(server: Named, how: string): void {
  server.context.log.notice(`${server.label}: ${how}`, {
    ...at(server, "server_readmitted"),
    reason: how,
  });
}

/** `failures` in a row. */
export function checkFailed(server: Named, reason: string, failures: number): void {
  const { log } = server.context;
  const line = `${server.label}: health check failed: ${reason}; ${failures} in a row`;
  const fields = { ...at(server, "health_check_failed"), reason, failures };
  // Of a server that is out already everybody knows.
  if (server.live) log.notice(line, fields);
  else log.info(line, fields);
}

/** A replica, as the lines name it. */
interface NamedReplica {
  readonly server: Omit<Named, "context">;
  readonly fit: boolean;
  readonly why: string;
  readonly lag: number;
}

/** Reads go to a replica from now on, or not any more. */
export function replicaChanged(
  { server, fit, why, lag }: NamedReplica,
  { name }: { readonly name: string },
  log: Log,
): void {
  const fields = { event: fit ? "replica_fit" : "replica_unfit", ...server.fields, shard: name };
  const whose = `${server.label}: replica of "${name}"`;
  if (fit) return log.notice(`${whose}: fit to be read from`, { ...fields, lag_ms: lag });
  log.warn(`${whose}: not read from: ${why}`, { ...fields, reason: why });
}
