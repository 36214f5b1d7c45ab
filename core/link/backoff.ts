// How long to wait before trying again what has failed: longer each time, up to a bound, and never
// exactly as long as all the others who try the same.

/** Milliseconds: of the first wait, and the most. */
const FIRST = 100;
const MOST = 10_000;
/** Waits differ by up to so many hundredths, either way. */
const JITTER = 25;

export class Backoff {
  private readonly random: (n: number) => number;
  private failures: number;

  /** `random(n)` is an integer in [0, n). */
  constructor(random: (n: number) => number) {
    this.random = random;
    this.failures = 0;
  }

  /** It has failed: how long (ms) to wait, at most about `most`. */
  next(most = MOST): number {
    const wait = Math.min(FIRST * 2 ** this.failures, most, MOST);
    if (this.failures < 30) this.failures++;
    return wait * (100 - JITTER + this.random(2 * JITTER + 1)) / 100;
  }

  /** It has worked. */
  reset(): void {
    this.failures = 0;
  }
}
