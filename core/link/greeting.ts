// What is said first on a socket (AUTH, SELECT, HELLO), and the replies to it: requests wait until
// all of them have come.

import type { Socket } from "../host.ts";
import type { Codec, Handshake, ReplyScan } from "../protocol/codec.ts";
import { type BufferPool, OutBuffer } from "../wire/out_buffer.ts";

export class Greeting {
  /** Of its own: the requests that have been gathered are in the link's. */
  private readonly out: OutBuffer;
  /** Replies to come. */
  private left: number;
  /** The error of the server that does not like it; null for none. */
  refusal: string | null;

  constructor({ bytes, replies }: Handshake, buffers: BufferPool) {
    this.out = new OutBuffer(buffers);
    this.out.append(bytes, 0, bytes.length);
    this.left = replies;
    this.refusal = null;
  }

  say(socket: Socket): void {
    this.out.flush(socket);
  }

  /** The socket has room again. */
  drained(socket: Socket): void {
    this.out.drained(socket);
  }

  /** The socket has taken all of it. */
  get isSaid(): boolean {
    return this.out.size === 0;
  }

  get isAnswered(): boolean {
    return this.left === 0;
  }

  /** It is at the last thing that is said. */
  get isAtLast(): boolean {
    return this.left === 1;
  }

  /**
   * Takes the replies to it off `buf[start, end)`, up to a refusal; returns where the rest begins.
   * `scan` tells whether there is an unfinished one, or what is no reply.
   */
  hear(codec: Codec, scan: ReplyScan, buf: Uint8Array, start: number, end: number): number {
    let pos = start;
    while (this.left > 0 && pos < end) {
      const next = codec.parseReply(scan, buf, pos, end);
      if (scan.bad || !scan.done) return next;
      if (codec.isError(buf, pos)) {
        this.refusal = codec.errorText(buf, pos, next);
        return next;
      }
      this.left--;
      pos = next;
    }
    return pos;
  }

  /** The socket is gone. */
  drop(): void {
    this.out.clear();
  }
}

/** One greeting behind the other. */
export function bothOf(first: Handshake | null, then: Handshake | null): Handshake | null {
  if (first === null || then === null) return first ?? then;
  const bytes = new Uint8Array(first.bytes.length + then.bytes.length);
  bytes.set(first.bytes);
  bytes.set(then.bytes, first.bytes.length);
  return { bytes, replies: first.replies + then.replies };
}
