// The slow log: requests that took longer than `slowlog_ms`, with what is needed to look for the
// reason. While it is on, each request keeps the beginning of its key; off, it costs the data path
// one comparison a read.

import { text } from "../bytes.ts";
import { Limit } from "../limit.ts";
import type { Fields, Log } from "../log.ts";
import {
  type Codec,
  FORWARD,
  type Keys,
  OWN,
  PIN,
  type Scan,
  SPLIT,
  TOGETHER,
} from "../protocol/codec.ts";
import type { Attempt } from "./attempt.ts";

/** Bytes of a key that are kept. */
const KEPT = 64;
/** Lines a second. */
const MOST = 100;

/** Whose link it was: see LinkOwner. */
interface Named {
  readonly label: string;
  readonly fields: Fields;
}

export class SlowLog {
  /** Requests that take longer (ms) are logged; Infinity = none. */
  ms: number;
  /** Requests keep their keys. */
  on: boolean;
  private since: number;
  /** Until when (pool time) they do without a slow log. */
  private kept: number;
  private readonly label: string;
  private readonly log: Log;
  private readonly limit: Limit;

  /** `label` begins the lines that name no server. */
  constructor(label: string, log: Log) {
    this.ms = Infinity;
    this.on = false;
    this.since = 0;
    this.kept = 0;
    this.label = label;
    this.log = log;
    this.limit = new Limit(MOST);
  }

  /** Called every tick: says what was suppressed, and takes over a changed `slowlog_ms`. */
  tick(now: number, slowlogMs: number): void {
    const on = slowlogMs > 0 || now < this.kept;
    // What was sent before it was on has no key to show.
    if (on && !this.on) this.since = now;
    this.on = on;
    this.ms = slowlogMs > 0 ? slowlogMs : Infinity;
    const more = this.limit.suppressed;
    if (more === 0 || !this.limit.ended(now)) return;
    this.limit.suppressed = 0;
    this.log.warn(`${this.label}: slow requests: ${more} more suppressed`, {
      event: "slow_request",
      suppressed: more,
    });
  }

  /** Requests are to keep their keys for a while, for whoever asks `keeps`. */
  keepUntil(time: number): void {
    this.kept = time;
  }

  /** Whether the key of `attempt` is its own, and not that of one before. */
  keeps({ sentAt }: Attempt): boolean {
    return this.on && sentAt > this.since;
  }

  /** Keeps the beginning of the key `buf[start, end)`; none when it is empty. */
  note(attempt: Attempt, buf: Uint8Array, start: number, end: number): void {
    attempt.noted = 0;
    this.keep(attempt, buf, start, end);
  }

  private keep(attempt: Attempt, buf: Uint8Array, start: number, end: number): void {
    if (attempt.note.length === 0) attempt.note = new Uint8Array(KEPT + 1);
    const { note } = attempt;
    let at = attempt.noted;
    for (let i = start; i < end && at <= KEPT; i++) note[at++] = buf[i];
    attempt.noted = at;
  }

  /** Keeps the first key of a request at `buf[at...]`. */
  noteFirst(attempt: Attempt, codec: Codec, scan: Scan, buf: Uint8Array, at: number): void {
    attempt.noted = 0;
    if (scan.verb < 0) {
      // A module's command: it has no number that tells its name.
      this.keep(attempt, buf, at + scan.args[0], at + scan.args[1]);
      this.keep(attempt, SPACE, 0, 1);
    }
    if (scan.action === SPLIT || scan.action === TOGETHER || scan.action === PIN) {
      if (scan.nkeys === 0) return;
      (codec.keys as Keys).select(scan, 0);
    } else if (scan.action !== FORWARD) {
      return;
    }
    this.keep(attempt, buf, at + scan.keyStart, at + scan.keyEnd);
  }

  /**
   * A request of `server` has taken `ms`, which is too long. `failure` says why it has no reply; ""
   * if it has.
   */
  tell(
    attempt: Attempt,
    codec: Codec,
    server: Named,
    ms: number,
    now: number,
    failure: string,
  ): void {
    const { sink, noted, verb } = attempt;
    if (attempt.mute === OWN || attempt.sentAt < this.since) return;
    if (verb < 0 && noted === 0) return; // the proxy's own question
    if (!this.limit.admit(now)) return;
    const command = verb < 0 ? "" : codec.commandName(verb).toUpperCase();
    const key = printable(attempt.note, noted);
    const words = [command, key].filter((word) => word !== "").join(" ");
    const took = Math.round(ms * 10) / 10;
    const { remote } = sink;
    const end = failure === "" ? "" : ` and failed: ${failure}`;
    this.log.warn(`${server.label}: slow: ${words} of client ${remote} took ${took} ms${end}`, {
      event: "slow_request",
      ...server.fields,
      client: remote,
      command,
      key,
      ms: took,
      ...(failure === "" ? {} : { reason: failure }),
    });
  }
}

const SPACE = Uint8Array.of(32);

/** The first KEPT bytes; what is not printable ASCII as in C. */
function printable(note: Uint8Array, noted: number): string {
  const shown = text(note, 0, Math.min(noted, KEPT)).replace(
    /[^!-~]|\\/g,
    (c) => c === "\\" ? "\\\\" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return noted > KEPT ? `${shown}...` : shown;
}
