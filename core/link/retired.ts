// Links on their way out: they get no more requests, have what is in flight answered, and are closed.
// Looked after every tick: the data path knows nothing of it.

import type { Link } from "./link.ts";

/** A link that is to go. */
export interface Leaving {
  readonly link: Link;
  /** What is not answered by then (ms, `LinkContext.now`) gets an error: `why`. */
  readonly deadline: number;
  readonly why: string;
  /** Nobody else calls the link's `tick`. */
  readonly alone: boolean;
  /** It is closed. */
  gone(link: Link): void;
}

export class RetiredLinks {
  private leaving: Leaving[];

  constructor() {
    this.leaving = [];
  }

  add(leaving: Leaving): void {
    this.leaving.push(leaving);
  }

  tick(now: number, timeout: number, late: number): void {
    if (this.leaving.length === 0) return;
    this.leaving = this.leaving.filter(({ link, deadline, why, alone, gone }) => {
      if (alone) link.tick(now, timeout, late);
      if (link.head !== null && (now < deadline || late > 0)) return true;
      link.discard(why);
      gone(link);
      return false;
    });
  }

  /** Closes all of them at once. */
  drop(): void {
    for (const { link } of this.leaving) link.discard();
    this.leaving = [];
  }
}
