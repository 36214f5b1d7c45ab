// The admin address on HTTP: one server for Deno, Bun and Node (srvx), the routes of app.ts and the
// sampling behind the graphs.

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

/** Milliseconds between two samples. */
const SAMPLE = 1000;
/** Most bytes of a request's body: nothing here reads one. */
const BODY = 1024;

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
  const app = createApp({ control, history, host });
  let server: ReturnType<typeof serve>;
  try {
    // A shared port could be had beside any program's: first without sharing.
    if (shared && !takeover) await probe(host, port);
    server = serve({
      fetch: (request) => app.fetch(request),
      hostname: host,
      port,
      reusePort: shared,
      silent: true,
      gracefulShutdown: false,
      maxRequestBodySize: BODY,
    });
    await server.ready();
  } catch (error) {
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
      server.close(true).catch(() => {});
    },
  };
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
