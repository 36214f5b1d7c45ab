// MurmurHash2 as twemproxy computes it (nc_murmur.c): seed = 0xdeadbeef * length, little-endian
// words. Knows nothing of rings. Algorithm: Austin Appleby, smhasher MurmurHash2.cpp.

const M = 0x5bd1e995;

export function murmur(buf: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let h = Math.imul(0xdeadbeef, length) ^ length;
  let i = start;
  for (const last = end - 4; i <= last; i += 4) {
    const word = buf[i] | (buf[i + 1] << 8) | (buf[i + 2] << 16) | (buf[i + 3] << 24);
    const k = Math.imul(word, M);
    h = Math.imul(h, M) ^ Math.imul(k ^ (k >>> 24), M);
  }
  const rest = end - i;
  if (rest > 0) {
    if (rest === 3) h ^= buf[i + 2] << 16;
    if (rest >= 2) h ^= buf[i + 1] << 8;
    h = Math.imul(h ^ buf[i], M);
  }
  h = Math.imul(h ^ (h >>> 13), M);
  return (h ^ (h >>> 15)) >>> 0;
}
