// The hash slot that Redis Cluster puts a key into: the CRC-16 (XMODEM) of its tag or, without one, of
// the key, four bytes at a time with a table for each ("slicing-by-4", Kounavis and Berry 2005).
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

import { crc16 } from "./crc.ts";

const HIGHEST = 16383;
const OPEN = 123;
const CLOSE = 125;

/** By byte: its CRC, when none, one, two or three zero bytes follow it. */
const LAST = new Uint16Array(256);
const THIRD = new Uint16Array(256);
const SECOND = new Uint16Array(256);
const FIRST = new Uint16Array(256);
const zeros = Uint8Array.of(0, 0, 0, 0);
for (let byte = 0; byte < 256; byte++) {
  zeros[0] = byte;
  LAST[byte] = crc16(zeros, 0, 1);
  THIRD[byte] = crc16(zeros, 0, 2);
  SECOND[byte] = crc16(zeros, 0, 3);
  FIRST[byte] = crc16(zeros, 0, 4);
}

/** The hash slot of `buf[start, end)`: of what stands in the first {}, if that is not empty. */
export function slotOf(buf: Uint8Array, start: number, end: number): number {
  let crc = 0;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const a = buf[i];
    const b = buf[i + 1];
    const c = buf[i + 2];
    const d = buf[i + 3];
    if (a === OPEN || b === OPEN || c === OPEN || d === OPEN) return slotOfTag(buf, start, end, i);
    crc = FIRST[a ^ (crc >> 8)] ^ SECOND[b ^ (crc & 0xff)] ^ THIRD[c] ^ LAST[d];
  }
  for (; i < end; i++) {
    const byte = buf[i];
    if (byte === OPEN) return slotOfTag(buf, start, end, i);
    crc = ((crc << 8) & 0xffff) ^ LAST[byte ^ (crc >> 8)];
  }
  return crc & HIGHEST;
}

/** The same where `open` is not behind the first {. */
function slotOfTag(buf: Uint8Array, start: number, end: number, open: number): number {
  while (buf[open] !== OPEN) open++;
  let close = open + 1;
  while (close < end && buf[close] !== CLOSE) close++;
  const isTag = close < end && close > open + 1;
  return (isTag ? crc16(buf, open + 1, close) : crc16(buf, start, end)) & HIGHEST;
}
