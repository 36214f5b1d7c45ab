// What a migration says to servers, and what they answer: each key moves in three steps that a
// server carries out whole (take, restore, release). See exchange/migrate/key_move.ts.

import type { Scan } from "./scan.ts";
import type { Session } from "./session.ts";

/** A key's value on its way. */
export interface Value {
  readonly dump: Uint8Array;
  /** When it expires (ms since 1970, decimal); "-1": never. */
  readonly expire: string;
  /** Seconds since it was used, how often it is used; -1: not known. */
  readonly idle: number;
  readonly freq: number;
}

/** No answer has come; `unsent`: the request was surely not carried out, and never will be. */
export interface Lost {
  readonly is: "lost";
  readonly unsent: boolean;
  readonly why: string;
}

/** The server says no. */
export interface Refused {
  readonly is: "error";
  readonly why: string;
}

/** The answer of a key's old server to "take". */
export type Taken =
  /** Neither the key is there nor a hold. */
  | { readonly is: "absent" }
  /** Somebody has taken it: with this token, for so long (ms). */
  | { readonly is: "held"; readonly token: string; readonly lease: number }
  /** It is larger (bytes) than was asked for. */
  | { readonly is: "big"; readonly size: number }
  | { readonly is: "taken"; readonly value: Value; readonly lease: number }
  | Refused
  | Lost;

/** The answer of its new server. "busy": the key is there; "late": the deadline has passed. */
export type Restored = { readonly is: "done" | "expired" | "busy" | "late" } | Refused | Lost;

/** "no": the token is not the hold's (any more). */
export type Released = { readonly is: "yes" | "no" } | Refused | Lost;

/** A page of a server's keys. */
export interface Page {
  readonly cursor: string;
  readonly keys: readonly Uint8Array[];
}

/** A page of a server's keys, with the memory that each takes; 0: the server does not say. */
export interface SizesPage {
  readonly cursor: string;
  readonly keys: readonly { readonly key: Uint8Array; readonly bytes: number }[];
}

/** How a hold ends: its key is at the new server; it has expired; it is kept under another name. */
export type Ending = "drop" | "gone" | "aside";

/** Requests about all keys of a database, or of all (`Migrating.wholeOf`). */
export const WHOLE_NONE = 0;
export const WHOLE_KEYS = 1;
export const WHOLE_RANDOM = 2;
export const WHOLE_SIZE = 3;
export const WHOLE_FLUSH = 4;

/** How a server is asked for it: keys move; they do not; it has nothing of the migration's own. */
export type WholeHow = "moving" | "still" | "plain";

/** Requests are made whole; what reads an answer takes it whole, up to the buffer's end. */
export interface Migrating {
  /** The database that a client uses. */
  dbOf(session: Session): number;
  /** Whether a key is the migration's own, and no client's business. */
  isOwn(key: Uint8Array): boolean;
  /** The error for a request that cannot be carried out while keys move; null for others. */
  refuses(scan: Scan, buf: Uint8Array, at: number): Uint8Array | null;
  /** Which of WHOLE_... a request is. */
  wholeOf(scan: Scan): number;
  /** What a server is asked for it. */
  whole(scan: Scan, buf: Uint8Array, at: number, db: number, how: WholeHow): Uint8Array;
  /** The client's reply of what the servers have answered. */
  joinWhole(whole: number, replies: readonly Uint8Array[], session: Session): Uint8Array;
  /** WHOLE_FLUSH: for how long (ms) what was taken before may still come to its new server. */
  readLease(reply: Uint8Array): number;
  /** The error for such a request of a client that has begun something with a server. */
  refusesWithin(scan: Scan): Uint8Array;
  /** Whether what looks like the request's keys are none (channels). */
  isKeyless(scan: Scan): boolean;
  /** The error for a request with such a key. */
  own(): Uint8Array;
  /** Errors for a request that waited too long, or whose key cannot be moved. */
  waited(ms: number, why: string): Uint8Array;
  unknown(): Uint8Array;

  /** `force`: also if it is held with this token. `most`: bytes it may have; 0 = any. */
  take(db: number, key: Uint8Array, token: string, force: string, most: number): Uint8Array;
  readTaken(reply: Uint8Array): Taken;
  /**
   * `since`, `deadline`: ms since 1970 by the new server's clock, which has shown the first before the
   * key was taken. `counted`: see `release`.
   */
  restore(
    db: number,
    key: Uint8Array,
    value: Value,
    since: number,
    deadline: number,
    counted: boolean,
  ): Uint8Array;
  readRestored(reply: Uint8Array): Restored;
  /**
   * The hold ends. `counted`: servers count what leaves them and comes to them, so that keys on their
   * way are counted once.
   */
  release(
    db: number,
    key: Uint8Array,
    token: string,
    how: Ending,
    counted: boolean,
  ): Uint8Array;
  /** The hold ends: the key is where it was. */
  giveBack(db: number, key: Uint8Array, token: string): Uint8Array;
  readReleased(reply: Uint8Array): Released;

  /** What a server keeps beside keys (functions); equal answers mean the same. */
  readonly library: Uint8Array;
  readonly modules: Uint8Array;
  /** Names of what a server has loaded; none if it does not say. */
  readModules(reply: Uint8Array): string[];
  readonly time: Uint8Array;
  /** ms since 1970; NaN if it is none. */
  readTime(reply: Uint8Array): number;
  scan(db: number, cursor: string, count: number): Uint8Array;
  readPage(reply: Uint8Array): Page | Refused;
  /** As `scan`, with sizes. */
  sizes(db: number, cursor: string, count: number): Uint8Array;
  readSizes(reply: Uint8Array): SizesPage | Refused;
  /** Keys that are held; the page's cursor counts those that were given back so far. */
  holds(db: number): Uint8Array;
  readonly keyspace: Uint8Array;
  /** Databases with keys, and how many. */
  readKeyspace(reply: Uint8Array): { db: number; keys: number }[] | Refused;

  /** Tries whatever a migration does, at one server; the answer is a value to try `readTrial` with. */
  readonly trial: Uint8Array;
  readTrial(reply: Uint8Array): Value | Refused;
  /** Whether a server takes another one's value: gives no error. */
  tryValue(value: Value): Uint8Array;
  /** What is wrong with an answer; "" if nothing is. */
  errorOf(reply: Uint8Array): string;

  /** The state, a text; "" for none. `swap` sets it if it is `from`; both answer what it is then. */
  readonly state: Uint8Array;
  swap(from: string, to: string): Uint8Array;
  put(state: string): Uint8Array;
  readState(reply: Uint8Array): string | Refused;
  /** Who may copy: takes or keeps the lock for so long (ms). */
  lock(who: string, ms: number): Uint8Array;
  readLock(reply: Uint8Array): boolean;

  /**
   * A request that waits (PIN_BLOCK), to be made again: `rest(ms)` gives it with so much time
   * left. Keeps a copy.
   */
  waiting(scan: Scan, buf: Uint8Array, at: number, length: number): (ms: number) => Uint8Array;
  /** Whether the reply says that the wait was ended by CLIENT UNBLOCK. */
  isUnblocked(buf: Uint8Array, start: number, end: number): boolean;
}
