// What the stats show of a pool: plain data.

import { protocolOf } from "./config/schema.ts";
import { viewMigration } from "./exchange/migrate/moves.ts";
import type { Pool } from "./pool.ts";
import type { SeenPoolCounters } from "./stats/counters.ts";
import type { PoolSnapshot } from "./stats/snapshot.ts";
import { viewCluster } from "./topology/cluster_view.ts";
import { viewSentinels } from "./topology/sentinel_view.ts";

/** Part of all requests for keys that makes a key hot. */
const HOT = 0.01;

export function viewPool(pool: Pool): PoolSnapshot {
  const { config, shards, front, near, migration, cluster, reading, watched, home } = pool;
  const others = (home?.shards ?? []).filter(({ primary }) =>
    !shards.some((shard) => shard.primary === primary)
  );
  return {
    name: pool.name,
    listen: config.listen_text,
    protocol: protocolOf(config),
    counters: { ...pool.counters, ...seen(pool) },
    servers: [...shards, ...others].map(({ primary, weight }) => primary.snapshot(weight)),
    ...(front !== null && { isFront: true, routes: front.tallies.rows }),
    ...(near !== null && { near: true }),
    ...(migration !== null && { migration: viewMigration(migration) }),
    ...(cluster !== null && { topology: viewCluster(cluster.topology) }),
    ...(reading !== null && { replicas: reading.snapshot() }),
    ...(watched !== null && { sentinel: viewSentinels(watched.topology) }),
  };
}

/** What nobody counts in `counters`. */
function seen({ learned, home, reading, hot, near, config }: Pool): SeenPoolCounters {
  const { topology } = learned ?? {};
  const { lot } = learned ?? home ?? {};
  return {
    replica_reads: reading?.count ?? 0,
    hot_keys: hot.countAbove(HOT),
    near_keys: near?.keys ?? 0,
    near_bytes: near?.bytes ?? 0,
    near_staleness: (config.near_cache?.ttl ?? 0) * 1000,
    parked: lot?.parked ?? 0,
    parked_in_vain: lot?.overdue ?? 0,
    parked_now: lot?.waiting ?? 0,
    parked_bytes: lot?.bytes ?? 0,
    refreshes: topology?.refreshes ?? 0,
    refresh_failures: topology?.failures ?? 0,
  };
}
