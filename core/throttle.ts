// A limit on lines of the log that others can cause at will: a few each second, then their number.

import { Limit } from "./limit.ts";

/** Lines each second. */
const MOST = 5;

export class Throttle {
  /** To be added to the line that is allowed: how many were not. */
  more: string;
  private readonly limit: Limit;

  constructor() {
    this.more = "";
    this.limit = new Limit(MOST);
  }

  /** Whether a line may be said now (ms). */
  allow(now: number): boolean {
    const { limit } = this;
    if (!limit.admit(now)) return false;
    this.more = limit.suppressed === 0 ? "" : ` (and ${limit.suppressed} more)`;
    limit.suppressed = 0;
    return true;
  }
}
