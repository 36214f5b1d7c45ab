// Cuts what a server publishes into frames. They answer no request, and are gathered until they are
// whole. For links whose owner has a listener.

import { EMPTY } from "../bytes.ts";
import type { Codec, ReplyScan } from "../protocol/codec.ts";
import type { Listener } from "./owner.ts";

export class FrameReader {
  private readonly listener: Listener;
  /** An unfinished frame: carry[0, carried), looked at up to `looked`. */
  private carry: Uint8Array;
  private carried: number;
  private looked: number;
  /** Counts resets: a listener may close the link it hears. */
  private life: number;

  constructor(listener: Listener) {
    this.listener = listener;
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.life = 0;
  }

  /** Gives on the whole frames in `buf[start, end)` and keeps the rest. False when it is none. */
  read(codec: Codec, scan: ReplyScan, buf: Uint8Array, start: number, end: number): boolean {
    const { life } = this;
    if (this.carried === 0) {
      const done = this.cut(codec, scan, buf, start, start, end);
      if (this.life !== life) return true;
      if (done < end) this.keep(buf, done, end);
    } else {
      const { looked } = this;
      this.keep(buf, start, end);
      const { carry, carried } = this;
      const done = this.cut(codec, scan, carry, 0, looked, carried);
      if (this.life !== life) return true;
      this.carried = carried - done;
      if (this.carried === 0) this.carry = EMPTY;
      else carry.copyWithin(0, done, carried);
    }
    return !scan.bad;
  }

  /** Whole frames from `start` on, the first one from where it was left; the end of the last. */
  private cut(
    codec: Codec,
    scan: ReplyScan,
    buf: Uint8Array,
    start: number,
    from: number,
    end: number,
  ): number {
    const { life } = this;
    let frame = start;
    let pos = from;
    while (pos < end) {
      pos = codec.parseReply(scan, buf, pos, end);
      if (scan.bad || !scan.done) break;
      this.listener.frame(buf, frame, pos);
      if (this.life !== life) return end;
      frame = pos;
    }
    this.looked = pos - frame;
    return frame;
  }

  private keep(buf: Uint8Array, start: number, end: number): void {
    const n = end - start;
    if (this.carried + n > this.carry.length) {
      const larger = new Uint8Array(Math.max(1024, 2 * (this.carried + n)));
      larger.set(this.carry.subarray(0, this.carried));
      this.carry = larger;
    }
    this.carry.set(buf.subarray(start, end), this.carried);
    this.carried += n;
  }

  /** The socket is gone. */
  reset(): void {
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.life++;
  }
}
