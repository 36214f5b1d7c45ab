// What a migration of memcached says to servers, and what they answer: each key moves in steps that
// servers carry out one by one. See exchange/pull/key_pull.ts.

import type { Lost } from "./migrating.ts";
import type { Scan } from "./scan.ts";

/** The server says no, or what nobody understands. */
export interface Said {
  readonly is: "error";
  readonly why: string;
}

/** Whether a server has a key, and how large it is with all that belongs to it. */
export type Had = { readonly is: "absent" } | { readonly is: "there"; readonly size: number };

/** Who may move a key, for a while. */
export type Held = { readonly is: "mine" | "others" };

/** The new server's answer to who wants to fill a key: it is there, or the token by which to fill it. */
export type Token =
  | { readonly is: "there" }
  | { readonly is: "token"; readonly cas: string };

/** What the old server has: the value, where it is to go with its key, flags and time. */
export type Found =
  | { readonly is: "absent" }
  /** Its time is over, or somebody has marked it as stale: nobody is to see it any more. */
  | { readonly is: "stale"; readonly cas: string }
  | {
    readonly is: "value";
    readonly cas: string;
    readonly flags: string;
    /** Seconds; -1: for ever. */
    readonly ttl: number;
    readonly isBinary: boolean;
    readonly data: Uint8Array;
  };

/** "other": somebody has written or deleted meanwhile; "large": it will never take that value. */
export type Filled = { readonly is: "done" | "other" | "large" } | Said;

export type Dropped = { readonly is: "done" | "other" } | Said;

/** A text that is agreed on, and by what number it is replaced; "" for none. */
export interface Note {
  readonly is: "note";
  readonly text: string;
  readonly cas: string;
}

/** Requests are made whole; what reads an answer takes it whole, up to the buffer's end. */
export interface Pulling {
  /** Whether a key is the migration's own, and no client's business. */
  isOwn(buf: Uint8Array, start: number, end: number): boolean;
  /** Whether the command deletes everything everywhere. */
  readonly flushes: readonly string[];
  /** Whether such a request, in whatever dialect, says when. */
  isDelayed(scan: Scan, buf: Uint8Array, at: number): boolean;

  has(key: Uint8Array): Uint8Array;
  readHad(reply: Uint8Array): Had | Said;
  /** Who may move the key for `seconds`. */
  hold(key: Uint8Array, seconds: number): Uint8Array;
  readHeld(reply: Uint8Array): Held | Said;
  letGo(key: Uint8Array): Uint8Array;
  /** An empty place for the key, for `seconds`, unless the key is there. */
  token(key: Uint8Array, seconds: number): Uint8Array;
  readToken(reply: Uint8Array): Token | Said;
  value(key: Uint8Array): Uint8Array;
  readValue(reply: Uint8Array): Found | Said;
  /** Fills the place of this token. `now`: seconds since 1970. */
  fill(
    key: Uint8Array,
    token: string,
    value: Found & { readonly is: "value" },
    now: number,
  ): Uint8Array;
  readFilled(reply: Uint8Array): Filled;
  /** Deletes the key, if it has this number ("": whatever it has). */
  drop(key: Uint8Array, cas: string): Uint8Array;
  readDropped(reply: Uint8Array): Dropped;

  /** What is agreed on, and who copies. `cas` "": it is not there yet. */
  readonly note: Uint8Array;
  readNote(reply: Uint8Array): Note | Said;
  setNote(text: string, cas: string): Uint8Array;
  readonly lock: Uint8Array;
  setLock(who: string, cas: string, seconds: number): Uint8Array;

  /** How many items a server has. */
  readonly stats: Uint8Array;
  readItems(reply: Uint8Array): { readonly is: "items"; readonly items: number } | Said;

  readonly version: Uint8Array;
  /** What is wrong with a server of this version; "" for nothing. */
  readVersion(reply: Uint8Array): string;
  /** Requests that try what a migration does, each with how its answer begins. */
  readonly trials: readonly { readonly request: Uint8Array; readonly answer: string }[];
  readonly flush: Uint8Array;
  /** A request in the other dialect that shows by its reply that the ones before it are over. */
  readonly binaryFence: Uint8Array;

  /** A list of all keys: `readKeyLine` reads a line of it without its end. */
  readonly keys: Uint8Array;
  readKeyLine(buf: Uint8Array, start: number, end: number): KeyLine | null;
  /** "END", "BUSY ...", "ERROR ...": what is no line of a key; "" if it is one. */
  endOfKeys(buf: Uint8Array, start: number, end: number): string;
}

export interface KeyLine {
  readonly key: Uint8Array;
  readonly size: number;
}

export type Reply<T> = T | Said | Lost;
