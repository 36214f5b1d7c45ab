// What a protocol knows of a client, and what its own answers may ask about the rest of the proxy.

import type { User } from "./user.ts";

/** What is kept per client, whatever its protocol; one may keep more (redis/session.ts). */
export interface Session {
  /** Not authenticated: only what `Codec.openToAll` allows is answered. */
  locked: boolean;
  /** Who it is; null while that is not known, and in pools without users. */
  user: User | null;
  /** Not every request is allowed: see `Codec.guard`. */
  restricted: boolean;
  readonly id: number;
  readonly remote: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Numbers of topics it is subscribed to, by kind (publishing.ts); absent: none. */
  subscribed?: readonly number[];
}

/** A client of the pool, as local answers see it. */
export interface Peer {
  readonly session: Session;
  /** Requests queued in its transaction; -1 outside of one. */
  readonly queuedInMulti: number;
  /** It waits at a server. */
  readonly isBlocked: boolean;
  /** Milliseconds since it was last heard of. */
  readonly idle: number;
  /** Closes it: at once, or, if it is the one that asks, when it has its reply. */
  kill(asks: boolean): void;
}

/** What local answers (INFO, CLIENT LIST, TIME) may ask about the rest of the proxy. */
export interface Facts {
  readonly pool: string;
  readonly version: string;
  readonly runtime: string;
  /** Milliseconds since 1970. */
  wallClock(): number;
  /** Seconds since start. */
  uptime(): number;
  port(): number;
  /** Where it listens, as the configuration has it. */
  listen(): string;
  /** How many servers the pool has, live or not. */
  servers(): number;
  peers(): Iterable<Peer>;
  /** Subscribed clients (by kind and name of the topic) that the servers do not know of. */
  hidden(kind: number, name: string): number;
  /** Counters for INFO, in the order they are to be shown: [section, [name, value][]][]. */
  counters(): [string, [string, number | string][]][];
}
