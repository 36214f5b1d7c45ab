// What the keys of a pool are to move to: another ring, a Redis Cluster, shards under Sentinels. Their
// servers are spoken to as the pool's own are; what differs is who they are and how they are followed.

import type { PoolConfig, RingConfig } from "./config/schema.ts";
import { ParkingLot } from "./exchange/park.ts";
import type { ScriptShelf } from "./exchange/scripts.ts";
import type { Address } from "./host.ts";
import type { Link } from "./link/link.ts";
import type { Clustering } from "./protocol/clustering.ts";
import type { Destination, MigrateRoute } from "./route/migrate.ts";
import { MovingRounds } from "./route/moving_rounds.ts";
import { RingRoute } from "./route/ring.ts";
import type { Rounds } from "./route/rounds.ts";
import type { Resendable, Route } from "./route/route.ts";
import { SentinelRoute } from "./route/sentinel.ts";
import { SlotRoute } from "./route/slots.ts";
import type { Way } from "./route/ways.ts";
import { type Parking, Server, Unavailable } from "./server/server.ts";
import { Shard } from "./server/shard.ts";
import type { PoolCounters } from "./stats/counters.ts";
import { type ClusterChange, ClusterTopology } from "./topology/cluster.ts";
import { type SentinelContext, SentinelTopology } from "./topology/sentinel.ts";

/** The pool, as far as its new servers have to know it. */
export interface HomeOwner extends SentinelContext {
  readonly config: PoolConfig;
  readonly counters: PoolCounters;
  readonly ring: RingRoute;
  readonly scripts: ScriptShelf | null;
  readonly words: Clustering;
  random(n: number): number;
  /** The new servers are others; these have gone. */
  homeChanged(gone: readonly Server[]): void;
  primaryFound(server: Server, links: readonly Link[] | null, wasDown: boolean): void;
}

export interface Home extends Destination {
  /** As metrics and pages name them. */
  readonly shards: readonly Shard[];
  /** Why keys cannot come back from there once they have moved; "" if they can. */
  readonly noReturn: string;
  /** Why no keys can be taken there now; "" if they can. */
  readonly notReady: string;
  /** It has database 0 only, and a key of the migration's own may belong to any server. */
  readonly isCluster: boolean;
  readonly lot: ParkingLot | null;
  /** The part of all keys (0 to 1) of each shard. */
  shares(): Float64Array;
  rebuild(): void;
  /** Where what has to wait asks for its server. */
  parkAt(route: MigrateRoute): void;
  start(): void;
  tick(now: number, late: number): void;
  stop(): void;
}

export function makeHome(owner: HomeOwner, ring: RingConfig): Home {
  if (ring.distribution === "cluster") return new ClusterHome(owner, ring);
  return ring.sentinels.length > 0 ? new SentinelHome(owner, ring) : new RingHome(owner, ring);
}

const ALONE = { now: 0, random: () => 0, ringChanged: () => {} };

function isSame(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port && a.path === b.path;
}

/** A plain ring, which may share servers with the old one. */
class RingHome implements Home {
  readonly route: RingRoute;
  readonly rounds: null;
  readonly shards: readonly Shard[];
  readonly noReturn: string;
  readonly notReady: string;
  readonly isCluster: boolean;
  readonly lot: null;

  constructor(owner: HomeOwner, ring: RingConfig) {
    this.rounds = null;
    this.noReturn = "";
    this.notReady = "";
    this.isCluster = false;
    this.lot = null;
    this.shards = ring.servers.map((config) => {
      const known = owner.servers.find(({ address }) => isSame(address, config.address));
      return new Shard(config.name, config.weight, known ?? new Server(owner, config));
    });
    this.route = new RingRoute(ALONE, { ...owner.config, ...ring }, this.shards);
    this.route.rebuild();
  }

  holder(buf: Uint8Array, start: number, end: number): Server | null {
    const server = this.route.pick(buf, start, end);
    return server instanceof Server ? server : null;
  }

  shares(): Float64Array {
    return this.route.shares();
  }

  rebuild(): void {
    this.route.rebuild();
  }

  parkAt(): void {}

  start(): void {}

  tick(): void {}

  stop(): void {}
}

/** The pool, with what the configuration says of the new servers. */
function surroundings(owner: HomeOwner, ring: RingConfig): HomeOwner {
  let last = owner.config;
  let merged: PoolConfig = { ...last, ...ring };
  const config = (): PoolConfig => {
    if (last !== owner.config) merged = { ...owner.config, ...ring };
    last = owner.config;
    return merged;
  };
  return {
    ...{ host: owner.host, buffers: owner.buffers, turn: owner.turn, slow: owner.slow },
    ...{ big: owner.big, name: owner.name, log: owner.log, retired: owner.retired },
    ...{ counters: owner.counters, ring: owner.ring, autoEject: false, keeps: true },
    ...{ servers: [], random: (n) => owner.random(n) },
    get now() {
      return owner.now;
    },
    get config() {
      return config();
    },
    get codec() {
      return owner.codec;
    },
    get lane() {
      return owner.lane;
    },
    get stopped() {
      return owner.stopped;
    },
    get scripts() {
      return owner.scripts;
    },
    get words() {
      return owner.words;
    },
    codecOf: (lane) => owner.codecOf(lane),
    handshakeOf: (lane) => owner.handshakeOf(lane),
    pushesOf: (lane) => owner.pushesOf(lane),
    mayComplain: () => owner.mayComplain(),
    serversChanged: () => {},
    homeChanged: (gone) => owner.homeChanged(gone),
    primaryFound: (server, links, wasDown) => owner.primaryFound(server, links, wasDown),
  };
}

/** Where what has no server waits, until the route is known that says who it is. */
class Waiting {
  readonly lot: ParkingLot;
  readonly nowhere: Unavailable;
  private route: MigrateRoute | null;

  constructor(context: HomeOwner) {
    this.route = null;
    this.lot = new ParkingLot(context, () => this.route as MigrateRoute);
    this.nowhere = new Unavailable("no primary", this.lot as Parking);
  }

  parkAt(route: MigrateRoute): void {
    this.route = route;
  }

  /** The request's place is as the new servers' own route counts them. */
  isBehind(request: Resendable, way: Way | null): boolean {
    const { place } = request;
    const before = this.route?.old.places ?? 0;
    return this.lot.isBehind({ ...request, place: place < 0 ? place : place + before }, way);
  }
}

/** Servers that are learned: what has none of them waits. */
abstract class LearnedHome implements Home {
  abstract readonly route: Route;
  abstract readonly rounds: Rounds | null;
  abstract readonly shards: readonly Shard[];
  abstract readonly noReturn: string;
  abstract readonly notReady: string;
  abstract readonly isCluster: boolean;
  protected abstract readonly topology: ClusterTopology | SentinelTopology;
  protected readonly waiting: Waiting;

  constructor(context: HomeOwner) {
    this.waiting = new Waiting(context);
  }

  abstract holder(buf: Uint8Array, start: number, end: number): Server | null;

  abstract shares(): Float64Array;

  get lot(): ParkingLot {
    return this.waiting.lot;
  }

  rebuild(): void {}

  parkAt(route: MigrateRoute): void {
    this.waiting.parkAt(route);
  }

  start(): void {
    void this.topology.start();
  }

  tick(now: number, late: number): void {
    this.topology.tick(now, late);
  }

  stop(): void {
    this.topology.stop();
    this.lot.stop();
  }
}

class ClusterHome extends LearnedHome implements ClusterChange {
  readonly route: Route;
  readonly rounds: Rounds;
  readonly noReturn: string;
  readonly isCluster: boolean;
  shards: readonly Shard[];
  private readonly owner: HomeOwner;
  protected readonly topology: ClusterTopology;
  private readonly slots: SlotRoute;

  constructor(owner: HomeOwner, ring: RingConfig) {
    const context = surroundings(owner, ring);
    super(context);
    this.owner = owner;
    this.noReturn = "a Redis Cluster has no key of the proxy's own beside another one";
    this.isCluster = true;
    this.shards = [];
    const { nowhere } = this.waiting;
    this.topology = new ClusterTopology(context, this);
    this.slots = new SlotRoute(context, this.topology, nowhere, this.waiting);
    this.route = this.slots;
    this.rounds = new MovingRounds(
      ...[this.topology, (n: number) => owner.random(n), nowhere.parking] as const,
      () => owner.ring.all(),
    );
  }

  get notReady(): string {
    if (!this.topology.known) return "no node of the cluster has told its map yet";
    const [none] = this.topology.map.counts();
    return none === 0 ? "" : `${none} slots of the cluster have no primary`;
  }

  holder(): null {
    return null;
  }

  clusterChanged(gone: readonly Server[]): void {
    const { owner, topology, shards } = this;
    const before = shards.map(({ primary }) => primary);
    this.shards = topology.servers.map((server) => new Shard(server.name, 1, server));
    for (const server of topology.servers) {
      if (!before.includes(server)) owner.scripts?.prepare(server, null);
    }
    this.lot.wake();
    owner.homeChanged(gone);
  }

  /** Each process asks for itself, as long as keys move. */
  mapTold(): void {}

  reconnect(server: Server): void {
    this.owner.primaryFound(server, server.renew(), false);
  }

  /** Never: other servers of the configuration are another migration. */
  clusterReplaced(): void {}

  shares(): Float64Array {
    return this.slots.shares(this.shards.map(({ primary }) => primary));
  }
}

class SentinelHome extends LearnedHome {
  readonly route: Route;
  readonly rounds: null;
  readonly noReturn: string;
  readonly isCluster: boolean;
  readonly shards: readonly Shard[];
  protected readonly topology: SentinelTopology;
  private readonly ring: RingRoute;

  constructor(owner: HomeOwner, ring: RingConfig) {
    const context = surroundings(owner, ring);
    super(context);
    this.rounds = null;
    this.noReturn = "";
    this.isCluster = false;
    this.shards = ring.servers.map(({ name, weight, ...one }) =>
      new Shard(name, weight, new Server(context, { name, weight, ...one }))
    );
    const servers = this.shards.map(({ primary }) => primary);
    const { lot, nowhere } = this.waiting;
    this.topology = new SentinelTopology(Object.assign(context, { servers }), {
      primaryFound(server, links, wasDown) {
        owner.primaryFound(server, links, wasDown);
        lot.wake();
      },
      replicasFound() {},
    });
    this.ring = new RingRoute(ALONE, context.config, this.shards);
    this.ring.rebuild();
    this.route = new SentinelRoute(context, this.ring, this.topology, nowhere);
  }

  get notReady(): string {
    const one = this.topology.shards.find((shard) => shard.isNew);
    return one === undefined ? "" : `nobody is known to be the primary of "${one.name}"`;
  }

  holder(buf: Uint8Array, start: number, end: number): Server | null {
    return this.topology.shards[this.ring.placeOf(buf, start, end)].server;
  }

  shares(): Float64Array {
    return this.ring.shares();
  }
}
