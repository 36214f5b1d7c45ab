// What a near cache says to memcached servers, in the text protocol. They tell nobody of changes: how
// old a value may be is all there is to say. Format: memcached's doc/protocol.txt.

import { bytes } from "../../bytes.ts";
import { CLASS_WRITE } from "../../stats/latency.ts";
import type { NearWords } from "../near.ts";
import { BINARY_CLASSES, opcodeOf } from "./binary_commands.ts";
import { verbOf } from "./commands.ts";
import { END } from "./errors.ts";

const GET = bytes("get ");
const CRLF = bytes("\r\n");
const LETTER_V = 86;
const LETTER_E = 69;
const LETTER_N = 78;

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const FLUSH = verbOf("flush_all");
const BINARY_FLUSHES = [opcodeOf("flush"), opcodeOf("flushq")];

function isFlush(verb: number, classes: Uint8Array): boolean {
  return classes === BINARY_CLASSES ? BINARY_FLUSHES.includes(verb) : verb === FLUSH;
}

export const NEAR_WORDS: NearWords = {
  readOne: verbOf("get"),
  readMany: verbOf("get"),
  handshake: () => null,
  serves: () => true,
  askLife: () => null,
  askValue: (key) => join([GET, key, CRLF]),
  life: () => -1,
  isValue: (buf, start) => buf[start] === LETTER_V,
  isNothing: (buf, start) => buf[start] === LETTER_E && buf[start + 1] === LETTER_N,
  nothing: () => END,
  joined: (replies) =>
    join([...replies.map((reply) => reply.subarray(0, reply.length - END.length)), END]),
  mayWrite: ({ verb }, classes) => classes[verb + 1] === CLASS_WRITE || isFlush(verb, classes),
  changed: () => false,
};
