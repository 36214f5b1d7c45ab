// The words of a request line: what may be a key, a number, a time, "noreply". Measured on memcached
// 1.6.18.

import { bytes } from "../../bytes.ts";
import type { Scan } from "../codec.ts";
import { isBytes } from "./commands.ts";

export const MAX_KEY = 250;
/** memcached hangs up on a longer line, unless it begins with "get " or "gets ". */
export const MAX_LINE = 2048;
/** Longest data block: INT_MAX less its end mark. */
export const MAX_BYTES = 0x7fffffff - 2;
/** As many digits as a 64-bit strtol takes, whatever they are. */
export const MAX_EXPTIME_DIGITS = 18;
const MAX_CAS = bytes("18446744073709551615");
const NOREPLY = bytes("noreply");
const HTTP = bytes("HTTP/");
const PLUS = 43;
const MINUS = 45;

/** Whether the word begins with "HTTP/". */
export const isHttp = (buf: Uint8Array, start: number, end: number): boolean =>
  end - start > 5 && isBytes(buf, start, start + 5, HTTP);

export const isNoreply = (scan: Scan, buf: Uint8Array, start: number, word: number): boolean =>
  word > 0 && isBytes(buf, start + scan.args[2 * word], start + scan.args[2 * word + 1], NOREPLY);

export function isExptime(buf: Uint8Array, start: number, end: number): boolean {
  const from = buf[start] === MINUS || buf[start] === PLUS ? start + 1 : start;
  if (from >= end || end - from > MAX_EXPTIME_DIGITS) return false;
  for (let i = from; i < end; i++) if (buf[i] < 48 || buf[i] > 57) return false;
  return true;
}

export function isUint64(buf: Uint8Array, start: number, end: number): boolean {
  if (start >= end || end - start > MAX_CAS.length) return false;
  for (let i = start; i < end; i++) if (buf[i] < 48 || buf[i] > 57) return false;
  if (end - start < MAX_CAS.length) return true;
  for (let i = 0; i < MAX_CAS.length; i++) {
    const c = buf[start + i];
    if (c !== MAX_CAS[i]) return c < MAX_CAS[i];
  }
  return true;
}
