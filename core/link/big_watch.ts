// Sees requests and replies that are larger than `big_key`. Only what cannot be small is looked at: a
// read of more bytes than that, and what goes on over several reads; so it costs the others nothing.

import { EMPTY, text } from "../bytes.ts";
import type { Codec, Keys, Scan } from "../protocol/codec.ts";
import { FORWARD, PIN, SPLIT, TOGETHER } from "../protocol/codec.ts";
import { BigKeys, type Way } from "../stats/big_keys.ts";
import type { Attempt } from "./attempt.ts";
import type { SlowLog } from "./slow_log.ts";

/** Bytes of a key that are shown. */
const SHOWN = 64;
/** How long (ms) requests keep their keys after a big reply to one that did not. */
const KEEPING = 10_000;

export class BigWatch {
  readonly keys: BigKeys;
  /** More than this is big; Infinity: nothing is. */
  bytes: number;
  private readonly counters: { big_requests: number; big_replies: number };
  private readonly slow: SlowLog;
  private readonly wallClock: () => number;

  constructor(
    bytes: number,
    slow: SlowLog,
    counters: { big_requests: number; big_replies: number },
    wallClock: () => number,
  ) {
    this.keys = new BigKeys();
    this.bytes = Infinity;
    this.counters = counters;
    this.slow = slow;
    this.wallClock = wallClock;
    this.limit(bytes);
  }

  /** `big_key` as the configuration has it: 0 for never. */
  limit(bytes: number): void {
    this.bytes = bytes > 0 ? bytes : Infinity;
  }

  /** `buf[at...]` is the beginning of a request of `bytes`, with its first key. */
  request(codec: Codec, scan: Scan, buf: Uint8Array, at: number, bytes: number): void {
    const { action, verb } = scan;
    this.counters.big_requests++;
    if (action === SPLIT || action === TOGETHER || action === PIN) {
      if (scan.nkeys === 0) return this.add("request", codec, verb, EMPTY, 0, 0, bytes);
      (codec.keys as Keys).select(scan, 0);
    } else if (action !== FORWARD) {
      return this.add("request", codec, verb, EMPTY, 0, 0, bytes);
    }
    this.add("request", codec, verb, buf, at + scan.keyStart, at + scan.keyEnd, bytes);
  }

  /** The reply to `attempt` has `bytes`, or more; `more`: it was told of before. */
  reply(attempt: Attempt, codec: Codec, bytes: number, more: boolean): void {
    const { slow } = this;
    if (attempt.verb < 0) return; // the proxy's own question
    if (!more) this.counters.big_replies++;
    const knows = slow.keeps(attempt);
    // What is read again within that time has a name.
    if (!knows) slow.keepUntil(attempt.sentAt + KEEPING);
    this.add("reply", codec, attempt.verb, attempt.note, 0, knows ? attempt.noted : 0, bytes, more);
  }

  private add(
    way: Way,
    codec: Codec,
    verb: number,
    buf: Uint8Array,
    start: number,
    end: number,
    bytes: number,
    more = false,
  ): void {
    const command = verb < 0 ? "" : codec.commandName(verb);
    const key = text(buf, start, Math.min(end, start + SHOWN)) + (end - start > SHOWN ? "..." : "");
    this.keys.add({ way, command, key, bytes, at: this.wallClock() }, more);
  }
}
