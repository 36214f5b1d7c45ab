// SCAN over all servers, one after the other. The client's cursor is
//     (the server's own cursor) * (number of servers) + (index of the server)
// so ringmux remembers nothing (but see route/rounds.ts: there it is the number of a round). Redis reads cursors as unsigned 64-bit numbers; its own have no
// more bits than its table of keys, so there is room for the factor. What does not fit is an error.

import { bytes, text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { FanOut, Scan, Walk } from "../codec.ts";
import type { Migrating } from "../migrating.ts";
import { BAD_PART, errorReply } from "./errors.ts";
import { elementEnd } from "./reply.ts";

const LARGEST = (1n << 64n) - 1n;
/** Digits of the largest. */
const MOST_DIGITS = 20;
const LAST_PAGE = bytes("*2\r\n$1\r\n0\r\n*0\r\n");
const TOO_LARGE = errorReply("ERR the server's cursor leaves no room for the number of the server");

/** `buf[start, end)` as a cursor; null if it is none. */
export function readCursor(buf: Uint8Array, start: number, end: number): bigint | null {
  if (start === end || end - start > MOST_DIGITS) return null;
  for (let i = start; i < end; i++) {
    if (buf[i] < 48 || buf[i] > 57) return null;
  }
  const cursor = BigInt(text(buf, start, end));
  return cursor > LARGEST ? null : cursor;
}

/** The cursor of a request, which the parser has found to be one. */
function cursorOf(scan: Scan, buf: Uint8Array, start: number): bigint {
  return readCursor(buf, start + scan.args[2], start + scan.args[3]) ?? 0n;
}

function walkTo(scan: Scan, buf: Uint8Array, start: number, servers: number): number {
  return Number(cursorOf(scan, buf, start) % BigInt(servers));
}

function isAmid(scan: Scan, buf: Uint8Array, start: number, servers: number): boolean {
  return cursorOf(scan, buf, start) >= BigInt(servers);
}

function walkRequest(
  scan: Scan,
  buf: Uint8Array,
  start: number,
  length: number,
  index: number,
  servers: number,
  out: OutBuffer,
): void {
  const cursor = cursorOf(scan, buf, start);
  const n = BigInt(servers);
  const own = cursor % n === BigInt(index) ? String(cursor / n) : "0";
  const args = scan.args;
  // The cursor's "$" stands right behind the name's CRLF.
  out.append(buf, start, start + args[1] + 2);
  out.ascii(`$${own.length}\r\n${own}\r\n`);
  out.append(buf, start + args[3] + 2, start + length);
}

function empty(cursor: number | bigint): Uint8Array {
  const digits = String(cursor);
  return bytes(`*2\r\n$${digits.length}\r\n${digits}\r\n*0\r\n`);
}

/** Where a walk in rounds stands (route/rounds.ts): more than one pick can tell; -1 for another one. */
function roundOf({ nkeys, picks }: FanOut): number {
  return nkeys > 0xffff ? picks[0] + picks[1] * 0x10000 : -1;
}

/** Those below are of no round: see route/rounds.ts. */
const FIRST_STATE = 0x10000;

/** A walk in rounds whose server is lost, or is not ready, goes over that one again. */
export function joinLostPage(fanOut: FanOut, out: OutBuffer): boolean {
  const { failure, held, heldStart } = fanOut.parts[0];
  const state = roundOf(fanOut);
  if (
    state < FIRST_STATE || (failure === "" && text(held, heldStart, heldStart + 9) !== "-LOADING ")
  ) {
    return false;
  }
  const page = empty(state);
  out.append(page, 0, page.length);
  return true;
}

export const WALK_ALL: Walk = {
  to: walkTo,
  isAmid,
  request: walkRequest,
  end: LAST_PAGE,
  empty,
  again: (scan, buf, start) => empty(cursorOf(scan, buf, start)),
};

/**
 * A server's page with the cursor that leads back to it, or on to the next server; without `hidden`
 * keys.
 */
export function joinCursor(fanOut: FanOut, out: OutBuffer, hidden: Migrating | null): void {
  const { held, heldStart, heldEnd } = fanOut.parts[0];
  // *2\r\n$<digits>\r\n<cursor>\r\n<array of keys>
  let from = heldStart + 5;
  while (from < heldEnd && held[from - 1] !== 10) from++;
  let to = from;
  while (to < heldEnd && held[to] !== 13) to++;
  const cursor = text(held, heldStart, heldStart + 5) === "*2\r\n$"
    ? readCursor(held, from, to)
    : null;
  if (cursor === null) return out.append(BAD_PART, 0, BAD_PART.length);
  const round = roundOf(fanOut);
  const index = round < 0 ? fanOut.picks[0] : round;
  const servers = fanOut.nkeys;
  let next = cursor * BigInt(servers) + BigInt(index);
  if (cursor === 0n) next = index + 1 < servers ? BigInt(index + 1) : 0n;
  if (next > LARGEST) return out.append(TOO_LARGE, 0, TOO_LARGE.length);
  const digits = String(next);
  out.ascii(`*2\r\n$${digits.length}\r\n${digits}\r\n`);
  if (hidden === null) out.append(held, to + 2, heldEnd);
  else appendSeen(held, to + 2, heldEnd, hidden, out);
}

/** A list of keys without those that are a migration's own. */
function appendSeen(
  buf: Uint8Array,
  start: number,
  end: number,
  hidden: Migrating,
  out: OutBuffer,
): void {
  let at = start;
  while (buf[at++] !== 10);
  const spans: number[] = [];
  while (at < end) {
    const next = elementEnd(buf, at);
    let key = at;
    while (buf[key++] !== 10);
    if (!hidden.isOwn(buf.subarray(key, next - 2))) spans.push(at, next);
    at = next;
  }
  out.ascii(`*${spans.length / 2}\r\n`);
  for (let i = 0; i < spans.length; i += 2) out.append(buf, spans[i], spans[i + 1]);
}
