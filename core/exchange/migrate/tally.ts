// What a process has moved, and what is told of it.

import { clipped } from "../../bytes.ts";

/** Big keys, errors and conflicts that are told by name. */
const MOST_TOLD = 20;
/** Over how long (ms) the rate is seen, and how often it is noted. */
const WINDOW = 10_000;
const STEP = 500;

/** What has become of a key. */
export type Noted =
  /** It is not (any more) where it was; `bytes` of it were moved by us. */
  | { readonly is: "gone"; readonly moved: boolean; readonly bytes: number }
  | { readonly is: "big"; readonly size: number }
  | { readonly is: "failed"; readonly why: string };

export class Tally {
  keys: number;
  bytes: number;
  errors: number;
  aside: number;
  bigs: number;
  /** How far the copier is with a server. */
  seen: number;
  of: number;
  readonly told: string[];
  private readonly now: () => number;
  private readonly warn: (line: string) => void;
  /** How many keys were moved at what time, the oldest first. */
  private readonly marks: { readonly at: number; readonly keys: number }[];

  constructor(now: () => number, warn: (line: string) => void) {
    this.keys = 0;
    this.bytes = 0;
    this.errors = 0;
    this.aside = 0;
    this.bigs = 0;
    this.seen = 0;
    this.of = 0;
    this.told = [];
    this.now = now;
    this.warn = warn;
    this.marks = [];
  }

  /** Keys a second, lately. */
  get rate(): number {
    this.mark();
    const [first] = this.marks;
    const ms = this.now() - first.at;
    return ms <= 0 ? 0 : Math.round((this.keys - first.keys) * 1000 / ms);
  }

  private mark(): void {
    const { marks, keys } = this;
    const now = this.now();
    const last = marks.at(-1);
    if (last === undefined || now - last.at >= STEP) marks.push({ at: now, keys });
    while (marks.length > 1 && now - marks[1].at >= WINDOW) marks.shift();
  }

  /** `db`: the database of the key. */
  note(key: Uint8Array, noted: Noted, db = 0): void {
    this.mark();
    switch (noted.is) {
      case "big":
        this.bigs++;
        return this.tell(`big: ${shownKey(key, db)}, ${noted.size} bytes`);
      case "failed":
        this.errors++;
        return this.tell(`error: ${shownKey(key, db)}: ${noted.why}`);
      case "gone":
        if (!noted.moved) return;
        this.keys++;
        this.bytes += noted.bytes;
    }
  }

  /** A key is not where it was to go. */
  setAside(line: string): void {
    this.aside++;
    this.tell(line);
  }

  /** Once, as long as it is among the last ones. */
  tell(line: string): void {
    if (this.told.includes(line)) return;
    this.told.push(line);
    if (this.told.length > MOST_TOLD) this.told.shift();
    this.warn(line);
  }
}

/** A key as people see it. */
export function shownKey(key: Uint8Array, db = 0): string {
  const shown = JSON.stringify(clipped(key, 0, key.length, 60));
  return db === 0 ? shown : `${shown} (database ${db})`;
}
