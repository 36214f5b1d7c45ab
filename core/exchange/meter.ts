// Limits and faults of a front: looked at before a request is carried out, whatever it is. A client that
// is held up for a while is not read meanwhile; nobody else waits.

import type { Timer } from "../host.ts";
import {
  FORWARD,
  type Keys,
  LOCAL,
  NOTHING,
  PIN,
  PIN_DISCARD,
  PIN_EXEC,
  PIN_MULTI,
  PIN_UNWATCH,
  QUIT,
  REFUSE,
  type Scan,
} from "../protocol/codec.ts";
import type { Caller } from "./request.ts";

/** Whom a rule is about. */
interface About {
  /** Names of commands in lower case; none: all. */
  readonly commands: readonly string[];
  /** Bytes that a key begins with; empty: whatever the key. */
  readonly prefix: Uint8Array;
  /** "" for all. */
  readonly user: string;
}

export interface Limit extends About {
  /** Requests a second, of all clients of this process together. */
  readonly rate: number;
}

export interface Fault extends About {
  readonly percent: number;
  /** Milliseconds; 0 for none. */
  readonly delay: number;
  /** "" for none. */
  readonly error: string;
}

export interface MeterContext {
  readonly host: { random(n: number): number; every(ms: number, fn: () => void): Timer };
  readonly turn: { enter(): void; leave(): void };
  /** Coarse monotonic time (ms). */
  readonly now: number;
  readonly counters: { limited: number; faults: number };
}

/** `check`: it is carried out later, and not asked about again. */
export const HELD_UP = "held up";

/** Parts that a percentage is told in. */
const PARTS = 1_000_000;

class Bucket {
  readonly limit: Limit;
  private tokens: number;
  private at: number;

  constructor(limit: Limit, now: number) {
    this.limit = limit;
    this.tokens = limit.rate;
    this.at = now;
  }

  take(now: number): boolean {
    const { rate } = this.limit;
    this.tokens = Math.min(rate, this.tokens + (now - this.at) * rate / 1000);
    this.at = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}

export class Meter {
  private readonly context: MeterContext;
  private readonly buckets: readonly Bucket[];
  private readonly faults: readonly Fault[];

  constructor(context: MeterContext, limits: readonly Limit[], faults: readonly Fault[]) {
    this.context = context;
    this.buckets = limits.map((limit) => new Bucket(limit, context.now));
    this.faults = faults;
  }

  /** What the request is answered with; null: it is carried out. */
  check(
    caller: Caller,
    scan: Scan,
    buf: Uint8Array,
    at: number,
  ): Uint8Array | typeof HELD_UP | null {
    if (!isAsked(scan)) return null;
    const { codec } = caller;
    const { counters, now } = this.context;
    for (const bucket of this.buckets) {
      const { limit } = bucket;
      if (!concerns(limit, caller, scan, buf, at) || bucket.take(now)) continue;
      counters.limited++;
      const what = limit.commands.length === 0 ? "" : ` of ${limit.commands.join(", ")}`;
      const where = limit.prefix.length === 0 ? "" : " on this prefix";
      return codec.failure(
        `rate limit: at most ${limit.rate} requests a second${what}${where}`,
        scan,
      );
    }
    for (const fault of this.faults) {
      if (!concerns(fault, caller, scan, buf, at)) continue;
      if (this.context.host.random(PARTS) >= fault.percent * PARTS / 100) continue;
      counters.faults++;
      if (fault.error !== "") return codec.verdicts.fault(fault.error, scan);
      this.holdUp(caller, fault.delay);
      return HELD_UP;
    }
    return null;
  }

  private holdUp(caller: Caller, ms: number): void {
    const { host, turn } = this.context;
    caller.stopForWork();
    const timer = host.every(ms, () => {
      timer.cancel();
      turn.enter();
      caller.workDone();
      turn.leave();
    });
  }
}

/** What the proxy answers by itself, and what ends things, is nobody's load. */
function isAsked({ action, pin }: Scan): boolean {
  switch (action) {
    case LOCAL:
    case QUIT:
    case NOTHING:
    case REFUSE:
      return false;
    case PIN:
      return pin !== PIN_MULTI && pin !== PIN_EXEC && pin !== PIN_DISCARD && pin !== PIN_UNWATCH;
    default:
      return true;
  }
}

function concerns(
  { commands, prefix, user }: About,
  { codec, session }: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): boolean {
  if (user !== "" && session.user?.name !== user) return false;
  if (commands.length > 0 && !commands.includes(codec.commandName(scan.verb))) return false;
  if (prefix.length === 0) return true;
  if (scan.action === FORWARD) return begins(prefix, buf, at + scan.keyStart, at + scan.keyEnd);
  for (let i = 0; i < scan.nkeys; i++) {
    (codec.keys as Keys).select(scan, i);
    if (begins(prefix, buf, at + scan.keyStart, at + scan.keyEnd)) return true;
  }
  return false;
}

function begins(prefix: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  if (prefix.length > end - start) return false;
  for (let i = 0; i < prefix.length; i++) if (buf[start + i] !== prefix[i]) return false;
  return true;
}
