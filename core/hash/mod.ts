// The table of hash functions: name in the configuration → function. Each takes bytes as
// (buffer, start, end) and returns a uint32; all agree with twemproxy bit for bit, its quirks
// included, since they decide where every key lives. Knows nothing of rings.

import { crc16, crc32, crc32a } from "./crc.ts";
import { fnv132, fnv164, fnv1a32, fnv1a64 } from "./fnv.ts";
import { hsieh } from "./hsieh.ts";
import { jenkins } from "./jenkins.ts";
import { md5 } from "./md5.ts";
import { murmur } from "./murmur.ts";
import { oneAtATime } from "./one_at_a_time.ts";

/** Hashes `buf[start, end)` to a uint32. */
export type Hash = (buf: Uint8Array, start: number, end: number) => number;

/** In the order of twemproxy's documentation. */
export const HASH_NAMES = [
  "one_at_a_time",
  "md5",
  "crc16",
  "crc32",
  "crc32a",
  "fnv1_64",
  "fnv1a_64",
  "fnv1_32",
  "fnv1a_32",
  "hsieh",
  "murmur",
  "jenkins",
] as const;

export type HashName = typeof HASH_NAMES[number];

export const HASHES: Readonly<Record<HashName, Hash>> = {
  one_at_a_time: oneAtATime,
  md5,
  crc16,
  crc32,
  crc32a,
  fnv1_64: fnv164,
  fnv1a_64: fnv1a64,
  fnv1_32: fnv132,
  fnv1a_32: fnv1a32,
  hsieh,
  murmur,
  jenkins,
};

/** How many values a hash has: [0, range). */
export function hashRange(name: HashName): number {
  return name === "crc32" ? 2 ** 15 : 2 ** 32;
}

/**
 * Hashes the key `buf[start, end)`, or only its hash tag: what lies between the first `open` byte
 * and the next `close` byte after it, unless that is nothing (nc_server.c). An `open` below 0
 * means no tags. The empty key hashes to 0 with every function.
 */
export function hashKey(
  hash: Hash,
  buf: Uint8Array,
  start: number,
  end: number,
  open: number,
  close: number,
): number {
  if (open >= 0) {
    let from = start;
    while (from < end && buf[from] !== open) from++;
    let to = ++from;
    while (to < end && buf[to] !== close) to++;
    if (to < end && to > from) return hash(buf, from, to);
  }
  return start < end ? hash(buf, start, end) : 0;
}
