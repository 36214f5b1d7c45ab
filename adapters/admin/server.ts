// The admin address on HTTP: one server for Deno, Bun and Node (srvx), the routes of app.ts and the
// sampling behind the graphs.

import { serve } from "srvx";
import { errnoText } from "../../core/errno.ts";
import type { Log } from "../../core/log.ts";
import type { Control } from "../control.ts";
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
): Promise<Admin | null> {
  const { host, port } = where.address;
  const shown = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const history = new History();
  const app = createApp({ control, history, host });
  let server: ReturnType<typeof serve>;
  try {
    server = serve({
      fetch: (request) => app.fetch(request),
      hostname: host,
      port,
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
  return {
    close() {
      clearInterval(timer);
      server.close(true).catch(() => {});
    },
  };
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
