// Room for a request that is rewritten. One buffer serves all clients of a pool: what is in it is
// valid until the next request is parsed.

import { EMPTY } from "../../bytes.ts";

const SMALL = 4096;
const LARGE = 1 << 18;

export class Scratch {
  buf: Uint8Array;

  constructor() {
    this.buf = EMPTY;
  }

  /** The buffer, with at least `size` bytes; a very large one does not stay for small requests. */
  room(size: number): Uint8Array {
    const have = this.buf.length;
    if (have < size || (have > LARGE && size <= LARGE)) {
      let next = SMALL;
      while (next < size) next *= 2;
      this.buf = new Uint8Array(next);
    }
    return this.buf;
  }
}
