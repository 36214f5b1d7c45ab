// Commands that go to several servers: makes the fragments and joins their replies.

import { copy, decimal, viewed } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { FanOut, Part, Scan } from "../codec.ts";
import type { Migrating } from "../migrating.ts";
import {
  COMMANDS,
  JOIN_ANY_OK,
  JOIN_ARRAY,
  JOIN_CONCAT,
  JOIN_CURSOR,
  JOIN_EXEC,
  JOIN_FIRST,
  JOIN_INFO,
  JOIN_LEAST,
  JOIN_MOST,
  JOIN_NUMSUB,
  JOIN_OK,
  JOIN_OLDEST,
  JOIN_PUBLISH,
  JOIN_SOME,
  JOIN_SUM,
  JOIN_UNION,
} from "./commands.ts";
import { joinCursor, joinLostPage } from "./cursor.ts";
import { BAD_PART } from "./errors.ts";
import { joinExec } from "./exec_join.ts";
import { joinInfo } from "./info.ts";
import { joinMost, joinNumsub, joinPublish, joinUnion } from "./pubsub_join.ts";
import { elementEnd } from "./reply.ts";

/** `*<count>\r\n$<length>\r\n<name>\r\n`, the name as the client wrote it. */
export function begin(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  nkeys: number,
  out: OutBuffer,
): void {
  const args = scan.args;
  out.byte(42);
  out.int(1 + nkeys * scan.step);
  out.ascii("\r\n$");
  out.int(args[1] - args[0]);
  out.ascii("\r\n");
  out.append(buf, start + args[0], start + args[1] + 2);
}

/** Keys `from` to `to - 1` and what belongs to them, from the first "$" to the last CRLF. */
export function add(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  from: number,
  to: number,
  out: OutBuffer,
): void {
  const { args, first, step } = scan;
  // Argument n's "$" stands right behind argument n-1's CRLF.
  const begin = args[2 * (first + from * step) - 1] + 2;
  const end = args[2 * (first + to * step) - 1] + 2;
  out.append(buf, start + begin, start + end);
}

/** See `Runs.fits`. */
export function fits({ verb }: Scan): boolean {
  const { join: how } = COMMANDS[verb];
  return how === JOIN_ARRAY || how === JOIN_SUM || how === JOIN_OK;
}

/** What requests of one key begin with: head[0, headLength). */
let head = viewed(new Uint8Array(64));
let headLength = 0;

/** See `Runs.ready`. */
export function ready({ args, step }: Scan, buf: Uint8Array, start: number): void {
  const length = args[1] - args[0];
  const before = `*${1 + step}\r\n$${length}\r\n`;
  headLength = before.length + length + 2;
  if (headLength > head.length) head = viewed(new Uint8Array(headLength));
  for (let i = 0; i < before.length; i++) head[i] = before.charCodeAt(i);
  copy(buf, start + args[0], start + args[1] + 2, head, before.length);
}

/** See `Runs.alone`. */
export function alone(
  { args, first, step }: Scan,
  buf: Uint8Array,
  start: number,
  i: number,
  out: OutBuffer,
): number {
  // Its "$" stands right behind the CRLF of the argument before it.
  const from = args[2 * (first + i * step) - 1] + 2;
  const to = args[2 * (first + (i + 1) * step) - 1] + 2;
  const dst = out.reserve(headLength + to - from);
  const at = out.tail;
  copy(head, 0, headLength, dst, at);
  copy(buf, start + from, start + to, dst, at + headLength);
  out.wrote(at + headLength + to - from);
  return headLength + to - from;
}

/** See `Runs.cut`. */
export function cut(scan: Scan, buf: Uint8Array, start: number, verb: number): void {
  const line = lineEnd(buf, start);
  const key = elementEnd(buf, line);
  const { step } = COMMANDS[verb];
  scan.nkeys = (decimal(buf, start + 1, line - 2, 0x7fffffff) - 1) / step;
  scan.keyStart = lineEnd(buf, key) - start;
  scan.keyEnd = elementEnd(buf, key) - 2 - start;
  scan.length = elementEnd(buf, start) - start;
}

function lineEnd(buf: Uint8Array, at: number): number {
  while (buf[at] !== 13) at++;
  return at + 2;
}

const MINUS = 45;
/**
 * See `Codec.join`. Any part that failed makes the whole an error, the first part's that did, but
 * for INFO and where one OK is enough.
 */
export function join(fanOut: FanOut, out: OutBuffer, hidden: Migrating | null = null): void {
  const parts = fanOut.parts;
  const how = COMMANDS[fanOut.verb].join;
  if (how === JOIN_NUMSUB) return joinNumsub(fanOut, out);
  if (how === JOIN_INFO) return joinInfo(fanOut, out);
  if (how === JOIN_EXEC) return joinExec(fanOut, out);
  if (how === JOIN_ANY_OK) {
    if (parts.some(isOk)) return out.ascii("+OK\r\n");
    // What a server says is more than that another one is not there.
    const said = parts.find(({ failure }) => failure === "");
    if (said !== undefined) return out.append(said.held, said.heldStart, said.heldEnd);
  }
  if (how === JOIN_CURSOR && joinLostPage(fanOut, out)) return;
  if (joinError(parts, out)) return;
  switch (how) {
    case JOIN_ARRAY:
      return joinArray(fanOut, out);
    case JOIN_SUM:
      return joinSum(parts, out);
    case JOIN_FIRST:
      out.append(parts[0].held, parts[0].heldStart, parts[0].heldEnd);
      return;
    case JOIN_CONCAT:
      return hidden === null ? joinConcat(parts, out) : joinSeen(parts, out, hidden);
    case JOIN_LEAST:
      return joinLeast(parts, out);
    case JOIN_OLDEST:
      return joinOldest(parts, out);
    case JOIN_SOME:
      return joinSome(parts, out);
    case JOIN_UNION:
      return joinUnion(parts, out);
    case JOIN_PUBLISH:
      return joinPublish(fanOut, out);
    case JOIN_MOST:
      return joinMost(parts, out);
    case JOIN_CURSOR:
      return joinCursor(fanOut, out, hidden);
    default:
      out.ascii("+OK\r\n");
  }
}

/** The first part's that failed; false if none did. */
function joinError(parts: readonly Part[], out: OutBuffer): boolean {
  for (const part of parts) {
    if (part.failure !== "") {
      out.ascii(`-ERR ${part.failure}\r\n`);
      return true;
    }
    if (part.held[part.heldStart] === MINUS) {
      out.append(part.held, part.heldStart, part.heldEnd);
      return true;
    }
  }
  return false;
}

/** See `Keys.joinSlices`: arrays follow one another, everything else is joined as parts are. */
export function joinSlices(fanOut: FanOut, out: OutBuffer): void {
  const { parts, verb } = fanOut;
  if (COMMANDS[verb].join !== JOIN_ARRAY) join(fanOut, out);
  else if (!joinError(parts, out)) joinConcat(parts, out);
}

/** Where each part's next element is; grown as needed, reused. */
let cursors = new Int32Array(64);
/** How many elements of each part no key has asked for yet. */
let lefts = new Int32Array(64);

/** Makes room for `n` parts: to be called before the first of them is looked at. */
function enlarge(n: number): void {
  if (n <= cursors.length) return;
  cursors = new Int32Array(2 * n);
  lefts = new Int32Array(2 * n);
}

/** The number of elements of a whole array reply; -1 if it is no array. Leaves cursors[i] behind it. */
function openArray(part: Part, i: number): number {
  return openAt(part, i, part.heldStart);
}

/** The same of an array that begins at `at`. */
function openAt({ held, heldEnd }: Part, i: number, at: number): number {
  if (at >= heldEnd || held[at] !== 42) return -1;
  let cr = at + 1;
  while (cr < heldEnd && held[cr] !== 13) cr++;
  cursors[i] = cr + 2;
  return decimal(held, at + 1, cr, 0x7fffffff);
}

function joinArray(fanOut: FanOut, out: OutBuffer): void {
  const { parts, picks, nkeys } = fanOut;
  let size = 16;
  enlarge(parts.length);
  for (let i = 0; i < parts.length; i++) {
    const n = openArray(parts[i], i);
    if (n < 0) return out.append(BAD_PART, 0, BAD_PART.length);
    lefts[i] = n;
    size += parts[i].heldEnd - parts[i].heldStart;
  }
  const dst = out.reserve(size);
  const begin = out.tail;
  out.byte(42);
  out.int(nkeys);
  out.ascii("\r\n");
  let at = out.tail;
  let spare = 0;
  // Neighbouring keys of one server are copied as one span.
  for (let k = 0; k < nkeys;) {
    const pick = picks[k];
    const part = parts[pick];
    const { held } = part;
    let left = lefts[pick];
    let from = cursors[pick];
    if (left === 0) { // one reply behind the other: see `Runs`
      left = openAt(part, pick, from);
      from = cursors[pick];
    }
    let to = from;
    // A part with too few elements would have what lies behind it taken for one.
    if (left <= 0) {
      spare = -1;
      break;
    }
    do {
      to = elementEnd(held, to);
      left--;
      k++;
    } while (left > 0 && k < nkeys && picks[k] === pick);
    copy(held, from, to, dst, at);
    at += to - from;
    cursors[pick] = to;
    lefts[pick] = left;
  }
  for (let i = 0; i < parts.length; i++) spare |= lefts[i] | (cursors[i] - parts[i].heldEnd);
  if (spare === 0) return out.wrote(at);
  out.wrote(begin);
  out.append(BAD_PART, 0, BAD_PART.length);
}

function isOk({ failure, held, heldStart }: Part): boolean {
  return failure === "" && held[heldStart] === 43;
}

/** The least of some integers (LASTSAVE). */
function joinOldest(parts: readonly Part[], out: OutBuffer): void {
  let oldest = Infinity;
  for (const part of parts) {
    const n = decimal(part.held, part.heldStart + 1, part.heldEnd - 2, Number.MAX_SAFE_INTEGER);
    if (part.held[part.heldStart] !== 58 || n < 0) return out.append(BAD_PART, 0, BAD_PART.length);
    oldest = Math.min(oldest, n);
  }
  out.ascii(`:${oldest}\r\n`);
}

let turn = 0;

/** One part that is not nil, each in its turn (RANDOMKEY: servers without keys do not count). */
function joinSome(parts: readonly Part[], out: OutBuffer): void {
  const isNil = ({ held, heldStart }: Part) => held[heldStart] === 95 || held[heldStart + 1] === 45;
  const some = parts.filter((part) => !isNil(part));
  turn = (turn + 1) & 0xffff;
  const { held, heldStart, heldEnd } = some.length > 0 ? some[turn % some.length] : parts[0];
  out.append(held, heldStart, heldEnd);
}

function joinSum(parts: readonly Part[], out: OutBuffer): void {
  let sum = 0;
  for (const { held, heldStart, heldEnd } of parts) {
    // One, or several end to end: see `Runs`.
    for (let at = heldStart; at < heldEnd;) {
      const end = lineEnd(held, at);
      const n = decimal(held, at + 1, end - 2, Number.MAX_SAFE_INTEGER);
      if (held[at] !== 58 || n < 0) return out.append(BAD_PART, 0, BAD_PART.length);
      sum += n;
      at = end;
    }
  }
  out.byte(58);
  out.int(sum);
  out.ascii("\r\n");
}

function joinConcat(parts: readonly Part[], out: OutBuffer): void {
  enlarge(parts.length);
  let total = 0;
  for (let i = 0; i < parts.length; i++) {
    const n = openArray(parts[i], i);
    if (n < 0) return out.append(BAD_PART, 0, BAD_PART.length);
    total += n;
  }
  out.byte(42);
  out.int(total);
  out.ascii("\r\n");
  for (let i = 0; i < parts.length; i++) out.append(parts[i].held, cursors[i], parts[i].heldEnd);
}

/** As `joinConcat` (KEYS), without those that are a migration's own. */
function joinSeen(parts: readonly Part[], out: OutBuffer, hidden: Migrating): void {
  enlarge(parts.length);
  let total = 0;
  const spans: [Uint8Array, number, number][] = [];
  for (let i = 0; i < parts.length; i++) {
    const { held } = parts[i];
    const n = openArray(parts[i], i);
    if (n < 0) return out.append(BAD_PART, 0, BAD_PART.length);
    for (let k = 0, at = cursors[i]; k < n; k++) {
      const next = elementEnd(held, at);
      const key = held.indexOf(10, at) + 1;
      if (!hidden.isOwn(held.subarray(key, next - 2))) {
        spans.push([held, at, next]);
        total++;
      }
      at = next;
    }
  }
  out.byte(42);
  out.int(total);
  out.ascii("\r\n");
  for (const [held, from, to] of spans) out.append(held, from, to);
}

/** Arrays of 0 and 1 of equal length (SCRIPT EXISTS): 1 where every server says 1. */
function joinLeast(parts: readonly Part[], out: OutBuffer): void {
  enlarge(parts.length);
  const least: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const n = openArray(parts[i], i);
    if (n < 0 || (i > 0 && n !== least.length)) return out.append(BAD_PART, 0, BAD_PART.length);
    for (let k = 0; k < n; k++) {
      const value = parts[i].held[cursors[i] + 1] - 48;
      least[k] = i === 0 ? value : Math.min(least[k], value);
      cursors[i] = elementEnd(parts[i].held, cursors[i]);
    }
  }
  out.byte(42);
  out.int(least.length);
  out.ascii("\r\n");
  for (const value of least) out.ascii(`:${value}\r\n`);
}
