// Inline commands: a line of words, quoted as in Redis's sdssplitargs (sds.c).

import { bytes } from "../../bytes.ts";

const SPACE = 32;
const ESCAPES: Record<number, number> = { 110: 10, 114: 13, 116: 9, 98: 8, 97: 7 }; // n r t b a

/**
 * The words of `buf[start, end)` as a RESP array of bulk strings: empty when there are no words,
 * null when a quote is not closed.
 */
export function splitInline(buf: Uint8Array, start: number, end: number): Uint8Array | null {
  const words: number[][] = [];
  // A NUL ends the line, as it ends a string in C.
  for (let i = start; i < end; i++) {
    if (buf[i] === 0) end = i;
  }
  let p = start;
  for (;;) {
    while (p < end && isSpace(buf[p])) p++;
    if (p >= end) break;
    const word: number[] = [];
    p = readWord(buf, p, end, word);
    if (p < 0) return null;
    words.push(word);
  }
  if (words.length === 0) return new Uint8Array(0);
  let request = `*${words.length}\r\n`;
  for (const word of words) {
    request += `$${word.length}\r\n`;
    for (const b of word) request += String.fromCharCode(b);
    request += "\r\n";
  }
  return bytes(request);
}

/** Appends the word at `p` to `word`; returns where it ends, or -1 for an open quote. */
function readWord(buf: Uint8Array, p: number, end: number, word: number[]): number {
  let quote = 0;
  for (;; p++) {
    if (p >= end) return quote === 0 ? p : -1;
    const c = buf[p];
    if (quote === 0) {
      if (isSpace(c)) return p;
      if (c === 34 || c === 39) quote = c;
      else word.push(c);
    } else if (c === quote) {
      // A closing quote must be followed by a space or the end.
      return p + 1 < end && !isSpace(buf[p + 1]) ? -1 : p + 1;
    } else if (c !== 92 || p + 1 >= end) {
      word.push(c);
    } else if (quote === 39) {
      if (buf[p + 1] === 39) p++;
      word.push(buf[p]);
    } else if (buf[p + 1] === 120 && p + 3 < end && hex(buf[p + 2]) >= 0 && hex(buf[p + 3]) >= 0) {
      word.push(hex(buf[p + 2]) * 16 + hex(buf[p + 3]));
      p += 3;
    } else {
      p++;
      word.push(ESCAPES[buf[p]] ?? buf[p]);
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
