// Joins the replies of PUBSUB: servers know this proxy's subscriptions only, one for all its clients.

import { bytes, decimal, text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { FanOut, Part } from "../codec.ts";
import { BAD_PART } from "./errors.ts";
import { elementEnd } from "./reply.ts";

/** The elements of an array, each as its bytes; null if it is none. */
function elements(buf: Uint8Array, start: number, end: number): string[] | null {
  if (buf[start] !== 42) return null;
  let cr = start + 1;
  while (cr < end && buf[cr] !== 13) cr++;
  const n = decimal(buf, start + 1, cr, 0x7fffffff);
  const found: string[] = [];
  let p = cr + 2;
  for (let i = 0; i < n && p < end; i++) {
    const next = elementEnd(buf, p);
    found.push(text(buf, p, next));
    p = next;
  }
  return found.length === n ? found : null;
}

function write(out: OutBuffer, items: readonly string[]): void {
  const all = bytes(`*${items.length}\r\n${items.join("")}`);
  out.append(all, 0, all.length);
}

export function joinUnion(parts: readonly Part[], out: OutBuffer): void {
  const union = new Set<string>();
  for (const { held, heldStart, heldEnd } of parts) {
    const items = elements(held, heldStart, heldEnd);
    if (items === null) return out.append(BAD_PART, 0, BAD_PART.length);
    for (const item of items) union.add(item);
  }
  write(out, [...union]);
}

/** Every server has all of this proxy's patterns: the sum would count them once per server. */
export function joinMost(parts: readonly Part[], out: OutBuffer): void {
  let most = 0;
  for (const { held, heldStart, heldEnd } of parts) {
    const n = integer(held, heldStart, heldEnd);
    if (n < 0) return out.append(BAD_PART, 0, BAD_PART.length);
    most = Math.max(most, n);
  }
  out.ascii(`:${most}\r\n`);
}

/** The clients that the server knows of, and those it does not. */
export function joinPublish({ parts, held }: FanOut, out: OutBuffer): void {
  const own = held === undefined ? 0 : integer(held, 0, held.length);
  const n = integer(parts[0].held, parts[0].heldStart, parts[0].heldEnd);
  if (n < 0 || own < 0) return out.append(BAD_PART, 0, BAD_PART.length);
  out.ascii(`:${n + own}\r\n`);
}

function integer(buf: Uint8Array, start: number, end: number): number {
  return buf[start] !== 58 ? -1 : decimal(buf, start + 1, end - 2, Number.MAX_SAFE_INTEGER);
}

/** Pairs of name and number: the servers' numbers and the proxy's own are added up. */
export function joinNumsub({ parts, held }: FanOut, out: OutBuffer): void {
  const own = held === undefined ? [] : starts(held, 0, held.length);
  if (held === undefined || own.length === 0) return out.append(BAD_PART, 0, BAD_PART.length);
  const sums: number[] = [];
  for (let i = 1; i < own.length - 1; i += 2) sums.push(numberAt(held, own[i]));
  for (const part of parts) {
    if (part.failure !== "") return out.ascii(`-ERR ${part.failure}\r\n`);
    if (part.held[part.heldStart] === 45) {
      return out.append(part.held, part.heldStart, part.heldEnd);
    }
    const theirs = starts(part.held, part.heldStart, part.heldEnd);
    if (theirs.length !== own.length) return out.append(BAD_PART, 0, BAD_PART.length);
    for (let i = 0; i < sums.length; i++) sums[i] += numberAt(part.held, theirs[2 * i + 1]);
  }
  out.ascii(`*${2 * sums.length}\r\n`);
  for (let i = 0; i < sums.length; i++) {
    out.append(held, own[2 * i], own[2 * i + 1]);
    out.ascii(`:${Math.max(0, sums[i])}\r\n`);
  }
}

/** Where the elements of an array start, and where the last one ends; empty if it is none. */
function starts(buf: Uint8Array, start: number, end: number): number[] {
  if (buf[start] !== 42) return [];
  let p = start + 1;
  while (p < end && buf[p] !== 13) p++;
  const n = decimal(buf, start + 1, p, 0x7fffffff);
  const found = [p += 2];
  for (let i = 0; i < n && p < end; i++) found.push(p = elementEnd(buf, p));
  return found.length === n + 1 ? found : [];
}

/** The integer that the element at `p` is, which may be less than zero. */
function numberAt(buf: Uint8Array, p: number): number {
  const minus = buf[p + 1] === 45;
  let cr = p + 1;
  while (buf[cr] !== 13) cr++;
  const n = decimal(buf, minus ? p + 2 : p + 1, cr, Number.MAX_SAFE_INTEGER);
  return minus ? -n : n;
}
