// How much longer servers take to answer because keys are moved: each answer to a request of the
// migration's own is timed. What is added is what they take lately beyond the least that they have taken,
// since that is the way there and back. A client's request that comes amid them waits as long.

/** Answers of so many ms count as one. */
const STEP = 100;
/** How much one step counts beside all earlier ones. */
const WEIGHT = 0.3;
/** How long (ms) the least is remembered, at least; what nobody has heard of for as long counts no more. */
const WINDOW = 30_000;

/** One server's answers. */
export class Gauge {
  /** Since when answers are one step, how many there are, and how long (ms) they took in all. */
  private stepAt: number;
  private count: number;
  private sum: number;
  /** What a step takes, smoothed; -1: nothing is known. */
  private smooth: number;
  private least: number;
  private leastBefore: number;
  private windowAt: number;

  constructor() {
    this.stepAt = -Infinity;
    this.count = 0;
    this.sum = 0;
    this.smooth = -1;
    this.least = Infinity;
    this.leastBefore = Infinity;
    this.windowAt = -Infinity;
  }

  /** An answer that took so long (ms). */
  heard(now: number, ms: number): void {
    if (now - this.windowAt >= WINDOW) {
      this.leastBefore = now - this.windowAt >= 2 * WINDOW ? Infinity : this.least;
      this.least = Infinity;
      this.windowAt = now;
    }
    if (now - this.stepAt >= STEP) {
      this.endStep();
      this.stepAt = now;
    }
    this.least = Math.min(this.least, ms);
    this.count++;
    this.sum += ms;
  }

  private endStep(): void {
    if (this.count === 0) return;
    const mean = this.sum / this.count;
    this.smooth = this.smooth < 0 ? mean : this.smooth + WEIGHT * (mean - this.smooth);
    this.count = 0;
    this.sum = 0;
  }

  /** How much (ms) longer than it has to it takes lately. */
  added(now: number): number {
    if (now - this.stepAt >= STEP) this.endStep();
    if (this.smooth < 0 || now - this.stepAt >= WINDOW) return 0;
    return Math.max(0, this.smooth - Math.min(this.least, this.leastBefore));
  }
}

export class Strain {
  private readonly gauges: Gauge[];

  constructor() {
    this.gauges = [];
  }

  /** Of one more server. */
  gauge(): Gauge {
    const gauge = new Gauge();
    this.gauges.push(gauge);
    return gauge;
  }

  /** How much (ms) is added at the server that has the most to do. */
  added(now: number): number {
    return this.gauges.reduce((most, gauge) => Math.max(most, gauge.added(now)), 0);
  }

  /** As people and programs see it. */
  shown(now: number): number {
    return Math.round(this.added(now) * 10) / 10;
  }
}
