// A branch whose servers see keys without their prefix (`strip: true`), in the Redis protocol. A request
// is read again to find its keys; its reply is the server's own. Commands whose replies name keys are
// refused.

import { bytes } from "../bytes.ts";
import { FORWARD, type Keys, Scan } from "../protocol/codec.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Intent } from "../route/route.ts";
import type { Server, Target } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { type Judge, Plan, send, type Tree, type Want, type Work } from "./plan.ts";

const REASON =
  "the route of this key strips its prefix: transactions, blocking commands, publish and " +
  "subscribe need a route without `strip`";
/** Their replies name keys. */
const NAMING: ReadonlySet<string> = new Set(["xread", "xreadgroup", "lmpop", "zmpop"]);
const NAMES = "its reply names keys, which have another name where `strip` is on";
const MOST_PLANS = 1024;
const CRLF = bytes("\r\n");

const scan = new Scan();

export class Strip implements Branch, Work {
  private readonly tree: Tree;
  private readonly child: Branch;
  private readonly length: number;
  private readonly plans: Map<Target, Plan>;

  /** `length`: of the prefix, in bytes. */
  constructor(tree: Tree, child: Branch, length: number) {
    this.tree = tree;
    this.child = child;
    this.length = length;
    this.plans = new Map();
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const inner = this.child.pick(buf, start + this.length, end, intent);
    let plan = this.plans.get(inner);
    if (plan === undefined) {
      if (this.plans.size >= MOST_PLANS) this.plans.clear();
      plan = new Plan(this.tree, this, [inner], REASON);
      this.plans.set(inner, plan);
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
    if (NAMING.has(codec.commandName(want.verb))) return judge.lost(index, NAMES, true);
    const { buffers } = this.tree;
    const out = new OutBuffer(buffers);
    this.cut(want, buf, start, end, out);
    const { size } = out;
    const whole = buffers.take(size);
    out.moveInto(whole);
    send(target, want, whole, 0, size, judge, index);
    buffers.give(whole);
  }

  /** The request with shorter keys: `$<length>` before each of them too. */
  private cut({ caller }: Want, buf: Uint8Array, start: number, end: number, out: OutBuffer): void {
    const { codec } = caller;
    scan.reset();
    codec.parseRequest(scan, buf, start, end);
    const n = scan.action === FORWARD ? 1 : scan.nkeys;
    const spans: [number, number][] = [];
    for (let i = 0; i < n; i++) {
      if (scan.action !== FORWARD) (codec.keys as Keys).select(scan, i);
      spans.push([start + scan.keyStart, start + scan.keyEnd]);
    }
    spans.sort((a, b) => a[0] - b[0]);
    let done = start;
    for (const [from, to] of spans) {
      let head = from - 2;
      while (buf[head] !== 36) head--; // $
      out.append(buf, done, head + 1);
      out.int(to - from - this.length);
      out.append(CRLF, 0, 2);
      out.append(buf, from + this.length, to);
      done = to;
    }
    out.append(buf, done, end);
    scan.reset();
  }

  any(): Target {
    return this.child.any();
  }

  members(): readonly Server[] {
    return this.child.members();
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
