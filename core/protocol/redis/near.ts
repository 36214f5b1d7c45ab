// What a near cache says to Redis servers and hears from them: CLIENT TRACKING in broadcasting mode.
// https://redis.io/docs/latest/develop/reference/client-side-caching/

import { bytes, decimal, utf8 } from "../../bytes.ts";
import type { Greeting, Handshake } from "../codec.ts";
import type { NearWords } from "../near.ts";
import { verbOf } from "./commands.ts";
import type { RedisSession } from "./session.ts";
import { WAITS } from "./waits.ts";

const DOLLAR = 36;
const COLON = 58;
const UNDERSCORE = 95;
const STAR = 42;
const CR = 13;
const PTTL = bytes("*2\r\n$4\r\nPTTL\r\n$");
const GET = bytes("*2\r\n$3\r\nGET\r\n$");
const CRLF = bytes("\r\n");
const NIL = bytes("$-1\r\n");
const NULL = bytes("_\r\n");
/** Where the list of keys begins in `>2 $10 invalidate *n ...`. */
const KEYS_AT = ">2\r\n$10\r\ninvalidate\r\n".length;
const MOST_KEYS = 1 << 20;

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function bulkOf(key: Uint8Array): Uint8Array[] {
  return [bytes(`${key.length}\r\n`), key, CRLF];
}

/** The number behind the mark at `at`, and where the next line begins. */
function lineAt(buf: Uint8Array, at: number, end: number): [value: number, next: number] {
  let cr = at + 1;
  while (cr < end && buf[cr] !== CR) cr++;
  return [decimal(buf, at + 1, cr, 1 << 29), cr + 2];
}

/** `base` is a session of the pool's as it is at first. */
export function nearWords(base: () => RedisSession, greeting: Greeting): NearWords {
  const own = base().db;
  return {
    readOne: verbOf("get"),
    readMany: verbOf("mget"),
    handshake(prefixes) {
      const tracking = {
        ...{ broadcast: prefixes !== null, optIn: false, optOut: false, noLoop: false },
        prefixes: (prefixes ?? []).map(utf8),
      };
      const session: RedisSession = { ...base(), resp: 3, tracking, ownLinks: true };
      return greeting.handshake(session) as Handshake;
    },
    serves: ({ db, tracking }: RedisSession) => tracking === null && db === own,
    askLife: (key) => join([PTTL, ...bulkOf(key)]),
    askValue: (key) => join([GET, ...bulkOf(key)]),
    life(buf, start, end) {
      if (buf[start] !== COLON) return 0;
      const ms = decimal(buf, start + 1, end - 2, Number.MAX_SAFE_INTEGER);
      if (ms >= 0) return ms;
      return buf[start + 2] === 49 ? -1 : 0; // :-1 no expiry, :-2 no key
    },
    isValue: (buf, start) => buf[start] === DOLLAR && buf[start + 1] !== 45,
    isNothing: (buf, start) => buf[start] === UNDERSCORE || buf[start] === DOLLAR,
    nothing: ({ resp }: RedisSession) => resp === 3 ? NULL : NIL,
    joined: (replies) => join([bytes(`*${replies.length}\r\n`), ...replies]),
    mayWrite: (scan) => WAITS.mayWrite(scan),
    changed(buf, start, end, each) {
      let at = start + KEYS_AT;
      if (at >= end || buf[at] !== STAR) return false;
      let [left, next] = lineAt(buf, at, end);
      if (left < 0 || left > MOST_KEYS) return false;
      while (left-- > 0) {
        at = next;
        const [length, from] = lineAt(buf, at, end);
        if (length < 0 || from + length > end) return false;
        each(from, from + length);
        next = from + length + 2;
      }
      return true;
    },
  };
}
