// What the command runs on every runtime: the proxy with the options of the command line.

import { availableParallelism } from "node:os";
import type { Config } from "../core/config/schema.ts";
import type { Host } from "../core/host.ts";
import { Proxy } from "../core/proxy/proxy.ts";
import { openWindows } from "./admin/open.ts";
import { type CliOptions, runCommand, type Running, type Start } from "./cli.ts";
import type { Control } from "./control.ts";
import type { Log } from "./log.ts";
import { canReusePort, makeSpawner, supervisorChannel } from "./spawn.ts";
import { probe, Supervisor } from "./supervisor.ts";
import { createSystem } from "./system.ts";
import { withUsage } from "./usage.ts";
import { runWorker } from "./worker.ts";

/** Runs `ringmux` on `host` and ends the process with its exit status. */
export async function runProxyCommand(host: Host): Promise<void> {
  const system = createSystem();
  const channel = supervisorChannel();
  if (channel !== null) system.exit(await runWorker(host, system, channel));
  const start: Start = async (config, options, log, reload) => {
    const stats = { host: options.statsAddress, port: options.statsPort, path: "", mode: -1 };
    const reusePort = options.takeover || config.global.reuse_port;
    const { hostname: source } = system;
    const limits = limitsOf(options);
    const workers = countWorkers(options.workers || config.global.workers);
    if (reusePort && !canReusePort()) {
      throw new Error(`--takeover and reuse_port need SO_REUSEPORT: Node has it from 22.12 on`);
    }
    if (workers > 1) {
      const { takeover } = options;
      const spawner = await makeSpawner();
      const supervisor = new Supervisor(
        config,
        { host, log, spawner, workers, source, stats, takeover, reload, ...limits },
      );
      await supervisor.start();
      return withWindows(supervisor, config, options, log);
    }
    if (reusePort && !options.takeover) await probe(host, config);
    const proxy = new Proxy(host, config, { log, stats, source, limits, reusePort });
    await proxy.start();
    return withWindows(runningProxy(proxy, reload), config, options, log);
  };
  system.exit(await runCommand(system, system.args, start));
}

/** One a core where that many are asked for. */
function countWorkers(text: string): number {
  return text === "auto" ? availableParallelism() : Number(text);
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
      snapshot: () => Promise.resolve(withUsage(proxy.snapshot())),
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

/** With the admin address and StatsD, which see into it from its start to its end. */
async function withWindows(
  running: Running & { readonly control: Control },
  config: Config,
  options: CliOptions,
  log: Log,
): Promise<Running> {
  const { admin, takeover } = options;
  const shared = takeover || config.global.reuse_port;
  try {
    const windows = await openWindows(config, running.control, log, { admin, takeover, shared });
    return {
      reload: (next) => running.reload?.(next),
      levelChanged: () => running.levelChanged?.(),
      async stop() {
        await windows.stopping();
        await running.stop();
        await windows.close();
      },
      abort: () => running.abort?.(),
    };
  } catch (error) {
    running.abort?.();
    throw error;
  }
}
