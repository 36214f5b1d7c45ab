// A branch that is one pool whose keys change their servers by themselves: a Redis Cluster, shards
// under Sentinels, replicas that are read from. What a server refuses or loses goes where the pool's
// route says, or waits there for a server, as it does for the pool's own clients (resend.ts, park.ts);
// the tree hears only how it ends. See route/route.ts for what keeps a client's commands in order.

import { CLASS_READ } from "../stats/latency.ts";
import type { Branch, Step, TargetPool } from "../route/prefix.ts";
import type { Rounds } from "../route/rounds.ts";
import type { Intent, Route } from "../route/route.ts";
import type { Server, Target } from "../server/server.ts";
import type { Standing } from "../server/replicas.ts";
import type { RouteTally } from "../stats/routes.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { Counted } from "./counted.ts";
import { Detour, type DetourOwner, LEAST } from "./detour.ts";
import type { Judge } from "./judge.ts";
import { type Party, Plan, type Tree, type Want, type Work } from "./plan.ts";
import type { ScriptShelf } from "./scripts.ts";

/** A pool that is such a branch. */
export interface ManagedPool extends TargetPool {
  readonly scripts: ScriptShelf | null;
  readonly stopped: boolean;
  readonly config: { readonly park_bytes: number };
}

export class Managed implements Branch {
  readonly tree: Tree;
  readonly pool: ManagedPool;
  /** Bytes of requests that wait for earlier ones of their clients. */
  waiting: number;
  private readonly reason: string;
  /** By place: so that keys of one place have one target. */
  private readonly places: Map<number, Place>;
  private readonly guests: WeakMap<Party, Guest>;
  /** Counts its requests; null: whoever sends them does. */
  readonly tally: RouteTally | null;

  constructor(tree: Tree, pool: ManagedPool, tally: RouteTally | null) {
    this.tree = tree;
    this.pool = pool;
    this.tally = tally;
    this.waiting = 0;
    this.reason = `the route of this key is pool "${pool.name}", whose keys may change servers: ` +
      "transactions, blocking commands, publish and subscribe, and commands of keys in several " +
      "places, need a route to a plain ring, or a client of that pool itself";
    this.places = new Map();
    this.guests = new WeakMap();
  }

  get route(): Route {
    return this.pool.route;
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const { route } = this;
    const target = route.pick(buf, start, end, intent);
    const { place } = route;
    if (place < 0 && (target.available || target.parking === null)) return target;
    let known = this.places.get(place);
    if (known === undefined) {
      known = new Place(this, place, this.reason);
      this.places.set(place, known);
    }
    known.picked = route.picked;
    return known.plan.target;
  }

  any(): Target {
    return this.route.any();
  }

  all(intent: Intent): readonly Server[] {
    return this.route.all(intent);
  }

  members(): readonly Server[] {
    return this.rounds().length === 0 ? this.route.all(CLASS_READ) : [];
  }

  rounds(): readonly Rounds[] {
    const rounds = this.route.redirects?.rounds ?? null;
    return rounds === null ? [] : [rounds];
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const server = this.route.pick(buf, start, end, intent);
    const what = server.available ? `server ${server.name}` : server.reason;
    return { what: `pool ${this.pool.name}`, to: [{ what, to: [] }] };
  }

  guestOf(caller: Party): Guest {
    let guest = this.guests.get(caller);
    if (guest === undefined) {
      guest = new Guest(this, caller);
      this.guests.set(caller, guest);
    }
    return guest;
  }
}

/** A place of the pool, as a tree sees it. */
class Place implements Work {
  readonly number: number;
  readonly plan: Plan;
  /** Its epoch, when a key of it was last looked for. */
  picked: number;
  private readonly branch: Managed;

  constructor(branch: Managed, number: number, reason: string) {
    this.branch = branch;
    this.number = number;
    this.plan = new Plan(branch.tree, this, [], reason);
    this.picked = 0;
  }

  get isOver(): boolean {
    return this.branch.pool.stopped;
  }

  run(
    want: Want,
    _targets: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void {
    if (want.caller.isClosed || this.isOver) return judge.lost(index, "", true);
    const { tally } = this.branch;
    const hears = tally === null ? judge : new Counted(tally, want, judge);
    const guest = this.branch.guestOf(want.caller);
    guest.take(new Detour(guest, this, want, hears, index), buf, start, end);
  }
}

/** A request that waits for earlier ones of its client. */
interface Waiting {
  readonly detour: Detour;
  readonly bytes: OutBuffer;
  readonly size: number;
}

/** A client of the front, as the pool's route sees it: only what goes there counts. */
class Guest implements DetourOwner {
  readonly id: number;
  readonly isBound: boolean;
  readonly branch: Managed;
  sent: number;
  standings: (Standing | undefined)[] | null;
  private readonly caller: Party;
  /** Its unanswered requests, and those that were answered while an earlier one was not. */
  private first: Detour | null;
  private last: Detour | null;
  /** The route's epoch when there were none. */
  private epoch: number;
  private waiting: Waiting[];

  constructor(branch: Managed, caller: Party) {
    this.id = caller.id;
    this.isBound = false;
    this.branch = branch;
    this.sent = 0;
    this.standings = null;
    this.caller = caller;
    this.first = null;
    this.last = null;
    this.epoch = branch.route.epoch;
    this.waiting = [];
  }

  get answered(): number {
    return this.first === null ? this.sent : this.first.number - 1;
  }

  get isClosed(): boolean {
    return this.caller.isClosed;
  }

  isAstray(place: number, whole: unknown, way: number): boolean {
    for (let one = this.first; one !== null && one !== whole; one = one.after) {
      if (one.isAstray(place, way)) return true;
    }
    return false;
  }

  take(detour: Detour, buf: Uint8Array, start: number, end: number): void {
    if (this.waiting.length === 0 && !this.mustWait(detour)) {
      return this.go(detour, buf, start, end);
    }
    const { branch, caller } = this;
    const size = end - start;
    const cost = Math.max(size, LEAST);
    if (branch.waiting + cost > branch.pool.config.park_bytes) {
      return detour.giveUpWith("too many requests wait for their servers (park_bytes)");
    }
    const bytes = new OutBuffer(caller.context.buffers);
    bytes.append(buf, start, end);
    this.waiting.push({ detour, bytes, size });
    branch.waiting += cost;
  }

  /** See Client.mustEmpty and overtakes: earlier ones may be astray. */
  private mustWait({ where, intent }: Detour): boolean {
    const { route } = this.branch;
    if (this.first === null) {
      this.epoch = route.epoch;
      return false;
    }
    return where.picked > this.epoch || (route.redirects?.overtakes?.(intent, this) ?? false);
  }

  private go(detour: Detour, buf: Uint8Array, start: number, end: number): void {
    const target = this.branch.route.owner(detour.place, detour.intent, this);
    detour.number = ++this.sent;
    if (this.first === null) this.first = detour;
    else (this.last as Detour).after = detour;
    this.last = detour;
    detour.begin(target, buf, start, end);
  }

  /** It has its reply, or will have none. */
  done(detour: Detour): void {
    detour.isOver = true;
    while (this.first !== null && this.first.isOver) this.first = this.first.after;
    if (this.first === null) this.last = null;
    if (this.waiting.length > 0) this.goOn();
  }

  private goOn(): void {
    const { buffers } = this.caller.context;
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      const { detour, bytes, size } = next;
      if (this.mustWait(detour)) return;
      this.waiting.shift();
      this.branch.waiting -= Math.max(size, LEAST);
      const buf = buffers.take(size);
      bytes.moveInto(buf);
      if (this.caller.isClosed) detour.giveUpWith("");
      else this.go(detour, buf, 0, size);
      buffers.give(buf);
    }
  }
}
