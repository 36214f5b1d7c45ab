// When the next key may go that nobody has asked for: not above `rate` a second, not while the migration
// pauses, and more and more slowly as long as that makes servers answer later than `latency` allows.
//
//   added > latency   the gap between two keys is doubled, ten times a second at most
//   else              it shrinks, until there is none

import type { Host } from "../../host.ts";
import { after } from "./after.ts";
import type { Strain } from "./strain.ts";

/** How often (ms) the gap changes. */
const STEP = 100;
/** The gap (ms) at first, and at most. */
const SHORTEST = 1;
const LONGEST = 100;
const SHRINKS = 0.8;
/** Keys of so many ms may go at once after a while in which none went. */
const CREDIT = 100;
/** How often (ms) it is looked whether it still pauses. */
const REST = 500;

export interface PaceContext {
  readonly host: Pick<Host, "now" | "every">;
  /** Keys per second; 0: no limit. */
  readonly rate: number;
  /** How much (ms) longer servers may take to answer; 0: no limit. */
  readonly latency: number;
  readonly isPaused: boolean;
  readonly strain: Strain;
}

export class Pace {
  private readonly context: PaceContext;
  /** When the next key may go (ms). */
  private nextAt: number;
  private gap: number;
  private judgedAt: number;

  constructor(context: PaceContext) {
    this.context = context;
    this.nextAt = 0;
    this.gap = 0;
    this.judgedAt = -Infinity;
  }

  /** Keys go more slowly than `rate` says. */
  get isSlowed(): boolean {
    return this.gap > 0;
  }

  /** Until a key may go; true when it may, false when `goesOn` has said no. */
  async turn(goesOn: () => boolean): Promise<boolean> {
    const { context } = this;
    const { host } = context;
    while (goesOn()) {
      const wait = context.isPaused ? REST : this.nextAt - host.now();
      if (wait <= 0) {
        this.took(host.now());
        return true;
      }
      await new Promise<void>((resolve) => void after(host, Math.max(1, wait), resolve));
    }
    return false;
  }

  private took(now: number): void {
    const { rate } = this.context;
    this.judge(now);
    const between = rate > 0 ? 1000 / rate : 0;
    if (this.gap > between) this.nextAt = now + this.gap;
    else if (rate > 0) this.nextAt = Math.max(this.nextAt, now - CREDIT) + between;
  }

  private judge(now: number): void {
    if (now - this.judgedAt < STEP) return;
    this.judgedAt = now;
    const { latency, strain } = this.context;
    if (latency > 0 && strain.added(now) > latency) {
      this.gap = Math.min(LONGEST, Math.max(SHORTEST, 2 * this.gap));
    } else this.gap = this.gap < SHORTEST ? 0 : SHRINKS * this.gap;
  }
}
