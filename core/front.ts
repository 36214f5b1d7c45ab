// A pool with `routes`: it has clients and no servers of its own. Keeps the lanes of its clients
// (database, RESP version, dialect) in the pools behind it, under the numbers that they have here. The
// tree of its targets is built in front_routes.ts. Nothing of it is on the data path.

import { bytes, utf8 } from "./bytes.ts";
import { poolsOf, type RoutesConfig } from "./config/routes.ts";
import { Paper } from "./exchange/judge.ts";
import type { ManagedPool } from "./exchange/managed.ts";
import { Meter, type MeterContext } from "./exchange/meter.ts";
import type { TreeCounters, Want } from "./exchange/plan.ts";
import { Retries, type RetryContext } from "./exchange/retries.ts";
import type { ScriptShelf } from "./exchange/scripts.ts";
import type { WarmContext } from "./exchange/warm_course.ts";
import { buildRoute } from "./front_routes.ts";
import type { Host } from "./host.ts";
import type { PushListener } from "./link/pushes.ts";
import type { Codec, Handshake } from "./protocol/codec.ts";
import { Leaf, PrefixRoute, type Step } from "./route/prefix.ts";
import type { Intent, Route } from "./route/route.ts";
import type { Server, Target } from "./server/server.ts";
import { CLASS_READ } from "./stats/latency.ts";
import { RouteTallies } from "./stats/routes.ts";
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

export class Front implements WarmContext {
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
    this.route = new PrefixRoute([], null, false, () => owner.codec.intents, null, () => 0);
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
    this.route = buildRoute(this, routes, all, () => owner.codec.intents);
  }

  /** Whether keys are to be noted for a slow log: the greatest of the pools behind. */
  get slowMs(): number {
    return this.pools.reduce((most, { config }) => Math.max(most, config.slowlog_ms), 0);
  }

  /** What the pools behind keep of scripts. */
  get shelves(): ScriptShelf[] {
    return this.pools.flatMap(({ scripts }) => scripts === null ? [] : [scripts]);
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
