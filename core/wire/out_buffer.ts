// Bytes on their way to one socket: appended by the data path, written once per turn.
// Buffers are borrowed from a shared pool while there is something to send and given back when it
// is sent, so an idle connection holds none. Knows sockets only through host.ts.

import { copy, viewed } from "../bytes.ts";
import { PENDING, type Socket } from "../host.ts";

const SMALLEST = 4096;
/** Default of `BufferPool.segment`. */
const SEGMENT = 65536;
/** Shortest span that is written without being gathered. */
const DIRECT = 16384;
const CLASSES = 9; // 4 KB .. 1 MB
const KEEP_BYTES = 8 << 20; // idle bytes kept per size class

/** Free buffers by size class (powers of two from 4 KB to 1 MB). Larger ones are not kept. */
export class BufferPool {
  /** Bytes from which a full buffer is queued as it is, instead of moving to a larger one. */
  readonly segment: number;
  private readonly free: Uint8Array[][];

  constructor(segment: number = SEGMENT) {
    this.segment = segment;
    this.free = [];
    for (let i = 0; i < CLASSES; i++) this.free.push([]);
  }

  /** A buffer of at least `size` bytes, its contents undefined. */
  take(size: number): Uint8Array {
    let cls = 0;
    let bytes = SMALLEST;
    while (bytes < size && cls < CLASSES) {
      bytes *= 2;
      cls++;
    }
    if (cls >= CLASSES) return new Uint8Array(size);
    return this.free[cls].pop() ?? viewed(new Uint8Array(bytes));
  }

  give(buf: Uint8Array): void {
    const cls = 31 - Math.clz32(buf.length) - 12;
    if (cls < 0 || cls >= CLASSES || buf.length !== SMALLEST << cls) return;
    const list = this.free[cls];
    if ((list.length + 1) * buf.length <= KEEP_BYTES || list.length < 4) list.push(buf);
  }
}

const EMPTY = new Uint8Array(0);

/** `buf[start, end)`. */
export interface Segment {
  readonly buf: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Growable output of one connection. */
export class OutBuffer {
  /** The buffer being filled: `buf[start, end)` is not yet written. */
  protected buf: Uint8Array;
  protected start: number;
  protected end: number;
  /** Full buffers that go out before `buf`, oldest first; null while there are none. */
  protected segments: Segment[] | null;
  /** The buffer a socket holds on to (PENDING); null when none is lent. */
  protected lent: Uint8Array | null;
  protected segmentBytes: number;
  protected lentBytes: number;
  protected readonly pool: BufferPool;

  constructor(pool: BufferPool) {
    this.pool = pool;
    this.buf = EMPTY;
    this.start = 0;
    this.end = 0;
    this.segments = null;
    this.lent = null;
    this.segmentBytes = 0;
    this.lentBytes = 0;
  }

  /** Bytes not yet taken by the socket. */
  get size(): number {
    return this.end - this.start + this.segmentBytes + this.lentBytes;
  }

  /** Bytes that have not been handed to a socket. */
  get unhanded(): number {
    return this.end - this.start + this.segmentBytes;
  }

  /** A PENDING write holds a buffer: nothing may be written before `drained`. */
  get busy(): boolean {
    return this.lent !== null;
  }

  /** Appends a copy of `src[from, to)`. */
  append(src: Uint8Array, from: number, to: number): void {
    const n = to - from;
    if (this.end + n > this.buf.length) this.grow(n);
    copy(src, from, to, this.buf, this.end);
    this.end += n;
  }

  /**
   * Appends `src[from, to)`, or has it written at once: a long span with nothing before it saves
   * its copy where the socket keeps no hold of what it is given.
   */
  pass(socket: Socket | null, src: Uint8Array, from: number, to: number): void {
    if (to - from >= DIRECT && socket !== null && socket.copies && this.size === 0) {
      from += socket.write(src, from, to);
      if (from === to) return;
    }
    this.append(src, from, to);
  }

  /**
   * Makes room for `n` bytes and returns the buffer: the caller writes them from `tail` on, calls
   * `wrote` with the place behind them, and touches nothing else of this object in between.
   */
  reserve(n: number): Uint8Array {
    if (this.end + n > this.buf.length) this.grow(n);
    return this.buf;
  }

  get tail(): number {
    return this.end;
  }

  wrote(end: number): void {
    this.end = end;
  }

  /** Appends `buf[from, to)` without copying: `buf`, from the same pool, is this object's from now on. */
  adopt(buf: Uint8Array, from: number, to: number): void {
    if (this.end > this.start) {
      (this.segments ??= []).push({ buf: this.buf, start: this.start, end: this.end });
      this.segmentBytes += this.end - this.start;
    } else if (this.buf.length > 0) {
      this.pool.give(this.buf);
    }
    this.buf = buf;
    this.start = from;
    this.end = to;
  }

  /** Appends one byte. */
  byte(b: number): void {
    if (this.end >= this.buf.length) this.grow(1);
    this.buf[this.end++] = b;
  }

  /** Appends an ASCII string. */
  ascii(text: string): void {
    const n = text.length;
    if (this.end + n > this.buf.length) this.grow(n);
    const buf = this.buf;
    let at = this.end;
    for (let i = 0; i < n; i++) buf[at++] = text.charCodeAt(i);
    this.end = at;
  }

  /** Appends a non-negative integer below 2^53 in decimal. */
  int(n: number): void {
    if (n > 0x7fffffff) return this.ascii(String(n));
    let digits = 1;
    for (let limit = 10; digits < 10 && n >= limit; limit *= 10) digits++;
    if (this.end + digits > this.buf.length) this.grow(digits);
    let at = this.end + digits;
    this.end = at;
    const buf = this.buf;
    do {
      const q = (n / 10) | 0;
      buf[--at] = 48 + n - q * 10;
      n = q;
    } while (n > 0);
  }

  /**
   * Writes what the socket takes. True when everything has gone; false when `drained` has to be
   * called (on the socket's `drain`) to go on.
   */
  flush(socket: Socket): boolean {
    if (this.lent !== null) return false;
    while (this.segments !== null) {
      const { buf, start, end } = this.segments[0];
      const taken = socket.write(buf, start, end);
      if (taken === PENDING) {
        this.handed(buf, start, end);
        this.lend(buf, end - start);
        this.shiftSegment(end - start);
        return false;
      }
      if (taken > 0) this.handed(buf, start, start + taken);
      if (start + taken < end) {
        this.segments[0] = { buf, start: start + taken, end };
        this.segmentBytes -= taken;
        return false;
      }
      this.shiftSegment(taken);
      this.spent(buf);
    }
    if (this.end === this.start) {
      this.release();
      return true;
    }
    const taken = socket.write(this.buf, this.start, this.end);
    if (taken === PENDING) {
      this.handed(this.buf, this.start, this.end);
      this.lend(this.buf, this.end - this.start);
      this.buf = EMPTY;
      this.start = 0;
      this.end = 0;
      return false;
    }
    if (taken > 0) this.handed(this.buf, this.start, this.start + taken);
    this.start += taken;
    if (this.start < this.end) return false;
    this.release();
    return true;
  }

  /** The socket has let go of the lent buffer or takes bytes again; true when all has gone. */
  drained(socket: Socket): boolean {
    const { lent } = this;
    if (lent !== null) {
      this.lent = null;
      this.lentBytes = 0;
      this.spent(lent);
    }
    return this.flush(socket);
  }

  /** Appends all of it to `to`, and is empty then. Never written to a socket itself. */
  moveTo(to: OutBuffer): void {
    for (const { buf, start, end } of this.segments ?? []) to.append(buf, start, end);
    to.append(this.buf, this.start, this.end);
    this.clear();
  }

  /** Puts all of it into `dst`, and is empty then. Never written to a socket itself. */
  moveInto(dst: Uint8Array): void {
    let at = 0;
    for (const { buf, start, end } of this.segments ?? []) {
      copy(buf, start, end, dst, at);
      at += end - start;
    }
    copy(this.buf, this.start, this.end, dst, at);
    this.clear();
  }

  /** Drops everything (the connection is gone). A lent buffer is left to the garbage collector. */
  clear(): void {
    if (this.segments !== null) {
      for (const segment of this.segments) this.pool.give(segment.buf);
    }
    this.segments = null;
    this.segmentBytes = 0;
    this.lent = null;
    this.lentBytes = 0;
    this.release();
  }

  /** The socket has taken `buf[from, to)`, or has hold of it. */
  protected handed(_buf: Uint8Array, _from: number, _to: number): void {}

  /** All of a full buffer has been written. */
  protected spent(buf: Uint8Array): void {
    this.pool.give(buf);
  }

  protected release(): void {
    if (this.buf.length > 0) this.pool.give(this.buf);
    this.buf = EMPTY;
    this.start = 0;
    this.end = 0;
  }

  private lend(buf: Uint8Array, bytes: number): void {
    this.lent = buf;
    this.lentBytes = bytes;
  }

  private shiftSegment(bytes: number): void {
    const segments = this.segments as Segment[];
    segments.shift();
    this.segmentBytes -= bytes;
    if (segments.length === 0) this.segments = null;
  }

  /** Makes room for `n` more bytes behind `end`. */
  protected grow(n: number): void {
    const used = this.end - this.start;
    const { segment } = this.pool;
    if (used >= segment || (used > 0 && n >= segment)) {
      (this.segments ??= []).push({ buf: this.buf, start: this.start, end: this.end });
      this.segmentBytes += used;
      this.buf = this.pool.take(Math.max(n, segment));
      this.end = 0;
    } else {
      const next = this.pool.take(used + n);
      if (used > 0) next.set(this.buf.subarray(this.start, this.end));
      if (this.buf.length > 0) this.pool.give(this.buf);
      this.buf = next;
      this.end = used;
    }
    this.start = 0;
  }
}
