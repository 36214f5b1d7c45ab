// A limit on lines of the log that others can cause at will: a few each second, then their number.

/** Lines each second. */
const MOST = 5;

export class Throttle {
  /** To be added to the line that is allowed: how many were not. */
  more: string;
  private since: number;
  private said: number;
  private dropped: number;

  constructor() {
    this.more = "";
    this.since = -Infinity;
    this.said = 0;
    this.dropped = 0;
  }

  /** Whether a line may be said now (ms). */
  allow(now: number): boolean {
    if (now - this.since >= 1000) {
      this.since = now;
      this.said = 0;
    }
    if (this.said >= MOST) {
      this.dropped++;
      return false;
    }
    this.said++;
    this.more = this.dropped === 0 ? "" : ` (and ${this.dropped} more)`;
    this.dropped = 0;
    return true;
  }
}
