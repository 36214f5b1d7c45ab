// What the command runs on every runtime: the proxy with the options of the command line.

import type { Host } from "../core/host.ts";
import { Proxy } from "../core/proxy/proxy.ts";
import { openWindows } from "./admin/open.ts";
import { runCommand } from "./cli.ts";
import { LocalControl } from "./local_control.ts";
import { createSystem } from "./system.ts";

/** Runs `ringmux` on `host` and ends the process with its exit status. */
export async function runProxyCommand(host: Host): Promise<void> {
  const system = createSystem();
  const status = await runCommand(system, system.args, async (config, options, log) => {
    const stats = { host: options.statsAddress, port: options.statsPort, path: "", mode: -1 };
    // nutcracker's -m is the size of one of many chunks; here four of them are one buffer.
    const limits = { segment: Math.min(1 << 20, Math.max(16384, 4 * options.mbufSize)) };
    const proxy = new Proxy(host, config, { log, stats, source: system.hostname, limits });
    await proxy.start();
    const control = new LocalControl(proxy, () => Promise.resolve(["not supported"]));
    try {
      const windows = await openWindows(options.admin, config, control, log);
      return {
        stop: async () => {
          control.stopping();
          proxy.stop();
          await windows.close();
        },
      };
    } catch (error) {
      proxy.stop();
      throw error;
    }
  });
  system.exit(status);
}
