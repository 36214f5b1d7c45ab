// What hashing a key costs: all twelve functions, beside the ways that come to mind first (BigInt
// arithmetic, decoding the key to a string). A task is 1024 keys of 24 bytes, each at its own
// place in one buffer. Run by a runner that makes the Bench; knows nothing of it but `add`.

import type { Bench } from "tinybench";
import { type Hash, HASH_NAMES, HASHES, hashKey } from "../../core/hash/mod.ts";

const KEYS = 1024;
const LENGTH = 24;

function keys(): Uint8Array {
  const text = Array.from({ length: KEYS }, (_, i) => `user:{${1e6 + i}}:profile:${1e3 + i}`);
  return new TextEncoder().encode(text.map((key) => key.slice(0, LENGTH).padEnd(LENGTH)).join(""));
}

/** FNV-1a as its definition reads, in 64 bits. */
const fnv1a64BigInt: Hash = (buf, start, end) => {
  let h = 0xcbf29ce484222325n;
  for (let i = start; i < end; i++) {
    h = BigInt.asUintN(64, (h ^ BigInt(buf[i])) * 0x100000001b3n);
  }
  return Number(h & 0xffffffffn);
};

const decoder = new TextDecoder();

/** The same over a string, as a parser that hands out strings would need it. */
const fnv1a64String: Hash = (buf, start, end) => {
  const key = decoder.decode(buf.subarray(start, end));
  let h = 0x84222325;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x1b3);
  return h >>> 0;
};

export const suite = (bench: Bench): void => {
  const buf = keys();
  let sink = 0;
  const add = (name: string, hash: Hash) =>
    bench.add(`${name}, ${KEYS} keys`, () => {
      for (let i = 0; i < buf.length; i += LENGTH) sink ^= hash(buf, i, i + LENGTH);
    });
  for (const name of HASH_NAMES) add(name, HASHES[name]);
  add("fnv1a_64 with BigInt", fnv1a64BigInt);
  add("fnv1a_64 of a decoded string", fnv1a64String);
  add("hashKey, fnv1a_64, no tag", (b, from, to) => hashKey(HASHES.fnv1a_64, b, from, to, -1, -1));
  add("hashKey, fnv1a_64, {tag}", (b, from, to) => hashKey(HASHES.fnv1a_64, b, from, to, 123, 125));
};
