// Requests that are sent otherwise than they came: without a word, or with a key that is found
// behind them.

import type { Scan } from "../codec.ts";
import { decodeBase64 } from "./base64.ts";
import type { Scratch } from "./scratch.ts";
import { MAX_KEY } from "./words.ts";

const LF = 10;

/** Rewrites the request without its bytes `[from, to)`. */
export function cut(
  scratch: Scratch,
  scan: Scan,
  buf: Uint8Array,
  start: number,
  from: number,
  to: number,
): void {
  const length = scan.length;
  const room = scratch.room(length + MAX_KEY);
  copy(room, 0, buf, start, start + from);
  copy(room, from, buf, start + to, start + length);
  scan.scratch = room;
  scan.scratchLength = length - (to - from);
}

/**
 * Whether a reply may have the key in it that stands here in base64: memcached writes it as it is
 * if it was not stored in base64 (the binary protocol's, mg and ma with N), and a line break in
 * it would be taken for the end of the reply.
 */
export function mayBeShown(scratch: Scratch, scan: Scan, buf: Uint8Array, start: number): boolean {
  const key = scratch.room(MAX_KEY);
  const end = decodeBase64(buf, start + scan.keyStart, start + scan.keyEnd, key, 0);
  // memcached makes something even of what is no base64.
  if (end < 0) return false;
  for (let i = 0; i < end; i++) if (key[i] === LF) return false;
  return true;
}

/**
 * The key is in base64, but its place is that of the key it stands for, which other commands
 * may write plainly: the decoded key goes behind the request, where it is hashed but not sent.
 * Word `q` is dropped if it is not 0.
 */
export function binaryKey(
  scratch: Scratch,
  scan: Scan,
  buf: Uint8Array,
  start: number,
  q: number,
): void {
  const args = scan.args;
  if (q > 0) cut(scratch, scan, buf, start, args[2 * q] - 1, args[2 * q + 1]);
  else cut(scratch, scan, buf, start, 0, 0);
  const { buf: room } = scratch;
  const at = scan.scratchLength;
  const keyEnd = decodeBase64(room, scan.keyStart, scan.keyEnd, room, at);
  // What is no base64 is forwarded as it is, and the server says so.
  if (keyEnd > at) {
    scan.keyStart = at;
    scan.keyEnd = keyEnd;
  }
}

function copy(to: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): void {
  if (end - start > 64) {
    to.set(buf.subarray(start, end), at);
  } else {
    for (let i = start; i < end; i++) to[at++] = buf[i];
  }
}
