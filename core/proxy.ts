// The whole proxy: all pools of a configuration and the stats port, on one runtime.

import { type Config, type PoolConfig, protocolOf } from "./config/schema.ts";
import { type ConfigDiff, diffConfigs } from "./config/diff.ts";
import { needsNewStart } from "./config/keys.ts";
import type { Address, Host, Listener, Timer } from "./host.ts";
import { Lateness } from "./lateness.ts";
import type { Log } from "./log.ts";
import { statsLine } from "./stats/report.ts";
import { listenForStats } from "./stats/listener.ts";
import type { Snapshot } from "./stats/snapshot.ts";
import { VERSION } from "./version.ts";
import { listening, placeOf, PoolListener } from "./listener.ts";
import type { Limits } from "./client/context.ts";
import { Pool, type Routing } from "./pool.ts";
import { viewPool } from "./pool_view.ts";
import { type HotView, viewHot } from "./hot_view.ts";
import { askCluster, type ClusterAnswer } from "./topology/cluster_answer.ts";
import type { MapNews } from "./topology/cluster.ts";
import { type RingView, viewRing } from "./ring_view.ts";
import { usersOf } from "./users.ts";
import { LaneNumbers } from "./server/lanes.ts";
import { BufferPool } from "./wire/out_buffer.ts";
import { type Flushable, Turn } from "./wire/turn.ts";
import type { Hearings } from "./exchange/census.ts";
import type { MigrationStatus } from "./exchange/migrate/phases.ts";

export interface ProxyOptions {
  readonly log: Log;
  /** Where the stats JSON is served; null for nowhere. */
  readonly stats: Address | null;
  /** Host name shown in the stats. */
  readonly source: string;
  /** Bounds on memory; defaults where absent. */
  readonly limits?: Partial<Limits>;
  /** Several processes listen on the same ports. */
  readonly reusePort?: boolean;
  /** False: another process listens on the unix sockets. */
  readonly unixSockets?: boolean;
  /** Tells other processes that share the pools of subscribed clients: see `heard`. */
  readonly hearings?: (hearings: Hearings) => void;
  /** Tells them what nodes have told of a cluster: see `heardMap`. */
  readonly maps?: (news: MapNews) => void;
  /** Another route over each pool's ring: see route/route.ts. */
  readonly routing?: Routing;
}

const DEFAULT_LIMITS: Limits = {
  request: 1 << 30, // Redis's own client-query-buffer-limit
  allOutput: 1 << 30,
  clientOutput: 256 << 20, // as Redis's client-output-buffer-limit for replicas
  segment: 65536,
};

/** How often (ms) it is looked whether clients that are to leave have left. */
const DRAIN_TICK = 20;

/** Pools with routes find those that are their targets. */
function connectRoutes(pools: readonly Pool[]): void {
  const all = new Map(pools.map((pool) => [pool.name, pool]));
  for (const pool of pools) pool.connectRoutes(all);
}

/** Throws when a pool cannot change like that while it runs. */
function checkChanges({ changed }: ConfigDiff, pools: ReadonlyMap<string, Pool>): void {
  for (const { before, after } of changed) {
    if ((before.routes === undefined) !== (after.routes === undefined)) {
      throw new Error(
        `pool "${after.name}": servers cannot become routes, nor routes servers, while clients ` +
          "use the pool; give it another name, or start ringmux anew",
      );
    }
  }
  for (const { after, keys } of changed) {
    const why = pools.get(after.name)?.refusal(after, keys) ?? "";
    if (why !== "") throw new Error(why);
  }
  // Throws when a secret was not looked for.
  for (const { after } of changed) usersOf(after, `pool "${after.name}"`, () => {});
}

/** Each pool listens at its place, which was just `opened`, or `open` before; others are closed. */
function giveListeners(
  pools: readonly Pool[],
  opened: ReadonlyMap<string, PoolListener>,
  open: Map<string, PoolListener>,
): void {
  for (const pool of pools) {
    if (!pool.listens) continue;
    const place = placeOf(pool.config);
    const listener = opened.get(place) ?? open.get(place) as PoolListener;
    open.delete(place);
    listener.pool = pool;
    pool.listener = listener;
  }
  for (const listener of open.values()) listener.close();
}

export class Proxy {
  pools: readonly Pool[];
  private config: Config;
  /** Pools that were removed and still have clients. */
  private leaving: Pool[];
  private stopped: boolean;
  private readonly host: Host;
  private readonly options: ProxyOptions;
  private readonly startedAt: number;
  private statsListener: Listener | null;
  private readonly buffers: BufferPool;
  private readonly turn: Turn<Flushable, Flushable>;
  private readonly laneNumbers: LaneNumbers;

  constructor(host: Host, config: Config, options: ProxyOptions) {
    this.host = host;
    this.options = options;
    this.startedAt = host.now();
    this.statsListener = null;
    this.config = config;
    this.leaving = [];
    this.stopped = false;
    this.buffers = new BufferPool({ ...DEFAULT_LIMITS, ...options.limits }.segment);
    this.turn = new Turn(host, () => this.inFlight());
    this.laneNumbers = new LaneNumbers();
    this.pools = [];
    this.pools = config.pools.map((pool) => this.makePool(pool));
    connectRoutes(this.pools);
  }

  /** Requests that wait for replies, without those that may wait long. */
  private inFlight(): number {
    let sum = 0;
    for (const pool of this.pools) sum += pool.inFlight();
    return sum;
  }

  private makePool(config: PoolConfig): Pool {
    const { host, options } = this;
    return new Pool(config, {
      host,
      log: options.log,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      version: VERSION,
      startedAt: this.startedAt,
      reusePort: options.reusePort ?? false,
      unixSockets: options.unixSockets ?? true,
      hearings: options.hearings ?? null,
      maps: options.maps ?? null,
      ...{ buffers: this.buffers, turn: this.turn, laneNumbers: this.laneNumbers },
      routing: options.routing ?? null,
    });
  }

  /** Listens everywhere. Rejects, with nothing left listening, when one address cannot be had. */
  async start(): Promise<void> {
    const { log, stats } = this.options;
    try {
      for (const pool of this.pools) {
        await pool.start();
        this.tellListening(pool);
      }
      if (stats !== null) {
        const reusePort = this.options.reusePort ?? false;
        const attempt = listenForStats(this.host, stats, reusePort, () => this.stats());
        this.statsListener = await listening(attempt, "stats", `${stats.host}:${stats.port}`);
        log.notice(`stats on ${stats.host}:${this.statsListener.port}`);
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  private tellListening({ label, config, servers }: Pool): void {
    if (config.listen_text === "") {
      return this.options.log.notice(
        `${label}: a target of other pools, ${servers.length} servers`,
      );
    }
    this.options.log.notice(
      `${label}: listening on ${config.listen_text} for ` +
        `${protocolOf(config)}, ${servers.length} servers`,
    );
  }

  /**
   * Goes over to another configuration, without a client that stays losing its connection or a
   * reply. Rejects, with nothing changed, when a new address cannot be listened on. Returns what
   * has changed, a line for each, which it has logged.
   */
  async reload(config: Config): Promise<string[]> {
    const diff = diffConfigs(this.config, config);
    const old = new Map(this.pools.map((pool) => [pool.name, pool]));
    checkChanges(diff, old);
    const pools = config.pools.map((pool) => old.get(pool.name) ?? this.makePool(pool));
    const opened = await this.openListeners(config, pools).catch((error) => {
      for (const pool of pools) if (!old.has(pool.name)) pool.stop();
      throw error;
    });
    // From here on nothing can fail, and nobody comes in between.
    const open = this.takeListeners();
    const patience = config.global.drain_timeout;
    for (const { after, keys } of diff.changed) old.get(after.name)?.change(after, keys, patience);
    connectRoutes(pools);
    giveListeners(pools, opened, open);
    for (const pool of pools) if (!old.has(pool.name)) pool.begin();
    this.remove(this.pools.filter((pool) => !pools.includes(pool)), patience);
    this.pools = pools;
    this.config = config;
    return this.tellChanges(diff);
  }

  /** The listeners that there are, by their places; the pools have none then. */
  private takeListeners(): Map<string, PoolListener> {
    const open = new Map<string, PoolListener>();
    for (const pool of this.pools) {
      if (pool.listener !== null) open.set(pool.listener.place, pool.listener);
      pool.listener = null;
    }
    return open;
  }

  /** Logs what has changed, and returns it. */
  private tellChanges(diff: ConfigDiff): string[] {
    const { log } = this.options;
    const lines = diff.changed.flatMap((pool) => pool.lines);
    for (const { name } of diff.removed) lines.push(`pool "${name}": removed`);
    for (const key of diff.global) {
      const later = needsNewStart(key) ? " (after a new start)" : "";
      lines.push(`global: ${key} changed${later}`);
    }
    for (const line of lines) log.notice(line);
    for (const { name } of diff.added) {
      lines.push(`pool "${name}": added`);
      this.tellListening(this.pools.find((pool) => pool.name === name) as Pool);
    }
    return lines;
  }

  /** Listens on every address of `config` that nobody listens on yet; on all or on none. */
  private async openListeners(
    config: Config,
    pools: readonly Pool[],
  ): Promise<Map<string, PoolListener>> {
    const open = new Map(this.pools.map(({ listener }) => [listener?.place, listener]));
    const opened = new Map<string, PoolListener>();
    const places = new Set<string>();
    try {
      for (const [i, pool] of pools.entries()) {
        const next = config.pools[i];
        if (!pool.listensOn(next.listen) && next.listen_text === "") continue;
        const place = placeOf(next);
        if (places.has(place)) throw new Error(`two pools cannot listen on ${place}`);
        places.add(place);
        const listener = open.get(place);
        if (listener && listener.secure !== (next.tls !== undefined)) {
          // The kernel gives an address to nobody else while it is listened on.
          const what = listener.secure ? "off" : "on";
          throw new Error(
            `${pool.label}: tls cannot be turned ${what} while ringmux listens on ${place}; ` +
              `give the pool another address, or start ringmux anew`,
          );
        }
        if (open.has(place) || !pool.listensOn(next.listen)) continue;
        const owner = {
          label: pool.label,
          config: next,
          accept: pool.accept.bind(pool),
          hasRoom: pool.hasRoom.bind(pool),
          handshakeFailed: pool.handshakeFailed.bind(pool),
          headerFailed: pool.headerFailed.bind(pool),
        };
        opened.set(
          place,
          await PoolListener.open(this.host, owner, this.options.reusePort ?? false),
        );
      }
      if (this.stopped) throw new Error("ringmux stops");
    } catch (error) {
      for (const listener of opened.values()) listener.close();
      throw error;
    }
    return opened;
  }

  /** Pools that are in the configuration no more: their clients get what they wait for, and go. */
  private remove(pools: readonly Pool[], patience: number): void {
    for (const pool of pools) {
      this.leaving.push(pool);
      this.untilLeft([pool], patience, () => {
        pool.stop();
        this.leaving = this.leaving.filter((one) => one !== pool);
      });
    }
  }

  /** Asks the clients of `pools` to leave; calls `then` when they have, or after `ms`. */
  private untilLeft(pools: readonly Pool[], ms: number, then: () => void): void {
    const now = this.host.now();
    const until = now + ms;
    const lateness = new Lateness(DRAIN_TICK, now);
    let excused = false;
    const timer: Timer = this.host.every(DRAIN_TICK, () => {
      const gone = pools.map((pool) => pool.dismiss()).every((left) => left);
      const time = this.host.now();
      // What came while the proxy stood still is read and passed on before the end, this once.
      const late = lateness.at(time) > 0 && !excused;
      if (!gone && (time < until || late) && !this.stopped) {
        excused = time >= until;
        return;
      }
      timer.cancel();
      then();
    });
  }

  /**
   * Stops accepting, answers what clients have sent, then closes everything; after `ms` at the
   * latest.
   */
  drain(ms: number): Promise<void> {
    return new Promise((resolve) => {
      // What waits to be accepted is taken in first: it would be reset.
      this.host.endOfTurn(() =>
        this.host.endOfTurn(() => {
          this.statsListener?.close();
          this.statsListener = null;
          for (const pool of this.pools) pool.stopListening();
          const pools = [...this.pools, ...this.leaving];
          const stop = (): void => {
            this.stop();
            resolve();
          };
          if (pools.every((pool) => pool.clients.size === 0)) stop();
          else this.untilLeft(pools, ms, stop);
        })
      );
    });
  }

  /** Closes everything at once. */
  stop(): void {
    this.stopped = true;
    this.statsListener?.close();
    this.statsListener = null;
    for (const pool of [...this.pools, ...this.leaving]) pool.stop();
  }

  /** Milliseconds that clients get at the end. */
  get drainTimeout(): number {
    return this.config.global.drain_timeout;
  }

  /** Port of the stats; 0 when they are not served. */
  get statsPort(): number {
    return this.statsListener?.port ?? 0;
  }

  /** Another process, with this number, tells what this one is told by `ProxyOptions.hearings`. */
  heard(from: number, hearings: Hearings): void {
    this.pools.find(({ name }) => name === hearings.pool)?.topics.census.heard(from, hearings);
  }

  /** Another process tells what this one is told by `ProxyOptions.maps`. */
  heardMap(news: MapNews): void {
    this.pools.find(({ name }) => name === news.pool)?.cluster?.topology.heard(news);
  }

  /** Other processes are told all that there is to tell: one of them has just begun. */
  tellHearings(): void {
    for (const pool of this.pools) pool.topics.tellAll();
  }

  /** The stats JSON, with its line end. */
  stats(): string {
    return statsLine(this.snapshot());
  }

  /** The rings of all pools, or of one. */
  rings(name?: string, key?: string): RingView[] {
    return this.pools
      .filter((pool) => name === undefined || pool.name === name)
      .map((pool) => viewRing(pool, key));
  }

  /** How pools stand whose keys may move to other servers, or one of them. */
  migrations(name?: string): MigrationStatus[] {
    return this.pools.flatMap(({ migration, name: own }) =>
      migration === null || (name !== undefined && name !== own) ? [] : [migration.status()]
    );
  }

  /** Gives an order to a pool whose keys may move; what is wrong, "" if nothing is. */
  async migrate(name: string, order: string): Promise<string> {
    const pool = this.pools.find((one) => one.name === name);
    if (pool === undefined) return `pool "${name}" is not known`;
    return await pool.migration?.order(order) ?? `pool "${name}" has no migrate`;
  }

  /** The keys that are asked for most, and what is large, of all pools or of one. */
  hot(name?: string): HotView[] {
    return this.pools.filter((pool) => name === undefined || pool.name === name).map(viewHot);
  }

  /** What a node of a pool's cluster says itself: see topology/cluster_answer.ts. */
  async askCluster(name: string, what: string): Promise<ClusterAnswer> {
    const pool = this.pools.find((one) => one.name === name);
    if (pool?.cluster) return await askCluster(pool.cluster.topology, pool.words, what);
    throw new Error(`pool "${name}" is ${pool === undefined ? "not known" : "no cluster's"}`);
  }

  snapshot(): Snapshot {
    const places = new Map(this.config.order.map((name, i) => [name, i]));
    return {
      source: this.options.source,
      version: VERSION,
      runtime: this.host.runtime,
      uptime: Math.floor((this.host.now() - this.startedAt) / 1000),
      time: this.host.wallClock(),
      workers: 1,
      pools: this.pools.map((pool) => ({ ...viewPool(pool), place: places.get(pool.name) ?? 0 })),
    };
  }
}
