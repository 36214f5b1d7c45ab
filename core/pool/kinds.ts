// What a pool's configuration says about its servers and its clock.

import type { PoolConfig, RingConfig } from "../config/schema.ts";
import type { Address } from "../host.ts";
import { intervalOf } from "../server/replicas.ts";

/** What a pool's servers are: those it names, a cluster's, those that Sentinels tell of. */
export const RING = "";

/** Pools of another kind have another route, and other servers. */
export function kindOf(config: PoolConfig): string {
  const kinds = { cluster: isCluster(config), sentinels: hasSentinels(config) };
  const reads = isReading(config);
  return Object.entries({ ...kinds, reads }).flatMap(([kind, is]) => is ? [kind] : []).join();
}

export function hasSentinels({ sentinels }: PoolConfig): boolean {
  return sentinels.length > 0;
}

export function isCluster({ distribution }: PoolConfig): boolean {
  return distribution === "cluster";
}

/** Whether a pool reads from replicas, or may after a reload. */
export function isReading({ reads }: PoolConfig): boolean {
  return reads !== undefined;
}

/** What a ring is made of, and where else its keys may go. */
export const RING_KEYS = ["servers", "hash", "hash_tag", "distribution", "migrate", "sentinels"];

export function ringOf({ servers, hash, hash_tag, distribution }: RingConfig): unknown[] {
  const ones = servers.map(({ name, weight, address: { host, port, path } }) =>
    [name, weight, host, port, path].join(" ")
  );
  return [ones, hash, hash_tag, distribution];
}

/** How often (ms) a pool looks after its timeouts: a tenth of them late is early enough. */
export function tickOf({ timeout, health_check, reads }: PoolConfig): number {
  const times = [TICK * 10];
  if (reads !== undefined) times.push(intervalOf(reads) * 5);
  if (timeout > 0) times.push(timeout);
  if (health_check !== undefined) times.push(health_check.interval, health_check.timeout);
  return Math.max(SHORTEST_TICK, Math.min(...times) / 10);
}

/** Most and least of a pool's tick (ms): see `tickOf`. */
export const TICK = 100;
export const SHORTEST_TICK = 5;

/** Whether a pool with this address listens nowhere: it is of use to others only. */
export function isNowhere({ host, path, port }: Address): boolean {
  return host === "" && path === "" && port === 0;
}
