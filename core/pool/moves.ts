// Where the keys of a pool move to: another ring, a cluster, Sentinels' shards; or from where they are
// brought when a ring that was found changes.

import type { MigrateConfig, PoolConfig, RingConfig } from "../config/schema.ts";
import type { Home } from "../home.ts";
import { Migration } from "../exchange/migrate/migration.ts";
import type { Moves } from "../exchange/migrate/moves.ts";
import { DONE, fingerprint, type MigrationContext } from "../exchange/migrate/phases.ts";
import { PullMigration } from "../exchange/pull/pull_migration.ts";
import type { ScriptShelf } from "../exchange/scripts.ts";
import type { Topics } from "../exchange/topics.ts";
import { SKEW, WarmRing } from "../exchange/warm_ring.ts";
import { Paper } from "../exchange/judge.ts";
import { RouteTallies } from "../stats/routes.ts";
import type { Link } from "../link/link.ts";
import { RetiredLinks } from "../link/retired.ts";
import { BOTH, MigrateRoute, NEW } from "../route/migrate.ts";
import { RingRoute } from "../route/ring.ts";
import type { Route } from "../route/route.ts";
import type { Server } from "../server/server.ts";
import { Shard } from "../server/shard.ts";
import type { PoolCounters } from "../stats/counters.ts";
import { Clients } from "./clients.ts";
import type { PoolContext } from "./context.ts";
import { RING_KEYS, ringOf } from "./kinds.ts";
import { PoolLanes } from "./lanes.ts";

/** How long (ms) a node that has gone may take to answer what it was sent. */
export const RETIREMENT = 10_000;

/** Errors for requests that were not answered in time. */
const REMOVED = "the server is not in the pool any more";
const REPLACED = "the connection to the server was replaced";

export abstract class PoolMoves extends PoolLanes {
  /** What the ring names, and the servers that have it now. */
  shards: readonly Shard[];
  servers: readonly Server[];
  readonly ring: RingRoute;
  route: Route;
  /** Null: keys stay where they are. */
  migration: Moves | null;
  /** What they may move to. */
  home: Home | null;
  /** Null: servers have no scripts. */
  protected abstract readonly shelf: ScriptShelf | null;
  abstract readonly counters: PoolCounters;
  readonly clients: Clients;
  readonly retired: RetiredLinks;
  abstract readonly topics: Topics;
  /** When (pool time) keys are not looked for at servers of before any more. */
  protected warmUntil: number;

  constructor(config: PoolConfig, context: PoolContext) {
    super(config, context);
    this.shards = [];
    this.servers = [];
    this.ring = new RingRoute(this, config, []);
    this.route = this.ring;
    this.migration = null;
    this.home = null;
    this.clients = new Clients(context.limits.allOutput);
    this.retired = new RetiredLinks();
    this.warmUntil = Infinity;
  }

  abstract ringChanged(): void;

  protected abstract makeHome(ring: RingConfig): Home;

  /** Other servers, which are spoken to as the pool's own are. */
  protected prepareMigration(migrate: MigrateConfig): void {
    const { ring, to } = migrate;
    const home = this.makeHome(ring);
    const route = new MigrateRoute(this.ring, home);
    home.parkAt(route);
    this.home = home;
    this.gatherServers();
    const id = fingerprint(JSON.stringify([ringOf(this.config), ringOf(ring)]));
    // deno-lint-ignore no-this-alias -- of getters
    const pool = this;
    const { name, label, log, host, turn, clients } = this;
    // A reload may change how fast they go.
    const limits = (): MigrateConfig => pool.config.migrate ?? migrate;
    const context: MigrationContext = {
      ...{ name, label, log, host, turn, clients },
      get rate() {
        return limits().rate;
      },
      get latency() {
        return limits().latency;
      },
      get bigKey() {
        return limits().big_key;
      },
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
  }

  /** Keys stay where they are from now on. */
  protected endMoves(): void {
    this.migration?.stop();
    this.migration = null;
    this.home?.stop();
    this.home = null;
  }

  /** What keys are to move to is followed, and they begin to. */
  protected beginMoves(): void {
    this.home?.start();
    this.migration?.begin();
  }

  /** Those of the ring, and those its keys are to move to. */
  protected gatherServers(): void {
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
  protected get isOnward(): boolean {
    const { route } = this;
    return route instanceof MigrateRoute && (route.stage === BOTH || route.stage === NEW);
  }

  /** Topics are heard where the other ring has them too, while some may publish there. */
  get secondRoute(): Route | null {
    const { migration } = this;
    return migration !== null && migration.isTwofold ? migration.route.other : null;
  }

  /** Of `migrate` only how fast keys move is another one. */
  protected isRepaced(before: PoolConfig, after: PoolConfig): boolean {
    if (before.migrate === undefined || after.migrate === undefined) return false;
    const same = ({ migrate }: PoolConfig): string =>
      JSON.stringify({ ...migrate, rate: 0, latency: 0, big_key: 0 });
    return same(before) === same(after);
  }

  /** Why the pool cannot change its ring now; "" if it can. */
  refusal(config: PoolConfig, keys: ReadonlySet<string>): string {
    const { migration } = this;
    const isRepaced = this.isRepaced(this.config, config);
    const touched = RING_KEYS.some((key) => keys.has(key) && !(isRepaced && key === "migrate"));
    if (migration === null || !migration.isFixed || !touched) return "";
    if (migration.phase === DONE && config.migrate === undefined && this.hasArrived(config)) {
      return "";
    }
    return `pool "${this.name}": its keys move to other servers (phase ${migration.phase}); until ` +
      "that is done its servers, hash, hash_tag, distribution and migrate cannot change, and then " +
      "only to those of the pool they have moved to";
  }

  protected hasArrived(config: PoolConfig): boolean {
    const { migrate } = this.config;
    return migrate !== undefined &&
      JSON.stringify(ringOf(migrate.ring)) === JSON.stringify(ringOf(config));
  }

  /** Of a discovered ring that changes: what it was, if its keys are to be brought from there. */
  protected shardsToWarmFrom(
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

  protected warmFrom(before: PoolConfig, shards: readonly Shard[]): void {
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
      { event: "warm_begin", pool: this.name },
    );
  }

  /** What is brought from a ring of before ends. */
  protected coolDown(): void {
    this.warmUntil = Infinity;
    if (!(this.route instanceof WarmRing)) return;
    this.emptyClients();
    this.route = this.ring;
    this.log.notice(`${this.label}: keys are not looked for at earlier servers any more`, {
      event: "warm_end",
      pool: this.name,
    });
  }

  /**
   * Keys are reached by other connections from now on, maybe at the servers that they were at before:
   * what clients have sent is answered first, else what they send next could overtake it.
   */
  emptyClients(): void {
    for (const client of this.clients) {
      if (client.head !== null && !client.isBlocked) client.emptyListening();
    }
    for (const front of this.fronts.values()) front.emptyClients();
  }

  /** Links that are closed when they have answered, at `deadline` (pool time) at the latest. */
  protected retire(server: Server, links: readonly Link[], deadline: number): void {
    const why = server.removed ? REMOVED : REPLACED;
    for (const link of links) {
      this.retired.add({
        ...{ link, deadline, why, alone: server.removed },
        gone: () => server.forget(link),
      });
    }
  }
}
