// Requests that go to several servers: the fragments of a multi-get, and the one reply made of
// all replies. Fragments are nutcracker's to the byte (nc_memcache.c:1284), and so is the order of
// the joined values: for each key of the request the next value of that key's fragment.

import { bytes, copy } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import { type FanOut, type Part, type Scan, SPLIT } from "../codec.ts";
import {
  COMMANDS,
  GAT,
  isBytes,
  JOIN_CONCAT,
  JOIN_FIRST,
  JOIN_KEYS,
  JOIN_SUM,
} from "./commands.ts";
import { END, serverError } from "./errors.ts";
import { blockSize, isError } from "./reply.ts";
import { joinStats } from "./stats.ts";

const CR = 13;
const LF = 10;
const BLANK = 32;
const BRACKET = 93;

export function begin(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  _nkeys: number,
  out: OutBuffer,
): void {
  const command = COMMANDS[scan.verb];
  out.append(command.bytes, 0, command.bytes.length);
  out.byte(BLANK);
  if (command.shape === GAT) {
    out.append(buf, start + scan.args[2], start + scan.args[3]);
    out.byte(BLANK);
  }
}

/** Keys `from` to `to - 1`, each with one blank. */
export function add(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  from: number,
  to: number,
  out: OutBuffer,
): void {
  const { args } = scan;
  for (let k = from; k < to; k++) {
    const word = 2 * (scan.first + k);
    const begin = start + args[word];
    const end = start + args[word + 1];
    // Mostly the blank behind the key can be taken along.
    if (buf[end] === BLANK) {
      out.append(buf, begin, end + 1);
    } else {
      out.append(buf, begin, end);
      out.byte(BLANK);
    }
  }
}

/** See `Codec.join`. */
export function join(fanOut: FanOut, out: OutBuffer): void {
  const { verb, parts } = fanOut;
  const { action, join: how } = COMMANDS[verb];
  if (action === SPLIT) joinValues(fanOut, out);
  else if (how === JOIN_SUM) joinLines(parts, out, joinStats);
  else if (how === JOIN_FIRST) joinLines(parts, out, first);
  else if (how === JOIN_CONCAT) joinLines(parts, out, concat);
  else if (how === JOIN_KEYS) joinLines(parts, out, keyLines);
  else same(parts, out);
}

function append(part: Part, out: OutBuffer): void {
  out.append(part.held, part.heldStart, part.heldEnd);
}

function appendFailure(failure: string, out: OutBuffer): void {
  const line = serverError(failure);
  out.append(line, 0, line.length);
}

/** Where each part's next value is; grown as needed, reused. */
let cursors = new Int32Array(64);

/** The first part's that failed; false if none did. */
function joinError(parts: readonly Part[], out: OutBuffer): boolean {
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part.failure === "" && !isError(part.held, part.heldStart)) continue;
    if (part.failure !== "") appendFailure(part.failure, out);
    else append(part, out);
    return true;
  }
  return false;
}

/** See `Keys.joinSlices`. */
export function joinSlices({ parts }: FanOut, out: OutBuffer): void {
  if (!joinError(parts, out)) concat(parts, out);
}

function joinValues(fanOut: FanOut, out: OutBuffer): void {
  const { parts, picks, nkeys } = fanOut;
  if (joinError(parts, out)) return;
  if (parts.length > cursors.length) cursors = new Int32Array(2 * parts.length);
  const at = cursors;
  let room = END.length;
  for (let i = 0; i < parts.length; i++) {
    at[i] = parts[i].heldStart;
    room += parts[i].heldEnd - parts[i].heldStart;
  }
  const dst = out.reserve(room);
  let end = out.tail;
  // Neighbours of one fragment are copied as one span.
  let from = 0;
  let last = -1;
  for (let i = 0; i < nkeys; i++) {
    const pick = picks[i];
    const part = parts[pick];
    const pos = at[pick];
    const size = part.held[pos] === 86 ? blockSize(part.held, pos, part.heldEnd) : 0;
    if (size <= 0 || pos + size > part.heldEnd) continue;
    if (pick !== last) {
      if (last >= 0) {
        copy(parts[last].held, from, at[last], dst, end);
        end += at[last] - from;
      }
      last = pick;
      from = pos;
    }
    at[pick] = pos + size;
  }
  if (last >= 0) {
    copy(parts[last].held, from, at[last], dst, end);
    end += at[last] - from;
  }
  out.wrote(end);
  out.append(END, 0, END.length);
}

/** Lines that are all one, "OK" as a rule: the first reply unless some server says otherwise. */
function same(parts: readonly Part[], out: OutBuffer): void {
  for (const part of parts) if (part.failure !== "") return appendFailure(part.failure, out);
  for (const part of parts) if (isError(part.held, part.heldStart)) return append(part, out);
  for (const part of parts) if (!isSame(part, parts[0])) return append(part, out);
  if (parts.length > 0) append(parts[0], out);
}

function isSame(a: Part, b: Part): boolean {
  if (a.heldEnd - a.heldStart !== b.heldEnd - b.heldStart) return false;
  for (let i = a.heldStart, j = b.heldStart; i < a.heldEnd; i++, j++) {
    if (a.held[i] !== b.held[j]) return false;
  }
  return true;
}

/** stats: what the servers that answer have to say; a lost one is only told if all are lost. */
function joinLines(
  parts: readonly Part[],
  out: OutBuffer,
  how: (parts: readonly Part[], out: OutBuffer) => void,
): void {
  const live = parts.filter((part) => part.failure === "");
  if (live.length === 0 || !live.every(isList)) same(live.length === 0 ? parts : live, out);
  else how(live, out);
}

function isList(part: Part): boolean {
  const at = part.heldEnd - END.length;
  if (at < part.heldStart) return false;
  for (let i = 0; i < END.length; i++) if (part.held[at + i] !== END[i]) return false;
  return true;
}

function first(parts: readonly Part[], out: OutBuffer): void {
  append(parts[0], out);
}

function concat(parts: readonly Part[], out: OutBuffer): void {
  for (const part of parts) {
    if (part.heldEnd - part.heldStart > END.length) {
      out.append(part.held, part.heldStart, part.heldEnd - END.length);
    }
  }
  out.append(END, 0, END.length);
}

const ITEM = bytes("ITEM ");
const PREFIX = bytes("PREFIX ");

/** Lists of keys: their lines, and none that a line break in a key has made. */
function keyLines(parts: readonly Part[], out: OutBuffer): void {
  for (const { held, heldStart, heldEnd } of parts) {
    let from = heldStart;
    for (let p = from; p < heldEnd; p++) {
      if (held[p] !== LF) continue;
      if (isKeyLine(held, from, p + 1)) out.append(held, from, p + 1);
      from = p + 1;
    }
  }
  out.append(END, 0, END.length);
}

/** `ITEM <key> [<size> b; <time> s]`, `PREFIX <prefix> get <n> hit <n> set <n> del <n>`. */
function isKeyLine(buf: Uint8Array, start: number, end: number): boolean {
  if (end - start < PREFIX.length + 3 || buf[end - 2] !== CR) return false;
  const last = buf[end - 3];
  if (isBytes(buf, start, start + ITEM.length, ITEM)) return last === BRACKET;
  return isBytes(buf, start, start + PREFIX.length, PREFIX) && last >= 48 && last <= 57;
}
