// The commands that memcached had before the meta commands: retrieval, storage, and those of one
// line. Each gets a line that is cut into words. Format: see parse.ts.

import { decimal, EMPTY } from "../../bytes.ts";
import { DONE, FORWARD, type Scan, SPLIT } from "../codec.ts";
import { COMMANDS, GAT, MUTE_ALL, MUTE_NONE, verbOf } from "./commands.ts";
import * as errors from "./errors.ts";
import { bad, block, oneKeyAt, refuse, refuseBlock } from "./outcome.ts";
import { cut } from "./rewrite.ts";
import type { Scratch } from "./scratch.ts";
import { isExptime, isNoreply, isUint64, MAX_BYTES, MAX_KEY, MAX_LINE } from "./words.ts";

const CAS = verbOf("cas");
const MAX_FLAGS = 0xffffffff;

/** The keys of a retrieval command are the words from `first` on. */
export function keys(scan: Scan, n: number, first: number): number {
  const args = scan.args;
  const count = n - first;
  // `gat 10` without keys is answered so by memcached, `get` is not.
  if (count === 0) return refuse(scan, first === 2 ? errors.END : errors.ERROR, scan.length);
  for (let i = 2 * first; i < 2 * n; i += 2) {
    if (args[i + 1] - args[i] > MAX_KEY) return refuse(scan, errors.BAD_LINE, scan.length);
  }
  oneKeyAt(scan, args[2 * first], args[2 * first + 1]);
  scan.nkeys = count;
  scan.first = first;
  scan.step = 1;
  if (count > 1) {
    scan.action = SPLIT;
  } else {
    scan.action = FORWARD;
    if (scan.length > MAX_LINE) return refuse(scan, errors.LONG_LINE, scan.length);
  }
  return DONE;
}

/** set, add, replace, append, prepend, cas. */
export function store(
  maxRequest: number,
  scratch: Scratch,
  scan: Scan,
  buf: Uint8Array,
  start: number,
  end: number,
  n: number,
): number {
  const args = scan.args;
  const line = scan.length;
  const { min, max } = COMMANDS[scan.verb];
  const given = n - 1;
  // With words too few or too many the length of the data block that follows is anyone's guess,
  // and a wrong guess runs data as commands: an empty key does that to memcached. Below three
  // words there was nothing like a length, and somebody is typing.
  if (given < 3) return refuse(scan, errors.ERROR, line);
  if (given < min || given > max) return bad(scan, errors.ERROR);
  const size = decimal(buf, start + args[8], start + args[9], MAX_BYTES);
  if (size < 0) return bad(scan, errors.BAD_LINE);
  if (size > maxRequest) return bad(scan, errors.TOO_LARGE);

  const quiet = given > min && isNoreply(scan, buf, start, n - 1);
  const valid = decimal(buf, start + args[4], start + args[5], MAX_FLAGS) >= 0 &&
    isExptime(buf, start + args[6], start + args[7]) &&
    (scan.verb !== CAS || isUint64(buf, start + args[10], start + args[11]));
  // A key with a blank in it looks like this, and its length is not where we took it from.
  if (!valid && given > min && !quiet) return bad(scan, errors.BAD_LINE);
  const total = line + size + 2;
  if (!valid || args[3] - args[2] > MAX_KEY) {
    return refuseBlock(scan, quiet ? EMPTY : errors.BAD_LINE, total, end - start);
  }
  oneKeyAt(scan, args[2], args[3]);
  scan.mute = quiet ? MUTE_ALL : MUTE_NONE;
  const result = block(scan, buf, start, end, total, !quiet, quiet ? EMPTY : errors.BAD_CHUNK);
  if (result === DONE && quiet && scan.action === FORWARD) {
    cut(scratch, scan, buf, start, args[2 * n - 2] - 1, args[2 * n - 1]);
  }
  return result;
}

/** Commands of one line that may end in noreply. */
export function line(
  scratch: Scratch,
  scan: Scan,
  buf: Uint8Array,
  start: number,
  n: number,
): number {
  const args = scan.args;
  const { min, max } = COMMANDS[scan.verb];
  const given = n - 1;
  if (given < min || given > max) return refuse(scan, errors.ERROR, scan.length);
  const keyed = scan.action === FORWARD;
  const quiet = isNoreply(scan, buf, start, n - 1) && !(keyed && given === 1);
  if (keyed) {
    if (args[3] - args[2] > MAX_KEY) {
      return refuse(scan, quiet ? EMPTY : errors.BAD_LINE, scan.length);
    }
    oneKeyAt(scan, args[2], args[3]);
  }
  if (!quiet) return DONE;
  // The word stands where a number should (`incr k noreply`), before or after we cut one away:
  // memcached says nothing to that, and neither do we.
  if (given === min || (isNoreply(scan, buf, start, n - 2) && !(keyed && given === 2))) {
    return refuse(scan, EMPTY, scan.length);
  }
  scan.mute = MUTE_ALL;
  cut(scratch, scan, buf, start, args[2 * n - 2] - 1, args[2 * n - 1]);
  return DONE;
}

/** The word that is the first key of a retrieval command. */
const firstKey = (verb: number): number => COMMANDS[verb].shape === GAT ? 2 : 1;

/** Sets `keyStart` and `keyEnd` to key `i` of a SPLIT. */
export function selectKey(scan: Scan, i: number): void {
  const at = 2 * (firstKey(scan.verb) + i);
  scan.keyStart = scan.args[at];
  scan.keyEnd = scan.args[at + 1];
}
