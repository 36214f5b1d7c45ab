// A branch that is one pool whose keys change their servers by themselves: a Redis Cluster, shards
// under Sentinels, replicas that are read from. What a server refuses or loses goes where the pool's
// route says, or waits there for a server, as it does for the pool's own clients (resend.ts, park.ts);
// the tree hears only how it ends. See route/route.ts for what keeps a client's commands in order.

import type { Attempt, Carrier } from "../link/attempt.ts";
import { CLASS_READ } from "../stats/latency.ts";
import type { Branch, Step, TargetPool } from "../route/prefix.ts";
import type { Asker, Intent, Redirects, Resendable, Route } from "../route/route.ts";
import { type Parked, type Parking, Server, type Target } from "../server/server.ts";
import type { Standing } from "../server/replicas.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { Errand } from "./errand.ts";
import type { Judge } from "./judge.ts";
import { DOUBT } from "./outcome.ts";
import { type Party, Plan, type Tree, type Want, type Work } from "./plan.ts";
import { Preface } from "./resend.ts";
import type { ScriptShelf } from "./scripts.ts";

const MINUS = 45;
/** What a request that waits costs at least (bytes): the smallest buffer. */
const LEAST = 4096;
const ERR = "ERR ";

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
  private readonly tally: { requests: number } | null;

  constructor(tree: Tree, pool: ManagedPool, tally: { requests: number } | null) {
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
    if (this.tally !== null) this.tally.requests++;
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
    return this.route.all(CLASS_READ);
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
    const guest = this.branch.guestOf(want.caller);
    guest.take(new Detour(guest, this, want, judge, index), buf, start, end);
  }
}

/** A request that waits for earlier ones of its client. */
interface Waiting {
  readonly detour: Detour;
  readonly bytes: OutBuffer;
  readonly size: number;
}

/** A client of the front, as the pool's route sees it: only what goes there counts. */
class Guest implements Asker {
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

/** One request at such a pool: at its servers one after the other, until one does it. */
class Detour extends Errand implements Parked {
  /** Which of its client's it is, and what is behind it. */
  number: number;
  after: Detour | null;
  isOver: boolean;
  parkedAt: number;
  readonly where: Place;
  private readonly guest: Guest;
  /** How often it was sent again, and how often though a server may have seen to it. */
  private resent: number;
  private repeated: number;
  /** Its bytes, while it waits for a server. */
  private kept: OutBuffer;
  private size: number;

  constructor(guest: Guest, where: Place, want: Want, judge: Judge, index: number) {
    super(want, judge, index);
    this.number = 0;
    this.after = null;
    this.isOver = false;
    this.parkedAt = -1;
    this.where = where;
    this.guest = guest;
    this.resent = 0;
    this.repeated = 0;
    this.kept = new OutBuffer(want.caller.context.buffers);
    this.size = 0;
  }

  get intent(): Intent {
    return this.want.intent;
  }

  get place(): number {
    return this.where.number;
  }

  begin(target: Target, buf: Uint8Array, start: number, end: number): void {
    const { caller } = this.want;
    if (target.available) {
      const link = target.linkFor(caller);
      link.send(this, buf, start, end);
      if (link.congested) caller.waitForLink(link);
    } else if (target.parking === null) {
      this.end(() => this.judge.lost(this.index, target.reason, true));
    } else {
      this.kept.append(buf, start, end);
      this.size = end - start;
      target.parking.wait(this);
    }
  }

  /** Its judge is told, and its client may go on. */
  private end(tell: () => void): void {
    tell();
    this.guest.done(this);
  }

  /** It was not sent at all. */
  giveUpWith(reason: string): void {
    this.judge.lost(this.index, reason, true);
  }

  // ---------------------------------------------------------------- replies

  override reply(
    attempt: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    // An error is one line: a reply that was kept in part is none that a route looks for.
    const isError = buf[start] === MINUS && this.isUnanswered;
    if (isError && this.goesOn(link, buf, start, end)) return;
    this.end(() => super.reply(attempt, link, buf, start, end));
  }

  override lost(attempt: Attempt, link: Carrier, text: string, unsent: boolean): void {
    if (this.isUnanswered && this.recovers(link, unsent)) return;
    const told = unsent || text === "" ? text : text + DOUBT;
    this.end(() => super.lost(attempt, link, told, unsent));
  }

  private get redirects(): Redirects | null {
    return this.want.caller.isClosed ? null : this.guest.branch.route.redirects;
  }

  /** As the route sees it. */
  private get seen(): Resendable {
    const { guest, intent, place, resent, parkedAt, verb, want } = this;
    const isJudged = want.caller.codec.judged[verb + 1] === 1;
    return { sink: guest, intent, place, resent, parkedAt, isJudged };
  }

  /** Whether the error at `buf[start, end)` is no answer yet. */
  private goesOn(link: Carrier, buf: Uint8Array, start: number, end: number): boolean {
    const { redirects } = this;
    if (redirects === null) return false;
    const { scripts } = this.guest.branch.pool;
    if (scripts !== null && scripts.words.isMissing(buf, start, end)) {
      if (this.goesWithScript(scripts, link)) return true;
    }
    const target = redirects.refused(buf, start, end, this.seen, link);
    if (target === null) return false;
    if (!target.available && target.parking === null) {
      this.end(() => this.judge.lost(this.index, target.reason, true));
      return true;
    }
    if (target.available && this.resent >= redirects.most) {
      return this.answers(redirects.tooMany(this.seen));
    }
    return this.goesTo(target, redirects.preface, link) ||
      this.answers(redirects.forgotten(this.seen));
  }

  /** The server has no such script: it gets it, and the request again; once. */
  private goesWithScript(scripts: ScriptShelf, link: Carrier): boolean {
    const { owner } = link;
    if (!(owner instanceof Server) || this.repeated > 0) return false;
    const bytes = new OutBuffer(this.want.caller.context.buffers);
    if (!link.sent(this, bytes)) return false;
    const sent = new Uint8Array(this.bytes);
    bytes.moveInto(sent);
    const load = scripts.loadFor(sent);
    if (load === null) return false;
    this.repeated++;
    return this.goesTo(owner, load, link);
  }

  private recovers(link: Carrier, unsent: boolean): boolean {
    const { redirects } = this;
    if (redirects === null) return false;
    const target = redirects.lost(link, this.seen);
    const { codec } = this.want.caller;
    if (!unsent && !redirects.mayRepeat(codec.classes[this.verb + 1], this.repeated)) return false;
    if (target === null) return false;
    if (!target.available && target.parking === null) {
      this.end(() => this.judge.lost(this.index, target.reason, unsent));
      return true;
    }
    if (target.available && this.resent >= redirects.most) return false;
    if (!unsent) this.repeated++;
    return this.goesTo(target, null, link);
  }

  /** False: what was sent is not kept any more. */
  private goesTo(target: Target, preface: Uint8Array | null, from: Carrier): boolean {
    if (!from.sent(this, this.kept)) return false;
    this.size = this.bytes;
    if (!target.available) {
      (target.parking as Parking).wait(this);
      return true;
    }
    const link = target.linkFor(this.want.caller);
    if (preface !== null) link.send(new Preface(preface.length), preface, 0, preface.length);
    this.resent++;
    this.goOver(target);
    return true;
  }

  /** The proxy's own words are the answer, if there are any. */
  private answers(error: Uint8Array | null): boolean {
    if (error === null) return false;
    const { judge, index, guest, want } = this;
    const text = want.caller.codec.errorText(error, 0, error.length);
    // No server has said it, and none has carried anything out.
    if (text.startsWith(ERR)) {
      this.end(() => judge.lost(index, text.slice(ERR.length), true));
    } else this.end(() => judge.reply(index, guest.branch.tree.paper, error, 0, error.length));
    return true;
  }

  // ---------------------------------------------------------------- while it waits for a server

  get cost(): number {
    return Math.max(this.size, LEAST);
  }

  get isGone(): boolean {
    return this.want.caller.isClosed;
  }

  go(server: Server): void {
    this.goOver(server);
  }

  private goOver(server: Server): void {
    const { caller } = this.want;
    const link = server.linkFor(caller);
    link.enqueue(this, this.size);
    this.kept.moveTo(link.out);
    if (link.congested) caller.waitForLink(link);
  }

  giveUp(error: Uint8Array): void {
    this.kept.clear();
    this.answers(error);
  }

  forget(): void {
    this.kept.clear();
    this.end(() => this.judge.lost(this.index, "", true));
  }
}
