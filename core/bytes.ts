// ASCII and integers on bytes. Strings here are byte strings: one character per byte (latin-1),
// so that a value survives the trip to a string and back whatever its encoding is.

export const EMPTY: Uint8Array = new Uint8Array(0);

/**
 * Longest spans (bytes) that a loop copies faster than `set(subarray)`, which allocates: byte by byte,
 * and four at a time where both buffers have a view.
 */
let loopMost = 32;
let wordsMost = 256;

/** Tells what the runtime's engine is better at; each adapter passes what was measured on it. */
export function tuneCopy(longestLoop: number, longestOfWords: number): void {
  loopMost = longestLoop;
  wordsMost = longestOfWords;
}

/** A buffer that is used again and again may have a view, so that `copy` is faster. */
interface Viewed extends Uint8Array {
  view?: DataView;
}

/** Gives it a view. */
export function viewed(buf: Uint8Array): Uint8Array {
  (buf as Viewed).view = new DataView(buf.buffer, buf.byteOffset, buf.byteLength);
  return buf;
}

/** Copies `src[from, to)` to `dst[at...]`, another buffer, where there is room for it. */
export function copy(
  src: Uint8Array,
  from: number,
  to: number,
  dst: Uint8Array,
  at: number,
): void {
  const n = to - from;
  if (n <= wordsMost && n >= 4) {
    const read = (src as Viewed).view;
    const write = (dst as Viewed).view;
    if (read !== undefined && write !== undefined) return copyWords(read, from, to, write, at);
  }
  if (n <= loopMost) {
    for (let i = from; i < to; i++) dst[at++] = src[i];
  } else {
    dst.set(src.subarray(from, to), at);
  }
}

/** As `copy`, of four bytes or more: the last four may be copied twice. */
function copyWords(read: DataView, from: number, to: number, write: DataView, at: number): void {
  const by = at - from;
  const last = to - 4;
  for (let i = from; i < last; i += 4) write.setUint32(i + by, read.getUint32(i, true), true);
  write.setUint32(last + by, read.getUint32(last, true), true);
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
