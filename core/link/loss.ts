// A socket was lost, with requests in flight: each sink hears of its own, the oldest first, and may
// still ask for what was sent for it.

import type { Kept } from "../wire/kept_out_buffer.ts";
import type { OutBuffer } from "../wire/out_buffer.ts";
import type { Attempt, Carrier } from "./attempt.ts";
import type { InFlight } from "./in_flight.ts";

export class Loss {
  readonly count: number;
  private readonly first: Attempt | null;
  /** What was sent, if that was kept. */
  private readonly kept: Kept | null;
  /** Bytes from the beginning of the attempt whose sink hears of it now to the end of all. */
  private behind: number;
  /** The last of them (bytes) were not handed to the socket. */
  private readonly unsent: number;

  /** Takes all that was in flight. */
  constructor(flight: InFlight, unsent: number, kept: Kept | null) {
    this.count = flight.count;
    this.first = flight.head;
    this.kept = kept;
    this.behind = flight.bytes;
    this.unsent = unsent;
    flight.clear();
  }

  /** `text` says why; `overdue` is told first of each. */
  tell(link: Carrier, text: string, overdue: ((attempt: Attempt) => void) | null): void {
    let attempt = this.first;
    while (attempt !== null) {
      const { nextInFlight, bytes } = attempt;
      attempt.nextInFlight = null;
      overdue?.(attempt);
      attempt.sink.lost(attempt, link, text, this.behind <= this.unsent);
      this.behind -= bytes;
      attempt = nextInFlight;
    }
    this.kept?.release();
  }

  /** Appends the `bytes` of the attempt whose sink hears of it now; false when they are not there. */
  copy(bytes: number, to: OutBuffer): boolean {
    return this.kept !== null && this.kept.copy(this.behind, bytes, to);
  }
}
