// What the command runs on every runtime: the proxy with the options of the command line.

import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import type { Config } from "../../core/config/schema.ts";
import type { Host } from "../../core/host.ts";
import { Proxy } from "../../core/proxy.ts";
import { openAdminListeners } from "../admin/open.ts";
import type { Running } from "../control/running.ts";
import { Discovery } from "../discovery/discovery.ts";
import { checkServers } from "./check_servers.ts";
import { type CliOptions, parseArgs, runCommand, type Start } from "./cli.ts";
import type { Control } from "../control/control.ts";
import { LocalControl } from "../control/local_control.ts";
import type { Log } from "../log/log.ts";
import { canReusePort, makeSpawner, supervisorChannel } from "../workers/spawn.ts";
import { probe, Supervisor } from "../workers/supervisor.ts";
import { createSystem } from "../system/system.ts";
import { runWorker } from "../workers/worker.ts";

/** Runs `ringmux` on `host` and ends the process with its exit status. */
export async function runProxyCommand(host: Host): Promise<void> {
  const system = createSystem();
  const channel = supervisorChannel();
  if (channel !== null) {
    // It has the supervisor's arguments.
    const own = parseArgs(system.args);
    if ("title" in own && own.title !== "") system.setTitle?.(own.title);
    system.exit(await runWorker(host, system, channel));
  }
  const start: Start = async (written, options, log, reload) => {
    const discovery = new Discovery(log, dirname(options.confFile));
    const config = await discovery.start(written);
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
      const follow = following(supervisor, discovery);
      return await withWindows(follow, options, config, log, spawner.reusePort);
    }
    if (reusePort && !options.takeover) await probe(host, config, stats);
    const proxy = new Proxy(host, config, { log, stats, source, limits, reusePort });
    await proxy.start();
    const running = following(runningProxy(proxy, reload), discovery);
    return await withWindows(running, options, config, log, reusePort);
  };
  const check = (config: Config) => checkServers(host, config);
  system.exit(await runCommand(system, system.args, start, check));
}

/** One a core where that many are asked for. */
function countWorkers(text: string): number {
  return text === "auto" ? availableParallelism() : Number(text);
}

/** nutcracker's -m is the size of one of many chunks; here four of them are one buffer. */
export function limitsOf(options: CliOptions): { segment: number } {
  return { segment: Math.min(1 << 20, Math.max(16384, 4 * options.mbufSize)) };
}

type Controlled = Running & { readonly control: Control };

/**
 * Opens the admin address and what else looks in from outside; closes it with the proxy. `shared`:
 * the ports are, with the ringmux that went before and the one that may follow.
 */
async function withWindows(
  running: Controlled,
  options: CliOptions,
  config: Config,
  log: Log,
  shared: boolean,
): Promise<Running> {
  try {
    const { admin, takeover } = options;
    const listeners = await openAdminListeners(config, running.control, log, {
      admin,
      takeover,
      shared,
    });
    const stop = running.stop.bind(running);
    running.stop = async () => {
      await listeners.stopping();
      await stop();
      await listeners.close();
    };
    return running;
  } catch (error) {
    running.abort?.();
    throw error;
  }
}

/** The same, whose pools go along with the servers that are found. */
function following(running: Controlled, discovery: Discovery): Controlled {
  discovery.begin((config) => running.reload?.(config));
  return {
    control: discovery.shownBy(running.control),
    reload: (config) => discovery.reload(config),
    async stop() {
      discovery.stop();
      await running.stop();
    },
    abort() {
      discovery.stop();
      running.abort?.();
    },
    levelChanged: () => running.levelChanged?.(),
  };
}

/** A proxy in this process, which has started. */
export function runningProxy(proxy: Proxy, reload: () => Promise<string[]>): Controlled {
  const control = new LocalControl(proxy, reload);
  return {
    control,
    reload: (config) => proxy.reload(config),
    async stop() {
      control.stopping();
      // Nothing else may be left that keeps the process alive.
      const alive = setInterval(() => {}, 1000);
      await proxy.drain(proxy.drainTimeout);
      clearInterval(alive);
    },
    abort: () => proxy.stop(),
  };
}
