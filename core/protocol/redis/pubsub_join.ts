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
  const own = held === undefined ? null : elements(held, 0, held.length);
  if (own === null) return out.append(BAD_PART, 0, BAD_PART.length);
  const sums = own.filter((_, i) => i % 2 === 1).map((item) => Number(item.slice(1, -2)));
  for (const part of parts) {
    if (part.failure !== "") return out.ascii(`-ERR ${part.failure}\r\n`);
    if (part.held[part.heldStart] === 45) {
      return out.append(part.held, part.heldStart, part.heldEnd);
    }
    const items = elements(part.held, part.heldStart, part.heldEnd);
    if (items === null || items.length !== own.length) {
      return out.append(BAD_PART, 0, BAD_PART.length);
    }
    for (let i = 0; i < sums.length; i++) sums[i] += Number(items[2 * i + 1].slice(1, -2));
  }
  write(out, own.map((item, i) => i % 2 === 0 ? item : `:${Math.max(0, sums[i >> 1])}\r\n`));
}
