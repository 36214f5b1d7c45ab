// Requests and replies that are larger than they should be, by key. Bounded: the one that was seen
// longest ago makes room. Knows neither clients nor servers.

/** Keys that are kept. */
export const KEPT = 64;

/** Which way it went. */
export type Way = "request" | "reply";

export interface Big {
  readonly way: Way;
  /** Lower case; "" when it is not known. */
  readonly command: string;
  /** Its beginning, as a byte string; "" when the command has none, or it is not known. */
  readonly key: string;
  readonly bytes: number;
  /** When (ms since 1970). */
  readonly at: number;
}

/** `bytes` is the most yet, `at` the last time. */
export interface BigKey extends Big {
  readonly count: number;
}

export class BigKeys {
  private readonly seen: Map<string, BigKey>;

  constructor() {
    this.seen = new Map();
  }

  /** `more`: it was told of before, with less bytes. */
  add(big: Big, more: boolean): void {
    const id = `${big.way} ${big.command} ${big.key}`;
    const before = this.seen.get(id);
    this.seen.delete(id);
    const count = (before?.count ?? 0) + (more && before !== undefined ? 0 : 1);
    this.seen.set(id, { ...big, bytes: Math.max(big.bytes, before?.bytes ?? 0), count });
    if (this.seen.size <= KEPT) return;
    const [oldest] = this.seen.keys();
    this.seen.delete(oldest);
  }

  /** The `n` largest, the largest first. */
  top(n: number): BigKey[] {
    return [...this.seen.values()].sort((a, b) => b.bytes - a.bytes).slice(0, n);
  }
}
