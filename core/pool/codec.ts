// The protocol of a pool: its codec, made of the configuration, and what its own answers (INFO, CLIENT
// LIST) may ask of the pool.

import { protocolOf } from "../config/schema.ts";
import type { Codec, Facts } from "../protocol/codec.ts";
import { newCodec } from "../protocol/mod.ts";
import { CHANNEL, PATTERN, SHARD } from "../protocol/publishing.ts";
import { infoFields } from "../stats/counters.ts";
import { logRefused, usersOf } from "../users.ts";
import type { PoolContext } from "./context.ts";
import { isCluster } from "./kinds.ts";
import type { PoolServers } from "./servers.ts";

/** A pool, with the port it listens on. */
interface CodecPool extends PoolServers {
  readonly port: number;
}

export function makeCodec(pool: CodecPool, context: PoolContext): Codec {
  const { config, host, label, log } = pool;
  const refused = logRefused(label, log, () => host.now());
  return newCodec(protocolOf(config), {
    auth: config.redis_auth,
    user: config.redis_user,
    users: usersOf(config, label, refused),
    refused,
    db: config.redis_db,
    maxRequest: pool.limits.request,
    hashTag: isCluster(config) ? "{}" : config.hash_tag,
    clustered: isCluster(config) || config.migrate?.ring.distribution === "cluster",
    ...(config.cluster?.act_as_node && { asNode: { addresses: config.cluster.address_map } }),
    commands: config.commands,
    migrating: config.migrate !== undefined,
  }, factsOf(pool, context));
}

function factsOf(pool: CodecPool, { host, version, startedAt }: PoolContext): Facts {
  return {
    pool: pool.name,
    version,
    runtime: host.runtime,
    wallClock: () => host.wallClock(),
    uptime: () => Math.floor((host.now() - startedAt) / 1000),
    port: () => pool.port,
    listen: () => pool.config.listen_text,
    peers: () => [...pool.clients],
    servers: () => pool.servers.length,
    pause: (ms, onlyWrites) => ms > 0 ? pool.pause.begin(ms, onlyWrites) : pool.pause.end(),
    hidden: (kind, name) => pool.topics.census.hidden(kind, name),
    counters: () => infoSections(pool),
  };
}

function infoSections(pool: CodecPool): [string, [string, number | string][]][] {
  const { counters: own, servers, topics } = pool;
  const counters = servers.map((server) => server.counters);
  const away = pool.cluster === null ? "ejected" : "down";
  return [
    ["Clients", infoFields("Clients", own, counters)],
    ["Stats", [
      ...infoFields("Stats", own, counters),
      ["pubsub_channels", topics.count(CHANNEL)],
      ["pubsub_patterns", topics.count(PATTERN)],
      ["pubsubshard_channels", topics.count(SHARD)],
      ["pubsub_messages", topics.messages],
    ]],
    ["Servers", servers.map(({ name, live }) => [name, live ? "live" : away])],
  ];
}
