// What becomes of a request that was read: refused, with or without its data block, or not to be
// trusted. Format: see parse.ts.

import { EMPTY } from "../../bytes.ts";
import { BAD, DONE, MORE, NOTHING, REFUSE, type Scan } from "../codec.ts";
import { MUTE_NONE } from "./commands.ts";

const CR = 13;
const LF = 10;

/**
 * The data block of a storage command that is to be forwarded. While it is incomplete the key and
 * the length are told, and `left` if what is there may be sent ahead (`asIs`).
 */
export function block(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  total: number,
  asIs: boolean,
  error: Uint8Array,
): number {
  scan.length = total;
  if (end - start < total) {
    scan.pos = -total;
    scan.left = asIs ? total - (end - start) : 0;
    return MORE;
  }
  const p = start + total;
  if (buf[p - 2] !== CR || buf[p - 1] !== LF) return refuse(scan, error, total);
  return DONE;
}

/** A refused storage command takes its data block with it, so that no data is read as commands. */
export function refuseBlock(scan: Scan, error: Uint8Array, total: number, have: number): number {
  refuse(scan, error, total);
  if (have >= total) return DONE;
  scan.pos = -total;
  scan.left = total - have;
  return MORE;
}

/** An empty error: the client asked for no reply, and gets none. */
export function refuse(scan: Scan, error: Uint8Array, length: number): number {
  scan.action = error === EMPTY ? NOTHING : REFUSE;
  scan.error = error;
  scan.length = length;
  scan.mute = MUTE_NONE;
  return DONE;
}

export function bad(scan: Scan, error: Uint8Array): number {
  scan.reset();
  scan.error = error;
  scan.mute = MUTE_NONE;
  scan.scratch = null;
  scan.length = 0;
  return BAD;
}

export function oneKeyAt(scan: Scan, keyStart: number, keyEnd: number): void {
  scan.keyStart = keyStart;
  scan.keyEnd = keyEnd;
  scan.nkeys = 1;
}
