// Whether the keys of a pool can move to the ring of another one: see migration.md.

import { shownKey } from "./group.ts";
import type { PoolConfig, PoolKey } from "./schema.ts";

/** Pools that keys are to move to: what their servers are, and whether they can. */
export function judgeMigrations(
  pools: readonly PoolConfig[],
  targets: ReadonlySet<string>,
  note: (pool: PoolConfig, message: string) => void,
): void {
  for (const pool of pools) {
    const { migrate } = pool;
    if (migrate === undefined) continue;
    const to = pools.find(({ name }) => name === migrate.to);
    if (to === undefined || to === pool) {
      const names = pools.filter((one) => one !== pool).map(({ name }) => name).join(", ");
      note(pool, `migrate.to "${shownKey(migrate.to)}" has to be another pool (${names})`);
      continue;
    }
    if (targets.has(to.name)) {
      note(pool, `migrate.to: pool "${to.name}" is a target of routes: nobody may use it yet`);
    }
    for (const message of mistakesOf(pool, to)) note(pool, message);
    const { servers, hash, hash_tag, distribution } = to;
    migrate.ring = { servers, hash, hash_tag, distribution };
  }
}

/** What servers of both rings are spoken to alike by. */
const ALIKE: readonly PoolKey[] = [
  ...["redis", "redis_auth", "redis_auth_file", "redis_auth_env", "redis_user"] as const,
  ...["redis_db", "server_tls"] as const,
];

/** Keys of pools whose commands do not all go to where a ring says. */
const UNFIT = ["routes", "sentinels", "reads", "replicas", "discovery", "near_cache"];

function mistakesOf(pool: PoolConfig, to: PoolConfig): string[] {
  const mistakes = ALIKE
    .filter((key) => JSON.stringify(pool[key as never]) !== JSON.stringify(to[key as never]))
    .map((key) => `migrate.to: pool "${to.name}" has another ${key}; it has to be the same`);
  if (to.migrate !== undefined) mistakes.push(`migrate.to: pool "${to.name}" migrates itself`);
  for (const one of [pool, to]) {
    const has = UNFIT.find((key) => {
      const value = (one as unknown as Record<string, unknown>)[key];
      return Array.isArray(value) ? value.length > 0 : value !== undefined;
    });
    if (has !== undefined) {
      mistakes.push(`migrate: pool "${one.name}" has ${has}; keys move between plain rings`);
    }
  }
  for (const { name, address } of to.servers) {
    const other = pool.servers.find((server) => server.name === name);
    if (other === undefined || JSON.stringify(other.address) === JSON.stringify(address)) continue;
    mistakes.push(`migrate: server "${name}" of pool "${to.name}" has another address; rename it`);
  }
  for (const { name, distribution, auto_eject_hosts, health_check } of [pool, to]) {
    if (distribution !== "ketama" && distribution !== "modula") {
      mistakes.push(
        `migrate: pool "${name}" has distribution ${distribution}; keys move between ketama and ` +
          "modula rings",
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
