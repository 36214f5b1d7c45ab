// Fuzzing of the parsers: streams are made from a seed, spoilt, and held against invariants.ts. A
// stream in which something new is found is kept to be spoilt further.

import { bytes, text } from "../../core/bytes.ts";
import type { Codec, Facts } from "../../core/protocol/codec.ts";
import { MemcachedCodec } from "../../core/protocol/memcached/codec.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import { elementEnd } from "../../core/protocol/redis/reply.ts";
import { check, type Found, type Reader, replyReader, requestReader } from "./invariants.ts";
import * as streams from "./streams.ts";
import { mutate, type Random, seeded } from "./streams.ts";

const facts: Facts = {
  pool: "pool",
  version: "0.0.0",
  runtime: "none 0",
  wallClock: () => 0,
  uptime: () => 0,
  port: () => 1,
  listen: () => "127.0.0.1:1",
  peers: () => [],
  hidden: () => 0,
  servers: () => 2,
  pause: () => {},
  counters: () => [],
};

const options = { auth: "", db: 0, maxRequest: 10_000 };
const redis: Codec = new RedisCodec(options, facts);
const memcached = new MemcachedCodec(options, facts);
const binary: Codec = memcached.dialects.of(0x80);

export interface Target {
  readonly name: string;
  readonly make: (rand: Random) => string;
  readonly reader: Reader;
  readonly lenient: boolean;
}

export const TARGETS: readonly Target[] = [
  {
    name: "redis-requests",
    make: streams.redisRequests,
    reader: requestReader(redis),
    lenient: false,
  },
  {
    name: "redis-replies",
    make: streams.redisReplies,
    reader: replyReader(redis, elementEnd),
    lenient: true,
  },
  {
    name: "memcached-requests",
    make: streams.textRequests,
    reader: requestReader(memcached),
    lenient: false,
  },
  {
    name: "memcached-replies",
    make: streams.textReplies,
    reader: replyReader(memcached),
    lenient: true,
  },
  {
    name: "binary-requests",
    make: streams.binaryRequests,
    reader: requestReader(binary),
    lenient: false,
  },
  {
    name: "binary-replies",
    make: streams.binaryReplies,
    reader: replyReader(binary),
    lenient: true,
  },
];

export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly why: string;
  /** The shortest input found that fails, in hexadecimal. */
  readonly hex: string;
}

export interface Report {
  inputs: number;
  /** Streams kept because something new was found in them. */
  kept: number;
  failure: Failure | null;
}

const MOST_KEPT = 2000;

/**
 * Fuzzes one target for so long, and with `least` inputs however long that takes. The same seed
 * gives the same streams, in the same order.
 */
export function fuzz(target: Target, seed: number, milliseconds: number, least = 1): Report {
  const rand = seeded(seed);
  const report: Report = { inputs: 0, kept: 0, failure: null };
  const kept = Array.from({ length: 20 }, () => target.make(rand));
  const seen = new Set<string>();
  const until = performance.now() + milliseconds;
  while (report.inputs < least || performance.now() < until) {
    const kind = rand(8);
    const base = kind < 2 ? target.make(rand) : kept[rand(kept.length)];
    const input = kind === 0 ? base : mutate(rand, base, kept);
    const cuts = rand(1 << 30);
    report.inputs++;
    const { why, found } = attempt(target, input, cuts);
    if (why !== "") {
      const hex = toHex(shrink(target, input, cuts));
      report.failure = { target: target.name, seed, why, hex };
      return report;
    }
    const shape = shapeOf(found);
    if (seen.has(shape) || seen.size >= MOST_KEPT) continue;
    seen.add(shape);
    report.kept++;
    kept.push(input);
  }
  return report;
}

/** Tries one input; `why` is "" when all is well. */
export function attempt(
  target: Target,
  input: string,
  cuts: number,
): { why: string; found: Found } {
  try {
    return { why: "", found: check(target.reader, seeded(cuts), input, target.lenient) };
  } catch (error) {
    return { why: error instanceof Error ? `${error.name}: ${error.message}` : "?", found: [] };
  }
}

/** The kinds of things found, without their contents: the actions, the verbs, the errors. */
function shapeOf(found: Found): string {
  return found.map((line) =>
    line[0] === "[" ? line.split(",", 5).join().replace(/"[^]*/, "") : line.slice(0, 24)
  ).join("|").slice(0, 300);
}

/** Leaves out what is not needed for the input to fail. */
function shrink(target: Target, input: string, cuts: number): string {
  const fails = (candidate: string): boolean => {
    for (let i = 0; i < 4; i++) if (attempt(target, candidate, cuts + i).why !== "") return true;
    return false;
  };
  for (let size = input.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= input.length;) {
      const shorter = input.slice(0, at) + input.slice(at + size);
      if (fails(shorter)) input = shorter;
      else at += size;
    }
  }
  return input;
}

function toHex(input: string): string {
  return [...bytes(input)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(hex: string): string {
  const found = hex.match(/../g) ?? [];
  const buf = Uint8Array.from(found, (two) => parseInt(two, 16));
  return text(buf, 0, buf.length);
}
