// Where keys go, for people: each server's part of the keys, and who owns a given one.

import { bytes } from "../bytes.ts";
import type { Pool } from "./pool.ts";

export interface RingView {
  readonly pool: string;
  readonly distribution: string;
  readonly hash: string;
  readonly servers: readonly {
    readonly name: string;
    readonly weight: number;
    readonly live: boolean;
    /** Part of the keys, 0 to 1. */
    readonly share: number;
  }[];
  /** The server of the key asked for; null when none was, or none is alive. */
  readonly owner: string | null;
}

/** Hashes that are tried. They lie evenly, and evenly modulo small numbers too. */
const SAMPLES = 1 << 16;
const STRIDE = 0x9e3779b1;

/** `key` is a byte string; undefined asks for no key. */
export function viewRing(pool: Pool, key?: string): RingView {
  const { name, config, servers } = pool;
  const counts = servers.map(() => 0);
  for (let i = 0; i < SAMPLES; i++) {
    const index = pool.ownerOf(Math.imul(i, STRIDE) >>> 0);
    if (index >= 0) counts[index]++;
  }
  const owner = key === undefined ? -1 : pool.pick(bytes(key), 0, key.length);
  return {
    pool: name,
    distribution: config.distribution,
    hash: config.hash,
    servers: servers.map(({ name, weight, live }, i) => ({
      name,
      weight,
      live,
      share: counts[i] / SAMPLES,
    })),
    owner: owner < 0 ? null : servers[owner].name,
  };
}
