// Where requests wait whose place has no owner now, or one that does not take them yet. One queue for
// each place, each tried again as a whole after a pause that grows from 10 to 200 ms; one timer for
// all. Bounded in time (`wait`) and in bytes (`park_bytes`).

import type { Timer } from "../host.ts";
import type { Target } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import { abandon, answerWith } from "./outcome.ts";
import type { Request } from "./request.ts";

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

interface Parked {
  readonly request: Request;
  readonly bytes: OutBuffer;
  readonly size: number;
}

interface Queue {
  parked: Parked[];
  pause: number;
  dueAt: number;
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
  private timer: Timer | null;

  constructor(context: LotContext, route: () => LotRoute) {
    this.waiting = 0;
    this.bytes = 0;
    this.parked = 0;
    this.overdue = 0;
    this.context = context;
    this.route = route;
    this.queues = new Map();
    this.timer = null;
  }

  /** `bytes` is the request as a server is to get it, `size` of them. */
  park(request: Request, bytes: OutBuffer, size: number): void {
    const { context } = this;
    const { wait, park_bytes } = context.config;
    const now = context.host.now();
    if (request.parkedAt < 0) {
      request.parkedAt = now;
      this.parked++;
    }
    const cost = Math.max(size, LEAST);
    if (now - request.parkedAt >= wait || this.bytes + cost > park_bytes) {
      bytes.clear();
      return this.giveUp(request);
    }
    let queue = this.queues.get(request.place);
    if (queue === undefined) {
      queue = { parked: [], pause: SHORTEST, dueAt: 0 };
      this.queues.set(request.place, queue);
    }
    if (queue.parked.length === 0) queue.dueAt = now + queue.pause;
    queue.parked.push({ request, bytes, size });
    this.waiting++;
    this.bytes += cost;
    this.timer ??= context.host.every(SHORTEST, () => this.tick());
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
    if (this.queues.size > 0) return;
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
    for (const one of parked) {
      const { request, bytes, size } = one;
      const { sink } = request;
      if (!sink.isClosed && !target.available && now - request.parkedAt < wait) {
        queue.parked.push(one);
        continue;
      }
      this.waiting--;
      this.bytes -= Math.max(size, LEAST);
      if (sink.isClosed || !target.available) {
        bytes.clear();
        if (sink.isClosed) abandon(request);
        else this.giveUp(request);
        continue;
      }
      const link = target.linkFor(sink);
      bytes.moveTo(link.out);
      link.enqueue(request, size);
    }
  }

  private giveUp(request: Request): void {
    this.overdue++;
    answerWith(request, this.route().overdue(request.place));
  }

  /** The pool stops; its clients are gone. */
  stop(): void {
    this.timer?.cancel();
    this.timer = null;
    for (const { parked } of this.queues.values()) {
      for (const { request, bytes } of parked) {
        bytes.clear();
        if (request.sink.isClosed) abandon(request);
      }
    }
    this.queues.clear();
  }
}
