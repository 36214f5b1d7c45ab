// One pool: what it listens for, the servers behind it, and what all its clients share. It puts the
// floors together; nothing of it is on the data path.

import { Client } from "./client/client.ts";
import { Pause } from "./client/pause.ts";
import type { ClientContext, Limits, Ticking } from "./client/context.ts";
import {
  clientConnected,
  clientFailsAtHeader,
  clientFailsAtTls,
  clientRefused,
} from "./client/journal.ts";
import { codecChanges, connectionsChange, tickChanges } from "./config/keys.ts";
import {
  type MigrateConfig,
  type PoolConfig,
  protocolOf,
  type RingConfig,
} from "./config/schema.ts";
import { Front, type FrontOwner, type LaneOfFront, makeMeter, type PoolBehind } from "./front.ts";
import { type Home, type HomeOwner, makeHome } from "./home.ts";
import type { Hearings } from "./exchange/census.ts";
import type { Meter } from "./exchange/meter.ts";
import { Migration } from "./exchange/migrate/migration.ts";
import { type Moves, viewMigration } from "./exchange/migrate/moves.ts";
import { DONE, fingerprint, type MigrationContext } from "./exchange/migrate/phases.ts";
import { NearCache } from "./exchange/near_cache.ts";
import { ParkingLot } from "./exchange/park.ts";
import { PullMigration } from "./exchange/pull/pull_migration.ts";
import { RequestPool } from "./exchange/request.ts";
import { ScriptShelf } from "./exchange/scripts.ts";
import { Topics, type TopicsContext } from "./exchange/topics.ts";
import { SKEW, WarmRing } from "./exchange/warm_ring.ts";
import { Paper } from "./exchange/judge.ts";
import { RouteTallies } from "./stats/routes.ts";
import type { Address, Host, Socket, Timer } from "./host.ts";
import { LimitedLog } from "./limit.ts";
import { type Link, READY } from "./link/link.ts";
import type { PushListener, PushSetting } from "./link/pushes.ts";
import { BigWatch } from "./link/big_watch.ts";
import { RetiredLinks } from "./link/retired.ts";
import { SlowLog } from "./link/slow_log.ts";
import { PoolListener } from "./listener.ts";
import type { Log } from "./log.ts";
import { Lateness } from "./lateness.ts";
import { type Codec, type Facts, type Handshake, Scan, type Session } from "./protocol/codec.ts";
import type { Clustering } from "./protocol/clustering.ts";
import type { Scripts } from "./protocol/scripts.ts";
import { newCodec } from "./protocol/mod.ts";
import { CHANNEL, PATTERN, SHARD } from "./protocol/publishing.ts";
import { BOTH, MigrateRoute, NEW } from "./route/migrate.ts";
import { ReplicaRoute } from "./route/replicas.ts";
import { RingRoute } from "./route/ring.ts";
import { SentinelRoute } from "./route/sentinel.ts";
import { SlotRoute } from "./route/slots.ts";
import type { Route } from "./route/route.ts";
import { type LaneNumbers, Lanes, NO_LANE } from "./server/lanes.ts";
import { shareOf } from "./server/shares.ts";
import { Reading } from "./server/reading.ts";
import { intervalOf } from "./server/replicas.ts";
import { OTHERS, Transfer } from "./exchange/transfer.ts";
import { FormerRoute } from "./route/former.ts";
import { type Parking, type Server, Unavailable } from "./server/server.ts";
import { Shard } from "./server/shard.ts";
import {
  infoFields,
  newPoolCounters,
  type PoolCounters,
  type SeenPoolCounters,
} from "./stats/counters.ts";
import { HotKeys } from "./stats/hot_keys.ts";
import { CLASS_OTHER } from "./stats/latency.ts";
import type { PoolSnapshot } from "./stats/snapshot.ts";
import { Throttle } from "./throttle.ts";
import { ClusterTopology, type MapNews } from "./topology/cluster.ts";
import { viewCluster } from "./topology/cluster_view.ts";
import { SentinelTopology } from "./topology/sentinel.ts";
import { viewSentinels } from "./topology/sentinel_view.ts";
import { changeNamed, changeShards, makeShards } from "./topology/static.ts";
import { logRefused, usersOf } from "./users.ts";
import type { BufferPool } from "./wire/out_buffer.ts";
import type { Flushable, Turn } from "./wire/turn.ts";

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
export type Routing = (ring: RingRoute, pool: Pool) => Route;

/** What belongs to a lane: its codec, and what its links say first. */
interface LaneSetting {
  readonly codec: Codec;
  readonly handshake: Handshake | null;
  /** Who hears what servers push on its links; null: nobody. */
  readonly pushes: PushSetting | null;
  /** Whose it is alone; "" when it is anybody's. */
  readonly user: string;
}

/** What a Redis Cluster's pool has beside. */
interface Cluster {
  readonly topology: ClusterTopology;
  readonly lot: ParkingLot;
  readonly route: SlotRoute;
  readonly scripts: ScriptShelf;
}

/** What a pool has beside whose primaries Sentinels tell. */
interface Watched {
  readonly topology: SentinelTopology;
  readonly lot: ParkingLot;
  readonly route: SentinelRoute;
}

export function hasSentinels({ sentinels }: PoolConfig): boolean {
  return sentinels.length > 0;
}

/** What a pool's servers are: those it names, a cluster's, those that Sentinels tell of. */
const RING = "";

/** Pools of another kind have another route, and other servers. */
function kindOf(config: PoolConfig): string {
  const kinds = { cluster: isCluster(config), sentinels: hasSentinels(config) };
  const reads = isReading(config);
  return Object.entries({ ...kinds, reads }).flatMap(([kind, is]) => is ? [kind] : []).join();
}

export function isCluster({ distribution }: PoolConfig): boolean {
  return distribution === "cluster";
}

/** What a ring is made of, and where else its keys may go. */
const RING_KEYS = ["servers", "hash", "hash_tag", "distribution", "migrate", "sentinels"];

function ringOf({ servers, hash, hash_tag, distribution }: RingConfig): unknown[] {
  const ones = servers.map(({ name, weight, address: { host, port, path } }) =>
    [name, weight, host, port, path].join(" ")
  );
  return [ones, hash, hash_tag, distribution];
}

/** Part of all requests for keys that makes a key hot. */
const HOT = 0.01;

/** How long (ms) a node that has gone may take to answer what it was sent. */
const RETIREMENT = 10_000;
/** The same, of one that Sentinels call down; and of one that they tell to become a replica. */
const DEAD = 1000;
const DEMOTION = 15_000;

/** Errors for requests that were not answered in time. */
const REMOVED = "the server is not in the pool any more";
const REPLACED = "the connection to the server was replaced";

/** Most and least of a pool's tick (ms): see `tickOf`. */
const TICK = 100;
const SHORTEST_TICK = 5;

/** Whether a pool reads from replicas, or may after a reload. */
export function isReading({ reads }: PoolConfig): boolean {
  return reads !== undefined;
}

/** How often (ms) a pool looks after its timeouts: a tenth of them late is early enough. */
function tickOf({ timeout, health_check, reads }: PoolConfig): number {
  const times = [TICK * 10];
  if (reads !== undefined) times.push(intervalOf(reads) * 5);
  if (timeout > 0) times.push(timeout);
  if (health_check !== undefined) times.push(health_check.interval, health_check.timeout);
  return Math.max(SHORTEST_TICK, Math.min(...times) / 10);
}

/** Whether a pool with this address listens nowhere: it is of use to others only. */
function isNowhere({ host, path, port }: Address): boolean {
  return host === "" && path === "" && port === 0;
}

export class Pool implements ClientContext, TopicsContext, FrontOwner, PoolBehind, HomeOwner {
  readonly name: string;
  readonly label: string;
  config: PoolConfig;
  readonly host: Host;
  /** Repeated lines are held back. */
  readonly log: LimitedLog;
  readonly slow: SlowLog;
  readonly hot: HotKeys;
  near: NearCache | null;
  readonly big: BigWatch;
  readonly limits: Limits;
  /** The one every client starts with: see `Codec.dialects`. */
  codec: Codec;
  /** The lane every client starts with. */
  lane: number;
  bareLane: number;
  readonly buffers: BufferPool;
  readonly requests: RequestPool;
  readonly turn: Turn<Flushable, Flushable>;
  /** What the ring names, and the servers that have it now. */
  shards: readonly Shard[];
  servers: readonly Server[];
  readonly ring: RingRoute;
  route: Route;
  /** Null: keys stay where they are. */
  migration: Moves | null;
  /** What they may move to. */
  private home: Home | null;
  /** Null: servers have no scripts. */
  private readonly shelf: ScriptShelf | null;
  /** Null: keys go to its own servers. */
  readonly front: Front | null;
  readonly fronts: Map<string, FrontOwner>;
  meter: Meter | null;
  /** It has been a target. */
  private wasBehind: boolean;
  /** Null: the servers are those of the configuration. */
  cluster: Cluster | null;
  /** Null: no Sentinels are asked who the primaries are. */
  watched: Watched | null;
  keeps: boolean;
  /** Null: only primaries are read from. */
  reading: Reading | null;
  readonly topics: Topics;
  readonly clients: Set<Client>;
  readonly pause: Pause;
  /** Clients that were told all and have not closed yet. */
  readonly lingering: Set<Client>;
  /** Clients that have a link of their own. */
  private readonly holding: Set<Client>;
  private readonly monitorings: Set<Ticking>;
  /** Bytes of replies that clients have not read. */
  private unreadBytes: number;
  readonly counters: PoolCounters;
  autoEject: boolean;
  /** Links are closed by us: no server has failed. */
  stopped: boolean;
  /** Coarse monotonic time (ms), renewed every tick: no clock is read on the data path. */
  now: number;
  scan: Scan;
  /** Kinds of links that clients use. */
  private lanes: Lanes<LaneSetting>;
  private nextId: number;
  /** Where it listens; null when it does not. */
  listener: PoolListener | null;
  readonly retired: RetiredLinks;
  /** When (pool time) keys are not looked for at servers of before any more. */
  private warmUntil: number;
  private timer: Timer | null;
  private lateness: Lateness;
  private readonly context: PoolContext;
  /** Of clients and servers that fail at TLS. */
  private readonly complaints: Throttle;

  constructor(config: PoolConfig, context: PoolContext) {
    const { host, log, limits } = context;
    this.context = context;
    this.complaints = new Throttle();
    this.config = config;
    this.name = config.name;
    this.label = `pool "${config.name}"`;
    this.host = host;
    this.log = new LimitedLog(log, () => host.now());
    this.slow = new SlowLog(this.label, log);
    this.slow.tick(0, config.slowlog_ms);
    this.limits = limits;
    this.buffers = context.buffers;
    this.requests = new RequestPool();
    this.turn = context.turn;
    this.fronts = new Map();
    this.wasBehind = false;
    this.meter = null;
    this.codec = this.makeCodec();
    this.front = config.routes === undefined ? null : new Front(this);
    this.lanes = this.makeLanes();
    this.lane = this.enterLane(this.codec.newSession(0, "", 0), this.codec);
    this.bareLane = this.enterBareLane();
    this.keeps = this.mustKeep;
    this.clients = new Set();
    this.pause = new Pause(host, this.clients);
    this.lingering = new Set();
    this.holding = new Set();
    this.monitorings = new Set();
    this.unreadBytes = 0;
    this.counters = newPoolCounters();
    this.near = null;
    this.hot = new HotKeys(host.random(0x7fffffff) + 1, host.now());
    this.big = new BigWatch(config.big_key, this.slow, this.counters, () => host.wallClock());
    this.autoEject = config.auto_eject_hosts;
    this.stopped = false;
    this.now = host.now();
    this.scan = new Scan();
    this.nextId = 1;
    this.listener = null;
    this.retired = new RetiredLinks();
    this.warmUntil = Infinity;
    this.timer = null;
    this.lateness = new Lateness(TICK, 0);
    this.topics = new Topics(this, context.hearings);
    const { scripts } = this.codec;
    this.shelf = scripts === null ? null : new ScriptShelf(scripts, this);
    this.shards = [];
    this.servers = [];
    this.ring = new RingRoute(this, config, []);
    this.cluster = null;
    this.watched = null;
    this.route = this.ring;
    this.migration = null;
    this.home = null;
    this.reading = null;
    this.compose();
    this.near = this.makeNear();
    this.ring.rebuild();
  }

  /** Servers have to keep what they are sent: it may be sent again. */
  private get mustKeep(): boolean {
    const { config, context } = this;
    return context.routing !== null || kindOf(config) !== RING;
  }

  /** Makes servers and a route of the configuration, in the place of those there are. */
  private compose(): void {
    const { config, context } = this;
    this.shards = isCluster(config) ? [] : makeShards(this, config.servers);
    this.servers = this.shards.map(({ primary }) => primary);
    this.ring.change(config, this.shards);
    this.cluster = isCluster(config) ? this.makeCluster() : null;
    this.watched = hasSentinels(config) ? this.makeWatched() : null;
    if (this.cluster !== null) this.route = this.cluster.route;
    else if (this.watched !== null) this.route = this.watched.route;
    else if (this.front !== null) this.route = this.front.route;
    else this.route = context.routing === null ? this.ring : context.routing(this.ring, this);
    if (config.migrate !== undefined) this.prepareMigration(config.migrate);
    this.reading = isReading(config) ? new Reading(this, isCluster(config)) : null;
    if (this.reading === null) return;
    this.reading.change(this.shards);
    this.route = new ReplicaRoute(this.route, this);
  }

  /**
   * Goes over to servers of another kind: a ring's, a cluster's, those that Sentinels tell of. All of
   * them are others, also where they have the same addresses. What is in flight is answered by the
   * old ones; what those refuse goes to the new ones.
   */
  private remake(deadline: number): void {
    const { cluster, watched, reading, home, turn, codec } = this;
    const before = this.own;
    const transfer = new Transfer(this);
    const error = codec.failure(OTHERS);
    const former = new FormerRoute(this, this.words, error, transfer);
    cluster?.topology.stop();
    watched?.topology.stop();
    reading?.stop();
    this.migration?.stop();
    this.migration = null;
    this.home?.stop();
    this.home = null;
    this.keeps = this.mustKeep;
    this.compose();
    turn.enter();
    for (const server of before) {
      server.former = former;
      const links = server.retire();
      this.retire(server, links, deadline);
      // What was not handed to it goes over, where it is known.
      for (const link of links) if (server.keeps && link.state !== READY) link.discard();
    }
    this.ring.rebuild();
    (cluster ?? watched ?? home)?.lot?.moveTo(transfer);
    for (const client of this.clients) client.moveOver();
    turn.leave();
    if (this.timer === null) return;
    (this.migration as Moves | null)?.begin();
    (this.home as Home | null)?.start();
    const topology = this.cluster?.topology ?? this.watched?.topology;
    if (topology === undefined) return this.connectAhead();
    // Until it is known who the servers are "all of them" has no meaning.
    this.pause.hold();
    void topology.start().then(() => this.pause.release());
  }

  /** Other servers, which are spoken to as the pool's own are. */
  private prepareMigration({ ring, to, rate, big_key: bigKey }: MigrateConfig): Moves {
    const home = makeHome(this, ring);
    const route = new MigrateRoute(this.ring, home);
    home.parkAt(route);
    this.home = home;
    this.gatherServers();
    const id = fingerprint(JSON.stringify([ringOf(this.config), ringOf(ring)]));
    // deno-lint-ignore no-this-alias -- of getters
    const pool = this;
    const { name, label, log, host, turn, clients } = this;
    const context: MigrationContext = {
      ...{ name, label, log, host, turn, clients, rate, bigKey },
      lines: ring.servers.map(({ text }) => text),
      get lane() {
        return pool.lane;
      },
      get codec() {
        return pool.codec;
      },
      barrierBegins: () => {
        for (const server of route.next.all(0)) {
          if (!route.old.all().includes(server)) this.shelf?.prepare(server, null);
        }
      },
      topicsChanged: () => this.topics.rebalance(),
      topicsSettled: () => this.topics.isSettled,
      routeChanged: () => this.ringChanged(),
      codecOf: (lane) => this.codecOf(lane),
    };
    const Kind = this.codec.migrating !== null ? Migration : PullMigration;
    const migration = new Kind(context, route, id, {
      name: to,
      isCluster: home.isCluster,
      noReturn: home.noReturn,
      get notReady() {
        return home.notReady;
      },
      parts: () => {
        const shares = home.shares();
        return home.shards.map(({ primary: server }, i) => ({ server, part: shares[i] }));
      },
    });
    this.migration = migration;
    this.route = route;
    return migration;
  }

  /** Those of the ring, and those its keys are to move to. */
  private gatherServers(): void {
    const shards = [...this.shards, ...this.home?.shards ?? []];
    this.servers = [...new Set(shards.map(({ primary }) => primary))];
  }

  homeChanged(gone: readonly Server[]): void {
    if (this.home === null) return;
    this.gatherServers();
    for (const server of gone) this.retire(server, server.retire(), this.now + RETIREMENT);
    if (this.isOnward) this.ringChanged();
    else this.topics.rebalance();
  }

  get broadcasters(): readonly Server[] {
    return this.home === null ? this.servers : this.home.shards.map(({ primary }) => primary);
  }

  /** Commands go to the servers that keys were to move to. */
  private get isOnward(): boolean {
    const { route } = this;
    return route instanceof MigrateRoute && (route.stage === BOTH || route.stage === NEW);
  }

  /** Topics are heard where the other ring has them too, while some may publish there. */
  get secondRoute(): Route | null {
    const { migration } = this;
    return migration !== null && migration.isTwofold ? migration.route.other : null;
  }

  /** Why the pool cannot change its ring now; "" if it can. */
  refusal(config: PoolConfig, keys: ReadonlySet<string>): string {
    const { migration } = this;
    if (migration === null || !migration.isFixed || !RING_KEYS.some((key) => keys.has(key))) {
      return "";
    }
    if (migration.phase === DONE && config.migrate === undefined && this.hasArrived(config)) {
      return "";
    }
    return `pool "${this.name}": its keys move to other servers (phase ${migration.phase}); until ` +
      "that is done its servers, hash, hash_tag, distribution and migrate cannot change, and then " +
      "only to those of the pool they have moved to";
  }

  private hasArrived(config: PoolConfig): boolean {
    const { migrate } = this.config;
    return migrate !== undefined &&
      JSON.stringify(ringOf(migrate.ring)) === JSON.stringify(ringOf(config));
  }

  /** Shards have other replicas, or other primaries; or the policy is another one. */
  private replicasChanged(deadline: number): void {
    if (this.reading === null) return;
    for (const server of this.reading.change(this.shards)) {
      this.retire(server, server.retire(), deadline);
    }
  }

  private makeCluster(): Cluster {
    const topology = new ClusterTopology(this, this);
    const lot: ParkingLot = new ParkingLot(this, () => route);
    const nowhere = new Unavailable("no primary", lot as Parking);
    const route: SlotRoute = new SlotRoute(this, topology, nowhere, lot);
    return { topology, lot, route, scripts: new ScriptShelf(this.codec.scripts as Scripts, this) };
  }

  private makeWatched(): Watched {
    const topology = new SentinelTopology(this, this);
    const lot: ParkingLot = new ParkingLot(this, () => route);
    const nowhere = new Unavailable("no primary", lot as Parking);
    const route: SentinelRoute = new SentinelRoute(this, this.ring, topology, nowhere);
    return { topology, lot, route };
  }

  /** A shard has a primary (again). */
  primaryFound(server: Server, links: readonly Link[] | null, wasDown: boolean): void {
    if (links !== null) {
      // What was not handed over goes to the new one; the old one is to get nothing more.
      // What waits there (BLPOP) would wait for what comes to the new one.
      for (const link of links) {
        if (link.state !== READY || link.out.unhanded > 0 || link.patience > 0) link.discard();
      }
      this.retire(server, links, this.now + (wasDown ? DEAD : DEMOTION));
      this.topics.renewAt(server);
      this.reading?.primaryMoved(server);
      for (const client of this.clients) client.pushesLost();
    }
    if (this.config.preconnect) server.connect();
    this.watched?.lot.wake();
  }

  /** Sentinels name other replicas of a shard, or say otherwise how they are. */
  replicasFound(server: Server): void {
    const shard = this.shards.find(({ primary }) => primary === server);
    if (shard === undefined || this.watched === null) return;
    shard.replicas = this.watched.topology.replicasOf(server).map(({ host, port }) => {
      const name = `${host}:${port}`;
      return { name, address: { host, port, path: "", mode: -1 }, weight: 1, text: `${name}:1` };
    });
    this.replicasChanged(this.now + RETIREMENT);
  }

  get words(): Clustering {
    return this.codec.clustering as Clustering;
  }

  /** Nodes of the cluster have come, or gone, or slots have moved. */
  clusterChanged(gone: readonly Server[]): void {
    const { topology, lot, scripts } = this.cluster as Cluster;
    const before = this.servers;
    this.servers = topology.servers;
    if (before.length > 0) {
      for (const server of this.servers) {
        if (!before.includes(server)) scripts.prepare(server, this.modelFor(server, before));
      }
    }
    this.shards = this.servers.map((server) =>
      new Shard(server.name, 1, server, topology.replicasOf(server))
    );
    this.replicasChanged(this.now + RETIREMENT);
    // What a node that has gone has not answered goes to others, as far as that is safe.
    for (const server of gone) this.retire(server, server.retire(), this.now + RETIREMENT);
    lot.wake();
    this.ringChanged();
  }

  mapTold(news: MapNews): void {
    this.context.maps?.(news);
  }

  /** Of whom a server that has come gets its functions; null: it has them, having been a replica. */
  private modelFor(server: Server, before: readonly Server[]): Server | null {
    if (!this.idleServers().includes(server)) return null;
    return before.find((one) => !one.removed) ?? null;
  }

  get scripts(): ScriptShelf | null {
    return this.cluster?.scripts ?? this.shelf;
  }

  idleServers(): Server[] {
    if (this.cluster === null && this.home === null) return [];
    const busy = this.cluster?.route.all() ?? this.route.all(CLASS_OTHER);
    return this.servers.filter((server) => !busy.includes(server));
  }

  private makeCodec(): Codec {
    const { config, host, label, log } = this;
    const refused = logRefused(label, log, () => host.now());
    return newCodec(protocolOf(config), {
      auth: config.redis_auth,
      user: config.redis_user,
      users: usersOf(config, label, refused),
      refused,
      db: config.redis_db,
      maxRequest: this.limits.request,
      hashTag: isCluster(config) ? "{}" : config.hash_tag,
      clustered: isCluster(config) || config.migrate?.ring.distribution === "cluster",
      ...(config.cluster?.act_as_node && { asNode: { addresses: config.cluster.address_map } }),
      commands: config.commands,
      migrating: config.migrate !== undefined,
    }, this.facts());
  }

  /** Listens, and connects to the servers if the pool is to do so in advance. */
  async start(): Promise<void> {
    this.keepTime();
    this.home?.start();
    this.migration?.begin();
    if (this.cluster !== null) await this.cluster.topology.start();
    if (this.watched !== null) await this.watched.topology.start();
    if (this.listens) {
      this.listener = await PoolListener.open(this.host, this, this.context.reusePort);
    }
    this.connectAhead();
  }

  /** Begins to keep time, and connects in advance if it is to do so; a reload has given it a listener. */
  begin(): void {
    this.keepTime();
    this.home?.start();
    this.migration?.begin();
    void this.cluster?.topology.start();
    void this.watched?.topology.start();
    this.connectAhead();
  }

  private connectAhead(): void {
    if (!this.config.preconnect || this.watched !== null) return;
    for (const server of this.own) {
      server.connect();
    }
  }

  /** Servers that no other pool has. */
  private get own(): readonly Server[] {
    if (this.front !== null) return [];
    return this.reading === null ? this.servers : [...this.servers, ...this.reading.servers];
  }

  private keepTime(): void {
    this.timer?.cancel();
    const interval = tickOf(this.config);
    this.lateness = new Lateness(interval, this.host.now());
    this.timer = this.host.every(interval, () => this.tick());
  }

  /** Whether this process listens for it. */
  get listens(): boolean {
    return this.listensOn(this.config.listen);
  }

  listensOn(address: Address): boolean {
    if (isNowhere(address)) return false;
    return this.context.unixSockets || address.path === "";
  }

  /** Stops accepting; what is connected lives on. */
  stopListening(): void {
    this.listener?.close();
    this.listener = null;
  }

  /**
   * Goes on with another configuration of the same name. Clients stay, and so do the connections,
   * counters and health of servers that stay; nothing in flight is lost. Where it listens is seen
   * to by Proxy.reload.
   */
  change(config: PoolConfig, keys: ReadonlySet<string>, patience: number): void {
    const before = this.config;
    this.config = config;
    this.autoEject = config.auto_eject_hosts;
    this.big.limit(config.big_key);
    this.now = this.host.now();
    if (this.timer !== null && tickChanges(keys)) this.keepTime();
    const isOther = kindOf(before) !== kindOf(config);
    const reconnect = connectionsChange(keys) || isOther;
    if (codecChanges(keys) || reconnect) {
      this.changeCodec(protocolOf(before) === protocolOf(config), reconnect);
    }
    if (keys.has("near_cache") || codecChanges(keys) || reconnect) this.renewNear();
    const deadline = this.now + patience;
    if (isOther) {
      this.remake(deadline);
      if (this.near !== null || config.near_cache !== undefined) this.renewNear();
      return;
    }
    if (this.cluster !== null) return this.changeCluster(this.cluster, reconnect, deadline);
    if (this.front !== null) return;
    const remade = RING_KEYS.some((key) => keys.has(key));
    const arrived = remade && this.migration?.phase === DONE ? before.migrate?.ring : undefined;
    const base = arrived === undefined ? this.shards : this.home?.shards ?? [];
    const from = arrived === undefined ? before.servers : arrived.servers;
    const { shards } = this.watched === null
      ? changeShards(this, base, from, config.servers)
      : changeNamed(this, this.shards, config.servers);
    const servers = this.servers;
    const ringBefore = this.shardsToWarmFrom(before, config, keys);
    this.shards = shards;
    if (remade) {
      this.migration?.stop();
      this.migration = null;
      this.home?.stop();
      this.home = null;
      this.servers = shards.map(({ primary }) => primary);
      this.ring.change(config, shards);
      if (this.route instanceof MigrateRoute) this.route = this.ring;
      if (config.migrate !== undefined) {
        this.prepareMigration(config.migrate).begin();
        (this.home as Home | null)?.start();
      }
      for (const client of this.clients) client.settleMode();
    } else if (this.migration === null) this.servers = shards.map(({ primary }) => primary);
    const removed = servers.filter((server) => !this.servers.includes(server));
    for (const server of removed) this.retire(server, server.retire(), deadline);
    for (const server of this.servers) {
      if (reconnect) this.retire(server, server.renew(), deadline);
      if (!this.autoEject && config.health_check === undefined) server.live = true;
      if (config.preconnect && this.watched === null) server.connect();
    }
    if (reconnect) this.renewReplicas(deadline);
    this.replicasChanged(deadline);
    if (this.watched !== null) this.changeWatched(this.watched, keys);
    this.ring.change(config, shards);
    this.ring.rebuild();
    if (ringBefore !== null) this.warmFrom(before, ringBefore);
    if (reconnect) this.topics.renew();
  }

  /** Of a discovered ring that changes: what it was, if its keys are to be brought from there. */
  private shardsToWarmFrom(
    before: PoolConfig,
    { discovery }: PoolConfig,
    keys: ReadonlySet<string>,
  ): Shard[] | null {
    if (discovery?.migrate !== "auto" || before.servers.length === 0 || !keys.has("servers")) {
      return null;
    }
    // Weights of those that stay change in place.
    return before.servers.flatMap(({ name, weight }) => {
      const shard = this.shards.find((one) => one.name === name);
      return shard === undefined ? [] : [new Shard(name, weight, shard.primary)];
    });
  }

  private warmFrom(before: PoolConfig, shards: readonly Shard[]): void {
    // deno-lint-ignore no-this-alias -- of getters
    const pool = this;
    const surroundings = {
      get now() {
        return pool.now;
      },
      random: (n: number) => this.host.random(n),
      ringChanged: () => {},
    };
    const old = new RingRoute(surroundings, before, shards);
    old.rebuild();
    const since = this.now;
    const { min = 0, migrate_for = 0 } = this.config.discovery ?? {};
    const skew = SKEW * min;
    const context = {
      ...{ buffers: this.buffers, counters: this.counters, turn: this.turn, kept: 0 },
      get now() {
        return pool.now;
      },
      get lane() {
        return pool.lane;
      },
      get seconds() {
        return Math.floor(pool.host.wallClock() / 1000);
      },
      get onlyReads() {
        return pool.now - since < skew;
      },
      paper: new Paper(this.buffers),
      tallies: new RouteTallies(),
      laneOf: () => this,
      retry: () => {},
      random: (n: number) => this.host.random(n),
    };
    this.route = new WarmRing(context, this.ring, old);
    this.warmUntil = since + migrate_for;
    this.log.notice(
      `${this.label}: keys that have another server now are brought from the one they had`,
      { event: "warm_begin" },
    );
  }

  /** What is brought from a ring of before ends. */
  private coolDown(): void {
    this.warmUntil = Infinity;
    if (!(this.route instanceof WarmRing)) return;
    this.route = this.ring;
    this.log.notice(`${this.label}: keys are not looked for at earlier servers any more`, {
      event: "warm_end",
    });
  }

  private renewReplicas(deadline: number): void {
    for (const server of this.reading?.servers ?? []) this.retire(server, server.renew(), deadline);
    this.reading?.renew();
  }

  /** What was read with other settings, passwords or connections is forgotten. */
  private renewNear(): void {
    this.near?.stop();
    this.near = this.makeNear();
    for (const client of this.clients) client.settleMode();
  }

  private makeNear(): NearCache | null {
    const { near_cache } = this.config;
    return near_cache === undefined || (this.codec.caching ?? this.codec.near) === undefined
      ? null
      : new NearCache(this, near_cache);
  }

  private changeWatched({ topology }: Watched, keys: ReadonlySet<string>): void {
    if (keys.has("sentinels") || keys.has("sentinel")) topology.changeSentinels();
    else topology.change();
    topology.refresh("the configuration has changed", true);
  }

  private changeCluster({ topology }: Cluster, reconnect: boolean, deadline: number): void {
    if (reconnect) this.renewReplicas(deadline);
    this.replicasChanged(deadline);
    if (reconnect) {
      for (const server of this.servers) this.retire(server, server.renew(), deadline);
      topology.renew();
      this.topics.renew();
    }
    topology.refresh();
  }

  /** Links that are closed when they have answered, at `deadline` (pool time) at the latest. */
  private retire(server: Server, links: readonly Link[], deadline: number): void {
    const why = server.removed ? REMOVED : REPLACED;
    for (const link of links) {
      this.retired.add({
        ...{ link, deadline, why, alone: server.removed },
        gone: () => server.forget(link),
      });
    }
  }

  /** New clients get the new codec at once; those that are there too, if they can. */
  private changeCodec(sameProtocol: boolean, reconnect: boolean): void {
    const before = this.codec;
    this.codec = this.makeCodec();
    const session = this.codec.newSession(0, "", 0);
    if (reconnect) {
      this.front?.forgetLanes();
      this.lanes.dispose();
      this.lanes = this.makeLanes();
      for (const front of this.fronts.values()) front.enterAgain(this);
      this.lane = this.enterLane(session, this.codec);
      this.bareLane = this.enterBareLane();
      // The numbers of the old lanes mean nothing here, also not to a client that only finishes.
      for (const client of this.clients) client.lane = this.enterLane(session, this.codec);
    }
    const old = before.newSession(0, "", 0);
    for (const client of this.clients) {
      if (sameProtocol) client.changeCodec(old, session, reconnect);
      else client.finish(); // it speaks what nobody here understands any more
    }
  }

  /** Asks all clients to leave: see Client.leave. True when none is left. */
  dismiss(): boolean {
    this.now = this.host.now();
    for (const client of [...this.clients]) client.leave();
    const isUsed = [...this.fronts.values()].some(({ clients }) => clients.size > 0);
    if (this.wasBehind && (isUsed || this.inFlight() > 0)) return false;
    return this.clients.size === 0;
  }

  /** Drops every connection. */
  stop(): void {
    this.stopListening();
    this.stopped = true;
    this.timer?.cancel();
    this.pause.end();
    for (const client of [...this.clients]) client.drop("the proxy stops");
    this.migration?.stop();
    this.home?.stop();
    this.cluster?.topology.stop();
    this.reading?.stop();
    this.cluster?.lot.stop();
    this.watched?.topology.stop();
    this.watched?.lot.stop();
    this.front?.stop();
    for (const server of this.own) server.stop();
    this.near?.stop();
    this.topics.stop();
    this.retired.drop();
  }

  /** Requests that wait for replies, without those that may wait long. */
  inFlight(): number {
    let sum = 0;
    for (const server of this.own) {
      for (const link of server.connections) if (link.patience === 0) sum += link.inFlight;
    }
    return sum;
  }

  /** The port listened on; 0 for a unix socket. */
  get port(): number {
    return this.listener?.port || this.config.listen.port;
  }

  accept(socket: Socket, unknown: number): Client | null {
    if (!this.hasRoom(socket.remote, unknown)) {
      const why = this.codec.failure("max number of clients reached");
      socket.write(why, 0, why.length);
      return null;
    }
    const client = new Client(this, socket, this.nextId++);
    this.clients.add(client);
    this.counters.client_connections++;
    this.counters.accepted++;
    clientConnected(client, this.clients.size);
    return client;
  }

  /** Whether one more may come in, beside `others` that are about to; tells the log if not. */
  hasRoom(remote: string, others: number): boolean {
    const most = this.config.client_connections;
    if (most === 0 || this.clients.size + others < most) return true;
    clientRefused(this, remote, most);
    return false;
  }

  /** A client is turned away because of TLS. */
  handshakeFailed(remote: string, why: string): void {
    if (this.complaints.allow(this.host.now())) {
      clientFailsAtTls(this, remote, why, this.complaints.more);
    }
  }

  headerFailed(remote: string, why: string): void {
    this.counters.header_errors++;
    if (this.complaints.allow(this.host.now())) {
      clientFailsAtHeader(this, remote, why, this.complaints.more);
    }
  }

  closed(client: Client): void {
    this.clients.delete(client);
    this.lingering.delete(client);
    this.counters.client_connections--;
  }

  lingers(client: Client): void {
    this.lingering.add(client);
  }

  holds(client: Client, on: boolean): void {
    if (on) this.holding.add(client);
    else this.holding.delete(client);
  }

  monitors(monitoring: Ticking, on: boolean): void {
    if (on) this.monitorings.add(monitoring);
    else this.monitorings.delete(monitoring);
  }

  unread(bytes: number): void {
    this.unreadBytes += bytes;
    const most = this.limits.allOutput;
    if (bytes < 0 || this.unreadBytes <= most) return;
    let worst: Client | null = null;
    for (const client of this.clients) {
      if (worst === null || client.out.size > worst.out.size) worst = client;
    }
    const size = worst?.out.size ?? 0;
    worst?.cutOff(`did not read ${size} bytes of replies, and all clients more than ${most}`);
  }

  mayComplain(): boolean {
    return this.complaints.allow(this.host.now());
  }

  private tick(): void {
    const now = this.host.now();
    const late = this.lateness.at(now);
    this.now = now;
    if (now >= this.warmUntil) this.coolDown();
    const { config } = this;
    this.cluster?.topology.tick(now, late);
    this.watched?.topology.tick(now, late);
    this.home?.tick(now, late);
    for (const server of this.own) server.tick(now, late);
    this.reading?.tick(late);
    this.front?.retries.tick(now);
    this.topics.tick(now, config.timeout, late);
    for (const monitoring of this.monitorings) monitoring.tick(now, config.timeout, late);
    for (const client of this.lingering) client.tick(now, late);
    this.retired.tick(now, config.timeout, late);
    const { pinned_idle_timeout } = config;
    if (pinned_idle_timeout > 0) {
      for (const client of this.holding) client.tickHold(now, pinned_idle_timeout, late);
    }
    if (config.lane_idle_timeout > 0) this.lanes.tick(now, config.lane_idle_timeout);
    this.slow.tick(now, this.front?.slowMs ?? config.slowlog_ms);
    this.hot.tick(now);
    this.near?.tick(now, config.timeout, late);
    this.log.tick(now);
  }

  random(n: number): number {
    return this.host.random(n);
  }

  serversChanged(): void {
    this.ring.rebuild();
    if (this.route instanceof WarmRing) this.route.rebuild();
    this.home?.rebuild();
  }

  ringChanged(): void {
    this.topics.rebalance();
    this.near?.forgetAll();
    // Keys have moved to servers that do not know what clients have read elsewhere.
    for (const client of this.clients) client.pushesLost();
    for (const front of this.fronts.values()) front.behindChanged();
  }

  /** The routes of the configuration, over all pools by their names. */
  connectRoutes(pools: ReadonlyMap<string, Pool>): void {
    const { front, config: { routes } } = this;
    if (front === null || routes === undefined) return;
    front.change(routes, pools);
    this.route = front.route;
    this.slow.tick(this.now, front.slowMs);
    const { limits, faults } = routes;
    if (limits.length + faults.length === 0) this.meter = null;
    else this.meter = makeMeter(this, limits, faults);
    this.behindChanged();
  }

  behindChanged(): void {
    const front = this.front as Front;
    front.changed();
    this.servers = front.servers;
    this.ringChanged();
  }

  enterAgain(pool: PoolBehind): void {
    this.front?.enterAgain(pool);
  }

  enterFrom(front: string, lane: number, of: LaneOfFront): void {
    const { key, codec, listener } = of;
    this.wasBehind = true;
    const handshake = of.handshake(this.codec);
    const make = () => ({
      ...{ codec, handshake, user: "" },
      pushes: listener === null ? null : { listener, handshake },
    });
    if (listener !== null) this.lanes.enterOwn(lane, `${front} ${key}`, make);
    else this.lanes.enter(key, make, Infinity);
  }

  private makeLanes(): Lanes<LaneSetting> {
    const lanes: Lanes<LaneSetting> = new Lanes((lane) => {
      if (lanes !== this.lanes) return; // of links that are retired as it is
      this.front?.laneClosed(lane);
      for (const server of this.own) server.closeLane(lane);
    }, this.context.laneNumbers);
    return lanes;
  }

  /**
   * The lane of a session: sessions of one lane share links, which are set up alike (dialect, RESP
   * version, database). NO_LANE when there are too many.
   */
  enterLane(session: Session, codec: Codec, listener?: PushListener): number {
    const { server_lanes, pinned_connections } = this.config;
    const isOwn = session.ownLinks && listener !== undefined;
    const key = codec.lane(session);
    const user = isOwn ? session.user?.name ?? "" : "";
    if (isOwn && this.ownsEnough(user, listener)) return NO_LANE;
    let fresh = false;
    const make = (): LaneSetting => {
      fresh = true;
      const handshake = codec.greeting?.handshake(session) ?? null;
      return { codec, handshake, pushes: isOwn ? { listener, handshake } : null, user };
    };
    const most = isOwn ? pinned_connections : server_lanes;
    const lane = this.lanes.enter(key, make, most, isOwn);
    if (fresh && this.front !== null) {
      const then = { ...session };
      this.front.laneMade(lane, {
        ...{ key, codec, listener: isOwn ? listener : null },
        handshake: ({ greeting }) => greeting?.handshake(then) ?? null,
      });
    }
    return lane;
  }

  /** Whether other clients of a user have all the links of their own that its share allows. */
  private ownsEnough(user: string, listener: PushListener): boolean {
    const { auth, pinned_connections, pinned_share } = this.config;
    if (auth === undefined) return false;
    const isAnother = ({ pushes, user: one }: LaneSetting): boolean =>
      pushes !== null && one === user && pushes.listener !== listener;
    return this.lanes.count(isAnother) >= shareOf(pinned_connections, pinned_share);
  }

  /** The lane of links that say nothing but who we are. */
  private enterBareLane(): number {
    const { codec } = this;
    if (this.config.redis_db === 0) return this.lane;
    const make = () => ({ codec, handshake: codec.greeting?.who ?? null, pushes: null, user: "" });
    const lane = this.lanes.enter("bare", make, Infinity);
    const handshake = ({ greeting }: Codec) => greeting?.who ?? null;
    this.front?.laneMade(lane, { key: "bare", codec, handshake, listener: null });
    return lane;
  }

  leaveLane(lane: number): void {
    this.lanes.leave(lane, this.now);
  }

  codecOf(lane: number): Codec {
    return this.lanes.of(lane).codec;
  }

  handshakeOf(lane: number): Handshake | null {
    return this.lanes.of(lane).handshake;
  }

  pushesOf(lane: number): PushSetting | null {
    return this.lanes.of(lane).pushes;
  }

  /** The part of all keys (0 to 1) that each server has now. */
  shares(): Float64Array {
    if (this.home !== null && this.isOnward) return this.home.shares();
    return this.cluster === null
      ? this.ring.shares()
      : this.cluster.route.shares(this.shards.map(({ primary }) => primary));
  }

  /** Those that commands go to now. */
  get ringShards(): readonly Shard[] {
    return this.home !== null && this.isOnward ? this.home.shards : this.shards;
  }

  snapshot(): PoolSnapshot {
    const others = (this.home?.shards ?? []).filter(({ primary }) =>
      !this.shards.some((shard) => shard.primary === primary)
    );
    return {
      name: this.name,
      listen: this.config.listen_text,
      protocol: protocolOf(this.config),
      counters: { ...this.counters, ...this.seen() },
      servers: [...this.shards, ...others].map(({ primary, weight }) => primary.snapshot(weight)),
      ...(this.front !== null && { isFront: true, routes: this.front.tallies.rows }),
      ...(this.near !== null && { near: true }),
      ...(this.migration !== null && { migration: viewMigration(this.migration) }),
      ...(this.cluster !== null && { topology: viewCluster(this.cluster.topology) }),
      ...(this.reading !== null && { replicas: this.reading.snapshot() }),
      ...(this.watched !== null && { sentinel: viewSentinels(this.watched.topology) }),
    };
  }

  /** What nobody counts in `counters`. */
  private seen(): SeenPoolCounters {
    const { topology } = this.cluster ?? this.watched ?? {};
    const lot = this.cluster?.lot ?? this.watched?.lot ?? this.home?.lot;
    return {
      replica_reads: this.reading?.count ?? 0,
      hot_keys: this.hot.countAbove(HOT),
      near_keys: this.near?.keys ?? 0,
      near_bytes: this.near?.bytes ?? 0,
      near_staleness: (this.config.near_cache?.ttl ?? 0) * 1000,
      parked: lot?.parked ?? 0,
      parked_in_vain: lot?.overdue ?? 0,
      parked_now: lot?.waiting ?? 0,
      parked_bytes: lot?.bytes ?? 0,
      refreshes: topology?.refreshes ?? 0,
      refresh_failures: topology?.failures ?? 0,
    };
  }

  private facts(): Facts {
    const { host, version, startedAt } = this.context;
    return {
      pool: this.name,
      version,
      runtime: host.runtime,
      wallClock: () => host.wallClock(),
      uptime: () => Math.floor((host.now() - startedAt) / 1000),
      port: () => this.port,
      listen: () => this.config.listen_text,
      peers: () => [...this.clients],
      servers: () => this.servers.length,
      pause: (ms, onlyWrites) => ms > 0 ? this.pause.begin(ms, onlyWrites) : this.pause.end(),
      hidden: (kind, name) => this.topics.census.hidden(kind, name),
      counters: () => this.infoSections(),
    };
  }

  private infoSections(): [string, [string, number | string][]][] {
    const counters = this.servers.map((server) => server.counters);
    const away = this.cluster === null ? "ejected" : "down";
    return [
      ["Clients", infoFields("Clients", this.counters, counters)],
      ["Stats", [
        ...infoFields("Stats", this.counters, counters),
        ["pubsub_channels", this.topics.count(CHANNEL)],
        ["pubsub_patterns", this.topics.count(PATTERN)],
        ["pubsubshard_channels", this.topics.count(SHARD)],
        ["pubsub_messages", this.topics.messages],
      ]],
      ["Servers", this.servers.map(({ name, live }) => [name, live ? "live" : away])],
    ];
  }
}
