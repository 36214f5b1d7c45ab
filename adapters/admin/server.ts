// The admin address on HTTP: one server for Deno, Bun and Node (srvx), the routes of app.ts and the
// sampling behind the graphs.

import type { Server as NodeServer } from "node:http";
import { createServer } from "node:net";
import { serve } from "srvx";
import { errnoText } from "../../core/errno.ts";
import type { Log } from "../../core/log.ts";
import type { Control } from "../control/control.ts";
import type { AdminAddress } from "./address.ts";
import { createApp } from "./app.ts";
import { History } from "./history.ts";

export interface Admin {
  close(): void;
}

/** What listening on ::1 fails with where there is no IPv6. */
const NO_IPV6 = ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL", "EPROTONOSUPPORT"];
/** Milliseconds between two samples. */
const SAMPLE = 1000;
/** Most bytes of a request's body: nothing here reads one. */
const BODY = 1024;
/** Seconds a connection may be idle, and a request may take to come (Bun and Node). */
const IDLE = 10;
/** Most connections at a time (Node). */
const MOST = 256;

/**
 * Serves `control`. Null (and a warning) when the default address is taken; an address that was
 * asked for and cannot be had is an Error.
 */
export async function startAdmin(
  where: AdminAddress,
  control: Control,
  log: Log,
  { shared, takeover }: { readonly shared: boolean; readonly takeover: boolean },
): Promise<Admin | null> {
  const { host, port } = where.address;
  const shown = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const history = new History();
  const app = createApp({ control, history, host: host === "*" ? "localhost" : host });
  const servers: ReturnType<typeof serve>[] = [];
  const open = async (hostname: string): Promise<void> => {
    // A shared port could be had beside any program's: first without sharing.
    if (shared && !takeover) await probe(hostname, port);
    const server = serve({
      fetch: (request) => app.fetch(request),
      hostname,
      port,
      reusePort: shared,
      silent: true,
      gracefulShutdown: false,
      maxRequestBodySize: BODY,
      bun: { idleTimeout: IDLE },
      node: {
        headersTimeout: IDLE * 1000,
        requestTimeout: IDLE * 1000,
        connectionsCheckingInterval: IDLE * 500,
      },
    });
    servers.push(server);
    await server.ready();
    const inner = server.node?.server as NodeServer | undefined;
    if (inner === undefined) return;
    inner.maxConnections = MOST;
    inner.timeout = IDLE * 1000;
  };
  try {
    // As for pools, "*" is the loopback addresses, never all of them.
    await open(host === "*" ? "127.0.0.1" : host);
    if (host === "*") await open("::1").catch(unlessNoIpv6);
  } catch (error) {
    for (const server of servers) server.close(true).catch(() => {});
    const why = reason(error);
    if (where.explicit) throw new Error(`admin: cannot listen on ${shown}: ${why}`);
    log.warn(`admin: not served: cannot listen on ${shown}: ${why} (--admin host:port, or off)`);
    return null;
  }
  log.notice(`admin on http://${shown}/`);
  const timer = setInterval(() => {
    control.snapshot().then((snapshot) => history.add(snapshot), () => {});
  }, SAMPLE);
  unref(timer);
  let closed = false;
  return {
    close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      for (const server of servers) server.close(true).catch(() => {});
    },
  };
}

function unlessNoIpv6(error: unknown): void {
  if (!NO_IPV6.includes((error as { code?: string }).code ?? "")) throw error;
}

/** Rejects when somebody has the port. */
async function probe(host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const listener = createServer();
    listener.once("error", reject);
    listener.listen({ host, port, exclusive: true }, () => listener.close(() => resolve()));
  });
  // Deno lets go of a listener a moment after it was closed.
  await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A timer that does not keep the process alive: an object in Node and Bun, a number in Deno. */
function unref(timer: unknown): void {
  if (typeof timer === "object") (timer as { unref(): void }).unref();
  // deno-lint-ignore no-explicit-any
  else (globalThis as any).Deno?.unrefTimer(timer);
}

function reason(error: unknown): string {
  const { code, message } = error as Error & { code?: string };
  return code === undefined || errnoText(code) === code ? message : errnoText(code);
}
