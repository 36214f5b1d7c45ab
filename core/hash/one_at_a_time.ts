// Bob Jenkins' one-at-a-time hash as twemproxy computes it (nc_one_at_a_time.c): bytes are signed
// chars, so 0x80..0xff are sign-extended before they are added. Knows nothing of rings.
// Algorithm: burtleburtle.net/bob/hash/doobs.html

export function oneAtATime(buf: Uint8Array, start: number, end: number): number {
  let h = 0;
  for (let i = start; i < end; i++) {
    h = (h + ((buf[i] << 24) >> 24)) | 0;
    h = (h + (h << 10)) | 0;
    h ^= h >>> 6;
  }
  h = (h + (h << 3)) | 0;
  h ^= h >>> 11;
  return (h + (h << 15)) >>> 0;
}
