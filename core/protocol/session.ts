// What a protocol knows of a client, and what its own answers may ask about the rest of the proxy.

import type { User } from "./user.ts";

/** `Session.silence`: it gets every reply; none; not the next one. */
export const ALOUD = 0;
export const SILENT = 1;
export const SILENT_ONCE = 2;
/** The next one has come. */
export const SKIPPING = 3;

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
  /** The address (without a port) at which it has found the proxy; "" when that is not known. */
  localHost?(): string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Which replies it does not want: see ALOUD. */
  silence: number;
  /** Somebody has been told its number, and may want its waits to end. */
  isKnown: boolean;
  /** Servers tell it what no request of its asks for: its links are nobody else's. */
  ownLinks: boolean;
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
  /** It hears what servers are asked. */
  readonly isMonitoring: boolean;
  /** Milliseconds since it was last heard of. */
  readonly idle: number;
  /** Ends its wait at a server, with an error or as if its time were over. False: it does not wait. */
  unblock(withError: boolean): boolean;
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
  /** No client of the pool is served, or none that writes, for so long (ms); 0: all are again. */
  pause(ms: number, onlyWrites: boolean): void;
  /** Subscribed clients (by kind and name of the topic) that the servers do not know of. */
  hidden(kind: number, name: string): number;
  /** Counters for INFO, in the order they are to be shown: [section, [name, value][]][]. */
  counters(): [string, [string, number | string][]][];
}
