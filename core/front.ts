// A pool with `routes`: it has clients and no servers of its own. Builds the tree of its targets, and
// keeps the lanes of its clients (database, RESP version, dialect) in the pools behind it, under the
// numbers that they have here. Nothing of it is on the data path.

import { bytes, utf8 } from "./bytes.ts";
import type { MirrorConfig, PrefixConfig, RoutesConfig, TargetConfig } from "./config/routes.ts";
import { poolsOf } from "./config/routes.ts";
import { Every } from "./exchange/every.ts";
import { Failover } from "./exchange/failover.ts";
import { Meter, type MeterContext } from "./exchange/meter.ts";
import { Mirror, MirroredBranch, MirrorTrace } from "./exchange/mirror.ts";
import { Paper } from "./exchange/judge.ts";
import { Managed, type ManagedPool } from "./exchange/managed.ts";
import type { Tree, TreeCounters, Want } from "./exchange/plan.ts";
import { Strip } from "./exchange/strip.ts";
import { Warm, type WarmContext } from "./exchange/warm.ts";
import { Retries, type RetryContext } from "./exchange/retries.ts";
import type { Host } from "./host.ts";
import type { PushListener } from "./link/pushes.ts";
import type { Codec, Handshake } from "./protocol/codec.ts";
import { type Branch, Leaf, type Prefix, PrefixRoute, type Step } from "./route/prefix.ts";
import { Fork } from "./route/fork.ts";
import type { Intent, Route } from "./route/route.ts";
import type { Server, Target } from "./server/server.ts";
import { CLASS_READ } from "./stats/latency.ts";
import { RouteTallies, type RouteTally } from "./stats/routes.ts";
import type { BufferPool } from "./wire/out_buffer.ts";

/** A client's lane, as it is told to the pools behind. */
export interface LaneOfFront {
  /** What sets it apart: see `Codec.lane`. */
  readonly key: string;
  readonly codec: Codec;
  /** What is said first to the servers of a pool with this codec. */
  handshake(codec: Codec): Handshake | null;
  /** Of a lane that is one client's own. */
  readonly listener: PushListener | null;
}

/** A pool, as a front sees it. */
export interface PoolBehind extends ManagedPool {
  readonly servers: readonly Server[];
  readonly config: { readonly slowlog_ms: number; readonly park_bytes: number };
  /** Fronts it is behind, by name. */
  readonly fronts: Map<string, FrontOwner>;
  enterFrom(front: string, lane: number, of: LaneOfFront): void;
  leaveLane(lane: number): void;
}

/** The pool whose front it is. */
export interface FrontOwner extends RetryContext {
  readonly name: string;
  readonly buffers: BufferPool;
  readonly now: number;
  readonly host: Pick<Host, "wallClock" | "random">;
  readonly codec: Codec;
  readonly clients: { readonly size: number };
  readonly lane: number;
  readonly turn: { enter(): void; leave(): void };
  /** Something behind it has changed. */
  behindChanged(): void;
  /** Its clients send nothing more until all is answered that they have sent. */
  emptyClients(): void;
  /** A pool behind it has forgotten its lanes. */
  enterAgain(pool: PoolBehind): void;
}

/** See `Leaf.trace`. */
const SERVER = "server ";

export class Front implements Tree, WarmContext {
  readonly paper: Paper;
  readonly retries: Retries;
  readonly tallies: RouteTallies;
  kept: number;
  private readonly owner: FrontOwner;
  private pools: readonly PoolBehind[];
  route: Route;
  private readonly lanes: Map<number, LaneOfFront>;

  constructor(owner: FrontOwner) {
    this.owner = owner;
    this.paper = new Paper(owner.buffers);
    this.retries = new Retries(owner, this);
    this.tallies = new RouteTallies();
    this.kept = 0;
    this.pools = [];
    this.route = new PrefixRoute([], null, false, () => owner.codec.intents);
    this.lanes = new Map();
  }

  get buffers(): BufferPool {
    return this.owner.buffers;
  }

  get counters(): TreeCounters {
    return this.owner.counters;
  }

  get now(): number {
    return this.owner.now;
  }

  laneOf(lane: number): object | undefined {
    return this.lanes.get(lane);
  }

  get lane(): number {
    return this.owner.lane;
  }

  get turn(): { enter(): void } {
    return this.owner.turn;
  }

  get seconds(): number {
    return Math.floor(this.owner.host.wallClock() / 1000);
  }

  random(n: number): number {
    return this.owner.host.random(n);
  }

  retry(target: Target, want: Want, buf: Uint8Array, start: number, end: number): void {
    this.retries.add(target, want, buf, start, end);
  }

  /** Goes on with these routes, over the pools of the proxy. */
  change(routes: RoutesConfig, all: ReadonlyMap<string, PoolBehind>): void {
    const { owner } = this;
    const before = this.pools;
    const after = poolsOf(routes).map((name) => all.get(name) as PoolBehind);
    for (const pool of before) {
      if (after.includes(pool)) continue;
      pool.fronts.delete(owner.name);
      for (const lane of this.lanes.keys()) pool.leaveLane(lane);
    }
    for (const pool of after) {
      if (before.includes(pool)) continue;
      pool.fronts.set(owner.name, owner);
      for (const [lane, of] of this.lanes) pool.enterFrom(owner.name, lane, of);
    }
    this.pools = after;
    this.route = this.build(routes, all);
  }

  private build(routes: RoutesConfig, all: ReadonlyMap<string, PoolBehind>): Route {
    this.tallies.begin();
    const { prefixes, default: fallback, mirror } = routes;
    // One pool for all keys: nothing stands between.
    if (prefixes.length === 0 && mirror.length === 0 && fallback?.kind === "pool") {
      const { route } = all.get(fallback.pool) as PoolBehind;
      if (isPlain(route)) return route;
    }
    const of = (route: string) => new Builder(this, all, this.tallies, route);
    const copies = of("mirror");
    const mirrors = mirror.map((one) => copies.mirror(one));
    const around = (branch: Branch): Branch =>
      mirrors.length === 0 ? branch : new MirroredBranch(this, mirrors, branch);
    const made: Prefix[] = prefixes.map(({ prefix, target, strip }: PrefixConfig) => {
      const name = bytes(utf8(prefix));
      const child = of(`prefix ${prefix}`).branch(target, true);
      const branch = strip ? new Strip(this, child, name.length) : child;
      return { name: prefix, bytes: name, branch: around(branch) };
    });
    const rest = fallback === undefined ? null : around(of("default").branch(fallback, true));
    const asks = (target: TargetConfig): boolean =>
      target.kind !== "pool" || !isPlain((all.get(target.pool) as PoolBehind).route);
    const tells = mirrors.length > 0 ||
      prefixes.some(({ target, strip }) => strip || asks(target)) ||
      (fallback !== undefined && asks(fallback));
    const aside = mirrors.length === 0 ? null : new MirrorTrace(mirrors);
    return new PrefixRoute(made, rest, tells, () => this.owner.codec.intents, aside);
  }

  /** Whether keys are to be noted for a slow log: the greatest of the pools behind. */
  get slowMs(): number {
    return this.pools.reduce((most, { config }) => Math.max(most, config.slowlog_ms), 0);
  }

  /** All servers of the pools behind. */
  get servers(): Server[] {
    return [...new Set(this.pools.flatMap((pool) => pool.servers))];
  }

  /** The way of a key, for people. */
  trace(key: Uint8Array, intent: Intent): Step {
    const { route } = this;
    if (route instanceof PrefixRoute) return route.trace(key, 0, key.length, intent);
    return { what: "default", to: [new Leaf(this.pools[0]).trace(key, 0, key.length, intent)] };
  }

  /** The one server that a key is read from; "" where that are several, or none. */
  serverOf(key: Uint8Array): string {
    let step = this.trace(key, CLASS_READ);
    for (;;) {
      const to = step.to.filter(({ what }) => !what.startsWith("mirror to "));
      if (to.length !== 1) break;
      [step] = to;
    }
    return step.to.length === 0 && step.what.startsWith(SERVER)
      ? step.what.slice(SERVER.length)
      : "";
  }

  /** The servers behind have changed. */
  changed(): void {
    if (this.route instanceof PrefixRoute) this.route.changed();
  }

  /** The first client of a lane has come. */
  laneMade(lane: number, of: LaneOfFront): void {
    this.lanes.set(lane, of);
    for (const pool of this.pools) pool.enterFrom(this.owner.name, lane, of);
  }

  laneClosed(lane: number): void {
    if (!this.lanes.delete(lane)) return;
    for (const pool of this.pools) pool.leaveLane(lane);
  }

  /** All lanes of the front are others from now on. */
  forgetLanes(): void {
    for (const pool of this.pools) for (const lane of this.lanes.keys()) pool.leaveLane(lane);
    this.lanes.clear();
  }

  enterAgain(pool: PoolBehind): void {
    for (const [lane, of] of this.lanes) pool.enterFrom(this.owner.name, lane, of);
  }

  /** It is no front any more. */
  stop(): void {
    for (const pool of this.pools) {
      pool.fronts.delete(this.owner.name);
      for (const lane of this.lanes.keys()) pool.leaveLane(lane);
    }
    this.pools = [];
    this.lanes.clear();
  }
}

export function makeMeter(
  context: MeterContext,
  limits: RoutesConfig["limits"],
  faults: RoutesConfig["faults"],
): Meter {
  const about = <T extends { readonly prefix: string }>(rule: T) => ({
    ...rule,
    prefix: bytes(utf8(rule.prefix)),
  });
  return new Meter(context, limits.map(about), faults.map(about));
}

/** A ring: not a front's, whose route may be another one after it, nor one that redirects. */
function isPlain(route: Route): boolean {
  return route.redirects === null && !(route instanceof PrefixRoute);
}

/** What a target is called where its requests are counted. */
function nameOf(target: TargetConfig): string {
  if (target.kind === "pool") return target.pool;
  return target.kind === "split" ? "read/write" : target.kind;
}

/** Builds the branches of one route. */
class Builder {
  private readonly tree: WarmContext;
  private readonly all: ReadonlyMap<string, PoolBehind>;
  private readonly tallies: RouteTallies;
  private readonly route: string;

  constructor(
    tree: WarmContext,
    all: ReadonlyMap<string, PoolBehind>,
    tallies: RouteTallies,
    route: string,
  ) {
    this.tree = tree;
    this.all = all;
    this.tallies = tallies;
    this.route = route;
  }

  /** `counts`: nobody else counts its requests. */
  branch(target: TargetConfig, counts: boolean): Branch {
    const { tree, route, tallies } = this;
    switch (target.kind) {
      case "pool": {
        const pool = this.all.get(target.pool) as PoolBehind;
        const tally = counts ? tallies.of(route, target.pool, false) : null;
        return pool.route.redirects === null
          ? new Leaf(pool, tally, tallies)
          : new Managed(tree, pool, tally);
      }
      case "failover":
        return new Failover(tree, ...this.children(target.of), target.on, target.rate);
      case "all":
        return new Every(tree, ...this.children(target.of), target.wait);
      case "warm": {
        const [of, tallies] = this.children([target.cold, target.warm]);
        return new Warm(tree, [of[0], of[1]], tallies);
      }
      case "split": {
        const { read, write, delete: remove } = target;
        return new Fork(
          this.branch(read, counts),
          this.branch(write, counts),
          this.branch(remove, counts),
        );
      }
    }
  }

  private children(of: readonly TargetConfig[]): [Branch[], RouteTally[]] {
    return [
      of.map((one) => this.branch(one, false)),
      of.map((one) => this.tallies.of(this.route, nameOf(one), true)),
    ];
  }

  mirror({ pool, percent, of }: MirrorConfig): Mirror {
    const tally = this.tallies.of(this.route, nameOf(pool), true);
    return new Mirror(this.branch(pool, false), tally, percent, of);
  }
}
