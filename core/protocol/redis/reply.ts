// Replies of the Redis protocol, RESP2 and RESP3, of any nesting: finds where a reply ends without
// keeping it. What is counted is elements still to come, so nesting costs nothing.
// https://redis.io/docs/latest/develop/reference/protocol-spec/

import type { ReplyScan } from "../codec.ts";

const CR = 13;
const LF = 10;
/** Longest line (simple string, error, number) before a server is taken to talk nonsense. */
const MAX_LINE = 65536;
/** Largest bulk or aggregate length believed. */
const MAX_LENGTH = 0x7fffffff - 16;

/** See `Codec.parseReply`. */
export function parseReply(scan: ReplyScan, buf: Uint8Array, pos: number, end: number): number {
  let p = pos;
  if (scan.done) {
    // The short way: one bulk string or one line, wholly there.
    const q = whole(buf, p, end);
    if (q > 0) return q;
    scan.done = false;
    scan.pending = 1;
    scan.skip = 0;
  }
  for (;;) {
    if (scan.skip > 0) {
      const there = end - p;
      if (there < scan.skip) {
        scan.skip -= there;
        return end;
      }
      p += scan.skip;
      scan.skip = 0;
      if (--scan.pending === 0) {
        scan.done = true;
        return p;
      }
    }
    if (p >= end) return p;
    const type = buf[p];
    const cr = findEnd(buf, p + 1, end);
    if (cr < 0) {
      if (end - p > MAX_LINE || type === CR) scan.bad = true;
      return p;
    }
    const line = p + 1;
    p = cr + 2;
    switch (type) {
      case 43: // + simple string
      case 45: // - error
      case 58: // : integer
      case 95: // _ null
      case 35: // # boolean
      case 44: // , double
      case 40: // ( big number
        scan.pending--;
        break;
      case 36: // $ bulk string
      case 61: // = verbatim string
      case 33: { // ! bulk error
        const n = length(buf, line, cr);
        if (n === -1) scan.pending--;
        else if (n < 0) return fail(scan, p);
        else scan.skip = n + 2;
        break;
      }
      case 42: // * array
      case 126: // ~ set
      case 62: { // > push
        const n = length(buf, line, cr);
        if (n < -1) return fail(scan, p);
        scan.pending += (n === -1 ? 0 : n) - 1;
        break;
      }
      case 37: { // % map
        const n = length(buf, line, cr);
        if (n < 0) return fail(scan, p);
        scan.pending += 2 * n - 1;
        break;
      }
      case 124: { // | attribute: comes before the element it is about
        const n = length(buf, line, cr);
        if (n < 0) return fail(scan, p);
        scan.pending += 2 * n;
        break;
      }
      default:
        return fail(scan, p);
    }
    if (scan.pending === 0) {
      scan.done = true;
      return p;
    }
  }
}

/** Where a reply that is one bulk string or one short line ends; 0 if it is not wholly there. */
function whole(buf: Uint8Array, p: number, end: number): number {
  if (p + 4 > end) return 0;
  const type = buf[p];
  if (type === 36) {
    let n = buf[p + 1] - 48;
    if (n < 0 || n > 9) return 0;
    p += 2;
    let c = buf[p];
    while (c !== CR) {
      n = n * 10 + c - 48;
      if (c < 48 || c > 57 || n > MAX_LENGTH || ++p >= end) return 0;
      c = buf[p];
    }
    const lf = p + 1;
    p += n + 4;
    return p <= end && buf[p - 1] === LF && buf[lf] === LF ? p : 0;
  }
  if (type === 42) return wholeArray(buf, p, end);
  if (type !== 43 && type !== 58) return 0;
  for (let i = p + 1; i < end; i++) {
    if (buf[i] === CR) return i + 1 < end && buf[i + 1] === LF ? i + 2 : 0;
  }
  return 0;
}

/** Where an array of bulk strings and nulls ends; 0 if it is not wholly there, or no such thing. */
function wholeArray(buf: Uint8Array, p: number, end: number): number {
  let left = 0;
  const line = p + 1;
  for (p++; p < end && buf[p] !== CR; p++) {
    left = left * 10 + buf[p] - 48;
    if (buf[p] < 48 || buf[p] > 57 || left > MAX_LENGTH) return 0;
  }
  if (p === line || p + 2 > end || buf[p + 1] !== LF) return 0;
  p += 2;
  for (; left > 0; left--) {
    if (p + 5 > end || buf[p] !== 36) return 0;
    let n = buf[p + 1] - 48;
    let c = buf[p + 2];
    if (n < 0 || n > 9) {
      if (buf[p + 1] !== 45 || c !== 49 || buf[p + 3] !== CR || buf[p + 4] !== LF) return 0;
      p += 5; // $-1: null
      continue;
    }
    p += 3;
    while (c !== CR) {
      n = n * 10 + c - 48;
      if (c < 48 || c > 57 || n > MAX_LENGTH || p >= end) return 0;
      c = buf[p++];
    }
    if (p >= end || buf[p] !== LF) return 0;
    p += n + 3;
  }
  return p <= end && buf[p - 1] === LF ? p : 0;
}

/** Offset of the CR of CRLF from `p` on; -1 while it is not there. */
function findEnd(buf: Uint8Array, p: number, end: number): number {
  for (let i = p; i < end; i++) {
    if (buf[i] === CR) {
      if (i + 1 >= end) return -1;
      if (buf[i + 1] === LF) return i;
    }
  }
  return -1;
}

/** A length; -1 as such, -2 for nonsense. */
function length(buf: Uint8Array, start: number, end: number): number {
  if (buf[start] === 45) return end - start === 2 && buf[start + 1] === 49 ? -1 : -2;
  if (start >= end) return -2;
  let n = 0;
  for (let i = start; i < end; i++) {
    const d = buf[i] - 48;
    if (d < 0 || d > 9) return -2;
    n = n * 10 + d;
    if (n > MAX_LENGTH) return -2;
  }
  return n;
}

function fail(scan: ReplyScan, p: number): number {
  scan.bad = true;
  return p;
}

/**
 * The end of the element that starts at `buf[p]` of a reply that is known to be whole and well
 * formed (a held fragment).
 */
export function elementEnd(buf: Uint8Array, p: number): number {
  // Short bulk strings, which is what most elements are.
  if (buf[p] === 36) {
    const tens = buf[p + 1] - 48;
    if (buf[p + 2] === CR) return p + tens + 6;
    if (buf[p + 3] === CR && tens > 0) return p + tens * 10 + buf[p + 2] - 48 + 7;
  }
  let pending = 1;
  while (pending > 0) {
    const type = buf[p];
    let n = 0;
    let negative = false;
    let i = p + 1;
    for (; buf[i] !== CR || buf[i + 1] !== LF; i++) {
      if (buf[i] === 45) negative = true;
      else n = n * 10 + buf[i] - 48;
    }
    p = i + 2;
    pending--;
    if (negative) continue;
    if (type === 36 || type === 61 || type === 33) p += n + 2;
    else if (type === 42 || type === 126 || type === 62) pending += n;
    else if (type === 37) pending += 2 * n;
    else if (type === 124) pending += 2 * n + 1;
  }
  return p;
}
