// ASCII and integers on bytes. Strings here are byte strings: one character per byte (latin-1),
// so that a value survives the trip to a string and back whatever its encoding is.

export const EMPTY: Uint8Array = new Uint8Array(0);

/** Longest span (bytes) that a loop copies faster than `set(subarray)`, which allocates a view. */
let loopMost = 32;

/** Tells what the runtime's engine is better at; each adapter passes what was measured on it. */
export function tuneCopy(longestLoop: number): void {
  loopMost = longestLoop;
}

/** Copies `src[from, to)` to `dst[at...]`, where there is room for it. */
export function copy(
  src: Uint8Array,
  from: number,
  to: number,
  dst: Uint8Array,
  at: number,
): void {
  if (to - from <= loopMost) {
    for (let i = from; i < to; i++) dst[at++] = src[i];
  } else {
    dst.set(src.subarray(from, to), at);
  }
}

/** The bytes of a byte string. */
export function bytes(text: string): Uint8Array {
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** A longer span is not made into a string one by one. */
const SHORT = 64;
/** Characters of one call: engines bound a call's arguments. */
const AT_ONCE = 8192;

/** `buf[start, end)` as a byte string. Whose length others choose is to be looked at before. */
export function text(buf: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT) return longText(buf, start, end);
  let out = "";
  for (let i = start; i < end; i++) out += String.fromCharCode(buf[i]);
  return out;
}

function longText(buf: Uint8Array, start: number, end: number): string {
  let out = "";
  for (let i = start; i < end; i += AT_ONCE) {
    const some: unknown = buf.subarray(i, Math.min(end, i + AT_ONCE));
    out += String.fromCharCode.apply(null, some as number[]);
  }
  return out;
}

/** As `text`, but at most `most` characters. */
export function clipped(buf: Uint8Array, start: number, end: number, most: number): string {
  return text(buf, start, Math.min(end, start + most));
}

/** The UTF-8 bytes of a JavaScript string, as a byte string. */
export function utf8(value: string): string {
  return unescape(encodeURIComponent(value));
}

/** `buf[start, end)` as a non-negative decimal integer; -1 if it is none or exceeds `max`. */
export function decimal(buf: Uint8Array, start: number, end: number, max: number): number {
  if (start >= end) return -1;
  let n = 0;
  for (let i = start; i < end; i++) {
    const d = buf[i] - 48;
    if (d < 0 || d > 9) return -1;
    n = n * 10 + d;
    if (n > max) return -1;
  }
  return n;
}

/** Whether `buf[start, end)` equals lower-case `word`, letters compared without case. */
export function isWord(buf: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    let c = buf[start + i];
    if (c >= 65 && c <= 90) c |= 32;
    if (c !== word.charCodeAt(i)) return false;
  }
  return true;
}
