// How one key moves from its old server to its new one, so that at every moment exactly one place has
// it, for all proxies together, whoever of them stops at whatever step:
//
//   take      old   the key is renamed to a hold, with a token and a lease; the value comes back
//   restore   new   the value is made a key, unless one is there, or the deadline has passed
//   release   old   the hold is dropped, if the token is still the hold's
//
// Rules that make it safe (test/exchange/migrate_model_test.ts tries the orders of events):
// 1. No client's command goes to the new server before the old one has said "absent": neither key nor
//    hold is there. All proxies keep to it before the first key moves (the barrier: migration.ts), so
//    a key that is absent stays absent.
// 2. While there is a hold nobody changes the new server's key but by `restore`. So whoever finds one
//    may take it over and restore again: "busy" then means that the one before had come as far.
// 3. A hold is taken over when its lease is over, which begins at the take. What the one before may
//    still have on its way does no harm: `release` has an old token, and `restore` a deadline, by the
//    new server's own clock, that passes MARGIN before the lease does. (A restore that came after the
//    release of another would bring back what a client has deleted since.)
// 4. A restore that was refused, or surely never sent, leaves nothing behind: the hold is given back,
//    or taken again at once. One that is lost may still be carried out: its lease is waited for.
// 5. What expires while it is held: the hold does not, the value carries the time.

import type { Ending, Released, Restored, Taken, Value } from "../../protocol/migrating.ts";

/** How much (ms) earlier than the lease a restore's deadline is: clocks of servers may be adjusted. */
export const MARGIN = 1000;
/** How long (ms) it tries, if nothing comes of it; a lease that is longer is waited for twice. */
const PATIENCE = 10_000;
const SHORTEST = 2;
const LONGEST = 50;
/** So often a restore may come too late before it is given up. */
const MOST_LATE = 3;

/** The two servers of a key, and the time. */
export interface MoveEnds {
  /** Monotonic ms. */
  now(): number;
  later(ms: number, fn: () => void): void;
  /** A token that nobody else has. */
  newToken(): string;
  /** What the new server's clock shows now, at least (ms); null: it does not say. */
  clock(done: (ms: number | null) => void): void;
  take(token: string, force: string, done: (taken: Taken) => void): void;
  restore(value: Value, deadline: number, done: (restored: Restored) => void): void;
  release(token: string, how: Ending, done: (released: Released) => void): void;
  giveBack(token: string, done: (released: Released) => void): void;
}

export type Outcome =
  /** It is not (any more) at the old server; `bytes` of it were moved by us. */
  | { readonly is: "gone"; readonly moved: boolean; readonly bytes: number; aside: boolean }
  | { readonly is: "big"; readonly size: number }
  | { readonly is: "failed"; readonly why: string };

export class KeyMove {
  private readonly ends: MoveEnds;
  private readonly done: (outcome: Outcome) => void;
  private giveUpAt: number;
  private pause: number;
  /** Our token that may be the hold's, and of which no restore can be carried out any more. */
  private mine: string;
  private mineDoubtful: boolean;
  /** Somebody's token that was found, and since when. */
  private held: string;
  private heldSince: number;
  private late: number;
  /** What was moved by us. */
  private bytes: number;
  private moved: boolean;
  private aside: boolean;

  constructor(ends: MoveEnds, done: (outcome: Outcome) => void) {
    this.ends = ends;
    this.done = done;
    this.giveUpAt = ends.now() + PATIENCE;
    this.pause = SHORTEST;
    this.mine = "";
    this.mineDoubtful = false;
    this.held = "";
    this.heldSince = 0;
    this.late = 0;
    this.bytes = 0;
    this.moved = false;
    this.aside = false;
  }

  begin(): void {
    this.take("", false);
  }

  /** `doubtful`: the one who had it before may have restored it. */
  private take(force: string, doubtful: boolean): void {
    const { ends } = this;
    ends.clock((clock) => {
      if (clock === null) return this.again("the new server does not tell the time");
      const token = ends.newToken();
      ends.take(token, force, (taken) => this.taken(taken, token, clock, doubtful));
    });
  }

  private taken(taken: Taken, token: string, clock: number, doubtful: boolean): void {
    const { ends } = this;
    switch (taken.is) {
      case "absent":
        return this.gone();
      case "big":
        return this.done({ is: "big", size: taken.size });
      case "error":
        return this.done({ is: "failed", why: `its old server says: ${taken.why}` });
      case "lost":
        // It may have been taken; nothing else has been done with this token.
        if (!taken.unsent) this.own(token, doubtful);
        return this.again(`its old server: ${taken.why}`);
      case "held":
        return this.wait(taken.token, taken.lease);
      case "taken":
        this.giveUpAt = Math.max(this.giveUpAt, ends.now() + 2 * taken.lease);
        ends.restore(taken.value, clock + taken.lease - MARGIN, (restored) => {
          this.restored(restored, token, taken.value, doubtful);
        });
    }
  }

  private own(token: string, doubtful: boolean): void {
    this.mine = token;
    this.mineDoubtful = doubtful;
  }

  /** Somebody has it: they get the time of the lease. */
  private wait(token: string, lease: number): void {
    if (token === this.mine) return this.take(token, this.mineDoubtful);
    const now = this.ends.now();
    if (token !== this.held) {
      this.held = token;
      this.heldSince = now;
      this.giveUpAt = Math.max(this.giveUpAt, now + 2 * lease);
    }
    if (now - this.heldSince >= lease) return this.take(token, true);
    this.again("another proxy is moving it");
  }

  private restored(restored: Restored, token: string, value: Value, doubtful: boolean): void {
    switch (restored.is) {
      case "done":
      case "expired":
        this.bytes = value.dump.length;
        this.moved = true;
        return this.release(token, restored.is === "done" ? "drop" : "gone");
      case "busy":
        return this.release(token, doubtful ? "drop" : "aside");
      case "late":
        if (++this.late >= MOST_LATE) return this.giveBack(token, "it takes too long", doubtful);
        return this.take(token, doubtful);
      case "error":
        return this.giveBack(token, `its new server says: ${restored.why}`, doubtful);
      case "lost":
        // Not sent at all: as if nothing had been tried. Else it may come to pass until its deadline.
        if (restored.unsent) this.own(token, doubtful);
        return this.again(`its new server: ${restored.why}`);
    }
  }

  private release(token: string, how: Ending): void {
    this.ends.release(token, how, (released) => {
      switch (released.is) {
        case "yes":
          this.aside ||= how === "aside";
          return this.gone();
        case "no":
          // By our own release, of which we have not heard, or by another taker.
          return this.take("", false);
        default:
          return this.retry(released.why, () => this.release(token, how));
      }
    });
  }

  /** The key stays where it was, if nobody can have restored it. */
  private giveBack(token: string, why: string, doubtful: boolean): void {
    if (doubtful) return this.done({ is: "failed", why });
    this.ends.giveBack(token, () => this.done({ is: "failed", why }));
  }

  private again(why: string): void {
    this.retry(why, () => this.take("", false));
  }

  private retry(why: string, fn: () => void): void {
    if (this.ends.now() >= this.giveUpAt) return this.done({ is: "failed", why });
    this.ends.later(this.pause, fn);
    this.pause = Math.min(LONGEST, 2 * this.pause);
  }

  private gone(): void {
    const { moved, bytes, aside } = this;
    this.done({ is: "gone", moved, bytes, aside });
  }
}
