// What the command runs on every runtime: the proxy with the options of the command line.

import type { Host } from "../core/host.ts";
import { Proxy } from "../core/proxy/proxy.ts";
import { type CliOptions, runCommand, type Running, type Start } from "./cli.ts";
import type { Control } from "./control.ts";
import { createSystem } from "./system.ts";

/** Runs `ringmux` on `host` and ends the process with its exit status. */
export async function runProxyCommand(host: Host): Promise<void> {
  const system = createSystem();
  const start: Start = async (config, options, log, reload) => {
    const stats = { host: options.statsAddress, port: options.statsPort, path: "", mode: -1 };
    const reusePort = options.takeover || config.global.reuse_port;
    const { hostname: source } = system;
    const limits = limitsOf(options);
    const proxy = new Proxy(host, config, { log, stats, source, limits, reusePort });
    await proxy.start();
    return runningProxy(proxy, reload);
  };
  system.exit(await runCommand(system, system.args, start));
}

/** nutcracker's -m is the size of one of many chunks; here four of them are one buffer. */
export function limitsOf(options: CliOptions): { segment: number } {
  return { segment: Math.min(1 << 20, Math.max(16384, 4 * options.mbufSize)) };
}

/** A proxy in this process, which has started. */
export function runningProxy(
  proxy: Proxy,
  reload: () => Promise<string[]>,
): Running & { control: Control } {
  let ready = true;
  return {
    control: {
      ready: () => ready,
      snapshot: () => Promise.resolve(proxy.snapshot()),
      rings: (pool, key) => Promise.resolve(proxy.rings(pool, key)),
      reload,
    },
    reload: (config) => proxy.reload(config),
    async stop() {
      ready = false;
      // Nothing else may be left that keeps the process alive.
      const alive = setInterval(() => {}, 1000);
      await proxy.drain(proxy.drainTimeout);
      clearInterval(alive);
    },
    abort: () => proxy.stop(),
  };
}
