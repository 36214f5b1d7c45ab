// Opens what looks into a running ringmux from outside, as the options and the configuration want
// it: the admin address and the pushing of metrics to StatsD. Loads only what is used.

import type { Config } from "../../core/config/schema.ts";
import type { Log } from "../../core/log.ts";
import type { Control } from "../control.ts";
import { adminAddress } from "./address.ts";

export interface Windows {
  /** Closes the admin address and sends the last metrics. */
  close(): Promise<void>;
}

/** `admin` is the option --admin, "" without it. */
export async function openWindows(
  admin: string,
  config: Config,
  control: Control,
  log: Log,
): Promise<Windows> {
  const where = adminAddress(admin, config.global.admin);
  const { statsd } = config.global;
  const server = where === null
    ? null
    : await (await import("./server.ts")).startAdmin(where, control, log);
  const push = statsd === ""
    ? null
    : (await import("./statsd.ts")).startStatsd(statsd, control, log);
  return {
    async close() {
      server?.close();
      await push?.close();
    },
  };
}
