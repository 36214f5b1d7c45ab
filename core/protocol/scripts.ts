// What a protocol says about scripts that servers keep, each by itself: how one gets what another
// has. See core/exchange/scripts.ts.

import type { Scan } from "./scan.ts";

/** What a request does to the scripts of every server (`Scripts.kindOf`). */
export const NO_SCRIPTS = 0;
export const LOADS_SCRIPT = 1;
export const FLUSHES_SCRIPTS = 2;
/** It is about libraries of functions. */
export const CHANGES_FUNCTIONS = 3;

export interface Scripts {
  kindOf(scan: Scan): number;
  /** LOADS_SCRIPT: a copy of the script. */
  body(scan: Scan, buf: Uint8Array, at: number): Uint8Array;
  /** What servers call a script. */
  nameOf(body: Uint8Array): string;
  /** The request that gives it to a server. */
  load(body: Uint8Array): Uint8Array;
  /** Whether the error at `buf[start, end)` says that a script is not there. */
  isMissing(buf: Uint8Array, start: number, end: number): boolean;
  /** The name of the script that a request wants to be run; "" if it names none. */
  wanted(request: Uint8Array): string;
  /** Libraries of functions: all that a server has, and how another one gets that, if it has none. */
  readonly dump: Uint8Array;
  restore(reply: Uint8Array, evenIfItHas: boolean): Uint8Array | null;
}
