// How one key of memcached gets from its old server to its new one, whatever goes wrong between.
//
//   has (old) ─▶ hold, has (old) ─▶ token (new) ─▶ value (old) ─▶ fill (new) ─▶ drop (old) ─▶ let go (old)
//
// memcached has no scripts and no key that moves, only steps that are each carried out whole. What
// makes them safe:
//
// 1. From the barrier on nobody writes the key to its old server, and its new one is asked only after
//    the old one has said that it does not have it. So the old server only loses it, and once it is
//    said to be gone it stays gone.
// 2. The token is an empty item at the new server (`mg N30`), made before the value is read. Whatever
//    happens to the key there takes the token away: after a delete the fill gets NF, after a set EX.
//    So a fill that comes late never brings anything back (mcrouter's warm-up routes do).
// 3. An empty item would be a hit of no bytes to whoever asks the new server meanwhile. Nobody does:
//    as long as a token may be there the old server has the key (it is dropped after the fill), and
//    one process at a time moves it: it has the hold, a short-lived key at the old server. One that is
//    taken for dead while it is only slow cannot do harm: see 2.
// 4. What is nearly over or marked as stale is dropped instead of moved.
//
// A server that refuses connections has nobody behind it, and what memcached had was its memory:
// nothing of it is left, and the key is not there.

import type {
  Dropped,
  Filled,
  Found,
  Had,
  Held,
  Reply,
  Said,
  Token,
} from "../../protocol/pulling.ts";
import type { Lost } from "../../protocol/migrating.ts";

/** How long (ms) it tries. */
const PATIENCE = 10_000;
const SHORTEST = 2;
const LONGEST = 50;
/** How long (ms) one may go on with a hold before it has to be taken again; it lasts longer. */
const HOLD_AGE = 2500;

/** The two servers of a key. */
export interface PullEnds {
  /** Monotonic ms. */
  now(): number;
  later(ms: number, fn: () => void): void;
  has(done: (had: Reply<Had>) => void): void;
  hold(done: (held: Reply<Held>) => void): void;
  letGo(): void;
  token(done: (token: Reply<Token>) => void): void;
  value(done: (found: Reply<Found>) => void): void;
  fill(token: string, value: Found & { is: "value" }, done: (filled: Reply<Filled>) => void): void;
  /** At the new server: an unused token; at the old one: the key, if it has this number. */
  unplace(token: string, done: (dropped: Reply<Dropped>) => void): void;
  drop(cas: string, done: (dropped: Reply<Dropped>) => void): void;
}

export type Pulled =
  /** It is not (any more) at the old server. `bytes`: of its value, if we have moved it. */
  | { readonly is: "gone"; readonly moved: boolean; readonly bytes: number; readonly lost: string }
  | { readonly is: "big"; readonly size: number }
  | { readonly is: "failed"; readonly why: string };

export class KeyPull {
  private readonly ends: PullEnds;
  /** Bytes it may have; 0: any. */
  private readonly most: number;
  private readonly done: (pulled: Pulled) => void;
  private readonly giveUpAt: number;
  private pause: number;
  /** Since when we have the hold; -1: we do not. */
  private heldSince: number;
  private moved: boolean;
  private bytes: number;
  /** Why the value was not moved but dropped. */
  private lost: string;

  constructor(ends: PullEnds, most: number, done: (pulled: Pulled) => void) {
    this.ends = ends;
    this.most = most;
    this.done = done;
    this.giveUpAt = ends.now() + PATIENCE;
    this.pause = SHORTEST;
    this.heldSince = -1;
    this.moved = false;
    this.bytes = 0;
    this.lost = "";
  }

  begin(): void {
    const { ends, most } = this;
    ends.has((had) => {
      switch (had.is) {
        case "absent":
          return this.gone();
        case "there":
          if (most > 0 && had.size > most) return this.end({ is: "big", size: had.size });
          return this.hold();
        default:
          return this.oldFails(had);
      }
    });
  }

  private hold(): void {
    const { ends } = this;
    if (this.hasHold) return this.token();
    const asked = ends.now();
    let isMine = false;
    ends.hold((held) => {
      if ("why" in held) return this.oldFails(held);
      if (held.is === "others") return this.again("another proxy is moving it");
      this.heldSince = asked;
      isMine = true;
    });
    // Right behind it: whoever had the hold before may have moved the key meanwhile.
    ends.has((had) => {
      if (!isMine) return;
      if (had.is === "absent") return this.gone();
      if ("why" in had) return this.oldFails(had);
      if (this.hasHold) this.token();
      else this.again("it takes too long to hold it");
    });
  }

  private get hasHold(): boolean {
    return this.heldSince >= 0 && this.ends.now() - this.heldSince < HOLD_AGE;
  }

  private token(): void {
    this.ends.token((token) => {
      switch (token.is) {
        case "there":
          // Filled by one who could not end it. Nobody has written the old one since.
          return this.drop("");
        case "token":
          return this.value(token.cas);
        default:
          return this.newFails(token);
      }
    });
  }

  private value(token: string): void {
    const { ends } = this;
    ends.value((found) => {
      switch (found.is) {
        case "absent":
          return this.unplace(token, () => this.gone());
        case "stale":
          return this.unplace(token, () => this.drop(found.cas));
        case "value":
          return ends.fill(token, found, (filled) => this.filled(filled, token, found));
        default:
          return this.unplace(token, () => this.oldFails(found));
      }
    });
  }

  private filled(filled: Reply<Filled>, token: string, found: Found & { is: "value" }): void {
    switch (filled.is) {
      case "done":
        this.moved = true;
        this.bytes = found.data.length;
        return this.drop(found.cas);
      case "other":
        return this.again("its new server has it changed meanwhile");
      case "large":
        this.lost = `its new server takes no value of ${found.data.length} bytes`;
        return this.unplace(token, () => this.drop(found.cas));
      case "error":
        return this.unplace(token, () => this.newFails(filled));
      case "lost":
        // It may be filled by then: the next look tells.
        return this.newFails(filled);
    }
  }

  /** Nobody is to find the empty place. */
  private unplace(token: string, then: () => void): void {
    this.ends.unplace(token, (dropped) => {
      if (!("why" in dropped)) return then();
      this.retry(`its new server: ${dropped.why}`, () => this.unplace(token, then));
    });
  }

  private drop(cas: string): void {
    this.ends.drop(cas, (dropped) => {
      switch (dropped.is) {
        case "done":
          return this.gone();
        case "other":
          return this.again("somebody writes to its old server");
        default:
          if (isRefused(dropped)) return this.gone();
          return this.retry(`its old server: ${dropped.why}`, () => this.drop(cas));
      }
    });
  }

  private oldFails(why: Said | Lost): void {
    if (isRefused(why)) return this.gone();
    if (why.is === "error") {
      return this.end({ is: "failed", why: `its old server says: ${why.why}` });
    }
    this.again(`its old server: ${why.why}`);
  }

  private newFails(why: Said | Lost): void {
    if (why.is === "error" || isRefused(why)) {
      const says = why.is === "error" ? " says" : "";
      return this.end({ is: "failed", why: `its new server${says}: ${why.why}` });
    }
    this.again(`its new server: ${why.why}`);
  }

  private again(why: string): void {
    this.retry(why, () => this.begin());
  }

  private retry(why: string, fn: () => void): void {
    if (this.ends.now() >= this.giveUpAt) return this.end({ is: "failed", why });
    this.ends.later(this.pause, fn);
    this.pause = Math.min(LONGEST, 2 * this.pause);
  }

  private gone(): void {
    const { moved, bytes, lost } = this;
    this.end({ is: "gone", moved, bytes, lost });
  }

  private end(pulled: Pulled): void {
    // One that is older may be another's by now.
    if (this.hasHold) this.ends.letGo();
    this.done(pulled);
  }
}

/** Nobody listens there. */
export function isRefused(why: Said | Lost): boolean {
  return why.is === "lost" && why.unsent && why.why === "Connection refused";
}
