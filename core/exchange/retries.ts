// Deletes that have failed at a child of `all`: tried again until their server takes them, or leaves
// the pool. Bounded; what comes beyond is dropped, and counted.

import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { EMPTY } from "../bytes.ts";
import { FAILED, type Verdicts } from "../protocol/verdicts.ts";
import type { Server, Target } from "../server/server.ts";
import type { TreeCounters, Want } from "./plan.ts";

/** Most deletes that wait, and what they may take. */
export const MOST_DELETES = 1000;
export const MOST_DELETE_BYTES = 1 << 20;
/** Pause (ms) before the queue is tried again. */
const PAUSE = 1000;

export interface RetryContext {
  readonly counters: TreeCounters;
  /** The lane that every client starts with. */
  readonly lane: number;
  readonly turn: { enter(): void; leave(): void };
}

interface Delete {
  readonly server: Server;
  readonly bytes: Uint8Array;
  readonly verb: number;
  readonly verdicts: Verdicts;
}

export class Retries {
  private readonly context: RetryContext;
  private queue: Delete[];
  private bytes: number;
  private triedAt: number;

  constructor(context: RetryContext) {
    this.context = context;
    this.queue = [];
    this.bytes = 0;
    this.triedAt = 0;
  }

  get size(): number {
    return this.queue.length;
  }

  add(target: Target, want: Want, buf: Uint8Array, start: number, end: number): void {
    const { counters } = this.context;
    const { caller, verb, verdicts } = want;
    // Links of another database, or dialect, may be gone by then; a tree has no one server.
    if (!target.available || !verdicts.isUsual(caller.session) || !this.hasRoom(end - start)) {
      counters.deletes_dropped++;
      return;
    }
    counters.deletes_queued++;
    this.put({ server: target, bytes: buf.slice(start, end), verb, verdicts });
  }

  private hasRoom(bytes: number): boolean {
    return this.queue.length < MOST_DELETES && this.bytes + bytes <= MOST_DELETE_BYTES;
  }

  private put(one: Delete): void {
    this.queue.push(one);
    this.bytes += one.bytes.length;
  }

  /** It has failed again. */
  putBack(one: Delete): void {
    if (this.hasRoom(one.bytes.length)) this.put(one);
    else this.context.counters.deletes_dropped++;
  }

  /** Called every tick. */
  tick(now: number): void {
    if (this.queue.length === 0 || now - this.triedAt < PAUSE) return;
    const { counters, turn, lane } = this.context;
    this.triedAt = now;
    const { queue } = this;
    this.queue = [];
    this.bytes = 0;
    turn.enter();
    for (const one of queue) {
      if (one.server.removed) {
        counters.deletes_dropped++;
        continue;
      }
      counters.deletes_retried++;
      const { bytes } = one;
      one.server.linkFor({ id: 0, lane }).send(new Retry(this, one), bytes, 0, bytes.length);
    }
    turn.leave();
  }
}

class Retry implements Attempt, Sink {
  readonly sink: Sink;
  readonly remote: string;
  nextInFlight: Attempt | null;
  sentAt: number;
  bytes: number;
  verb: number;
  note: Uint8Array;
  noted: number;
  mute: number;
  readonly run: null;
  private readonly queue: Retries;
  private readonly one: Delete;

  constructor(queue: Retries, one: Delete) {
    this.sink = this;
    this.remote = "a delete that is tried again";
    this.nextInFlight = null;
    this.sentAt = 0;
    this.bytes = 0;
    this.verb = one.verb;
    this.note = EMPTY;
    this.noted = 0;
    this.mute = 0;
    this.run = null;
    this.queue = queue;
    this.one = one;
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  part(): void {}

  reply(_: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { verb, verdicts } = this.one;
    if (verdicts.verdict(verb, buf, start, end) === FAILED) this.queue.putBack(this.one);
  }

  lost(): void {
    this.queue.putBack(this.one);
  }
}
