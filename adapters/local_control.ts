// The Control of a single process: one proxy, asked directly.

import process from "node:process";
import { bytes } from "../core/bytes.ts";
import type { Pool } from "../core/proxy/pool.ts";
import type { Proxy } from "../core/proxy/proxy.ts";
import type { Snapshot } from "../core/stats/snapshot.ts";
import type { Control, RingView } from "./control.ts";

export class LocalControl implements Control {
  private readonly proxy: Proxy;
  private readonly reloadConfig: () => Promise<string[]>;
  private serving: boolean;

  /** `reload` reads the configuration again and returns what is wrong with it. */
  constructor(proxy: Proxy, reload: () => Promise<string[]>) {
    this.proxy = proxy;
    this.reloadConfig = reload;
    this.serving = true;
  }

  ready(): boolean {
    return this.serving;
  }

  /** From now on it is not ready: the proxy stops. */
  stopping(): void {
    this.serving = false;
  }

  snapshot(): Promise<Snapshot> {
    const { user, system } = process.cpuUsage();
    return Promise.resolve({
      ...this.proxy.snapshot(),
      memory: process.memoryUsage.rss(),
      cpu: (user + system) / 1e6,
    });
  }

  rings(pool?: string, key?: string): Promise<RingView[]> {
    return Promise.resolve(ringViews(this.proxy.pools, pool, key));
  }

  reload(): Promise<string[]> {
    return this.reloadConfig();
  }
}

/** The rings of all pools or of the one named so; `key` is a byte string. */
export function ringViews(pools: readonly Pool[], pool?: string, key?: string): RingView[] {
  return pools
    .filter(({ name }) => pool === undefined || name === pool)
    .map((one) => ringView(one, key));
}

function ringView(pool: Pool, key: string | undefined): RingView {
  const shares = pool.shares();
  const { distribution, hash } = pool.config;
  return {
    pool: pool.name,
    distribution,
    hash,
    servers: pool.servers.map((server, i) => ({
      name: server.name,
      weight: server.weight,
      live: server.live,
      share: shares[i],
    })),
    owner: key === undefined ? null : owner(pool, key),
  };
}

/** The server of a key; null when none is alive, or when it is not the key that decides. */
function owner(pool: Pool, key: string): string | null {
  const index = pool.pick(bytes(key), 0, key.length);
  const byChance = pool.config.distribution === "random" && pool.servers.length > 1;
  return index < 0 || byChance ? null : pool.servers[index].name;
}
