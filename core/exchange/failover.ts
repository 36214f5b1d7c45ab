// Failover: a request goes to the first child, and on to the next one if that fails (`on: error`) or
// does not have the key (`on: miss`). A write goes on only if it was surely not carried out. If no
// child has a hit, a miss counts more than an error. So many a second at most (`rate`).

import { EMPTY } from "../bytes.ts";
import type { Cause } from "../config/routes.ts";
import type { Carrier } from "../link/attempt.ts";
import { FAILED, MISS } from "../protocol/verdicts.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Intent } from "../route/route.ts";
import type { Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import { Branching } from "./branching.ts";
import { Course, type CourseOf } from "./course.ts";
import { send } from "./errand.ts";
import { type Judge, type Said, SILENCE, tell } from "./judge.ts";
import { inDoubt } from "./outcome.ts";
import type { Tree, Want } from "./plan.ts";
import type { Request } from "./request.ts";

export class Failover extends Branching {
  readonly onError: boolean;
  readonly onMiss: boolean;
  private readonly rate: number;
  /** What of `rate` is left, as of when (ms). */
  private tokens: number;
  private countedAt: number;

  constructor(
    tree: Tree,
    children: readonly Branch[],
    tallies: readonly RouteTally[],
    on: readonly Cause[],
    rate: number,
  ) {
    super(tree, children, tallies, "a failover");
    this.onError = on.includes("error");
    this.onMiss = on.includes("miss");
    this.rate = rate;
    this.tokens = rate;
    this.countedAt = tree.now;
  }

  run(
    want: Want,
    targets: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void {
    if (want.tied) {
      this.tallies[0].requests++;
      return send(targets[0], want, buf, start, end, judge, index);
    }
    new Run(this, this.tree, want, targets, judge, index).begin(buf, start, end);
  }

  /** Whether one more may go on now. */
  allows(): boolean {
    const { rate, tree } = this;
    const { counters, now } = tree;
    if (rate > 0) {
      this.tokens = Math.min(rate, this.tokens + (now - this.countedAt) * rate / 1000);
      this.countedAt = now;
      if (this.tokens < 1) {
        counters.route_failovers_refused++;
        return false;
      }
      this.tokens--;
    }
    counters.route_failovers++;
    return true;
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const causes = [...(this.onError ? ["error"] : []), ...(this.onMiss ? ["miss"] : [])];
    return {
      what: `failover on ${causes.join(", ")}`,
      to: this.children.map((child) => child.trace(buf, start, end, intent)),
    };
  }
}

class Run extends Course<Failover> {
  /** The child that has it. */
  private at: number;
  /** The best that a child has said. */
  private best: Said;

  constructor(...of: CourseOf<Failover>) {
    super(...of);
    this.at = 0;
    this.best = SILENCE;
  }

  begin(buf: Uint8Array, start: number, end: number): void {
    this.keeps(buf, start, end);
    this.branch.tallies[0].requests++;
    send(this.targets[0], this.want, buf, start, end, this, 0);
  }

  reply(_index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { branch, want, best } = this;
    const verdict = want.verdict(buf, start, end);
    if (verdict === FAILED) branch.tallies[this.at].failed();
    // What fails has not been carried out: see verdicts.ts.
    const goesOn = verdict === FAILED
      ? branch.onError
      : verdict === MISS && branch.onMiss && want.reads;
    if (goesOn && this.canGoOn()) {
      if (best.verdict < 0 || verdict < best.verdict) {
        this.best = { verdict, bytes: buf.slice(start, end), text: "", unsent: true };
      }
      return this.goOn();
    }
    const isBest = best.verdict < 0 || verdict < best.verdict;
    this.letGo();
    if (isBest) this.judge.reply(this.index, link, buf, start, end);
    else tell(this.judge, this.index, this.tree.paper, best);
  }

  lost(_index: number, text: string, unsent: boolean): void {
    const { branch, want, best } = this;
    const isSafe = unsent || want.reads;
    if (!want.caller.isClosed) branch.tallies[this.at].failed();
    if (branch.onError && isSafe && this.canGoOn()) {
      if (best.verdict < 0) this.best = { verdict: FAILED, bytes: EMPTY, text, unsent };
      return this.goOn();
    }
    this.letGo();
    if (best.verdict >= 0 && isSafe) return tell(this.judge, this.index, this.tree.paper, best);
    this.judge.lost(this.index, inDoubt(text, unsent, want.reads), unsent);
  }

  private canGoOn(): boolean {
    return this.at + 1 < this.targets.length && this.length > 0 && !this.want.caller.isClosed &&
      this.branch.allows();
  }

  private goOn(): void {
    const { tallies } = this.branch;
    tallies[this.at].wentOn();
    this.at++;
    tallies[this.at].requests++;
    this.goTo(this.at);
  }

  streams(): Request | null {
    return this.judge.streams(this.index);
  }

  streamed(): void {
    this.letGo();
    this.judge.streamed(this.index);
  }
}
