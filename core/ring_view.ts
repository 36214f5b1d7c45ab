// Where keys go, for people: each server's part of the keys, and who owns a given one.

import { bytes } from "./bytes.ts";
import type { Pool } from "./pool.ts";
import { slotOf } from "./route/slots.ts";
import type { DiscoverySnapshot } from "./stats/discovery.ts";
import { protocolOf } from "./config/schema.ts";
import type { Front } from "./front.ts";
import { INTENT_CAS, INTENT_DELETE, INTENT_GETS } from "./protocol/intents.ts";
import type { Step } from "./route/prefix.ts";
import { mainOf } from "./server/server.ts";
import { CLASS_READ, CLASS_WRITE } from "./stats/latency.ts";
import type { ReplicaSnapshot } from "./stats/snapshot.ts";
import type { TopologySnapshot, WatchedSnapshot } from "./stats/topology.ts";
import { slotRanges, viewCluster } from "./topology/cluster_view.ts";
import { viewSentinels } from "./topology/sentinel_view.ts";

export interface RingView {
  /** Of a pool that follows its servers: what it knows of them. */
  readonly topology?: TopologySnapshot;
  /** Of a pool whose servers are found. */
  readonly discovery?: DiscoverySnapshot;
  /** Of a pool that reads from replicas: those. */
  readonly replicas?: readonly ReplicaSnapshot[];
  /** Of a pool whose primaries Sentinels tell: what they say. */
  readonly sentinel?: WatchedSnapshot;
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
  readonly protocol: "redis" | "memcached";
  /** Of a pool with routes: the way of the key asked for, by what is done with it. */
  readonly ways?: Readonly<Record<Way, Step>>;
  /** The server of the key asked for; null when none was, or none is alive. */
  readonly owner: string | null;
}

/** What is done with a key, as far as routes tell it apart. */
const INTENTS = {
  read: CLASS_READ,
  write: CLASS_WRITE,
  delete: INTENT_DELETE,
  gets: INTENT_GETS,
  cas: INTENT_CAS,
} as const;

export type Way = keyof typeof INTENTS;

/** `key` is a byte string; undefined asks for no key. */
export function viewRing(pool: Pool, key?: string): RingView {
  const { name, config, ringShards: shards, cluster, front } = pool;
  const ranges = cluster === null ? null : slotRanges(cluster.topology);
  const shares = pool.shares();
  return {
    pool: name,
    protocol: protocolOf(config),
    distribution: config.distribution,
    hash: cluster === null ? config.hash : "crc16",
    servers: shards.map(({ name, weight, primary }, i) => ({
      ...{ name, weight },
      live: primary.live,
      share: shares[i],
      ...(ranges !== null && { slots: ranges.get(name) ?? "" }),
    })),
    ...(pool.watched !== null && { sentinel: viewSentinels(pool.watched.topology) }),
    owner: key === undefined ? null : ownerOf(pool, key),
    ...(pool.reading !== null && { replicas: pool.reading.snapshot() }),
    ...(front !== null && key !== undefined && { ways: waysOf(front, bytes(key)) }),
    ...(cluster !== null && {
      ...(key !== undefined && { slot: slotOf(bytes(key), 0, key.length) }),
      topology: viewCluster(cluster.topology),
    }),
  };
}

function waysOf(front: Front, key: Uint8Array): Record<Way, Step> {
  const ways = Object.entries(INTENTS).map(([way, intent]) => [way, front.trace(key, intent)]);
  return Object.fromEntries(ways);
}

/** The server of a key; null when none is alive, or when it is not the key that decides. */
function ownerOf(pool: Pool, key: string): string | null {
  if (pool.front !== null) return pool.front.serverOf(bytes(key)) || null;
  const server = mainOf(pool.route.pick(bytes(key), 0, key.length, CLASS_READ));
  const byChance = pool.config.distribution === "random" && pool.servers.length > 1;
  return !server.available || byChance ? null : server.name;
}
