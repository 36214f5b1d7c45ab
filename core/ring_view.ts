// Where keys go, for people: each server's part of the keys, and who owns a given one.

import { bytes } from "./bytes.ts";
import type { Pool } from "./pool.ts";
import { slotOf } from "./route/slots.ts";
import { CLASS_READ } from "./stats/latency.ts";
import type { DiscoverySnapshot } from "./stats/discovery.ts";
import type { TopologySnapshot } from "./stats/topology.ts";
import { slotRanges, viewCluster } from "./topology/cluster_view.ts";

export interface RingView {
  /** Of a pool that follows its servers: what it knows of them. */
  readonly topology?: TopologySnapshot;
  /** Of a pool whose servers are found. */
  readonly discovery?: DiscoverySnapshot;
  /** The hash slot of the key asked for, where keys have one. */
  readonly slot?: number;
  readonly pool: string;
  readonly distribution: string;
  readonly hash: string;
  readonly servers: readonly {
    readonly name: string;
    readonly weight: number;
    readonly live: boolean;
    /** Part of the keys, 0 to 1. */
    readonly share: number;
    /** Its hash slots, "0-5460 10922", where keys have one. */
    readonly slots?: string;
  }[];
  /** The server of the key asked for; null when none was, or none is alive. */
  readonly owner: string | null;
}

/** `key` is a byte string; undefined asks for no key. */
export function viewRing(pool: Pool, key?: string): RingView {
  const { name, config, shards, cluster } = pool;
  const ranges = cluster === null ? null : slotRanges(cluster.topology);
  const shares = pool.shares();
  return {
    pool: name,
    distribution: config.distribution,
    hash: cluster === null ? config.hash : "crc16",
    servers: shards.map(({ name, weight, primary }, i) => ({
      ...{ name, weight },
      live: primary.live,
      share: shares[i],
      ...(ranges !== null && { slots: ranges.get(name) ?? "" }),
    })),
    owner: key === undefined ? null : ownerOf(pool, key),
    ...(cluster !== null && {
      ...(key !== undefined && { slot: slotOf(bytes(key), 0, key.length) }),
      topology: viewCluster(cluster.topology),
    }),
  };
}

/** The server of a key; null when none is alive, or when it is not the key that decides. */
function ownerOf(pool: Pool, key: string): string | null {
  const server = pool.route.pick(bytes(key), 0, key.length, CLASS_READ);
  const byChance = pool.config.distribution === "random" && pool.servers.length > 1;
  return !server.available || byChance ? null : server.name;
}
