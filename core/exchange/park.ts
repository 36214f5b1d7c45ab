// Where requests wait whose place has no owner now, or one that does not take them yet. One queue for
// each place, each tried again as a whole after a pause that grows from 10 to 200 ms; one timer for
// all. Bounded in time (`wait`) and in bytes (`park_bytes`).

import type { Timer } from "../host.ts";
import type { Parked, Parking, Server, Target } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import { type Asker, NO_WAY, type Resendable } from "../route/route.ts";
import type { Way } from "../route/ways.ts";
import { abandon, answerWith } from "./outcome.ts";
import { BOUND, type Caller, type Request } from "./request.ts";

const SHORTEST = 10;
const LONGEST = 200;
/** What a request costs at least (bytes): the smallest buffer. */
const LEAST = 4096;

/** What a lot asks its pool. */
export interface LotContext {
  readonly host: { now(): number; every(ms: number, fn: () => void): Timer };
  readonly buffers: BufferPool;
  readonly turn: { enter(): void; leave(): void };
  readonly config: { readonly wait: number; readonly park_bytes: number };
}

/** Who knows where requests go. */
export interface LotRoute {
  target(place: number): Target;
  /** The error for what has waited too long. */
  overdue(place: number): Uint8Array;
}

/** Whose requests are to be carried out in their order: a client, or what stands for one. */
interface Orderly extends Asker {
  readonly isClosed: boolean;
}

/** What waits, and has its place among others of whoever sent it. */
export interface ParkedInOrder extends Parked {
  readonly by: Orderly;
  /** What stands for it in the queue of `by`. */
  readonly whole: unknown;
  /** Whether it stands before another one of the same `by`. */
  isBefore(other: ParkedInOrder): boolean;
}

/** A request, and its bytes as a server is to get them. */
export class ParkedRequest implements ParkedInOrder {
  readonly cost: number;
  private readonly request: Request;
  private readonly span: OutBuffer;
  private readonly size: number;

  constructor(request: Request, span: OutBuffer, size: number) {
    this.cost = Math.max(size, LEAST);
    this.request = request;
    this.span = span;
    this.size = size;
  }

  get place(): number {
    return this.request.place;
  }

  set place(place: number) {
    this.request.place = place;
  }

  said(): Uint8Array {
    const bytes = new Uint8Array(this.size);
    this.span.moveInto(bytes);
    this.span.append(bytes, 0, bytes.length);
    return bytes;
  }

  get by(): Caller {
    return this.request.sink;
  }

  get whole(): Request {
    return this.request.whole;
  }

  /** As a rule it is the next one behind. */
  isBefore(other: ParkedRequest): boolean {
    const [own, others] = [this.whole, other.whole];
    for (let next = others.next; next !== null; next = next.next) if (next === own) return false;
    for (let { next } = own; next !== null; next = next.next) if (next === others) return true;
    return false;
  }

  get parkedAt(): number {
    return this.request.parkedAt;
  }

  set parkedAt(now: number) {
    this.request.parkedAt = now;
  }

  get isGone(): boolean {
    return this.request.sink.isClosed;
  }

  go(server: Server): void {
    const link = server.linkFor(this.request.sink);
    this.span.moveTo(link.out);
    link.enqueue(this.request, this.size);
  }

  giveUp(error: Uint8Array): void {
    this.span.clear();
    answerWith(this.request, error);
  }

  forget(): void {
    this.span.clear();
    abandon(this.request);
  }
}

interface Queue {
  parked: Parked[];
  /** Of each client those that are its, in the order of its queue, which they are carried out in. */
  readonly by: Map<Orderly, ParkedInOrder[]>;
  pause: number;
  dueAt: number;
}

/** See `Asker.isAstray`; `head` is the oldest request of the client. */
export function isAstray(
  head: Request | null,
  place: number,
  whole: unknown,
  way: number,
): boolean {
  const isOne = (one: Request): boolean => {
    if (one.ready || (place >= 0 && one.place !== place)) return false;
    const { parkedAt, resent } = one;
    return parkedAt >= 0 || (resent > 0 && resent < BOUND && one.way !== way);
  };
  for (let one = head; one !== null && one !== whole; one = one.next) {
    if (isOne(one) || one.parts.some(isOne)) return true;
  }
  return false;
}

function isInOrder(one: Parked): one is ParkedInOrder {
  return "isBefore" in one;
}

function ownOf({ by }: Queue, client: Orderly): ParkedInOrder[] {
  const known = by.get(client);
  if (known !== undefined) return known;
  const own: ParkedInOrder[] = [];
  by.set(client, own);
  return own;
}

function append(queue: Queue, one: ParkedInOrder, own: ParkedInOrder[]): void {
  queue.parked.push(one);
  own.push(one);
}

/** Behind what is before it in its client's queue: it may have been tried meanwhile, and come back. */
function queueInOrder(queue: Queue, one: ParkedInOrder): void {
  const own = ownOf(queue, one.by);
  const last = own[own.length - 1];
  if (last === undefined || one.isGone || !one.isBefore(last)) return append(queue, one, own);
  const at = own.findIndex((other) => one.isBefore(other));
  queue.parked.splice(queue.parked.indexOf(own[at]), 0, one);
  own.splice(at, 0, one);
}

export class ParkingLot {
  /** Requests that wait, and what they take. */
  waiting: number;
  bytes: number;
  /** How many have waited, and how many of them in vain. */
  parked: number;
  overdue: number;
  private readonly context: LotContext;
  private readonly route: () => LotRoute;
  private readonly queues: Map<number, Queue>;
  /** Clients that have unanswered requests which have waited. */
  private readonly restless: Set<Orderly>;
  private timer: Timer | null;
  /** What comes here goes there, since the pool has another route; null: it stays. */
  private next: Parking | null;

  constructor(context: LotContext, route: () => LotRoute) {
    this.waiting = 0;
    this.bytes = 0;
    this.parked = 0;
    this.overdue = 0;
    this.context = context;
    this.route = route;
    this.queues = new Map();
    this.restless = new Set();
    this.timer = null;
    this.next = null;
  }

  /** `bytes` is the request as a server is to get it, `size` of them. */
  park(request: Request, bytes: OutBuffer, size: number): void {
    this.wait(new ParkedRequest(request, bytes, size));
  }

  /** Whatever it is waits for its place to have a server. */
  wait(one: Parked): void {
    const { context, next } = this;
    if (next !== null) return next.wait(one);
    const { wait, park_bytes } = context.config;
    const now = context.host.now();
    if (one.parkedAt < 0) {
      one.parkedAt = now;
      this.parked++;
    }
    if (now - one.parkedAt >= wait || this.bytes + one.cost > park_bytes) return this.giveUp(one);
    let queue = this.queues.get(one.place);
    if (queue === undefined) {
      queue = { parked: [], by: new Map(), pause: SHORTEST, dueAt: 0 };
      this.queues.set(one.place, queue);
    }
    if (queue.parked.length === 0) queue.dueAt = now + queue.pause;
    if (isInOrder(one)) {
      this.restless.add(one.by);
      queueInOrder(queue, one);
    } else queue.parked.push(one);
    this.waiting++;
    this.bytes += one.cost;
    this.timer ??= context.host.every(SHORTEST, () => this.tick());
  }

  /**
   * Whether a request that was refused would overtake an earlier one of its client's for its place,
   * that waits or has, or is on another way. `way` is the one that it would take; null: none.
   */
  isBehind({ by, place, whole }: Resendable, way: Way | null): boolean {
    if (by === undefined) return false;
    // With those that wait it goes on in its order, be it the first of them.
    if (this.queues.get(place)?.by.has(by as Orderly)) return true;
    const mayBe = way?.isTurned === true || this.restless.has(by as Orderly);
    return mayBe && by.isAstray(place, whole, way?.number ?? NO_WAY);
  }

  /** Copies `buf[start, end)`, a request that was not sent yet. */
  parkSpan(request: Request, buf: Uint8Array, start: number, end: number): void {
    const bytes = new OutBuffer(this.context.buffers);
    bytes.append(buf, start, end);
    this.park(request, bytes, end - start);
  }

  /** Places have other owners: what waits is tried at once. */
  wake(): void {
    for (const queue of this.queues.values()) {
      queue.pause = SHORTEST;
      queue.dueAt = 0;
    }
  }

  private tick(): void {
    const { turn, host } = this.context;
    const now = host.now();
    turn.enter();
    for (const [place, queue] of [...this.queues]) {
      if (now < queue.dueAt) continue;
      // It was tried, and nothing came back.
      if (queue.parked.length === 0) this.queues.delete(place);
      else this.tryAgain(place, queue, now);
    }
    turn.leave();
    for (const client of this.restless) {
      if (client.isClosed || !client.isAstray(-1, null, NO_WAY)) this.restless.delete(client);
    }
    if (this.queues.size + this.restless.size > 0) return;
    this.timer?.cancel();
    this.timer = null;
  }

  private tryAgain(place: number, queue: Queue, now: number): void {
    const target = this.route().target(place);
    const { wait } = this.context.config;
    queue.pause = Math.min(LONGEST, queue.pause * 2);
    queue.dueAt = now + queue.pause;
    const { parked } = queue;
    queue.parked = [];
    const waits = new Set<Orderly>();
    for (const [client, [first]] of queue.by) {
      if (!first.isGone && client.isAstray(place, first.whole, NO_WAY)) waits.add(client);
    }
    queue.by.clear();
    for (const one of parked) {
      const isLater = isInOrder(one) && waits.has(one.by);
      const isEarly = !target.available || isLater;
      if (!one.isGone && isEarly && now - one.parkedAt < wait) {
        if (isInOrder(one)) append(queue, one, ownOf(queue, one.by));
        else queue.parked.push(one);
        continue;
      }
      this.waiting--;
      this.bytes -= one.cost;
      if (one.isGone) one.forget();
      else if (!isEarly) one.go(target as Server);
      else this.giveUp(one);
    }
  }

  private giveUp(one: Parked): void {
    this.overdue++;
    one.giveUp(this.route().overdue(one.place));
  }

  /** The pool has another route: all that waits goes to `next`, and what comes later too. */
  moveTo(next: Parking): void {
    this.next = next;
    this.timer?.cancel();
    this.timer = null;
    const all = [...this.queues.values()].flatMap(({ parked }) => parked);
    this.queues.clear();
    this.waiting = 0;
    this.bytes = 0;
    for (const one of all) next.wait(one);
  }

  /** The pool stops; its clients are gone. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    for (const { parked } of this.queues.values()) {
      for (const one of parked) one.forget();
    }
    this.queues.clear();
    this.restless.clear();
  }
}
