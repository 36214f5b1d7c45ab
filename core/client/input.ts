// The beginning of a request whose end has not come, and what has come while a client is not to be
// heard.

import { EMPTY } from "../bytes.ts";
import type { BufferPool } from "../wire/out_buffer.ts";

/** Announced length (bytes) for which room is made at once. */
const BELIEVED = 1 << 20;

export class Input {
  /** buf[start, end). */
  buf: Uint8Array;
  start: number;
  end: number;
  /** Length of the unfinished request, if that is known; 0 if not. */
  expected: number;
  private readonly buffers: BufferPool;

  constructor(buffers: BufferPool) {
    this.buf = EMPTY;
    this.start = 0;
    this.end = 0;
    this.expected = 0;
    this.buffers = buffers;
  }

  get size(): number {
    return this.end - this.start;
  }

  /** Appends a copy of `buf[start, end)`. */
  keep(buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    if (n === 0) return;
    const have = this.end - this.start;
    if (this.end + n > this.buf.length) {
      // Grown as bytes come, not as announced: an announced length costs the client nothing.
      const twice = 2 * (have + n);
      const most = this.expected > 0 ? this.expected : twice > BELIEVED ? twice : 0;
      const next = this.buffers.take(
        Math.max(have + n, Math.min(most, Math.max(twice, BELIEVED))),
      );
      if (have > 0) next.set(this.buf.subarray(this.start, this.end));
      if (this.buf !== EMPTY) this.buffers.give(this.buf);
      this.buf = next;
      this.start = 0;
      this.end = have;
    }
    this.buf.set(buf.subarray(start, end), this.end);
    this.end += n;
  }

  /** Puts a request before what is kept. */
  putBack(request: Uint8Array): void {
    const rest = this.buf.slice(this.start, this.end);
    this.drop();
    this.keep(request, 0, request.length);
    this.keep(rest, 0, rest.length);
  }

  /** Nothing is kept any more; `buf` goes back. */
  drop(): void {
    if (this.buf !== EMPTY) this.buffers.give(this.buf);
    this.lose();
  }

  /** Nothing is kept any more; `buf` is somebody else's now. */
  lose(): void {
    this.buf = EMPTY;
    this.start = 0;
    this.end = 0;
    this.expected = 0;
  }
}
