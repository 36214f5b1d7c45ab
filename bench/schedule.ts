// When requests are due in an open loop: independent of each other, so many a second on average (a
// Poisson process), and the same for every contestant. Knows nothing of sockets.

export class Schedule {
  /** When the next request is due, in milliseconds of the clock that `start` was read from. */
  next: number;
  private readonly mean: number;
  private seed: number;

  /** `rate`: requests a second. */
  constructor(rate: number, start: number) {
    this.mean = 1000 / rate;
    this.seed = 1;
    this.next = start;
    this.advance();
  }

  /** The request after the next one. */
  advance(): void {
    // A linear congruential generator; 1 - u is above 0.
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    const u = this.seed / 2 ** 32;
    this.next -= this.mean * Math.log(1 - u);
  }
}
