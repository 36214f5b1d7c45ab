// Values of the Redis protocol that ringmux makes itself, of byte strings.

import { bytes, copy } from "../../bytes.ts";
import type { RedisSession } from "./session.ts";

export function bulk(value: string): Uint8Array {
  return bytes(`$${value.length}\r\n${value}\r\n`);
}

/** Text for people: RESP3 has a type of its own for it. */
export function verbatim(value: string, session: RedisSession): Uint8Array {
  return session.resp === 3 ? bytes(`=${value.length + 4}\r\ntxt:${value}\r\n`) : bulk(value);
}

export function array(values: readonly string[]): Uint8Array {
  return bytes(
    `*${values.length}\r\n` + values.map((v) => `$${v.length}\r\n${v}\r\n`).join(""),
  );
}

/** Room for a value that has bytes of a request in it: they are copied, never made into a string. */
export class Room {
  private readonly buf: Uint8Array;
  private at: number;

  constructor(size: number) {
    this.buf = new Uint8Array(size);
    this.at = 0;
  }

  ascii(value: string): void {
    for (let i = 0; i < value.length; i++) this.buf[this.at++] = value.charCodeAt(i);
  }

  bulk(buf: Uint8Array, start: number, end: number): void {
    this.ascii(`$${end - start}\r\n`);
    this.span(buf, start, end);
    this.ascii("\r\n");
  }

  span(buf: Uint8Array, start: number, end: number): void {
    copy(buf, start, end, this.buf, this.at);
    this.at += end - start;
  }

  done(): Uint8Array {
    return this.buf.subarray(0, this.at);
  }
}

/** Room that a bulk string takes beside its bytes. */
export const AROUND = 16;

/** `buf[start, end)` as a bulk string. */
export function bulkOf(buf: Uint8Array, start: number, end: number): Uint8Array {
  const room = new Room(end - start + AROUND);
  room.bulk(buf, start, end);
  return room.done();
}
