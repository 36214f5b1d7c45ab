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

/** The characters that stand for `key`. */
export function encodeBase64(key: Uint8Array): string {
  let out = "";
  for (let i = 0; i < key.length; i += 3) {
    const bits = (key[i] << 16) | ((key[i + 1] ?? 0) << 8) | (key[i + 2] ?? 0);
    out += ALPHABET[bits >> 18] + ALPHABET[(bits >> 12) & 63];
    out += i + 1 < key.length ? ALPHABET[(bits >> 6) & 63] : "=";
    out += i + 2 < key.length ? ALPHABET[bits & 63] : "=";
  }
  return out;
}
