// Inline commands: a line of words, quoted as in Redis's sdssplitargs (sds.c).

import { copy } from "../../bytes.ts";

const SPACE = 32;
const ESCAPES: Record<number, number> = { 110: 10, 114: 13, 116: 9, 98: 8, 97: 7 }; // n r t b a

/** The words found last, end to end, and where each ends; reused. */
let found = new Uint8Array(1024);
let ends = new Int32Array(64);
/** Where `found` is filled to. */
let filled = 0;

/**
 * The words of `buf[start, end)` as a RESP array of bulk strings: empty when there are no words,
 * null when a quote is not closed.
 */
export function splitInline(buf: Uint8Array, start: number, end: number): Uint8Array | null {
  if (found.length < end - start) found = new Uint8Array(2 * (end - start));
  filled = 0;
  // A NUL ends the line, as it ends a string in C.
  for (let i = start; i < end; i++) {
    if (buf[i] === 0) end = i;
  }
  let words = 0;
  let p = start;
  for (;;) {
    while (p < end && isSpace(buf[p])) p++;
    if (p >= end) break;
    p = readWord(buf, p, end);
    if (p < 0) return null;
    if (words === ends.length) {
      const more = new Int32Array(2 * words);
      more.set(ends);
      ends = more;
    }
    ends[words++] = filled;
  }
  return words === 0 ? new Uint8Array(0) : asArray(words);
}

function asArray(words: number): Uint8Array {
  let size = 3 + digits(words);
  for (let i = 0, from = 0; i < words; from = ends[i++]) {
    size += 5 + digits(ends[i] - from) + ends[i] - from;
  }
  const out = new Uint8Array(size);
  let at = head(out, 0, 42, words); // *
  for (let i = 0, from = 0; i < words; from = ends[i++]) {
    at = head(out, at, 36, ends[i] - from); // $
    copy(found, from, ends[i], out, at);
    at += ends[i] - from;
    out[at++] = 13;
    out[at++] = 10;
  }
  return out;
}

function digits(n: number): number {
  let count = 1;
  while ((n = Math.floor(n / 10)) > 0) count++;
  return count;
}

/** Writes a mark, a number and CRLF; returns where they end. */
function head(out: Uint8Array, at: number, mark: number, n: number): number {
  out[at] = mark;
  const end = at + 1 + digits(n);
  let p = end;
  do {
    out[--p] = 48 + n % 10;
    n = Math.floor(n / 10);
  } while (n > 0);
  out[end] = 13;
  out[end + 1] = 10;
  return end + 2;
}

/** Appends the word at `p` to `found`; returns where it ends, or -1 for an open quote. */
function readWord(buf: Uint8Array, p: number, end: number): number {
  let quote = 0;
  for (;; p++) {
    if (p >= end) return quote === 0 ? p : -1;
    const c = buf[p];
    if (quote === 0) {
      if (isSpace(c)) return p;
      if (c === 34 || c === 39) quote = c;
      else found[filled++] = c;
    } else if (c === quote) {
      // A closing quote must be followed by a space or the end.
      return p + 1 < end && !isSpace(buf[p + 1]) ? -1 : p + 1;
    } else if (c !== 92 || p + 1 >= end) {
      found[filled++] = c;
    } else if (quote === 39) {
      if (buf[p + 1] === 39) p++;
      found[filled++] = buf[p];
    } else if (buf[p + 1] === 120 && p + 3 < end && hex(buf[p + 2]) >= 0 && hex(buf[p + 3]) >= 0) {
      found[filled++] = hex(buf[p + 2]) * 16 + hex(buf[p + 3]);
      p += 3;
    } else {
      p++;
      found[filled++] = ESCAPES[buf[p]] ?? buf[p];
    }
  }
}

function isSpace(c: number): boolean {
  return c === SPACE || (c >= 9 && c <= 13);
}

function hex(c: number): number {
  if (c >= 48 && c <= 57) return c - 48;
  const lower = c | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
