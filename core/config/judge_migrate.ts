// Whether the keys of a pool can move to the ring of another one: see migration.md.

import { shownKey } from "./group.ts";
import type { PoolConfig, PoolKey, RingConfig } from "./schema.ts";

/** Pools that keys are to move to: what their servers are, and whether they can. `names`: of all pools. */
export function judgeMigrations(
  pools: readonly PoolConfig[],
  names: ReadonlySet<string>,
  targets: ReadonlySet<string>,
  note: (pool: PoolConfig, message: string) => void,
): void {
  for (const pool of pools) {
    const { migrate } = pool;
    if (migrate === undefined) continue;
    const to = pools.find(({ name }) => name === migrate.to);
    if (to === undefined || to === pool) {
      if (to !== pool && names.has(migrate.to)) continue; // its own mistakes are told
      const others = [...names].filter((name) => name !== pool.name).join(", ");
      const known = others === "" ? "there is none" : others;
      note(pool, `migrate.to "${shownKey(migrate.to)}" has to be another pool (${known})`);
      continue;
    }
    if (targets.has(to.name)) {
      note(pool, `migrate.to: pool "${to.name}" is a target of routes: nobody may use it yet`);
    }
    for (const message of mistakesOf(pool, to)) note(pool, message);
    migrate.ring = ringOf(to);
  }
}

/** What of a pool its keys may move to. */
export function ringOf(to: PoolConfig): RingConfig {
  const { servers, hash, hash_tag, distribution } = to;
  const { cluster, sentinels, sentinel, wait, park_bytes, retry } = to;
  const ring = { servers, hash, hash_tag, distribution, sentinels, wait, park_bytes };
  return {
    ...ring,
    ...(cluster !== undefined && { cluster }),
    ...(sentinel !== undefined && { sentinel }),
    ...(retry !== undefined && { retry }),
  };
}

/** What servers of both rings are spoken to alike by. */
const ALIKE: readonly PoolKey[] = [
  ...["redis", "redis_auth", "redis_auth_file", "redis_auth_env", "redis_user"] as const,
  ...["redis_db", "server_tls"] as const,
];

/** Keys of pools whose commands do not all go to where a ring says. */
const UNFIT = ["routes", "reads", "replicas", "discovery", "near_cache"];
/** Of what keys leave. */
const UNFIT_SOURCE = ["sentinels", ...UNFIT];
const KINDS = ["ketama", "modula"];
/** A key that has left its old server must never be there again: see exchange/migrate/key_move.ts. */
const NO_FAILOVER =
  "keys leave plain rings only: a replica that takes over may still have keys that have left the primary, " +
  "and would bring back what was deleted since";

function mistakesOf(pool: PoolConfig, to: PoolConfig): string[] {
  const mistakes = ALIKE
    .filter((key) => JSON.stringify(pool[key as never]) !== JSON.stringify(to[key as never]))
    .map((key) => `migrate.to: pool "${to.name}" has another ${key}; it has to be the same`);
  if (to.migrate !== undefined) mistakes.push(`migrate.to: pool "${to.name}" migrates itself`);
  for (const [one, unfit] of [[pool, UNFIT_SOURCE], [to, UNFIT]] as const) {
    const has = unfit.find((key) => {
      const value = (one as unknown as Record<string, unknown>)[key];
      return Array.isArray(value) ? value.length > 0 : value !== undefined;
    });
    if (has === undefined) continue;
    const what = one === pool
      ? has === "sentinels" ? NO_FAILOVER : "keys leave plain rings"
      : "keys move to rings, Redis Clusters and shards under Sentinels";
    mistakes.push(`migrate: pool "${one.name}" has ${has}; ${what}`);
  }
  return [...mistakes, ...nameMistakes(pool, to), ...kindMistakes(pool, to)];
}

function nameMistakes(pool: PoolConfig, to: PoolConfig): string[] {
  const isFollowed = to.sentinels.length > 0;
  if (to.distribution === "cluster") return [];
  return to.servers.flatMap(({ name, address }) => {
    const other = pool.servers.find((server) => server.name === name);
    if (other === undefined) return [];
    const same = JSON.stringify(other.address) === JSON.stringify(address);
    if (same && !isFollowed) return [];
    const what = isFollowed ? "is a shard of its own" : "has another address";
    return [`migrate: server "${name}" of pool "${to.name}" ${what}; rename it`];
  });
}

function kindMistakes(pool: PoolConfig, to: PoolConfig): string[] {
  const mistakes: string[] = [];
  for (const { name, distribution, auto_eject_hosts, health_check } of [pool, to]) {
    const allowed = name === pool.name ? KINDS : [...KINDS, "cluster"];
    if (!allowed.includes(distribution)) {
      mistakes.push(
        `migrate: pool "${name}" has distribution ${distribution}; ` +
          "keys move from ketama and modula rings to such or to a cluster",
      );
    }
    const ejects = auto_eject_hosts ? "auto_eject_hosts" : health_check ? "health_check" : "";
    if (ejects !== "") {
      mistakes.push(
        `migrate: pool "${name}" has ${ejects}, which would send keys to other servers`,
      );
    }
  }
  return mistakes;
}
