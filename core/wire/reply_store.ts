// Replies that cannot go to their client yet, because an earlier request of that client still waits
// for another server. They are kept end to end in chunks; a chunk is free again when the last
// reply in it has gone. Imports only the buffer pool.

import { copy } from "../bytes.ts";
import type { BufferPool } from "./out_buffer.ts";

const CHUNK = 16384;
/** A larger chunk does not stay with its store when it is empty. */
const KEEP = 65536;

/** Some held replies, end to end. */
export class ReplyChunk {
  buf: Uint8Array;
  end: number;
  private refs: number;
  /** Its store still appends to it. */
  current: boolean;
  private readonly pool: BufferPool;

  constructor(pool: BufferPool, size: number) {
    this.pool = pool;
    this.buf = pool.take(size);
    this.end = 0;
    this.refs = 0;
    this.current = true;
  }

  keep(): void {
    this.refs++;
  }

  /** One reply has gone. */
  drop(): void {
    if (--this.refs > 0) return;
    if (this.current && this.buf.length <= KEEP) {
      this.end = 0;
      return;
    }
    this.pool.give(this.buf);
    if (!this.current) return;
    this.buf = this.pool.take(CHUNK);
    this.end = 0;
  }
}

/** A reply under way in a chunk; a Request is one. */
export interface Holder {
  held: Uint8Array;
  heldStart: number;
  heldEnd: number;
  chunk: ReplyChunk | null;
}

/** The chunks of one link, whose replies come one after the other. */
export class ReplyStore {
  private chunk: ReplyChunk | null;
  private readonly pool: BufferPool;

  constructor(pool: BufferPool) {
    this.pool = pool;
    this.chunk = null;
  }

  /**
   * Appends `buf[start, end)` to what `holder` holds, which is nothing or the last thing appended
   * here: a reply grows at the end of its chunk, or moves to a larger one.
   */
  append(holder: Holder, buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    const before = holder.heldEnd - holder.heldStart;
    let { chunk } = this;
    if (chunk === null || chunk.end + n > chunk.buf.length) {
      chunk = this.renew(before + n);
    }
    if (holder.chunk !== chunk) {
      const at = chunk.end;
      if (holder.chunk !== null) {
        chunk.buf.set(holder.held.subarray(holder.heldStart, holder.heldEnd), at);
        holder.chunk.drop();
      }
      chunk.keep();
      chunk.end = at + before;
      holder.chunk = chunk;
      holder.held = chunk.buf;
      holder.heldStart = at;
      holder.heldEnd = at + before;
    }
    copy(buf, start, end, chunk.buf, chunk.end);
    chunk.end += n;
    holder.heldEnd = chunk.end;
  }

  /** Nothing more will be appended for a while: the chunk is free when its last reply has gone. */
  close(): void {
    const old = this.chunk;
    if (old === null) return;
    old.keep();
    old.current = false;
    old.drop();
    this.chunk = null;
  }

  /** A fresh current chunk with room for `size` bytes, twice that for what keeps growing. */
  private renew(size: number): ReplyChunk {
    this.close();
    this.chunk = new ReplyChunk(this.pool, Math.max(CHUNK, size > CHUNK ? 2 * size : 0));
    return this.chunk;
  }
}
