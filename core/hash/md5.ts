// MD5 (RFC 1321): a key's hash (the first four digest bytes, as twemproxy's nc_md5.c takes them)
// and the points of a ketama ring (all sixteen). Allocates nothing; not re-entrant. Not for
// security. Knows nothing of rings.

/** floor(2^32 * abs(sin(i + 1))): RFC 1321 section 3.4. */
const SINES = new Int32Array(64);
for (let i = 0; i < 64; i++) SINES[i] = Math.floor(0x100000000 * Math.abs(Math.sin(i + 1)));

/** The block at work, and the state: a, b, c, d. */
const words = new Int32Array(16);
const state = new Int32Array(4);

/** The first four digest bytes, little-endian. */
export function md5(buf: Uint8Array, start: number, end: number): number {
  digest(buf, start, end);
  return state[0] >>> 0;
}

/** All sixteen digest bytes, as four little-endian words, into `out[0..3]`. */
export function md5Words(buf: Uint8Array, start: number, end: number, out: Uint32Array): void {
  digest(buf, start, end);
  out[0] = state[0];
  out[1] = state[1];
  out[2] = state[2];
  out[3] = state[3];
}

function digest(buf: Uint8Array, start: number, end: number): void {
  state[0] = 0x67452301;
  state[1] = 0xefcdab89 | 0;
  state[2] = 0x98badcfe | 0;
  state[3] = 0x10325476;
  let i = start;
  for (const last = end - 64; i <= last; i += 64) {
    for (let w = 0, p = i; w < 16; w++, p += 4) words[w] = word(buf, p);
    mixBlock();
  }
  // The rest, a 1 bit, zeros, and the length in bits as a 64-bit number.
  let w = 0;
  for (const last = end - 4; i <= last; i += 4) words[w++] = word(buf, i);
  let tail = 0x80;
  for (let p = end - 1; p >= i; p--) tail = (tail << 8) | buf[p];
  words[w++] = tail;
  if (w > 14) {
    while (w < 16) words[w++] = 0;
    mixBlock();
    w = 0;
  }
  while (w < 14) words[w++] = 0;
  words[14] = (end - start) << 3;
  words[15] = (end - start) >>> 29;
  mixBlock();
}

function word(buf: Uint8Array, p: number): number {
  return buf[p] | (buf[p + 1] << 8) | (buf[p + 2] << 16) | (buf[p + 3] << 24);
}

/** Four steps at a time, so that a, b, c, d need not change places. */
function mixBlock(): void {
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  for (let i = 0; i < 16; i += 4) {
    a = (a + (d ^ (b & (c ^ d))) + words[i] + SINES[i]) | 0;
    a = (((a << 7) | (a >>> 25)) + b) | 0;
    d = (d + (c ^ (a & (b ^ c))) + words[i + 1] + SINES[i + 1]) | 0;
    d = (((d << 12) | (d >>> 20)) + a) | 0;
    c = (c + (b ^ (d & (a ^ b))) + words[i + 2] + SINES[i + 2]) | 0;
    c = (((c << 17) | (c >>> 15)) + d) | 0;
    b = (b + (a ^ (c & (d ^ a))) + words[i + 3] + SINES[i + 3]) | 0;
    b = (((b << 22) | (b >>> 10)) + c) | 0;
  }
  for (let i = 16; i < 32; i += 4) {
    const w = i * 5 + 1;
    a = (a + (c ^ (d & (b ^ c))) + words[w & 15] + SINES[i]) | 0;
    a = (((a << 5) | (a >>> 27)) + b) | 0;
    d = (d + (b ^ (c & (a ^ b))) + words[(w + 5) & 15] + SINES[i + 1]) | 0;
    d = (((d << 9) | (d >>> 23)) + a) | 0;
    c = (c + (a ^ (b & (d ^ a))) + words[(w + 10) & 15] + SINES[i + 2]) | 0;
    c = (((c << 14) | (c >>> 18)) + d) | 0;
    b = (b + (d ^ (a & (c ^ d))) + words[(w + 15) & 15] + SINES[i + 3]) | 0;
    b = (((b << 20) | (b >>> 12)) + c) | 0;
  }
  for (let i = 32; i < 48; i += 4) {
    const w = i * 3 + 5;
    a = (a + (b ^ c ^ d) + words[w & 15] + SINES[i]) | 0;
    a = (((a << 4) | (a >>> 28)) + b) | 0;
    d = (d + (a ^ b ^ c) + words[(w + 3) & 15] + SINES[i + 1]) | 0;
    d = (((d << 11) | (d >>> 21)) + a) | 0;
    c = (c + (d ^ a ^ b) + words[(w + 6) & 15] + SINES[i + 2]) | 0;
    c = (((c << 16) | (c >>> 16)) + d) | 0;
    b = (b + (c ^ d ^ a) + words[(w + 9) & 15] + SINES[i + 3]) | 0;
    b = (((b << 23) | (b >>> 9)) + c) | 0;
  }
  for (let i = 48; i < 64; i += 4) {
    const w = i * 7;
    a = (a + (c ^ (b | ~d)) + words[w & 15] + SINES[i]) | 0;
    a = (((a << 6) | (a >>> 26)) + b) | 0;
    d = (d + (b ^ (a | ~c)) + words[(w + 7) & 15] + SINES[i + 1]) | 0;
    d = (((d << 10) | (d >>> 22)) + a) | 0;
    c = (c + (a ^ (d | ~b)) + words[(w + 14) & 15] + SINES[i + 2]) | 0;
    c = (((c << 15) | (c >>> 17)) + d) | 0;
    b = (b + (d ^ (c | ~a)) + words[(w + 21) & 15] + SINES[i + 3]) | 0;
    b = (((b << 21) | (b >>> 11)) + c) | 0;
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
}
