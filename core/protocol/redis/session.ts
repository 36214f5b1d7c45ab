// What the Redis protocol keeps per client.

import type { Session } from "../codec.ts";

/** What a client wants to be told of. */
export interface Tracking {
  readonly broadcast: boolean;
  readonly optIn: boolean;
  readonly optOut: boolean;
  readonly noLoop: boolean;
  /** Byte strings; of broadcast only. */
  readonly prefixes: readonly string[];
}

export interface RedisSession extends Session {
  /** Name given by the client (CLIENT SETNAME). */
  name: string;
  /** The RESP version the client speaks (2 or 3), and the database it has selected. */
  resp: number;
  db: number;
  libName: string;
  libVersion: string;
  /** What it wants to be told of; null while it is told nothing. And what it wanted before that. */
  tracking: Tracking | null;
  trackedBefore: Tracking | null;
  /** CLIENT CACHING, of its next command: see tracking.ts. */
  nextCached: number;
}
