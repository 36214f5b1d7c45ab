// The attempts of a link that wait for replies, in the order they were sent in:
//
//   push ─▶ tail ▸ … ▸ head ─▶ shift: its reply has come

import type { Attempt } from "./attempt.ts";

export class InFlight {
  /** The oldest. */
  head: Attempt | null;
  /** The latest, while there is any. */
  private tail: Attempt | null;
  count: number;
  /** Length of what was sent for all of them. */
  bytes: number;

  constructor() {
    this.head = null;
    this.tail = null;
    this.count = 0;
    this.bytes = 0;
  }

  push(attempt: Attempt, bytes: number): void {
    attempt.bytes = bytes;
    if (this.head === null) this.head = attempt;
    else (this.tail as Attempt).nextInFlight = attempt;
    this.tail = attempt;
    this.count++;
    this.bytes += bytes;
  }

  /** Takes out the oldest. */
  shift(oldest: Attempt): void {
    this.head = oldest.nextInFlight;
    this.count--;
    this.bytes -= oldest.bytes;
  }

  /** The one that was put in last, if it still waits. */
  get last(): Attempt | null {
    return this.head === null ? null : this.tail;
  }

  /** None of them waits any more. */
  clear(): void {
    this.head = null;
    this.tail = null;
    this.count = 0;
    this.bytes = 0;
  }
}
