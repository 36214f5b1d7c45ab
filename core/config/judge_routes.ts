// Whether the pools that routes name are there, and fit.

import type { Reference } from "./routes.ts";
import { poolsOf } from "./routes.ts";
import type { PoolConfig, PoolKey } from "./schema.ts";
import { nearest } from "./suggest.ts";
import type { Place } from "./yaml.ts";

/** Where a pool names another one. */
export interface Naming extends Reference {
  /** The pool that names it. */
  readonly by: string;
}

/** `names`: all pools, those with mistakes among them. */
export function judgeRoutes(
  pools: readonly PoolConfig[],
  names: ReadonlySet<string>,
  namings: readonly Naming[],
  note: (pool: string, place: Place, message: string) => void,
): void {
  const known = new Map(pools.map((pool) => [pool.name, pool]));
  for (const { name, place, by, as } of namings) {
    if (!names.has(name)) {
      const near = nearest(name, [...names]);
      const hint = near !== "" ? `did you mean ${near}?` : `known: ${[...names].join(", ")}`;
      note(by, place, `routes: there is no pool "${name}"; ${hint}`);
      continue;
    }
    const front = known.get(by);
    const pool = known.get(name);
    if (front === undefined || pool === undefined) continue; // told above
    const cycle = findCycle(known, by, name);
    if (cycle !== null) {
      note(by, place, `routes: "${name}" leads back to "${by}" (${cycle.join(" -> ")})`);
      continue;
    }
    const wrong = misfit(front, pool);
    if (wrong !== "") note(by, place, `routes: pool "${name}" ${wrong}`);
    if (as === undefined) continue;
    const has = managedBy(pool);
    if (has !== "") {
      note(by, place, `routes: pool "${name}" has ${has}; cold and warm have to be plain rings`);
    } else if (as === "warm" && pool.auto_eject_hosts) {
      note(
        by,
        place,
        `routes: pool "${name}" has auto_eject_hosts: what is deleted while a server is ejected ` +
          "would come back with it; a warm pool keeps all of its servers",
      );
    }
  }
}

function misfit(front: PoolConfig, pool: PoolConfig): string {
  if (front.redis !== pool.redis) {
    const speaks = (redis: boolean) => redis ? "Redis" : "memcached";
    return `speaks ${speaks(pool.redis)}, and "${front.name}" ${
      speaks(front.redis)
    }; all pools of ` +
      "a tree have to speak the same protocol";
  }
  if (front.redis_db !== pool.redis_db) {
    return `has redis_db ${pool.redis_db}, and "${front.name}" ${front.redis_db}; they have to be the same`;
  }
  if (pool.discovery?.migrate === "auto") {
    return "cannot be a target: it has discovery.migrate: auto, which only its own clients know of";
  }
  return pool.migrate === undefined
    ? ""
    : "cannot be a target: it has migrate, and only its own clients know where its keys are now";
}

/** What is for a pool's own clients: those that come by routes go by the pool that they connect to. */
const CLIENTS_OWN: readonly PoolKey[] = [
  ...["auth", "tls", "proxy_protocol", "commands", "client_connections", "backlog"] as const,
  ...["tcpkeepalive", "multi", "pubsub_output_limit", "near_cache"] as const,
];

/** A pool without `listen` that routes lead to. */
export function judgeTarget(
  given: (key: PoolKey) => boolean,
  note: (key: PoolKey, message: string) => void,
): void {
  for (const key of CLIENTS_OWN.filter(given)) {
    note(
      key,
      `${key} is only valid with listen: it is for the pool's own clients, not for those that come by routes`,
    );
  }
}

/** What makes a pool something else than a plain ring; "" if nothing does. */
function managedBy({ distribution, sentinels, reads, routes }: PoolConfig): string {
  if (distribution === "cluster") return "distribution: cluster";
  if (routes !== undefined) return "routes";
  if (reads !== undefined) return "reads";
  return sentinels.length > 0 ? "sentinels" : "";
}

/** The way from `to` back to `from`; null if there is none. */
function findCycle(
  pools: ReadonlyMap<string, PoolConfig>,
  from: string,
  to: string,
): string[] | null {
  const seen = new Set<string>();
  const visit = (name: string, way: readonly string[]): string[] | null => {
    if (name === from) return [...way, name];
    if (seen.has(name)) return null;
    seen.add(name);
    const routes = pools.get(name)?.routes;
    for (const next of routes === undefined ? [] : poolsOf(routes)) {
      const found = visit(next, [...way, name]);
      if (found !== null) return found;
    }
    return null;
  };
  return visit(to, [from]);
}
