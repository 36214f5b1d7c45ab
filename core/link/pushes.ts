// What a server sends between replies, on the links of one client: RESP3's pushes. They are taken out
// of the stream before replies are looked for, so that links without a listener pay nothing.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#pushes

import { EMPTY } from "../bytes.ts";
import type { Codec, Handshake } from "../protocol/codec.ts";
import { ReplyScan } from "../protocol/replies.ts";

const PUSH = 62; // ">"
/** Most bytes of one push, or of an unfinished line, that are kept: a longer push is a loss. */
const MOST = 1 << 20;
/** Silence (ms) after which the server is asked whether it is there, and how long it may think. */
const SILENCE = 10_000;
const PATIENCE = 10_000;

/** Whose the links of a lane are: it hears what servers push on them. */
export interface PushListener {
  /** A whole push. The buffer is borrowed. */
  pushed(buf: Uint8Array, start: number, end: number): void;
  /** Pushes may have been lost. */
  pushesLost(): void;
}

/** What sets a lane of one client's apart. */
export interface PushSetting {
  readonly listener: PushListener;
  readonly handshake: Handshake | null;
}

/** Who gets what is not a push. */
type Rest = (buf: Uint8Array, start: number, end: number) => void;

export class PushSieve {
  readonly handshake: Handshake | null;
  private readonly listener: PushListener;
  private readonly codec: Codec;
  private readonly rest: Rest;
  private readonly scan: ReplyScan;
  /** In a push: what is there of it goes to `carry`. */
  private inPush: boolean;
  /** The push is too long to be kept. */
  private tooLong: boolean;
  /** carry[0, carried): of an unfinished push or line; looked at up to `looked`. */
  private carry: Uint8Array;
  private carried: number;
  private looked: number;
  /** Counts resets: whoever hears may close the link. */
  private life: number;
  private heardAt: number;
  private asked: boolean;

  constructor({ listener, handshake }: PushSetting, codec: Codec, rest: Rest) {
    this.handshake = handshake;
    this.listener = listener;
    this.codec = codec;
    this.rest = rest;
    this.scan = new ReplyScan();
    this.inPush = false;
    this.tooLong = false;
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.life = 0;
    this.heardAt = -1;
    this.asked = false;
  }

  /** What has come: pushes go to the listener, the rest goes on in the same order. */
  sift(buf: Uint8Array, start: number, end: number): void {
    this.heardAt = -1;
    if (this.carried === 0) return this.cut(buf, start, start, end);
    this.keep(buf, start, end);
    const { carry, carried, looked } = this;
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.cut(carry, 0, looked, carried);
  }

  /** `buf[start, from)` is of an unfinished push or line. */
  private cut(buf: Uint8Array, start: number, from: number, end: number): void {
    const { life, scan, codec } = this;
    let mark = start; // where the push begins, or what is not given on yet
    let pos = from;
    while (pos < end) {
      if (scan.done) {
        const isPush = buf[pos] === PUSH;
        if (isPush && mark < pos) {
          this.rest(buf, mark, pos);
          if (this.life !== life) return;
          mark = pos;
        }
        this.inPush = isPush;
      }
      const next = codec.parseReply(scan, buf, pos, end);
      // No reply it is: whoever looks for replies sees that too.
      if (scan.bad) return this.rest(buf, mark, end);
      pos = next;
      if (!scan.done) break;
      if (!this.inPush) continue;
      this.inPush = false;
      if (this.tooLong) this.listener.pushesLost();
      else this.listener.pushed(buf, mark, pos);
      this.tooLong = false;
      if (this.life !== life) return;
      mark = pos;
    }
    if (!this.inPush && mark < pos) {
      this.rest(buf, mark, pos);
      if (this.life !== life) return;
      mark = pos;
    }
    if (this.inPush && pos - mark > MOST) this.tooLong = true;
    if (this.tooLong) mark = pos;
    if (mark === end) return;
    this.looked = pos - mark;
    this.keep(buf, mark, end);
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

  /** Of an idle link: whether the server is to be asked if it is there. "gone": it does not say. */
  tick(now: number, late: number): "ask" | "gone" | "" {
    if (this.heardAt < 0) {
      this.heardAt = now;
      this.asked = false;
    }
    this.heardAt += late;
    const quiet = now - this.heardAt;
    if (this.asked) return quiet > SILENCE + PATIENCE && late === 0 ? "gone" : "";
    if (quiet <= SILENCE) return "";
    this.asked = true;
    return "ask";
  }

  /** The socket is gone; `heard`: pushes could have come over it. */
  reset(heard: boolean): void {
    this.scan.reset();
    this.inPush = false;
    this.tooLong = false;
    this.carry = EMPTY;
    this.carried = 0;
    this.looked = 0;
    this.life++;
    this.heardAt = -1;
    this.asked = false;
    if (heard) this.listener.pushesLost();
  }
}
