// The Control of a single process: one proxy, asked directly.

import process from "node:process";
import type { Proxy } from "../../core/proxy.ts";
import type { Snapshot } from "../../core/stats/snapshot.ts";
import { mergeHot } from "../../core/hot_view.ts";
import type { ClusterAnswer, Control, HotView, MigrationStatus, RingView } from "./control.ts";

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
    return Promise.resolve(snapshotOf(this.proxy));
  }

  rings(pool?: string, key?: string): Promise<RingView[]> {
    return Promise.resolve(this.proxy.rings(pool, key));
  }

  migrations(): Promise<MigrationStatus[][]> {
    return Promise.resolve([this.proxy.migrations()]);
  }

  migrate(pool: string, order: string): Promise<string> {
    return this.proxy.migrate(pool, order);
  }

  hot(pool?: string): Promise<HotView[]> {
    return Promise.resolve(mergeHot([this.proxy.hot(pool)]));
  }

  cluster(pool: string, what: string): Promise<ClusterAnswer> {
    return this.proxy.askCluster(pool, what);
  }

  reload(): Promise<string[]> {
    return this.reloadConfig();
  }
}

/** What a process can tell of itself: its proxy's state, and what it uses. */
export function snapshotOf(proxy: Proxy): Snapshot {
  return { ...proxy.snapshot(), ...usage() };
}

/** Bytes of memory and seconds of CPU time that this process uses and has used. */
export function usage(): { memory: number; cpu: number } {
  const { user, system } = process.cpuUsage();
  return { memory: process.memoryUsage.rss(), cpu: (user + system) / 1e6 };
}
