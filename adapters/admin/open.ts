// Opens what looks into a running ringmux from outside, as the options and the configuration want
// it: the admin address and the pushing of metrics to StatsD. Loads only what is used.

import type { Config } from "../../core/config/schema.ts";
import type { Log } from "../../core/log.ts";
import type { Control } from "../control/control.ts";
import { adminAddress } from "./address.ts";

export interface AdminOptions {
  /** The option --admin; "" without it. */
  readonly admin: string;
  /** Ports are shared with another ringmux, which this one follows or which may follow it. */
  readonly shared: boolean;
  /** It follows one, which still has the ports. */
  readonly takeover: boolean;
}

export interface AdminListeners {
  /** The proxy is about to stop: sends metrics, and leaves a shared address to who follows. */
  stopping(): Promise<void>;
  /** It has stopped: sends the last metrics, and closes. */
  close(): Promise<void>;
}

export async function openAdminListeners(
  config: Config,
  control: Control,
  log: Log,
  options: AdminOptions,
): Promise<AdminListeners> {
  const where = adminAddress(options.admin, config.global.admin);
  const { statsd } = config.global;
  const server = where === null
    ? null
    : await (await import("./server.ts")).startAdmin(where, control, log, options);
  const push = statsd === ""
    ? null
    : (await import("./statsd.ts")).startStatsd(statsd, control, log);
  return {
    async stopping() {
      if (options.shared) server?.close();
      await push?.send();
    },
    async close() {
      server?.close();
      await push?.close();
    },
  };
}
