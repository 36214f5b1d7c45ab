// What the servers of a pool share, and whom they tell when one comes or goes.

import type { PoolConfig } from "../config/schema.ts";
import type { LinkContext } from "../link/owner.ts";
import type { RetiredLinks } from "../link/retired.ts";
import type { Log } from "../log.ts";
import type { Codec } from "../protocol/codec.ts";

export interface ServerContext extends LinkContext {
  readonly name: string;
  readonly config: PoolConfig;
  readonly log: Log;
  /** The dialect and lane that every client starts with. */
  readonly codec: Codec;
  readonly lane: number;
  /** Servers that fail are ejected. */
  readonly autoEject: boolean;
  /** All is closed by us: no server has failed. */
  readonly stopped: boolean;
  /** Links keep what they have sent until it is answered: see exchange/resend.ts. */
  readonly keeps: boolean;
  /** Links that are closed when they have answered. */
  readonly retired: RetiredLinks;
  readonly counters: { server_ejects: number };
  /** Whether a line about a failure at TLS may be logged now. */
  mayComplain(): boolean;
  /** A server was ejected or readmitted. */
  serversChanged(): void;
}
