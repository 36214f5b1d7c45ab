// What a reply means to a route with several ways: whether another one is to be tried, and which of
// several replies counts. The worst is the greatest.

import type { Origin } from "./scan.ts";
import type { Session } from "./session.ts";

/** It has done what was asked, or has what was asked for. */
export const HIT = 0;
/** There is no such key. */
export const MISS = 1;
/** The server is well and does not do it: the request, or what it found, does not allow it. */
export const DENIED = 2;
/** The server cannot do it now, and has not. */
export const FAILED = 3;

export interface Verdicts {
  /** Of the whole reply in `buf[start, end)` to a command. */
  verdict(verb: number, buf: Uint8Array, start: number, end: number): number;
  /** Whether the request has or wants a number (cas) that means something to one server only. */
  isTied(verb: number, buf: Uint8Array, start: number, end: number): boolean;
  /** The reply to a request that is carried out without being waited for. */
  nothing(
    verb: number,
    buf: Uint8Array,
    start: number,
    end: number,
    origin: Origin,
    session: Session,
  ): Uint8Array;
  /** An error reply with a text from the configuration. */
  fault(text: string, origin: Origin): Uint8Array;
  /** Whether links of the first lane reach what this session's do. */
  isUsual(session: Session): boolean;
}
