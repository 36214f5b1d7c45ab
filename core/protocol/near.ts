// What a near cache needs of a protocol whose servers tell what has changed.

import type { Session } from "./session.ts";

export interface NearWords {
  /** Numbers of the commands that read the value of one key, and of several. */
  readonly readOne: number;
  readonly readMany: number;
  /** What a link says that is to hear of every change to keys that begin with `prefixes`. */
  handshake(prefixes: readonly string[]): { readonly bytes: Uint8Array; readonly replies: number };
  /** Whether the session reads what such a link reads. */
  serves(session: Session): boolean;
  /** Ask for how long a key will live, and for its value. */
  askLife(key: Uint8Array): Uint8Array;
  askValue(key: Uint8Array): Uint8Array;
  /** How long (ms) it will live: -1 for ever, 0 when that is not known. */
  life(buf: Uint8Array, start: number, end: number): number;
  /** Whether the reply that starts here is a value, or says that there is none. */
  isValue(buf: Uint8Array, start: number): boolean;
  isNothing(buf: Uint8Array, start: number): boolean;
  /** What says to this session that there is no value. */
  nothing(session: Session): Uint8Array;
  /** What goes before the values of `n` keys. */
  many(n: number): Uint8Array;
  /** Calls `each` with every key of what a server has pushed; false: all keys may have changed. */
  changed(
    buf: Uint8Array,
    start: number,
    end: number,
    each: (start: number, end: number) => void,
  ): boolean;
}
