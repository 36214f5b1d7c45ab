// How long requests took: counts by bucket, for each server and class of command. Buckets grow by
// powers of two from 16 microseconds, so that a place in the table is a count of leading zeros.

/** Classes of commands, by what they do to the data. */
export const LATENCY_CLASSES = ["read", "write", "other"] as const;
export const CLASS_READ = 0;
export const CLASS_WRITE = 1;
export const CLASS_OTHER = 2;

/** Upper bounds of the buckets in seconds: 16 us .. 16.8 s; beyond is one more bucket. */
export const LATENCY_BOUNDS: readonly number[] = Array.from(
  { length: 21 },
  (_, i) => 16e-6 * 2 ** i,
);

/** One class's counts: `counts[i]` are those up to LATENCY_BOUNDS[i], the last all others. */
export interface LatencySnapshot {
  readonly class: string;
  readonly counts: readonly number[];
  /** Seconds, of all together. */
  readonly sum: number;
}

/** The histogram of one class. */
export class Latency {
  readonly counts: Float64Array;
  /** Milliseconds. */
  sum: number;

  constructor() {
    this.counts = new Float64Array(LATENCY_BOUNDS.length + 1);
    this.sum = 0;
  }

  /** `n` requests that took `ms` each. */
  record(ms: number, n: number): void {
    // ceil(microseconds / 16) - 1, whose length in bits is the bucket.
    const units = Math.ceil(ms * 62.5) - 1;
    const bucket = units <= 0 ? 0 : 32 - Math.clz32(Math.min(units, 0x1fffff));
    this.counts[bucket] += n;
    this.sum += ms * n;
  }

  snapshot(index: number): LatencySnapshot {
    return {
      class: LATENCY_CLASSES[index],
      counts: [...this.counts],
      sum: this.sum / 1000,
    };
  }
}

export function mergeLatency(
  a: readonly LatencySnapshot[],
  b: readonly LatencySnapshot[],
): LatencySnapshot[] {
  return a.map((one, i) => {
    const other = b[i];
    if (other === undefined) return one;
    return {
      class: one.class,
      counts: one.counts.map((n, k) => n + other.counts[k]),
      sum: one.sum + other.sum,
    };
  });
}

/** The `q`-quantile (0 to 1) in seconds, by a straight line within its bucket; 0 without requests. */
export function quantile(counts: readonly number[], q: number): number {
  const total = counts.reduce((sum, n) => sum + n, 0);
  if (total === 0) return 0;
  let rank = q * total;
  for (let i = 0; i < counts.length; i++) {
    if (rank <= counts[i] && counts[i] > 0) {
      const low = i === 0 ? 0 : LATENCY_BOUNDS[i - 1];
      const high = i < LATENCY_BOUNDS.length ? LATENCY_BOUNDS[i] : 2 * low;
      return low + (high - low) * (rank / counts[i]);
    }
    rank -= counts[i];
  }
  return LATENCY_BOUNDS[LATENCY_BOUNDS.length - 1];
}
