// The meta commands. Format: see parse.ts, and memcached's doc/protocol.txt.

import { decimal } from "../../bytes.ts";
import { DONE, FORWARD, type Scan } from "../codec.ts";
import { COMMANDS, MUTE_NONE, verbOf } from "./commands.ts";
import * as errors from "./errors.ts";
import { bad, block, oneKeyAt, refuse, refuseBlock } from "./outcome.ts";
import { binaryKey, cut, mayBeShown } from "./rewrite.ts";
import type { Scratch } from "./scratch.ts";
import { MAX_BYTES, MAX_KEY } from "./words.ts";

const MG = verbOf("mg");
const ME = verbOf("me");
/** memcached refuses a meta command of more words, its name included. */
const MAX_META_WORDS = 19;
const LETTER_B = 98;
const LETTER_K = 107;
const LETTER_Q = 113;
const TWICE = -1;

/** mg, md, ma, me. */
export function meta(
  scratch: Scratch,
  scan: Scan,
  buf: Uint8Array,
  start: number,
  n: number,
): number {
  const args = scan.args;
  const line = scan.length;
  if (n < 2) return refuse(scan, scan.verb === ME ? errors.BAD_LINE : errors.ERROR, line);
  if (args[3] - args[2] > MAX_KEY) return refuse(scan, errors.BAD_LINE, line);
  oneKeyAt(scan, args[2], args[3]);
  const isGet = scan.verb === MG;
  if (scan.verb !== ME && n > MAX_META_WORDS) {
    return refuse(scan, isGet ? errors.MANY_FLAGS_MG : errors.MANY_FLAGS, line);
  }
  const q = flag(scan, buf, start, 2, n, LETTER_Q);
  const b = flag(scan, buf, start, 2, n, LETTER_B);
  if (q === TWICE || b === TWICE) {
    return refuse(scan, isGet ? errors.DUPLICATE_FLAG : errors.BAD_FLAG, line);
  }
  const shown = scan.verb === ME || flag(scan, buf, start, 2, n, LETTER_K) !== 0;
  if (b > 0 && shown && !mayBeShown(scratch, scan, buf, start)) {
    return refuse(scan, errors.KEY_WITH_LF, line);
  }
  if (scan.verb === ME) {
    if (b > 0) binaryKey(scratch, scan, buf, start, 0);
    return DONE;
  }
  scan.mute = q > 0 ? COMMANDS[scan.verb].quiet : MUTE_NONE;
  if (b > 0) binaryKey(scratch, scan, buf, start, q);
  else if (q > 0) cut(scratch, scan, buf, start, args[2 * q] - 1, args[2 * q + 1]);
  return DONE;
}

export function metaSet(
  maxRequest: number,
  scratch: Scratch,
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  n: number,
): number {
  const args = scan.args;
  if (n < 2) return refuse(scan, errors.ERROR, scan.length);
  const size = n > 2 ? decimal(buf, start + args[4], start + args[5], MAX_BYTES) : -1;
  if (size < 0) return bad(scan, errors.BAD_LINE);
  if (size > maxRequest) return bad(scan, errors.TOO_LARGE);
  const total = scan.length + size + 2;
  const have = end - start;
  if (args[3] - args[2] > MAX_KEY) return refuseBlock(scan, errors.BAD_LINE, total, have);
  // The only error after which memcached does not skip the data block of an ms.
  if (n > MAX_META_WORDS) return refuseBlock(scan, errors.MANY_FLAGS, total, have);
  const q = flag(scan, buf, start, 3, n, LETTER_Q);
  const b = flag(scan, buf, start, 3, n, LETTER_B);
  if (q === TWICE || b === TWICE) {
    return refuseBlock(scan, errors.DUPLICATE_FLAG, total, have);
  }
  oneKeyAt(scan, args[2], args[3]);
  const shown = flag(scan, buf, start, 3, n, LETTER_K) !== 0;
  if (b > 0 && shown && !mayBeShown(scratch, scan, buf, start)) {
    return refuseBlock(scan, errors.KEY_WITH_LF, total, have);
  }
  scan.mute = q > 0 ? COMMANDS[scan.verb].quiet : MUTE_NONE;
  const result = block(scan, buf, start, end, total, q + b === 0, errors.BAD_CHUNK);
  if (result === DONE && scan.action === FORWARD) {
    if (b > 0) binaryKey(scratch, scan, buf, start, q);
    else if (q > 0) cut(scratch, scan, buf, start, args[2 * q] - 1, args[2 * q + 1]);
  }
  return result;
}

/** Which word from `first` on is the meta flag `letter`: 0 if none is, TWICE if several are. */
function flag(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  first: number,
  n: number,
  letter: number,
): number {
  let found = 0;
  for (let i = first; i < n; i++) {
    if (buf[start + scan.args[2 * i]] !== letter) continue;
    if (found > 0) return TWICE;
    found = i;
  }
  return found;
}
