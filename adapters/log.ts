// The log: nutcracker's levels and line format (nc_log.h), local time, to whatever sink it is
// given. Knows nothing of files or runtimes.

import type { Log as CoreLog } from "../core/log.ts";

/** Names of the levels 0 to 11. A message is written when its level is at most the log's. */
export const LEVEL_NAMES = [
  "EMERG",
  "ALERT",
  "CRIT",
  "ERR",
  "WARN",
  "NOTICE",
  "INFO",
  "DEBUG",
  "VERB",
  "VVERB",
  "VVVERB",
  "PVERB",
] as const;

export const MAX_LEVEL = LEVEL_NAMES.length - 1;

// nutcracker writes its errors from ALERT on, so that -v 1 still shows them.
const ERROR = 1;
const WARN = 4;
const NOTICE = 5;
const INFO = 6;
const DEBUG = 7;

/** The core's log, with a level that signals change. */
export interface Log extends CoreLog {
  /** 0 to 11. */
  level: number;
}

/** Where lines go: stderr or a file. */
export interface Sink {
  write(text: string): void;
  /** Opens the file anew, after it was moved away; nothing for stderr. */
  reopen(): void;
  close(): void;
}

export class TextLog implements Log {
  readonly sink: Sink;
  private threshold: number;
  private readonly now: () => Date;

  constructor(sink: Sink, level: number, now: () => Date = () => new Date()) {
    this.sink = sink;
    this.threshold = 0;
    this.now = now;
    this.level = level;
  }

  get level(): number {
    return this.threshold;
  }

  set level(level: number) {
    this.threshold = Math.max(0, Math.min(MAX_LEVEL, level));
  }

  error(text: string): void {
    if (this.threshold >= ERROR) this.always(text);
  }

  warn(text: string): void {
    if (this.threshold >= WARN) this.always(text);
  }

  notice(text: string): void {
    if (this.threshold >= NOTICE) this.always(text);
  }

  info(text: string): void {
    if (this.threshold >= INFO) this.always(text);
  }

  debug(text: string): void {
    if (this.threshold >= DEBUG) this.always(text);
  }

  /** Start, stop and signals, which every level shows. */
  always(text: string): void {
    this.sink.write(`[${stamp(this.now())}] ${text}\n`);
  }
}

/** `2026-11-23 11:28:24.502`, local time. */
function stamp(at: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${date} ${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
