// A branch whose servers see keys without their prefix (`strip: true`): it is cut off towards them, and
// put back where replies name keys. How that is done is the protocol's: see protocol/stripping.ts.

import type { Carrier } from "../link/attempt.ts";
import type { Stripping } from "../protocol/stripping.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Rounds } from "../route/rounds.ts";
import type { Intent } from "../route/route.ts";
import type { Server, Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import { type BufferPool, OutBuffer } from "../wire/out_buffer.ts";
import { send } from "./errand.ts";
import type { Judge } from "./judge.ts";
import { Plan, type Tree, type Want, type Work } from "./plan.ts";

const REASON =
  "the route of this key strips its prefix: transactions, blocking commands, publish and " +
  "subscribe need a route without `strip`";
const MOST_PLANS = 1024;

export class Strip implements Branch, Work {
  private readonly tree: Tree;
  private readonly child: Branch;
  private readonly length: number;
  private readonly plans: Map<Target, Plan>;
  /** Of targets that would be counted when they are found. */
  private readonly tallies: WeakMap<Target, RouteTally>;

  /** `length`: of the prefix, in bytes. */
  constructor(tree: Tree, child: Branch, length: number) {
    this.tree = tree;
    this.child = child;
    this.length = length;
    this.plans = new Map();
    this.tallies = new WeakMap();
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const { tree, plans } = this;
    const { tallies } = tree;
    tallies.forget();
    const inner = this.child.pick(buf, start + this.length, end, intent);
    const tally = tallies.takeBack();
    let plan = plans.get(inner);
    if (plan === undefined) {
      if (plans.size >= MOST_PLANS) plans.clear();
      plan = new Plan(tree, this, [inner], REASON);
      plans.set(inner, plan);
      if (tally !== null) this.tallies.set(inner, tally);
    }
    return plan.target;
  }

  run(
    want: Want,
    [target]: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void {
    const { codec } = want.caller;
    const { buffers } = this.tree;
    const { length } = this;
    const out = new OutBuffer(buffers);
    const key = codec.stripping.cut(want.verb, buf, start, end, length, out);
    if (typeof key === "string") return judge.lost(index, key, true);
    const tally = this.tallies.get(target);
    if (tally !== undefined) tally.requests++;
    const whole = buffers.take(out.size);
    const { size } = out;
    out.moveInto(whole);
    const { restore } = codec.stripping;
    if (restore === null) send(target, want, whole, 0, size, judge, index);
    else {
      const named = new Named(restore, buffers, key, length, judge);
      send(target, want, whole, 0, size, named, index);
    }
    buffers.give(whole);
  }

  any(): Target {
    return this.child.any();
  }

  members(): readonly Server[] {
    return this.child.members();
  }

  rounds(): readonly Rounds[] {
    return this.child.rounds();
  }

  all(intent: Intent): readonly Server[] {
    return this.child.all(intent);
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const { length } = this;
    return {
      what: `strip ${length} bytes`,
      to: [this.child.trace(buf, start + length, end, intent)],
    };
  }
}

/** Gives replies on with the names that the client knows. */
class Named implements Judge {
  private readonly restore: NonNullable<Stripping["restore"]>;
  private readonly buffers: BufferPool;
  private readonly key: Uint8Array;
  private readonly length: number;
  private readonly judge: Judge;

  constructor(
    restore: NonNullable<Stripping["restore"]>,
    buffers: BufferPool,
    key: Uint8Array,
    length: number,
    judge: Judge,
  ) {
    this.restore = restore;
    this.buffers = buffers;
    this.key = key;
    this.length = length;
    this.judge = judge;
  }

  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { buffers, key, length } = this;
    const out = new OutBuffer(buffers);
    this.restore(buf, start, end, key, length, out);
    const { size } = out;
    const whole = buffers.take(size);
    out.moveInto(whole);
    this.judge.reply(index, link, whole, 0, size);
    buffers.give(whole);
  }

  lost(index: number, text: string, unsent: boolean): void {
    this.judge.lost(index, text, unsent);
  }

  /** It has to be seen whole. */
  streams(): null {
    return null;
  }

  streamed(): void {}
}
