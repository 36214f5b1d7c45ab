// Replies of servers: where a parser stands in one, and those of a request that went to several.

import type { Origin } from "./scan.ts";

/** Where a server connection's reply parser stands; survives from one read to the next. */
export class ReplyScan {
  /** The last `parseReply` stopped at the end of a whole reply. */
  done: boolean;
  /** The server sent what is no reply. */
  bad: boolean;
  /** Elements (Redis) or lines (memcached) still to come before the reply ends. */
  pending: number;
  /** Bytes of a bulk body still to be skipped, its end mark included. */
  skip: number;

  constructor() {
    this.done = true;
    this.bad = false;
    this.pending = 0;
    this.skip = 0;
  }

  reset(): void {
    this.done = true;
    this.bad = false;
    this.pending = 0;
    this.skip = 0;
  }
}

/** One fragment's reply, as `Codec.join` sees it. */
export interface Part {
  /** The whole reply: `held[heldStart, heldEnd)`. Undefined when `failure` is set. */
  readonly held: Uint8Array;
  readonly heldStart: number;
  readonly heldEnd: number;
  /** strerror text when the server's reply was lost ("Connection refused"); "" otherwise. */
  readonly failure: string;
}

/** A request that went to several servers and has all its replies. */
export interface FanOut extends Origin {
  readonly verb: number;
  /** Number of keys (SPLIT) or of the pool's servers (WALK); 0 for the others. */
  readonly nkeys: number;
  /** SPLIT: index into `parts` for each key. WALK: picks[0] is the server that was asked. */
  readonly picks: Uint16Array;
  readonly parts: readonly Part[];
  /** GATHER: the proxy's own answer. */
  readonly held?: Uint8Array;
}
