// Deletes that have failed at a child of `all`: tried again until their server takes them, or leaves
// the pool. Bounded; what comes beyond is dropped, and counted.

import type { Carrier } from "../link/attempt.ts";
import { EMPTY } from "../bytes.ts";
import { FAILED } from "../protocol/verdicts.ts";
import type { Target } from "../server/server.ts";
import { send } from "./errand.ts";
import { Ghost, Unseen } from "./ghost.ts";
import { Plan, type Tree, type TreeCounters, type Want } from "./plan.ts";

/** Most deletes that wait, and what they may take. */
export const MOST_DELETES = 1000;
export const MOST_DELETE_BYTES = 1 << 20;
/** Pause (ms) before the queue is tried again. */
const PAUSE = 1000;
const NO_TAGS = { tagHigh: 0, tagLow: 0 };

export interface RetryContext {
  readonly counters: TreeCounters;
  readonly turn: { enter(): void; leave(): void };
}

interface Delete {
  readonly target: Target;
  readonly bytes: Uint8Array;
  readonly verb: number;
  readonly ghost: Ghost;
}

/** It is none any more that deletes are for. */
function isGone({ target, ghost }: Delete): boolean {
  if (ghost.isClosed) return true;
  if (target.available) return target.removed;
  return !(target.parking instanceof Plan) || target.parking.isOver;
}

export class Retries {
  private readonly context: RetryContext;
  private readonly tree: Tree;
  private queue: Delete[];
  private bytes: number;
  private triedAt: number;

  constructor(context: RetryContext, tree: Tree) {
    this.context = context;
    this.tree = tree;
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
    // A tree does not stand for one pool: its own branches see to it.
    const isPool = target.available || target.parking instanceof Plan && target.parking.isOnePool;
    // Links of another database, or dialect, may be gone by then.
    if (!isPool || !verdicts.isUsual(caller.session) || !this.hasRoom(end - start)) {
      counters.deletes_dropped++;
      return;
    }
    counters.deletes_queued++;
    const ghost = new Ghost(this.tree, caller, "a delete that is tried again");
    this.put({ target, bytes: buf.slice(start, end), verb, ghost });
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
    const { counters, turn } = this.context;
    this.triedAt = now;
    const { queue } = this;
    this.queue = [];
    this.bytes = 0;
    turn.enter();
    for (const one of queue) {
      if (isGone(one)) {
        counters.deletes_dropped++;
        continue;
      }
      counters.deletes_retried++;
      const { target, bytes } = one;
      const retry = new Retry(this, one);
      send(target, retry, bytes, 0, bytes.length, retry, 0);
    }
    turn.leave();
  }
}

class Retry extends Unseen {
  private readonly queue: Retries;
  private readonly one: Delete;

  constructor(queue: Retries, one: Delete) {
    super(one.ghost, one.verb, false, NO_TAGS, EMPTY);
    this.queue = queue;
    this.one = one;
  }

  reply(_index: number, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (this.verdict(buf, start, end) === FAILED) this.queue.putBack(this.one);
  }

  lost(): void {
    this.queue.putBack(this.one);
  }
}
