// Latencies, counted in buckets less than one percent wide. Knows nothing of clocks.

/** Buckets per power of two. */
const SUB = 128;
const SUB_BITS = 7;
/** Values are kept in tenths of a microsecond. */
const PER_MS = 10000;

export class Histogram {
  private readonly buckets: Uint32Array;
  private count: number;
  /** The greatest value, in milliseconds. */
  max: number;

  constructor() {
    this.buckets = new Uint32Array(SUB * 26);
    this.count = 0;
    this.max = 0;
  }

  record(ms: number): void {
    const v = Math.min(0x7fffffff, ms * PER_MS) | 0;
    const shift = Math.max(0, 31 - Math.clz32(v) - SUB_BITS);
    this.buckets[shift * SUB + (v >> shift)]++;
    this.count++;
    if (ms > this.max) this.max = ms;
  }

  clear(): void {
    this.buckets.fill(0);
    this.count = 0;
    this.max = 0;
  }

  /** Milliseconds below which `part` (0.99, say) of the values lie. */
  percentile(part: number): number {
    let left = Math.ceil(this.count * part);
    if (left === 0) return 0;
    for (let i = 0; i < this.buckets.length; i++) {
      left -= this.buckets[i];
      if (left > 0) continue;
      // Buckets below 2 * SUB hold one value each; above, `shift` was folded into the index.
      const shift = Math.max(0, (i >> SUB_BITS) - 1);
      return ((i - shift * SUB + 0.5) * 2 ** shift) / PER_MS;
    }
    return 0;
  }
}
