// What the clients of a pool are given by it.

import type { PoolConfig } from "../config/schema.ts";
import type { Meter } from "../exchange/meter.ts";
import type { ExchangeContext } from "../exchange/request.ts";
import type { Moves } from "../exchange/migrate/moves.ts";
import type { NearCache } from "../exchange/near_cache.ts";
import type { Topics } from "../exchange/topics.ts";
import type { Host } from "../host.ts";
import type { PushListener } from "../link/pushes.ts";
import type { Log } from "../log.ts";
import type { BigWatch } from "../link/big_watch.ts";
import type { Codec, Scan, Session } from "../protocol/codec.ts";
import type { HotKeys } from "../stats/hot_keys.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import type { Flushable, Turn } from "../wire/turn.ts";
import type { Pause } from "./pause.ts";

/** Bounds on memory, in bytes. */
export interface Limits {
  /** One request, or unfinished request, of a client. */
  readonly request: number;
  /** Replies a client has not read; beyond it the client is cut off. */
  readonly clientOutput: number;
  /** Replies that all clients of a pool have not read; beyond it the one with the most is cut off. */
  readonly allOutput: number;
  /** Output that is gathered in one piece before it is written. */
  readonly segment: number;
}

/** A client, as its pool looks after it. */
export interface Lingering {
  /** Its replies that are not written yet. */
  readonly out: { readonly size: number };
  /** Called every tick while it lingers. */
  tick(now: number, late: number): void;
  /** Called every tick while it has a link of its own. */
  tickHold(now: number, most: number, late: number): void;
}

/** What a client has open that waits for servers. */
export interface Ticking {
  /** Called every tick; see Link.tick for `late`. */
  tick(now: number, timeout: number, late: number): void;
}

/** Where clients say what their pool is to look after. */
export interface ClientRegister {
  /** It has been told all, and is waited for: its `tick` is to be called. */
  lingers(client: Lingering): void;
  /** It has a link of its own from now on, or no more: its `tickHold` is to be called. */
  holds(client: Lingering, on: boolean): void;
  /** A client monitors the servers from now on, or no more. */
  monitors(monitoring: Ticking, on: boolean): void;
  /** So many bytes more (or less) are unread. */
  unread(bytes: number): void;
}

export interface ClientContext extends ExchangeContext {
  readonly name: string;
  readonly label: string;
  readonly log: Log;
  readonly host: Host;
  readonly config: PoolConfig;
  readonly limits: Limits;
  readonly buffers: BufferPool;
  readonly turn: Turn<Flushable, Flushable>;
  readonly topics: Topics;
  readonly counters: ExchangeContext["counters"] & { client_eof: number; client_err: number };
  readonly pause: Pause;
  /** Null: keys stay where they are. */
  readonly migration: Moves | null;
  /** Limits and faults; null: none. */
  readonly meter: Meter | null;
  /** Which keys are asked for most, and what is large. */
  readonly hot: HotKeys;
  /** Null: every GET goes to a server. */
  readonly near: NearCache | null;
  readonly big: BigWatch;
  /** The lane that every client starts with. */
  readonly lane: number;
  /** Coarse monotonic time (ms), renewed every tick. */
  readonly now: number;
  /** Parser state that clients without a half-parsed long request share. */
  scan: Scan;
  /** The client is on the session's lane from now on; NO_LANE when there may not be more of them. */
  enterLane(session: Session, codec: Codec, listener?: PushListener): number;
  leaveLane(lane: number): void;
  /** A client is turned away because of TLS. */
  handshakeFailed(remote: string, why: string): void;
  readonly clients: ClientRegister;
  /** The client is gone. */
  closed(client: Lingering): void;
}
