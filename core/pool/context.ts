// What a pool is given, and what it is made of.

import type { Limits } from "../client/context.ts";
import type { Hearings } from "../exchange/census.ts";
import type { ParkingLot } from "../exchange/park.ts";
import type { ScriptShelf } from "../exchange/scripts.ts";
import type { Host } from "../host.ts";
import type { PushSetting } from "../link/pushes.ts";
import type { Log } from "../log.ts";
import type { Codec, Handshake } from "../protocol/codec.ts";
import type { RingRoute } from "../route/ring.ts";
import type { SentinelRoute } from "../route/sentinel.ts";
import type { SlotRoute } from "../route/slots.ts";
import type { Route } from "../route/route.ts";
import type { LaneNumbers } from "../server/lanes.ts";
import type { Server } from "../server/server.ts";
import type { ClusterTopology, MapNews } from "../topology/cluster.ts";
import type { SentinelTopology } from "../topology/sentinel.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import type { Flushable, Turn } from "../wire/turn.ts";

/** What a pool is given by the proxy it is part of. */
export interface PoolContext {
  readonly host: Host;
  readonly log: Log;
  readonly limits: Limits;
  readonly version: string;
  readonly startedAt: number;
  readonly reusePort: boolean;
  /** Unix sockets are listened on too; false in all workers but one (see docs/operations.md). */
  readonly unixSockets: boolean;
  /** Tells other processes that share the pools of subscribed clients; null if there are none. */
  readonly hearings: ((hearings: Hearings) => void) | null;
  /** Tells them of a cluster's map; null if there are none. */
  readonly maps: ((news: MapNews) => void) | null;
  /** What all pools share: a client of one may use servers of another (front.ts). */
  readonly buffers: BufferPool;
  readonly turn: Turn<Flushable, Flushable>;
  readonly laneNumbers: LaneNumbers;
  /** Another route over the ring; null for the ring itself. */
  readonly routing: Routing | null;
}

/** A route that may send requests again: see route/route.ts. */
export type Routing = (
  ring: RingRoute,
  pool: { readonly servers: readonly Server[] },
) => Route;

/** What belongs to a lane: its codec, and what its links say first. */
export interface LaneSetting {
  readonly codec: Codec;
  readonly handshake: Handshake | null;
  /** Who hears what servers push on its links; null: nobody. */
  readonly pushes: PushSetting | null;
  /** Whose it is alone; "" when it is anybody's. */
  readonly user: string;
}

/** What a Redis Cluster's pool has beside. */
export interface Cluster {
  readonly topology: ClusterTopology;
  readonly lot: ParkingLot;
  readonly route: SlotRoute;
  readonly scripts: ScriptShelf;
}

/** What a pool has beside whose primaries Sentinels tell. */
export interface Watched {
  readonly topology: SentinelTopology;
  readonly lot: ParkingLot;
  readonly route: SentinelRoute;
}
