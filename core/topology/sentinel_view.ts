// What Sentinels tell, as it is shown: who they are, whether they are heard, and the shards' primaries
// and replicas. Plain data.

import type { WatchedSnapshot } from "../stats/topology.ts";
import type { SentinelTopology } from "./sentinel.ts";
import { HELD, SERVED } from "./sentinel_shard.ts";

export function viewSentinels({ peers, shards, chronicle }: SentinelTopology): WatchedSnapshot {
  return {
    sentinels: peers.map((peer) => ({
      name: peer.name,
      subscribed: peer.isSubscribed,
      answered: peer.answeredAt,
      error: peer.error,
      tilt: peer.isTilted,
      configured: peer.configured,
    })),
    shards: shards.map(({ name, candidate, state, epoch, isDown, trouble, replicas }) => ({
      name,
      primary: `${candidate.host}:${candidate.port}`,
      state: state === SERVED ? "served" : state === HELD ? "held" : "seeking",
      epoch,
      down: isDown,
      trouble,
      replicas: replicas.map(({ host, port, isWell }) => ({
        name: `${host}:${port}`,
        well: isWell,
      })),
    })),
    look: chronicle.look,
    failovers: chronicle.failovers,
  };
}
