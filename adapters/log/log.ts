// The log: nutcracker's levels (nc_log.h) in front of LogTape, and behind it the lines: text in
// nutcracker's format, or JSON. Knows nothing of files or runtimes. What the core has to say goes to
// LogTape's category "ringmux". Much of a text comes from outside (names, keys, servers' errors): here
// is where it is made harmless.

import { configureSync, getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";
import type { Fields, Log as CoreLog } from "../../core/log.ts";
import { printable, printableJson } from "./printable.ts";

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

/** Other names for them. */
const MORE_NAMES: Record<string, number> = { ERROR: 3, WARNING: 4, VERBOSE: 8 };

/** The level that is meant by a number (one that is too high is the highest) or a name; -1 for none. */
export function levelOf(text: string): number {
  if (/^[0-9]+$/.test(text)) return Math.min(Number(text), MAX_LEVEL);
  const name = text.toUpperCase();
  return MORE_NAMES[name] ?? LEVEL_NAMES.findIndex((one) => one === name);
}

// nutcracker writes its errors from ALERT on, so that -v 1 still shows them.
const ERROR = 1;
const WARN = 4;
const NOTICE = 5;
const INFO = 6;
const DEBUG = 7;

/** LogTape has fewer levels; what they are called in JSON. */
const NAMES: Record<LogLevel, string> = {
  fatal: "notice", // start, stop and signals: shown at every level, but no misfortune
  error: "error",
  warning: "warn",
  info: "notice",
  debug: "info",
  trace: "debug",
};

/** The core's log, with a level that signals change. */
export interface Log extends CoreLog {
  /** 0 to 11. */
  level: number;
}

/** Where lines go: stderr or a file. Each call is one line, and one write. */
export interface Sink {
  write(text: string): void;
  /** Called when lines can be written again after some were dropped. */
  lost?: (lines: number) => void;
  /** Opens the file anew, after it was moved away; nothing for stderr. */
  reopen(): void;
  /** Resolves when what was written is out, or after a moment. */
  close(): Promise<void> | void;
}

export type Format = "text" | "json";

/** The log of this process: LogTape has one configuration, so the latest one is in use. */
export class TextLog implements Log {
  readonly sink: Sink;
  format: Format;
  /** Stand in every line of JSON: pid, worker. */
  common: Fields;
  private threshold: number;
  private readonly now: () => Date;

  constructor(sink: Sink, level: number, now: () => Date = () => new Date()) {
    this.sink = sink;
    this.format = "text";
    this.common = {};
    this.threshold = 0;
    this.now = now;
    this.level = level;
    sink.lost = (lines) => {
      const text = `log: ${lines} lines dropped: whoever reads the log was too slow`;
      this.emit("warning", text, { event: "log_dropped", lines });
    };
    configureSync({
      reset: true,
      sinks: { lines: (record) => sink.write(this.line(record)) },
      loggers: [
        { category: "ringmux", sinks: ["lines"], lowestLevel: "trace" },
        // It would say on the console that it is there.
        { category: ["logtape", "meta"], sinks: [], lowestLevel: "fatal" },
      ],
    });
  }

  get level(): number {
    return this.threshold;
  }

  set level(level: number) {
    this.threshold = Math.max(0, Math.min(MAX_LEVEL, level));
  }

  get isTerse(): boolean {
    return this.threshold < INFO;
  }

  error(text: string, fields?: Fields): void {
    if (this.threshold >= ERROR) this.emit("error", text, fields);
  }

  warn(text: string, fields?: Fields): void {
    if (this.threshold >= WARN) this.emit("warning", text, fields);
  }

  notice(text: string, fields?: Fields): void {
    if (this.threshold >= NOTICE) this.emit("info", text, fields);
  }

  info(text: string, fields?: Fields): void {
    if (this.threshold >= INFO) this.emit("debug", text, fields);
  }

  debug(text: string, fields?: Fields): void {
    if (this.threshold >= DEBUG) this.emit("trace", text, fields);
  }

  /** Start, stop and signals, which every level shows. */
  always(text: string, fields?: Fields): void {
    this.emit("fatal", text, fields);
  }

  /** As a whole record: a message given to LogTape's own methods would be taken for a template. */
  private emit(level: LogLevel, text: string, fields: Fields = {}): void {
    getLogger("ringmux").emit({
      level,
      message: [text],
      rawMessage: text,
      timestamp: this.now().getTime(),
      properties: fields,
    });
  }

  private line({ level, message, timestamp, properties }: LogRecord): string {
    const at = new Date(timestamp);
    const text = String(message[0]);
    if (this.format === "text") return `[${stamp(at)}] ${printable(text)}\n`;
    const head = { time: at.toISOString(), level: NAMES[level], msg: text };
    return `${printableJson(JSON.stringify({ ...head, ...this.common, ...properties }))}\n`;
  }
}

/** `2026-11-23 11:28:24.502`, local time. */
function stamp(at: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${date} ${time}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
