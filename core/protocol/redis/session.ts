// What the Redis protocol keeps per client.

import type { Session } from "../codec.ts";

export interface RedisSession extends Session {
  /** Name given by the client (CLIENT SETNAME). */
  name: string;
  /** The RESP version the client speaks (2 or 3), and the database it has selected. */
  resp: number;
  db: number;
  libName: string;
  libVersion: string;
}
