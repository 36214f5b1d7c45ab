// Counts what fails of a target that is one pool by itself, on the way to whoever hears the replies.

import type { Carrier } from "../link/attempt.ts";
import { FAILED } from "../protocol/verdicts.ts";
import type { RouteTally } from "../stats/routes.ts";
import type { Judge } from "./judge.ts";
import type { Want } from "./plan.ts";
import type { Request } from "./request.ts";

export class Counted implements Judge {
  private readonly tally: RouteTally;
  private readonly want: Want;
  private readonly judge: Judge;

  constructor(tally: RouteTally, want: Want, judge: Judge) {
    this.tally = tally;
    this.want = want;
    this.judge = judge;
    tally.requests++;
  }

  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (this.want.verdict(buf, start, end) === FAILED) this.tally.failed();
    this.judge.reply(index, link, buf, start, end);
  }

  lost(index: number, text: string, unsent: boolean): void {
    if (!this.want.caller.isClosed) this.tally.failed();
    this.judge.lost(index, text, unsent);
  }

  streams(index: number): Request | null {
    return this.judge.streams(index);
  }

  streamed(index: number): void {
    this.judge.streamed(index);
  }
}
