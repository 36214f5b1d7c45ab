// Base64 as memcached's meta commands use it for binary keys (RFC 4648, padding required).

const values = new Int8Array(256).fill(-1);
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
for (let i = 0; i < 64; i++) values[ALPHABET.charCodeAt(i)] = i;
const EQUALS = 61;

/** Decodes `buf[start, end)` into `out` from `at`; returns where it ends, -1 if it is no base64. */
export function decodeBase64(
  buf: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  if ((end - start) % 4 !== 0 || end === start) return -1;
  let stop = end;
  if (buf[stop - 1] === EQUALS) stop--;
  if (buf[stop - 1] === EQUALS) stop--;
  let bits = 0;
  let held = 0;
  for (let i = start; i < stop; i++) {
    const v = values[buf[i]];
    if (v < 0) return -1;
    held = (held << 6) | v;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (held >> bits) & 255;
      held &= (1 << bits) - 1;
    }
  }
  return at;
}

export function encodeBase64(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(EQUALS);
  for (let i = 0, at = 0; i < bytes.length; i += 3, at += 4) {
    const rest = bytes.length - i;
    const bits = (bytes[i] << 16) | ((rest > 1 ? bytes[i + 1] : 0) << 8) |
      (rest > 2 ? bytes[i + 2] : 0);
    for (let k = 0; k < Math.min(4, rest + 1); k++) {
      out[at + k] = ALPHABET.charCodeAt((bits >> (18 - 6 * k)) & 63);
    }
  }
  return out;
}
