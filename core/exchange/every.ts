// `all`: a request goes to every child, and `wait` says whose reply the client gets: that of most of
// them (majority: half + 1 that are alike), the worst (all), the first that is no error (fastest),
// that of the first child (first), or the protocol's for "not there" at once (none). Deletes that
// fail at a child are tried again.

import type { Wait } from "../config/routes.ts";
import type { Carrier } from "../link/attempt.ts";
import { INTENT_DELETE } from "../protocol/intents.ts";
import { EMPTY } from "../bytes.ts";
import { FAILED } from "../protocol/verdicts.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Intent } from "../route/route.ts";
import type { Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import { Branching } from "./branching.ts";
import { Course, type CourseOf } from "./course.ts";
import { send } from "./errand.ts";
import { type Judge, type Said, SILENCE, tell } from "./judge.ts";
import type { Tree, Want } from "./plan.ts";
import type { Request } from "./request.ts";

export class Every extends Branching {
  readonly wait: Wait;

  constructor(
    tree: Tree,
    children: readonly Branch[],
    tallies: readonly RouteTally[],
    wait: Wait,
  ) {
    super(tree, children, tallies, "`all`");
    this.wait = wait;
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

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    return {
      what: `all, wait: ${this.wait}`,
      to: this.children.map((child) => child.trace(buf, start, end, intent)),
    };
  }
}

class Run extends Course<Every> {
  private readonly said: Said[];
  private awaiting: number;
  /** The client has its reply. */
  private told: boolean;
  /** A delete, to be sent again where it fails; empty for anything else. */
  private deletion: Uint8Array;

  constructor(...of: CourseOf<Every>) {
    super(...of);
    const { targets } = this;
    this.said = targets.map(() => SILENCE);
    this.awaiting = targets.length;
    this.told = false;
    this.deletion = EMPTY;
  }

  private get wait(): Wait {
    return this.branch.wait;
  }

  begin(buf: Uint8Array, start: number, end: number): void {
    const { want, targets } = this;
    if (want.intent === INTENT_DELETE) this.deletion = buf.slice(start, end);
    if (this.wait === "none") {
      const { caller, verb, verdicts, tags } = want;
      const bytes = verdicts.nothing(verb, buf, start, end, tags, caller.session);
      this.tell({ ...SILENCE, bytes });
    }
    for (const tally of this.branch.tallies) tally.requests++;
    for (let i = 0; i < targets.length; i++) send(targets[i], want, buf, start, end, this, i);
  }

  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const verdict = this.want.verdict(buf, start, end);
    this.awaiting--;
    if (verdict === FAILED) this.failed(index);
    if (this.told) return;
    if (this.isEnough(index, verdict)) {
      this.told = true;
      return this.judge.reply(this.index, link, buf, start, end);
    }
    this.said[index] = { verdict, bytes: buf.slice(start, end), text: "", unsent: true };
    this.judgeAll();
  }

  lost(index: number, text: string, unsent: boolean): void {
    this.awaiting--;
    this.failed(index);
    if (this.told) return;
    this.said[index] = { verdict: FAILED, bytes: EMPTY, text, unsent };
    if (this.wait === "first" && index === 0) return this.tell(this.said[0]);
    this.judgeAll();
  }

  /** Whether a reply is the client's, whatever the others say. */
  private isEnough(index: number, verdict: number): boolean {
    return this.wait === "first" ? index === 0 : this.wait === "fastest" && verdict !== FAILED;
  }

  private judgeAll(): void {
    const { wait, said, awaiting } = this;
    if (wait === "first") return;
    if (wait === "majority") {
      const half = said.length >> 1;
      for (const one of said) {
        if (one.verdict < 0) continue;
        const alike = said.filter(({ verdict }) => verdict === one.verdict).length;
        if (alike > half) return this.tell(one);
      }
    }
    if (awaiting > 0) return;
    let worst = said[0];
    for (const one of said) if (one.verdict > worst.verdict) worst = one;
    this.tell(worst);
  }

  private tell(said: Said): void {
    this.told = true;
    tell(this.judge, this.index, this.tree.paper, said);
  }

  private failed(index: number): void {
    const { deletion, tree, want, targets, branch } = this;
    branch.tallies[index].failed();
    if (deletion.length > 0) tree.retry(targets[index], want, deletion, 0, deletion.length);
  }

  streams(index: number): Request | null {
    if (this.told || this.wait === "all" || this.wait === "majority" || this.wait === "none") {
      return null;
    }
    if (this.wait === "first" && index > 0) return null;
    this.told = true;
    return this.judge.streams(this.index);
  }

  streamed(): void {
    this.awaiting--;
    this.judge.streamed(this.index);
  }
}
