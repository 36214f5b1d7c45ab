// How late the ticks of a timer come: the proxy was busy, or stopped. That is nobody else's time, and
// what has come meanwhile is still to be read: who has not been heard may have spoken.

/** A tick that is late by more than this part of its interval, and so many ms, is a late one. */
const LATE_PART = 0.5;
const LATE = 5;

export class Lateness {
  private readonly interval: number;
  private tickedAt: number;

  constructor(interval: number, now: number) {
    this.interval = interval;
    this.tickedAt = now;
  }

  /** How late (ms) the tick is that comes now; 0 if it is not. */
  at(now: number): number {
    const over = now - this.tickedAt - this.interval;
    this.tickedAt = now;
    return over > Math.max(LATE, this.interval * LATE_PART) ? over : 0;
  }
}
