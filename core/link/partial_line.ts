// The beginning of a reply's line, or head, whose end has not come. Bodies are never kept here.

const LF = 10;
/** More than the longest line of either protocol. */
const LONGEST = 65536 + 16;

export class PartialLine {
  /** buf[0, size). */
  private buf: Uint8Array;
  size: number;

  constructor() {
    this.buf = new Uint8Array(64);
    this.size = 0;
  }

  keep(buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    if (this.size + n > this.buf.length) {
      const larger = new Uint8Array((this.size + n) * 2);
      larger.set(this.buf.subarray(0, this.size));
      this.buf = larger;
    }
    for (let i = 0; i < n; i++) this.buf[this.size + i] = buf[start + i];
    this.size += n;
  }

  /**
   * Adds what of `buf[start, end)` belongs to it, and returns where the rest begins. `head`: length
   * of the head to be completed; 0 for a line.
   */
  complete(buf: Uint8Array, start: number, end: number, head: number): number {
    let pos = start;
    if (head > 0) pos = Math.min(end, start + head - this.size);
    else while (pos < end && buf[pos++] !== LF);
    this.keep(buf, start, pos);
    return pos;
  }

  /** It is all there, or too long to be a line. */
  isWhole(head: number): boolean {
    if (head > 0) return this.size === head;
    return this.buf[this.size - 1] === LF || this.size > LONGEST;
  }

  /** The bytes, which are kept no more. */
  take(): Uint8Array {
    const { size } = this;
    this.size = 0;
    return this.buf.slice(0, size);
  }
}
