// What a near cache needs of a protocol, whose servers tell what has changed, or do not.

import type { Scan } from "./scan.ts";
import type { Session } from "./session.ts";

export interface NearWords {
  /** Numbers of the commands that read the value of one key, and of several. */
  readonly readOne: number;
  readonly readMany: number;
  /**
   * What a link says that is to hear of every change to keys that begin with `prefixes`; null: to
   * those that were read over it. Null: servers tell of no changes.
   */
  handshake(
    prefixes: readonly string[] | null,
  ): { readonly bytes: Uint8Array; readonly replies: number } | null;
  /** Whether the session reads what such a link reads. */
  serves(session: Session): boolean;
  /** Ask for how long a key will live (null: that cannot be asked), and for its value. */
  askLife(key: Uint8Array): Uint8Array | null;
  askValue(key: Uint8Array): Uint8Array;
  /** How long (ms) it will live: -1 for ever, 0 when that is not known. */
  life(buf: Uint8Array, start: number, end: number): number;
  /** Whether the reply that starts here is a value, or says that there is none. */
  isValue(buf: Uint8Array, start: number): boolean;
  isNothing(buf: Uint8Array, start: number): boolean;
  /** What says to this session that there is no value. */
  nothing(session: Session): Uint8Array;
  /** The reply to `readMany`, of those to `readOne` for its keys. */
  joined(replies: readonly Uint8Array[]): Uint8Array;
  /** Whether a request may change what servers hold; `verb` by the classes of its own dialect. */
  mayWrite(scan: Scan, classes: Uint8Array): boolean;
  /** Calls `each` with every key of what a server has pushed; false: all keys may have changed. */
  changed(
    buf: Uint8Array,
    start: number,
    end: number,
    each: (start: number, end: number) => void,
  ): boolean;
}
