// The hash slot that Redis Cluster puts a key into.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

import { crc16 } from "./crc.ts";

const HIGHEST = 16383;
const OPEN = 123;
const CLOSE = 125;

/** The hash slot of `buf[start, end)`: of what stands in the first {}, if that is not empty. */
export function slotOf(buf: Uint8Array, start: number, end: number): number {
  let open = start;
  while (open < end && buf[open] !== OPEN) open++;
  if (open < end) {
    let close = open + 1;
    while (close < end && buf[close] !== CLOSE) close++;
    if (close < end && close > open + 1) return crc16(buf, open + 1, close) & HIGHEST;
  }
  return crc16(buf, start, end) & HIGHEST;
}
