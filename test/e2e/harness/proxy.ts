// A proxy of any runtime over given servers.

import * as fs from "node:fs";
import { canConnect, freePort, type Target } from "./ports.ts";
import { Running, tempPath, until } from "./processes.ts";
import { command, type Runtime, runtime } from "./runtime.ts";
import { type ServerProcess, several, startMemcached, startRedis } from "./servers.ts";
import { Wire } from "./wire.ts";

/** Directives of one pool; `listen` may be left out and is then a free port on 127.0.0.1. */
export type PoolSpec = Record<string, string | number | boolean | string[]>;
export type Pools = Record<string, PoolSpec>;

/** The configuration file of these pools, as nutcracker reads it. */
export function toYaml(pools: Pools): string {
  let yaml = "";
  for (const [name, spec] of Object.entries(pools)) {
    yaml += `${name}:\n`;
    for (const [key, value] of Object.entries(spec)) {
      if (Array.isArray(value)) {
        yaml += `  ${key}:\n${value.map((item) => `   - ${item}\n`).join("")}`;
      } else {
        yaml += `  ${key}: ${value}\n`;
      }
    }
  }
  return yaml;
}

/** A server line "127.0.0.1:port:weight name". */
export function at(server: { port: number } | number, weight = 1, name = ""): string {
  const port = typeof server === "number" ? server : server.port;
  return `127.0.0.1:${port}:${weight}${name === "" ? "" : " " + name}`;
}

export interface ProxyOptions {
  runtime?: Runtime;
  /** More arguments. */
  args?: string[];
  /** The option --admin; "" for none, "off" if not said. */
  admin?: string;
  env?: Record<string, string>;
  /** Most file descriptors it may have open, when it is not this process's limit. */
  descriptors?: number;
  /** Lines for `global:`, which stand before the pools. */
  global?: Record<string, string | number | boolean>;
}

/** A proxy that listens. */
export class ProxyProcess extends Running {
  /** Port of each pool, in file order (0 for a unix socket). */
  ports!: Record<string, number>;
  /** Port of the first pool. */
  port!: number;
  statsPort!: number;
  confPath!: string;

  /** The line the stats port sends. */
  async statsText(): Promise<string> {
    const wire = await Wire.open(this.statsPort);
    return await wire.rest();
  }

  // deno-lint-ignore no-explicit-any
  async stats(): Promise<any> {
    return JSON.parse(await this.statsText());
  }
}

/** Not the default address, which only one of many proxies could have. */
function adminOption({ runtime: under = runtime, admin = "off" }: ProxyOptions): string[] {
  return under === "nutcracker" || admin === "" ? [] : ["--admin", admin];
}

/** A command behind `ulimit -n`; its pid is still the program's. */
function limited([program, args]: [string, string[]], descriptors?: number): [string, string[]] {
  if (descriptors === undefined) return [program, args];
  return ["sh", ["-c", `ulimit -n ${descriptors} && exec "$0" "$@"`, program, ...args]];
}

/** Starts a proxy and waits until all its ports take connections (one connection to each). */
export async function startProxy(
  pools: Pools,
  opts: ProxyOptions = {},
): Promise<ProxyProcess> {
  let why = "";
  for (let tries = 0; tries < 3; tries++) {
    const ports: Record<string, number> = {};
    const listens: Target[] = [];
    const full: Pools = {};
    for (const [name, spec] of Object.entries(pools)) {
      const listen = String(spec.listen ?? `127.0.0.1:${await freePort()}`);
      full[name] = { listen, ...spec };
      if (listen.startsWith("/")) {
        ports[name] = 0;
        listens.push({ path: listen.split(" ")[0] });
      } else {
        const colon = listen.lastIndexOf(":");
        ports[name] = Number(listen.slice(colon + 1));
        listens.push({ host: listen.slice(0, colon), port: ports[name] });
      }
    }
    const confPath = tempPath("ringmux.yml");
    const global = opts.global === undefined ? "" : toYaml({ global: opts.global });
    fs.writeFileSync(confPath, global + toYaml(full));
    const statsPort = await freePort();
    const [program, first] = limited(command(opts.runtime), opts.descriptors);
    const proxy = new ProxyProcess(opts.runtime ?? runtime, program, [
      ...first,
      ...["-c", confPath, "-a", "127.0.0.1", "-s", String(statsPort), "-i", "100"],
      ...["-p", tempPath("proxy.pid")],
      ...adminOption(opts),
      ...(opts.args ?? []),
    ], opts.env);
    Object.assign(proxy, { ports, port: Object.values(ports)[0], statsPort, confPath });
    const admin = Number(/:(\d+)$/.exec(opts.admin ?? "")?.[1] ?? statsPort);
    for (const target of [...listens, statsPort, admin]) {
      await until(
        `${proxy.name} to listen on ${JSON.stringify(target)}\n${proxy.output()}`,
        async () => proxy.gone || await canConnect(target),
        30_000,
      );
    }
    if (!proxy.gone) return proxy;
    why = proxy.output();
  }
  throw new Error(`the proxy does not start:\n${why}`);
}

/**
 * Waits until a Redis pool answers. That a connection is made is not enough where there are workers:
 * the address is tried before they listen.
 */
export async function serves(port: number): Promise<void> {
  await until("it to serve", async () => {
    try {
      const wire = await Wire.open(port);
      const reply = await wire.ask("PING");
      wire.close();
      return reply === "+PONG\r\n";
    } catch {
      return false;
    }
  }, 30_000);
}

export function startNutcracker(pools: Pools, opts: ProxyOptions = {}): Promise<ProxyProcess> {
  return startProxy(pools, { ...opts, runtime: "nutcracker" });
}

/** Servers and the proxy over them. */
export interface Behind {
  servers: ServerProcess[];
  proxy: ProxyProcess;
}

/**
 * `n` servers (three) of one kind behind a proxy, in one pool; their names are s0, s1, ... or
 * m0, m1, ... of memcached
 */
export async function behindProxy(
  kind: "redis" | "memcached",
  spec: PoolSpec = {},
  { n = 3, ...opts }: ProxyOptions & { n?: number } = {},
): Promise<Behind> {
  const redis = kind === "redis";
  const servers = await several(n, redis ? startRedis : startMemcached);
  const lines = servers.map((server, i) => at(server, 1, `${redis ? "s" : "m"}${i}`));
  const pool = { ...(redis ? { redis } : {}), servers: lines, ...spec };
  return { servers, proxy: await startProxy({ pool }, opts) };
}
