// Output that is kept after it was written, until it is answered: what a redirect, a failover or a
// retry sends again. What is in flight is first in, first out, and its length is known, so the
// bytes of a request are found by how far they lie before the end; nothing is noted per request.
//
//     kept (written, not answered) │ segments, buf (to be written) │ end
//     ◀────────────── behind ──────┼───────────────────────────────▶

import { type BufferPool, OutBuffer, type Segment } from "./out_buffer.ts";

/** Most bytes that are kept; older ones are forgotten. */
const MOST = 16 << 20;
const EMPTY = new Uint8Array(0);

/** Ranges of bytes, end to end: `segments` may share a buffer with their neighbours. */
function copyFrom(
  ranges: readonly Segment[],
  total: number,
  behind: number,
  n: number,
  to: OutBuffer,
): boolean {
  if (behind > total) return false;
  let skip = total - behind;
  let left = n;
  for (const { buf, start, end } of ranges) {
    if (left === 0) break;
    const from = start + skip;
    if (from >= end) {
      skip -= end - start;
      continue;
    }
    skip = 0;
    const until = Math.min(end, from + left);
    to.append(buf, from, until);
    left -= until - from;
  }
  return left === 0;
}

/** What was kept when a link was lost. */
export class Kept {
  private readonly ranges: readonly Segment[];
  private readonly total: number;
  private readonly pool: BufferPool;
  private readonly lent: Uint8Array | null;

  constructor(ranges: readonly Segment[], pool: BufferPool, lent: Uint8Array | null) {
    this.ranges = ranges;
    this.total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    this.pool = pool;
    this.lent = lent;
  }

  /** Appends the `n` bytes that begin `behind` bytes before the end; false when they are forgotten. */
  copy(behind: number, n: number, to: OutBuffer): boolean {
    return copyFrom(this.ranges, this.total, behind, n, to);
  }

  /** Gives the buffers back. One that a socket has hold of is left to the garbage collector. */
  release(): void {
    const buffers = new Set(this.ranges.map(({ buf }) => buf));
    for (const buf of buffers) if (buf !== this.lent) this.pool.give(buf);
  }
}

export class KeptOutBuffer extends OutBuffer {
  /** Written and not answered, oldest first. */
  private kept: Segment[];
  private keptBytes: number;

  constructor(pool: BufferPool) {
    super(pool);
    this.kept = [];
    this.keptBytes = 0;
  }

  /** Never written straight from where it is: it would not be kept. */
  override pass(_socket: unknown, src: Uint8Array, from: number, to: number): void {
    this.append(src, from, to);
  }

  /** What is kept stays where it is: the buffer that is left is not given back for the adopted one. */
  override adopt(buf: Uint8Array, from: number, to: number): void {
    if (this.end === this.start && this.kept.some((range) => range.buf === this.buf)) {
      this.buf = EMPTY;
      this.start = 0;
      this.end = 0;
    }
    super.adopt(buf, from, to);
  }

  protected override handed(buf: Uint8Array, from: number, to: number): void {
    const last = this.kept[this.kept.length - 1];
    if (last !== undefined && last.buf === buf && last.end === from) {
      this.kept[this.kept.length - 1] = { buf, start: last.start, end: to };
    } else {
      this.kept.push({ buf, start: from, end: to });
    }
    this.keptBytes += to - from;
    if (this.keptBytes > MOST) this.forget(this.keptBytes - MOST);
  }

  /** Only the last `n` bytes of all that was appended are not answered yet. */
  keepLast(n: number): void {
    const most = Math.max(0, n - this.unhanded);
    if (this.keptBytes > most) this.forget(this.keptBytes - most);
    if (this.kept.length === 0 && this.end === this.start) super.release();
  }

  /** Appends the `n` bytes that begin `behind` bytes before the end; false when they are forgotten. */
  copyKept(behind: number, n: number, to: OutBuffer): boolean {
    return copyFrom(this.ranges(), this.keptBytes + this.unhanded, behind, n, to);
  }

  /** Hands over all that is kept or not written, and is empty. */
  takeKept(): Kept {
    const kept = new Kept(this.ranges(), this.pool, this.lent);
    // An empty buffer that nobody refers to would be lost.
    const { buf } = this;
    const used = this.end > this.start || this.kept.some((range) => range.buf === buf);
    this.reset();
    if (!used && buf.length > 0) this.pool.give(buf);
    return kept;
  }

  override clear(): void {
    this.takeKept().release();
  }

  private ranges(): Segment[] {
    const { kept, segments, buf, start, end } = this;
    const ranges = segments === null ? [...kept] : [...kept, ...segments];
    if (end > start) ranges.push({ buf, start, end });
    return ranges;
  }

  private reset(): void {
    this.kept = [];
    this.keptBytes = 0;
    this.segments = null;
    this.segmentBytes = 0;
    this.lent = null;
    this.lentBytes = 0;
    this.buf = EMPTY;
    this.start = 0;
    this.end = 0;
  }

  private forget(n: number): void {
    this.keptBytes -= n;
    let gone = 0;
    while (n > 0) {
      const range = this.kept[gone];
      const { buf, start, end } = range;
      if (end - start > n) {
        this.kept[gone] = { buf, start: start + n, end };
        break;
      }
      n -= end - start;
      gone++;
    }
    const forgotten = this.kept.splice(0, gone);
    for (let i = 0; i < forgotten.length; i++) {
      const { buf } = forgotten[i];
      if (forgotten[i + 1]?.buf !== buf) this.free(buf);
    }
  }

  /** The buffer goes back, if nothing refers to it any more. */
  private free(buf: Uint8Array): void {
    if (buf === this.lent || buf === this.buf || this.kept[0]?.buf === buf) return;
    if (this.segments !== null && this.segments[0].buf === buf) return;
    this.pool.give(buf);
  }

  protected override spent(buf: Uint8Array): void {
    if (this.kept.some((range) => range.buf === buf)) return;
    this.free(buf);
  }

  /** What was written stays where it is, and what follows is written behind it. */
  protected override release(): void {
    if (this.kept.length === 0) super.release();
    else this.start = this.end;
  }

  protected override grow(n: number): void {
    const { buf, start, end } = this;
    const shared = this.kept.some((range) => range.buf === buf);
    if (!shared) return super.grow(n);
    // Its beginning is kept: what is not written goes on in a new buffer, behind it.
    if (end > start) {
      (this.segments ??= []).push({ buf, start, end });
      this.segmentBytes += end - start;
    }
    this.buf = this.pool.take(Math.max(n, Math.min(this.pool.segment, 4096)));
    this.start = 0;
    this.end = 0;
  }
}
