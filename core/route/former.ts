// The route that a pool had before a reload gave it one of another kind. Its servers get nothing more;
// what they refuse, or lose before it was sent, is for whoever has the keys now (exchange/transfer.ts),
// and nothing that they say of each other (MOVED) reaches a client.

import type { Clustering } from "../protocol/clustering.ts";
import type { Carrier } from "../link/attempt.ts";
import { Server, Unavailable } from "../server/server.ts";
import type { Parking, Target } from "../server/server.ts";
import { isRepeated, type Retry } from "./retry.ts";
import type { Intent, Redirects, Resendable } from "./route.ts";

export interface FormerContext {
  readonly config: { readonly retry?: Retry };
}

export class FormerRoute implements Redirects {
  readonly rounds: null;
  readonly most: number;
  readonly preface: null;
  readonly broadcasts: boolean;
  readonly apart: boolean;
  private readonly context: FormerContext;
  private readonly words: Clustering;
  /** Told to a client whose request cannot go over. */
  private readonly error: Uint8Array;
  /** Stands for the present route's servers. */
  private readonly present: Unavailable;

  constructor(context: FormerContext, words: Clustering, error: Uint8Array, present: Parking) {
    this.rounds = null;
    this.most = 0;
    this.preface = null;
    this.broadcasts = false;
    this.apart = false;
    this.context = context;
    this.words = words;
    this.error = error;
    this.present = new Unavailable("", present);
  }

  refused(buf: Uint8Array, start: number, end: number, request: Resendable): Target | null {
    const { words } = this;
    if (words.readRefusal(buf, start, end) === null) return null;
    // It may have run, and done something.
    if (!request.isJudged && !words.isServersOwn(buf, start, end)) return null;
    return this.present;
  }

  lost(): Target {
    return this.present;
  }

  tooMany(): Uint8Array {
    return this.error;
  }

  held(): Uint8Array {
    return this.error;
  }

  forgotten(): Uint8Array {
    return this.error;
  }

  overdue(): Uint8Array {
    return this.error;
  }

  mayRepeat(intent: Intent, repeated: number, atFormer = false): boolean {
    return atFormer || isRepeated(this.context.config.retry, intent, repeated);
  }
}

/** Who says what is to become of what `link` has refused or lost; `present`: the pool's own route. */
export function redirectsOf({ owner }: Carrier, present: Redirects | null): Redirects | null {
  const former = owner instanceof Server ? owner.former : null;
  return former === null ? present : former as Redirects;
}
