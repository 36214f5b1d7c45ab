// Paul Hsieh's SuperFastHash as twemproxy computes it (nc_hsieh.c). Knows nothing of rings.
// Deviations from azillionmonkeys.com/qed/hash.html: the hash starts at 0, not at the length; the
// last byte of a three-byte tail is a signed char, that of a one-byte tail is not.

export function hsieh(buf: Uint8Array, start: number, end: number): number {
  let h = 0;
  let i = start;
  for (const last = end - 4; i <= last; i += 4) {
    h = (h + (buf[i] | (buf[i + 1] << 8))) | 0;
    h = (h << 16) ^ ((buf[i + 2] | (buf[i + 3] << 8)) << 11) ^ h;
    h = (h + (h >>> 11)) | 0;
  }
  switch (end - i) {
    case 3:
      h = (h + (buf[i] | (buf[i + 1] << 8))) | 0;
      h ^= h << 16;
      h ^= ((buf[i + 2] << 24) >> 24) << 18;
      h = (h + (h >>> 11)) | 0;
      break;
    case 2:
      h = (h + (buf[i] | (buf[i + 1] << 8))) | 0;
      h ^= h << 11;
      h = (h + (h >>> 17)) | 0;
      break;
    case 1:
      h = (h + buf[i]) | 0;
      h ^= h << 10;
      h = (h + (h >>> 1)) | 0;
      break;
  }
  h ^= h << 3;
  h = (h + (h >>> 5)) | 0;
  h ^= h << 4;
  h = (h + (h >>> 17)) | 0;
  h ^= h << 25;
  return (h + (h >>> 6)) >>> 0;
}
