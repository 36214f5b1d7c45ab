// The servers of a pool and the route to them: a ring's, a cluster's, those that Sentinels tell of; how
// they follow the configuration, and what topologies tell.

import { Pause } from "../client/pause.ts";
import type { Limits } from "../client/context.ts";
import type { PoolConfig } from "../config/schema.ts";
import { DONE } from "../exchange/migrate/phases.ts";
import type { NearCache } from "../exchange/near_cache.ts";
import { ParkingLot } from "../exchange/park.ts";
import { RequestPool } from "../exchange/request.ts";
import { ScriptShelf } from "../exchange/scripts.ts";
import { WarmRing } from "../exchange/warm_ring.ts";
import type { Timer } from "../host.ts";
import { type Link, READY } from "../link/link.ts";
import type { SlowLog } from "../link/slow_log.ts";
import type { Clustering } from "../protocol/clustering.ts";
import type { Scripts } from "../protocol/scripts.ts";
import { MigrateRoute } from "../route/migrate.ts";
import { ReplicaRoute } from "../route/replicas.ts";
import { SentinelRoute } from "../route/sentinel.ts";
import { SlotRoute } from "../route/slots.ts";
import { Reading } from "../server/reading.ts";
import { OTHERS, Transfer } from "../exchange/transfer.ts";
import { FormerRoute } from "../route/former.ts";
import { type Parking, type Server, Unavailable } from "../server/server.ts";
import { Shard } from "../server/shard.ts";
import { CLASS_OTHER } from "../stats/latency.ts";
import { ClusterTopology, type MapNews } from "../topology/cluster.ts";
import { SentinelTopology } from "../topology/sentinel.ts";
import { changeNamed, changeShards, makeShards } from "../topology/static.ts";
import type { BigWatch } from "../link/big_watch.ts";
import type { Cluster, PoolContext, Watched } from "./context.ts";
import { hasSentinels, isCluster, isReading, kindOf, RING, RING_KEYS } from "./kinds.ts";
import { after } from "../exchange/migrate/after.ts";
import { PoolMoves, RETIREMENT } from "./moves.ts";

/** How long (ms) an old primary may take to answer: one that Sentinels call down, one they make a replica. */
const DEAD = 1000;
const DEMOTION = 15_000;
/** How long (ms) what is published waits for subscribers to hear of it at new servers; looks meanwhile. */
const MOST_SILENCE = 1000;
const PACE = 5;

export abstract class PoolServers extends PoolMoves {
  /** Null: the servers are those of the configuration. */
  cluster: Cluster | null;
  /** Null: no Sentinels are asked who the primaries are. */
  watched: Watched | null;
  /** Its links keep what they have sent until it is answered: it may be sent again. */
  keeps: boolean;
  /** Null: only primaries are read from. */
  reading: Reading | null;
  readonly pause: Pause;
  abstract near: NearCache | null;
  /** `auto_eject_hosts`: servers that fail leave the ring for a while. */
  autoEject: boolean;
  readonly requests: RequestPool;
  abstract readonly slow: SlowLog;
  abstract readonly big: BigWatch;
  abstract stopped: boolean;
  readonly limits: Limits;
  /** Of its tick; null until it has begun to keep time. */
  protected timer: Timer | null;

  constructor(config: PoolConfig, context: PoolContext) {
    super(config, context);
    this.cluster = null;
    this.watched = null;
    this.reading = null;
    this.keeps = this.mustKeep;
    this.pause = new Pause(this.host, this.clients);
    this.requests = new RequestPool();
    this.limits = context.limits;
    this.autoEject = config.auto_eject_hosts;
    this.timer = null;
  }

  /** Whether a line about what goes wrong all the time may be logged now. */
  abstract mayComplain(): boolean;

  /** Who says who the servers are; null: the configuration. */
  get learned(): Cluster | Watched | null {
    return this.cluster ?? this.watched;
  }

  /** Servers have to keep what they are sent: it may be sent again. */
  protected get mustKeep(): boolean {
    const { config, context } = this;
    return context.routing !== null || kindOf(config) !== RING;
  }

  /** Makes servers and a route of the configuration, in the place of those there are. */
  protected compose(): void {
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
  protected remake(deadline: number): void {
    const { learned, reading, home, turn, codec } = this;
    const before = this.own;
    const transfer = new Transfer(this);
    const error = codec.failure(OTHERS);
    const former = new FormerRoute(this, this.words, error, transfer);
    learned?.topology.stop();
    reading?.stop();
    this.endMoves();
    this.keeps = this.mustKeep;
    this.compose();
    turn.enter();
    for (const client of this.clients) client.leaveServers();
    for (const server of before) {
      server.former = former;
      const links = server.retire();
      this.retire(server, links, deadline);
      // What was not handed to it goes over, where it is known.
      for (const link of links) if (server.keeps && link.state !== READY) link.discard();
    }
    this.ring.rebuild();
    (learned ?? home)?.lot?.moveTo(transfer);
    for (const client of this.clients) client.moveOver();
    this.emptyClients();
    turn.leave();
    if (this.timer === null) return;
    this.beginMoves();
    if (this.learned === null) return this.connectAhead();
    // Until it is known who the servers are "all of them" has no meaning.
    this.pause.hold();
    void this.learned.topology.start().then(() => this.topicsHeard()).then(() =>
      this.pause.release()
    );
  }

  /** Subscribers hear their topics at the new servers, or it takes too long. */
  private topicsHeard(): Promise<void> {
    const until = this.host.now() + MOST_SILENCE;
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.stopped || this.topics.isSettled || this.host.now() > until) resolve();
        else after(this.host, PACE, look);
      };
      look();
    });
  }

  protected makeCluster(): Cluster {
    const topology = new ClusterTopology(this, this);
    const lot: ParkingLot = new ParkingLot(this, () => route);
    const nowhere = new Unavailable("no primary", lot as Parking);
    const route: SlotRoute = new SlotRoute(this, topology, nowhere, lot);
    return { topology, lot, route, scripts: new ScriptShelf(this.codec.scripts as Scripts, this) };
  }

  protected makeWatched(): Watched {
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
      this.near?.renew(server);
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

  /** What waits for a connection to a node goes over its new links, and what is new. */
  reconnect(server: Server): void {
    const links = server.renew();
    for (const link of links) if (link.state !== READY) link.discard();
    this.retire(server, links, this.now + RETIREMENT);
    this.topics.renewAt(server);
    this.near?.renew(server);
    if (this.config.preconnect) server.connect();
  }

  /** All is made anew, as for servers of another kind. */
  clusterReplaced(): void {
    this.remake(this.now + RETIREMENT);
  }

  /** Of whom a server that has come gets its functions; null: it has them, having been a replica. */
  protected modelFor(server: Server, before: readonly Server[]): Server | null {
    if (!this.idleServers().includes(server)) return null;
    return before.find((one) => !one.removed) ?? null;
  }

  abstract readonly shelvesBehind: readonly ScriptShelf[];

  get scripts(): ScriptShelf | null {
    return this.cluster?.scripts ?? this.shelf;
  }

  idleServers(): Server[] {
    if (this.cluster === null && this.home === null) return [];
    const busy = this.cluster?.route.all() ?? this.route.all(CLASS_OTHER);
    return this.servers.filter((server) => !busy.includes(server));
  }

  protected connectAhead(): void {
    if (!this.config.preconnect || this.watched !== null) return;
    for (const server of this.own) {
      server.connect();
    }
  }

  /** Servers that no other pool has. */
  protected get own(): readonly Server[] {
    if (this.front !== null) return [];
    return this.reading === null ? this.servers : [...this.servers, ...this.reading.servers];
  }

  /** Those of the configuration, of the kind that there were before. */
  protected changeServers(
    before: PoolConfig,
    keys: ReadonlySet<string>,
    reconnect: boolean,
    deadline: number,
  ): void {
    const { config } = this;
    if (this.cluster !== null) {
      if (keys.has("servers")) this.cluster.topology.serversChanged();
      return this.changeCluster(this.cluster, reconnect, deadline);
    }
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
      this.endMoves();
      this.servers = shards.map(({ primary }) => primary);
      this.ring.change(config, shards);
      if (this.route instanceof MigrateRoute) this.route = this.ring;
      if (config.migrate !== undefined) {
        this.prepareMigration(config.migrate);
        this.beginMoves();
      }
      for (const client of this.clients) client.settleMode();
    } else if (this.migration === null) this.servers = shards.map(({ primary }) => primary);
    const removed = servers.filter((server) => !this.servers.includes(server));
    if (removed.length > 0 || ringBefore !== null) this.emptyClients();
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

  /** Shards have other replicas, or other primaries; or the policy is another one. */
  protected replicasChanged(deadline: number): void {
    if (this.reading === null) return;
    for (const server of this.reading.change(this.shards)) {
      this.retire(server, server.retire(), deadline);
    }
  }

  protected renewReplicas(deadline: number): void {
    for (const server of this.reading?.servers ?? []) this.retire(server, server.renew(), deadline);
    this.reading?.renew();
  }

  protected changeWatched({ topology }: Watched, keys: ReadonlySet<string>): void {
    if (keys.has("sentinels") || keys.has("sentinel")) topology.changeSentinels();
    else topology.change();
    topology.refresh("the configuration has changed", true);
  }

  protected changeCluster({ topology }: Cluster, reconnect: boolean, deadline: number): void {
    if (reconnect) this.renewReplicas(deadline);
    this.replicasChanged(deadline);
    if (reconnect) {
      for (const server of this.servers) this.retire(server, server.renew(), deadline);
      topology.renew();
      this.topics.renew();
    }
    topology.refresh();
  }

  /** Requests that wait for replies, without those that may wait long. */
  inFlight(): number {
    let sum = 0;
    for (const server of this.own) {
      for (const link of server.connections) if (link.patience === 0) sum += link.inFlight;
    }
    return sum;
  }

  serversChanged(): void {
    this.ring.rebuild();
    if (this.route instanceof WarmRing) this.route.rebuild();
    this.home?.rebuild();
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
}
