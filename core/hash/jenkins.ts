// Bob Jenkins' lookup3 (hashlittle) as twemproxy computes it (nc_jenkins.c): initval 13, the third
// word is the hash. Knows nothing of rings. Algorithm: burtleburtle.net/bob/c/lookup3.c

const SEED = (0xdeadbeef + 13) | 0;

export function jenkins(buf: Uint8Array, start: number, end: number): number {
  let a = (SEED + (end - start)) | 0;
  let b = a;
  let c = a;
  let i = start;
  // A whole last block of 12 bytes is left to the tail below, where the final mix follows it.
  for (const last = end - 12; i < last; i += 12) {
    a = (a + (buf[i] | (buf[i + 1] << 8) | (buf[i + 2] << 16) | (buf[i + 3] << 24))) | 0;
    b = (b + (buf[i + 4] | (buf[i + 5] << 8) | (buf[i + 6] << 16) | (buf[i + 7] << 24))) | 0;
    c = (c + (buf[i + 8] | (buf[i + 9] << 8) | (buf[i + 10] << 16) | (buf[i + 11] << 24))) | 0;
    a = ((a - c) | 0) ^ ((c << 4) | (c >>> 28));
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ ((a << 6) | (a >>> 26));
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ ((b << 8) | (b >>> 24));
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ ((c << 16) | (c >>> 16));
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ ((a << 19) | (a >>> 13));
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ ((b << 4) | (b >>> 28));
    b = (b + a) | 0;
  }
  const rest = end - i;
  if (rest === 0) return c >>> 0; // only the empty key: it is not mixed at all
  let word = 0;
  for (let n = rest - 1; n >= 8; n--) word = (word << 8) | buf[i + n];
  c = (c + word) | 0;
  word = 0;
  for (let n = rest > 8 ? 7 : rest - 1; n >= 4; n--) word = (word << 8) | buf[i + n];
  b = (b + word) | 0;
  word = 0;
  for (let n = rest > 4 ? 3 : rest - 1; n >= 0; n--) word = (word << 8) | buf[i + n];
  a = (a + word) | 0;

  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0;
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  return ((c ^ b) - ((b << 24) | (b >>> 8))) >>> 0;
}
