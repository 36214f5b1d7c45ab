// Replies of memcached servers, found in place. A reply is one line, or lines that end with END;
// bodies are passed over by their length. Knows nothing of the request a reply answers.
// Format: memcached's doc/protocol.txt.

import { bytes, text } from "../../bytes.ts";
import type { ReplyScan } from "../codec.ts";
import { isBytes, MUTE_ALL, MUTE_EN, MUTE_HD, MUTE_HD_VA } from "./commands.ts";

/** What no line of a server exceeds. */
const MAX_LINE = 65536;
const MAX_DIGITS = 10;

const CR = 13;
const LF = 10;
const BLANK = 32;

/** A line by itself; one of several that END closes; END; an error; one of several, with a key. */
const UNKNOWN = 0;
const SINGLE = 1;
const ITEM = 2;
const LAST = 3;
const FAILED = 4;
const KEY = 5;

/** `ReplyScan.pending`: an END is to come; it is to come behind lines with keys, whatever they say. */
const OPEN = 1;
const KEYS = 2;

/** See `Codec.parseReply`. */
export function parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
  scan.done = false;
  for (;;) {
    if (scan.skip > 0) {
      pos = skipBlock(scan, buf, pos, end);
      if (scan.skip > 0 || scan.bad) return pos;
      if (scan.pending === 0) {
        scan.done = true;
        return pos;
      }
    }
    if (pos >= end) return pos;
    const first = buf[pos];
    // VALUE and VA lines, read in one pass.
    if (first === 86 && scan.pending !== KEYS && pos + 2 < end && buf[pos + 1] === 65) {
      const size = blockSize(buf, pos, end);
      if (size === 0) return pos;
      if (size < 0) return reject(scan, pos);
      if (buf[pos + 2] === 76) scan.pending = OPEN;
      else if (scan.pending > 0) return reject(scan, pos);
      scan.skip = size;
      continue;
    }
    if (first === 69 && pos + 5 <= end && isEnd(buf, pos)) {
      scan.pending = 0;
      scan.done = true;
      return pos + 5;
    }
    let p = pos;
    while (p < end && buf[p] !== LF) p++;
    if (p - pos >= MAX_LINE) return reject(scan, pos);
    if (p >= end) return pos;
    if (scan.pending === KEYS) {
      pos = p + 1; // END was looked for above
      continue;
    }
    if (p === pos || buf[p - 1] !== CR) return reject(scan, pos);
    const kind = lineKind(buf, pos, p - 1);
    if (kind === ITEM || kind === KEY) {
      scan.pending = kind === KEY ? KEYS : OPEN;
      pos = p + 1;
      continue;
    }
    if (kind === UNKNOWN || (kind === SINGLE && scan.pending > 0)) return reject(scan, pos);
    scan.pending = 0;
    scan.done = true;
    return p + 1;
  }
}

/** END, the commonest line; the five bytes are known to be there. */
function isEnd(buf: Uint8Array, pos: number): boolean {
  return buf[pos + 1] === 78 && buf[pos + 2] === 68 && buf[pos + 3] === CR && buf[pos + 4] === LF;
}

function reject(scan: ReplyScan, pos: number): number {
  scan.bad = true;
  return pos;
}

/** Passes over what is there of a block; its end mark is checked as it comes into sight. */
function skipBlock(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
  const left = scan.skip;
  const have = end - pos;
  if (have < left) {
    scan.skip = left - have;
    if (left - have === 1 && have > 0 && buf[end - 1] !== CR) scan.bad = true;
    return end;
  }
  pos += left;
  if (buf[pos - 1] !== LF || (left > 1 && buf[pos - 2] !== CR)) scan.bad = true;
  scan.skip = 0;
  return pos;
}

/**
 * The length of the block that starts with the VALUE or VA line at `pos`: line, body and end mark.
 * 0 if the line is not complete, -1 if it is no such line.
 */
export function blockSize(buf: Uint8Array, pos: number, end: number): number {
  let p = pos + 2;
  if (p < end && buf[p] === 76) { // VALUE <key> <flags> <bytes> [<cas unique>]
    if (pos + 6 > end) return 0;
    if (buf[pos + 3] !== 85 || buf[pos + 4] !== 69 || buf[pos + 5] !== BLANK) return -1;
    p = pos + 6;
    while (p < end && buf[p] > BLANK) p++;
    while (p < end && buf[p] !== BLANK && buf[p] !== LF) p++; // control characters in the key
    if (p < end && buf[p] === BLANK) p++;
    while (p < end && buf[p] >= 48 && buf[p] <= 57) p++;
  }
  if (p >= end) return end - pos >= MAX_LINE ? -1 : 0;
  if (buf[p] !== BLANK) return -1;
  const from = ++p;
  let size = 0;
  while (p < end && buf[p] >= 48 && buf[p] <= 57) size = size * 10 + buf[p++] - 48;
  if (p - from > MAX_DIGITS || (p === from && p < end)) return -1;
  // Flags: a key or an opaque among them may have a CR of its own.
  if (p < end && buf[p] === BLANK) {
    while (p < end && buf[p] !== LF) p++;
    if (p < end && buf[--p] !== CR) return -1;
  }
  if (p + 1 >= end) {
    if (p < end && buf[p] !== CR) return -1;
    return end - pos >= MAX_LINE ? -1 : 0;
  }
  if (buf[p] !== CR || buf[p + 1] !== LF) return -1;
  return p + 2 - pos + size + 2;
}

const word = (name: string, kind: number, more: boolean) => ({ bytes: bytes(name), kind, more });

// By first letter; `more`: the line may go on after a blank.
const WORDS: { bytes: Uint8Array; kind: number; more: boolean }[][] = [];
for (let i = 0; i < 256; i++) WORDS.push([]);
for (
  const entry of [
    word("STORED", SINGLE, false),
    word("STAT", ITEM, true),
    word("SERVER_ERROR", FAILED, true),
    word("END", LAST, false),
    word("EN", SINGLE, true),
    word("EXISTS", SINGLE, false),
    word("EX", SINGLE, true),
    word("ERROR", FAILED, true),
    word("ERROR:", FAILED, true),
    word("NOT_FOUND", SINGLE, false),
    word("NOT_STORED", SINGLE, false),
    word("NF", SINGLE, true),
    word("NS", SINGLE, true),
    word("HD", SINGLE, true),
    word("DELETED", SINGLE, false),
    word("TOUCHED", SINGLE, false),
    word("OK", SINGLE, true),
    word("MN", SINGLE, true),
    word("ME", SINGLE, true),
    word("MEMLIMIT_TOO_SMALL", FAILED, true),
    word("MEMLIMIT_ADJUST_FAILED", FAILED, true),
    word("CLIENT_ERROR", FAILED, true),
    word("VERSION", SINGLE, true),
    word("RESET", SINGLE, false),
    word("ITEM", KEY, true),
    word("PREFIX", KEY, true),
  ]
) WORDS[entry.bytes[0]].push(entry);

function lineKind(buf: Uint8Array, start: number, end: number): number {
  const first = buf[start];
  if (first >= 48 && first <= 57) return isNumber(buf, start, end) ? SINGLE : UNKNOWN;
  const words = WORDS[first];
  for (let i = 0; i < words.length; i++) {
    const { bytes: name, kind, more } = words[i];
    const stop = start + name.length;
    if (stop > end || !isBytes(buf, start, stop, name)) continue;
    if (stop === end || (more && buf[stop] === BLANK)) return kind;
  }
  return UNKNOWN;
}

/** The answer to incr and decr; memcached may pad it with blanks. */
function isNumber(buf: Uint8Array, start: number, end: number): boolean {
  let p = start;
  while (p < end && buf[p] >= 48 && buf[p] <= 57) p++;
  while (p < end && buf[p] === BLANK) p++;
  return p === end;
}

const two = (buf: Uint8Array, start: number): number => (buf[start] << 8) | buf[start + 1];
const EN = 0x454e;
const ER = 0x4552;
const HD = 0x4844;
const OK = 0x4f4b; // what HD was before memcached 1.6
const VA = 0x5641;
const CL = 0x434c;
const SE = 0x5345;

/** See `Quiet.muted`. */
export function muted(mute: number, buf: Uint8Array, start: number): boolean {
  switch (mute) {
    case 0:
      return false;
    case MUTE_ALL:
      return true;
    case MUTE_EN:
      return two(buf, start) === EN;
    case MUTE_HD:
      return two(buf, start) === HD || two(buf, start) === OK;
    case MUTE_HD_VA:
      return two(buf, start) === HD || two(buf, start) === OK || two(buf, start) === VA;
    default:
      return false;
  }
}

/** Whether the line at `start` is ERROR, CLIENT_ERROR or SERVER_ERROR. */
export function isError(buf: Uint8Array, start: number): boolean {
  const mark = two(buf, start);
  return mark === ER || mark === CL || mark === SE;
}

/** The text of an error line without ERROR, CLIENT_ERROR or SERVER_ERROR if there is more. */
export function errorText(buf: Uint8Array, start: number, end: number): string {
  const line = text(buf, start, end).split("\r\n", 1)[0];
  return line.replace(/^(?:CLIENT_|SERVER_)?ERROR:? +(?=.)/, "");
}
