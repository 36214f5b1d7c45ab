// What a process has moved, and what is told of it.

import { clipped } from "../../bytes.ts";
import type { Outcome } from "./key_move.ts";

/** Big keys, errors and conflicts that are told by name. */
const MOST_TOLD = 20;
/** Over how long (ms) the rate is seen, and how often it is noted. */
const WINDOW = 10_000;
const STEP = 500;

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

  note(db: number, key: Uint8Array, outcome: Outcome): void {
    this.mark();
    const shown = `${shownKey(key)}${db === 0 ? "" : ` (database ${db})`}`;
    if (outcome.is === "big") {
      this.bigs++;
      this.tell(`big: ${shown}, ${outcome.size} bytes`);
    }
    if (outcome.is === "failed") {
      this.errors++;
      this.tell(`error: ${shown}: ${outcome.why}`);
    }
    if (outcome.is !== "gone" || !outcome.moved && !outcome.aside) return;
    if (outcome.moved) this.keys++;
    this.bytes += outcome.bytes;
    if (!outcome.aside) return;
    this.aside++;
    this.tell(`set aside: ${shown}: its new server had one already`);
  }

  private tell(line: string): void {
    if (this.told.includes(line)) return;
    this.told.push(line);
    if (this.told.length > MOST_TOLD) this.told.shift();
    this.warn(line);
  }
}

/** A key as people see it. */
export function shownKey(key: Uint8Array): string {
  return JSON.stringify(clipped(key, 0, key.length, 60));
}
