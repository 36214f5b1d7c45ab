// The FNV family as twemproxy computes it (nc_fnv.c). Knows nothing of keys, tags or rings.
// Base algorithm: RFC 9923. Two deviations, both kept because placement of every key depends on
// them: bytes are signed chars (0x80..0xff are sign-extended before the xor), and the "64-bit"
// hashes are cut to their low 32 bits. The 64-bit prime is 2^40 + 0x1b3, so the low half of each
// product depends on the low half of the hash alone: plain 32-bit arithmetic is exact here.

const INIT_64_LOW = 0x84222325 | 0;
const PRIME_64_LOW = 0x1b3;
const INIT_32 = 0x811c9dc5 | 0;
const PRIME_32 = 0x01000193;

export function fnv164(buf: Uint8Array, start: number, end: number): number {
  let h = INIT_64_LOW;
  for (let i = start; i < end; i++) h = Math.imul(h, PRIME_64_LOW) ^ ((buf[i] << 24) >> 24);
  return h >>> 0;
}

export function fnv1a64(buf: Uint8Array, start: number, end: number): number {
  let h = INIT_64_LOW;
  for (let i = start; i < end; i++) h = Math.imul(h ^ ((buf[i] << 24) >> 24), PRIME_64_LOW);
  return h >>> 0;
}

export function fnv132(buf: Uint8Array, start: number, end: number): number {
  let h = INIT_32;
  for (let i = start; i < end; i++) h = Math.imul(h, PRIME_32) ^ ((buf[i] << 24) >> 24);
  return h >>> 0;
}

export function fnv1a32(buf: Uint8Array, start: number, end: number): number {
  let h = INIT_32;
  for (let i = start; i < end; i++) h = Math.imul(h ^ ((buf[i] << 24) >> 24), PRIME_32);
  return h >>> 0;
}
