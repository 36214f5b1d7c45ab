// One pool: what it listens for, and what all its clients share. It puts the floors together; nothing
// of it is on the data path. A Pool is made floor by floor: PoolLanes (kinds of links), PoolMoves (where
// keys go to), PoolServers (who the servers are), and what is here.

import { Client } from "./client/client.ts";
import type { ClientContext } from "./client/context.ts";
import {
  clientConnected,
  clientFailsAtHeader,
  clientFailsAtTls,
  clientRefused,
} from "./client/journal.ts";
import { codecChanges, connectionsChange, tickChanges } from "./config/keys.ts";
import { type PoolConfig, protocolOf, type RingConfig } from "./config/schema.ts";
import { Front, type FrontOwner, makeMeter, type PoolBehind } from "./front.ts";
import { type Home, type HomeOwner, makeHome } from "./home.ts";
import type { Meter } from "./exchange/meter.ts";
import { NearCache } from "./exchange/near_cache.ts";
import { ScriptShelf } from "./exchange/scripts.ts";
import { Topics, type TopicsContext } from "./exchange/topics.ts";
import type { Address, Socket } from "./host.ts";
import { BigWatch } from "./link/big_watch.ts";
import { SlowLog } from "./link/slow_log.ts";
import { PoolListener } from "./listener.ts";
import { Lateness } from "./lateness.ts";
import { makeCodec } from "./pool/codec.ts";
import type { LaneSetting, PoolContext, Routing } from "./pool/context.ts";
import {
  hasSentinels,
  isCluster,
  isNowhere,
  isReading,
  kindOf,
  TICK,
  tickOf,
} from "./pool/kinds.ts";
import { PoolServers } from "./pool/servers.ts";
import { type Codec, Scan } from "./protocol/codec.ts";
import type { Lanes } from "./server/lanes.ts";
import { newPoolCounters, type PoolCounters } from "./stats/counters.ts";
import { HotKeys } from "./stats/hot_keys.ts";
import { Throttle } from "./throttle.ts";

export { hasSentinels, isCluster, isReading, type PoolContext, type Routing };

export class Pool extends PoolServers
  implements ClientContext, TopicsContext, FrontOwner, PoolBehind, HomeOwner {
  readonly slow: SlowLog;
  readonly hot: HotKeys;
  near: NearCache | null;
  /** The one every client starts with: see `Codec.dialects`. */
  codec: Codec;
  /** The lane every client starts with. */
  lane: number;
  /** The lane of links that say nothing to the server but who we are. */
  bareLane: number;
  protected lanes: Lanes<LaneSetting>;
  /** Null: keys go to its own servers. */
  readonly front: Front | null;
  readonly topics: Topics;
  /** Null: servers have no scripts. */
  protected readonly shelf: ScriptShelf | null;
  readonly counters: PoolCounters;
  readonly big: BigWatch;
  /** Limits and faults of its routes; null: none. */
  meter: Meter | null;
  /** Links are closed by us: no server has failed. */
  stopped: boolean;
  /** Parser state that clients without a half-parsed long request share. */
  scan: Scan;
  /** The next client's. */
  private nextId: number;
  /** Where it listens; null when it does not. */
  listener: PoolListener | null;
  /** How late a tick comes: then servers and clients have had no chance to be heard. */
  private lateness: Lateness;
  /** Of clients and servers that fail at TLS. */
  private readonly complaints: Throttle;

  constructor(config: PoolConfig, context: PoolContext) {
    super(config, context);
    const { host, log } = context;
    this.complaints = new Throttle();
    this.slow = new SlowLog(this.label, log);
    this.slow.tick(0, config.slowlog_ms);
    this.meter = null;
    this.codec = makeCodec(this, context);
    this.front = config.routes === undefined ? null : new Front(this);
    this.lanes = this.makeLanes();
    this.lane = this.enterLane(this.codec.newSession(0, "", 0), this.codec);
    this.bareLane = this.enterBareLane();
    this.counters = newPoolCounters();
    this.near = null;
    this.hot = new HotKeys(host.random(0x7fffffff) + 1, host.now());
    this.big = new BigWatch(config.big_key, this.slow, this.counters, () => host.wallClock());
    this.stopped = false;
    this.scan = new Scan();
    this.nextId = 1;
    this.listener = null;
    this.lateness = new Lateness(TICK, 0);
    this.topics = new Topics(this, context.hearings);
    const { scripts } = this.codec;
    this.shelf = scripts === null ? null : new ScriptShelf(scripts, this);
    this.compose();
    this.near = this.makeNear();
    this.ring.rebuild();
  }

  get shelvesBehind(): readonly ScriptShelf[] {
    return this.front?.shelves ?? [];
  }

  protected makeHome(ring: RingConfig): Home {
    return makeHome(this, ring);
  }

  /** Listens, and connects to the servers if the pool is to do so in advance. */
  async start(): Promise<void> {
    this.keepTime();
    this.beginMoves();
    if (this.learned !== null) await this.learned.topology.start();
    if (this.listens) {
      this.listener = await PoolListener.open(this.host, this, this.context.reusePort);
    }
    this.connectAhead();
  }

  /** Begins to keep time, and connects in advance if it is to do so; a reload has given it a listener. */
  begin(): void {
    this.keepTime();
    this.beginMoves();
    void this.learned?.topology.start();
    this.connectAhead();
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
    if (this.isRepaced(before, config)) {
      keys = new Set([...keys].filter((key) => key !== "migrate"));
    }
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
    this.changeServers(before, keys, reconnect, deadline);
  }

  override clusterReplaced(): void {
    super.clusterReplaced();
    if (this.near !== null) this.renewNear();
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

  /** New clients get the new codec at once; those that are there too, if they can. */
  private changeCodec(sameProtocol: boolean, reconnect: boolean): void {
    const before = this.codec;
    this.codec = makeCodec(this, this.context);
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
    this.learned?.topology.stop();
    this.reading?.stop();
    this.learned?.lot.stop();
    this.front?.stop();
    for (const server of this.own) server.stop();
    this.near?.stop();
    this.topics.stop();
    this.retired.drop();
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
    this.clients.remove(client);
    this.counters.client_connections--;
  }

  mayComplain(): boolean {
    return this.complaints.allow(this.host.now());
  }

  private tick(): void {
    const now = this.host.now();
    const late = this.lateness.at(now);
    this.now = now;
    // What a server loses now another one gets, whose time begins now.
    this.turn.enter();
    if (now >= this.warmUntil) this.coolDown();
    const { config } = this;
    this.learned?.topology.tick(now, late);
    this.home?.tick(now, late);
    for (const server of this.own) server.tick(now, late);
    this.reading?.tick(late);
    this.front?.retries.tick(now);
    this.topics.tick(now, config.timeout, late);
    this.retired.tick(now, config.timeout, late);
    this.clients.tick(now, config, late);
    if (config.lane_idle_timeout > 0) this.lanes.tick(now, config.lane_idle_timeout);
    this.slow.tick(now, this.front?.slowMs ?? config.slowlog_ms);
    this.hot.tick(now);
    this.near?.tick(now, config.timeout, late);
    this.log.tick(now);
    this.turn.leave();
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
}
