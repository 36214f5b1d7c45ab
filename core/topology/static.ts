// The shards of a pool as its configuration lists them. After a change of it, servers that were
// there before are the same objects, with their links, counters and health.

import type { ServerConfig } from "../config/address.ts";
import { sameServer } from "../config/diff.ts";
import type { ServerContext } from "../server/context.ts";
import { Server } from "../server/server.ts";
import { Shard } from "../server/shard.ts";

export function makeShards(context: ServerContext, servers: readonly ServerConfig[]): Shard[] {
  return servers.map((server) =>
    new Shard(server.name, server.weight, new Server(context, server), server.replicas)
  );
}

/** The shards after a change, and the servers that have no part any more. */
export function changeShards(
  context: ServerContext,
  old: readonly Shard[],
  before: readonly ServerConfig[],
  after: readonly ServerConfig[],
): { shards: Shard[]; removed: Server[] } {
  const shards = after.map((config) => {
    const at = before.findIndex((one) => sameServer(one, config));
    if (at < 0) {
      return new Shard(config.name, config.weight, new Server(context, config), config.replicas);
    }
    old[at].weight = config.weight;
    old[at].replicas = config.replicas ?? [];
    return old[at];
  });
  const removed = old.filter((shard) => !shards.includes(shard)).map(({ primary }) => primary);
  return { shards, removed };
}

/** The same where the names count, and the addresses are learned. */
export function changeNamed(
  context: ServerContext,
  old: readonly Shard[],
  after: readonly ServerConfig[],
): { shards: Shard[]; removed: Server[] } {
  const shards = after.map((config) => {
    const shard = old.find(({ name }) => name === config.name);
    if (shard === undefined) {
      return new Shard(config.name, config.weight, new Server(context, config));
    }
    shard.weight = config.weight;
    return shard;
  });
  const removed = old.filter((shard) => !shards.includes(shard)).map(({ primary }) => primary);
  return { shards, removed };
}
