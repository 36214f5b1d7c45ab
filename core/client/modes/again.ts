// A request that waits at a server (BLPOP) while keys move to other servers: the server is asked to
// end the wait, and what is left of it is waited for where the key is then.

import type { Request } from "../../exchange/request.ts";
import type { Migrating } from "../../protocol/migrating.ts";

/** How often (ms) a server is asked to end a wait, which may not have begun when it first was. */
const ASK_AGAIN = 100;

export class Again {
  /** Its key leaves the server. */
  readonly moves: boolean;
  readonly request: Request;
  /** The same request, which waits so long (ms). */
  private readonly waiting: (ms: number) => Uint8Array;
  private readonly since: number;
  private readonly wait: number;
  /** Whether a reply says that the wait was ended. */
  readonly isUnblocked: Migrating["isUnblocked"];
  /** When the server was last asked to end the wait (ms); -1: never. */
  private askedAt: number;

  constructor(
    request: Request,
    moves: boolean,
    waiting: (ms: number) => Uint8Array,
    since: number,
    wait: number,
    isUnblocked: Migrating["isUnblocked"],
  ) {
    this.moves = moves;
    this.request = request;
    this.waiting = waiting;
    this.since = since;
    this.wait = wait;
    this.isUnblocked = isUnblocked;
    this.askedAt = -1;
  }

  /** Whether the server is to be asked now; it then has been. */
  mayAsk(now: number): boolean {
    if (this.askedAt >= 0 && now - this.askedAt < ASK_AGAIN) return false;
    this.askedAt = now;
    return true;
  }

  /** The request, with the time that is left of it. */
  rest(now: number): Uint8Array {
    return this.waiting(this.wait - (now - this.since));
  }
}
