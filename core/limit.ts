// Keeps a log from being flooded: at most so many lines a second of one kind, and one that says how
// many more there were. Lines that are not shown by default (info, debug) are not counted: whoever
// asks for them wants them all.

import type { Fields, Log } from "./log.ts";

const SECOND = 1000;
/** Lines a second of one kind. */
const MOST = 10;

/** So many a second; counts the rest. */
export class Limit {
  /** What was not admitted in the current second. */
  suppressed: number;
  private readonly most: number;
  private since: number;
  private admitted: number;

  constructor(most: number) {
    this.suppressed = 0;
    this.most = most;
    this.since = -Infinity;
    this.admitted = 0;
  }

  admit(now: number): boolean {
    if (this.ended(now)) {
      this.since = now;
      this.admitted = 0;
    }
    if (this.admitted < this.most) {
      this.admitted++;
      return true;
    }
    this.suppressed++;
    return false;
  }

  /** The second is over. */
  ended(now: number): boolean {
    return now - this.since >= SECOND;
  }
}

type Level = "error" | "warn" | "notice";

interface Kind {
  readonly level: Level;
  readonly limit: Limit;
  /** The latest line that was suppressed. */
  text: string;
  fields: Fields | undefined;
}

/** A log before the real one. `tick` has to be called now and then. */
export class LimitedLog implements Log {
  private readonly log: Log;
  private readonly now: () => number;
  private readonly kinds: Map<string, Kind>;

  constructor(log: Log, now: () => number) {
    this.log = log;
    this.now = now;
    this.kinds = new Map();
  }

  get isTerse(): boolean {
    return this.log.isTerse === true;
  }

  error(text: string, fields?: Fields): void {
    this.count("error", text, fields);
  }

  warn(text: string, fields?: Fields): void {
    this.count("warn", text, fields);
  }

  notice(text: string, fields?: Fields): void {
    this.count("notice", text, fields);
  }

  info(text: string, fields?: Fields): void {
    this.log.info(text, fields);
  }

  debug(text: string, fields?: Fields): void {
    this.log.debug(text, fields);
  }

  private count(level: Level, text: string, fields: Fields | undefined): void {
    // Of one kind are the lines of one event at one server, whatever client or figures they name.
    const id = fields?.event === undefined
      ? `${level} ${text.replace(/\d+/g, "0")}`
      : `${level} ${fields.event} ${fields.server ?? ""}`;
    let kind = this.kinds.get(id);
    if (kind === undefined) {
      kind = { level, limit: new Limit(MOST), text, fields };
      this.kinds.set(id, kind);
    }
    const now = this.now();
    if (kind.limit.ended(now)) this.tell(kind);
    if (kind.limit.admit(now)) return this.log[level](text, fields);
    kind.text = text;
    kind.fields = fields;
  }

  /** Says what was suppressed in seconds that are over, and forgets kinds that do not come any more. */
  tick(now: number): void {
    for (const [id, kind] of this.kinds) {
      if (!kind.limit.ended(now)) continue;
      this.tell(kind);
      this.kinds.delete(id);
    }
  }

  private tell(kind: Kind): void {
    const { limit, level, text, fields } = kind;
    const more = limit.suppressed;
    if (more === 0) return;
    limit.suppressed = 0;
    this.log[level](
      more === 1 ? text : `${text}; ${more - 1} more suppressed`,
      more === 1 ? fields : { ...fields, suppressed: more - 1 },
    );
  }
}
