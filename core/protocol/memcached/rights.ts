// What users with restrictions may do in the memcached protocols: by command, by flag of a meta
// command, and by key. What has no right to it in its row is refused.

import { isWithin, type User } from "../access.ts";
import { ALL, ANY, APART, FORWARD, LOCAL, QUIT, type Scan, SPLIT } from "../codec.ts";
import { BINARY_COMMANDS } from "./binary_commands.ts";
import { STAT_VERBS } from "./binary_parse.ts";
import { selectKey } from "./classic.ts";
import { COMMANDS, META, META_SET, verbOf } from "./commands.ts";
import { FREE, isLook, NO_EFFECT } from "./effects.ts";

/** Answers of `denied`: "" = it may; else it may not run the command, or not touch a key. */
export const NO_RIGHT = "command";
export const NO_KEY_RIGHT = "key";

const UNKNOWN = { effect: NO_EFFECT };
const MG = verbOf("mg");
/** Flags of mg that change the item: T its time, N makes one, R marks it for a new value. */
const MG_CHANGES = new Set([..."TNR"].map((letter) => letter.charCodeAt(0)));

const BASE64 = new Set([98]); // b

const LF = 10;
const BLANK = 32;

/** A text request of a user with restrictions. */
export function denied(scan: Scan, buf: Uint8Array, start: number, user: User): string {
  const command = COMMANDS[scan.verb];
  if (user.readOnly) {
    if (!isLook(command.effect)) return NO_RIGHT;
    if (scan.verb === MG && hasFlag(buf, start, MG_CHANGES)) return NO_RIGHT;
  }
  if (user.prefixes.length === 0) return "";
  const isMeta = command.shape === META || command.shape === META_SET;
  if (isMeta && !isKeyKnown(scan, buf, start)) return NO_KEY_RIGHT;
  switch (scan.action) {
    case FORWARD:
      return isWithin(user, buf, start + scan.keyStart, start + scan.keyEnd) ? "" : NO_KEY_RIGHT;
    case SPLIT: {
      let all = true;
      for (let i = 0; i < scan.nkeys; i++) {
        selectKey(scan, i);
        all = all && isWithin(user, buf, start + scan.keyStart, start + scan.keyEnd);
      }
      selectKey(scan, 0);
      return all ? "" : NO_KEY_RIGHT;
    }
    case ANY:
    case ALL:
    case APART:
    case LOCAL:
    case QUIT:
      return command.effect === FREE ? "" : NO_RIGHT;
    default:
      return "";
  }
}

/**
 * Whether it is certain which key a meta command means: memcached also takes for base64 what is
 * none, and passes over the characters that are not. (A key that was decoded stands behind the
 * request: see parse.ts binaryKey.)
 */
function isKeyKnown(scan: Scan, buf: Uint8Array, start: number): boolean {
  if (!hasFlag(buf, start, BASE64)) return true;
  return scan.scratch !== null && scan.keyStart >= scan.scratchLength;
}

/**
 * Whether a meta command has one of these flags. The line itself is read: in one that was rewritten
 * words have other places than `scan.args` says.
 */
function hasFlag(buf: Uint8Array, start: number, flags: ReadonlySet<number>): boolean {
  let word = 0;
  for (let p = start; buf[p] !== LF; p++) {
    if (buf[p] === BLANK || (p > start && buf[p - 1] !== BLANK)) continue;
    if (++word > 2 && flags.has(buf[p])) return true;
  }
  return false;
}

/** Whether a user with restrictions may not make this binary request. */
export function deniedBinary(scan: Scan, buf: Uint8Array, start: number, user: User): boolean {
  const { effect } = scan.verb >= STAT_VERBS
    ? COMMANDS[scan.verb - STAT_VERBS]
    : BINARY_COMMANDS[scan.verb] ?? UNKNOWN;
  if (user.readOnly && !isLook(effect)) return true;
  if (user.prefixes.length === 0 || effect === FREE) return false;
  if (scan.action !== FORWARD) return true;
  return !isWithin(user, buf, start + scan.keyStart, start + scan.keyEnd);
}
