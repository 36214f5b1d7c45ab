// Why a client is not read from. It is read unless there are reasons against it, each of which ends by
// itself:
//
//   | reason    | what speaks against it                        | until                            |
//   | FULL      | too many of its requests are in flight        | half of them are answered        |
//   | UNREAD    | it does not read its replies                  | it has read half of them         |
//   | CONGESTED | a link that it feeds has too much to write    | the link has written half of it  |
//   | EMPTYING  | every earlier request is to be answered first | all are                          |
//   | PAUSED    | the pool is paused (CLIENT PAUSE)             | `end`                            |
//   | WORKING   | a request of its is carried out bit by bit    | `end` (see exchange/slices.ts)   |
//   | RESUMING  | nothing any more                              | the end of the turn              |

import type { Socket } from "../host.ts";
import type { Link, Waiter } from "../link/link.ts";

export const FULL = 1;
export const UNREAD = 2;
const CONGESTED = 4;
const EMPTYING = 8;
const RESUMING = 16;
export const PAUSED = 32;
export const WORKING = 64;

/** Requests in flight of one client; at the limit its reading stops until half are answered. */
export const MAX_QUEUED = 8192;
/** Unwritten replies (bytes) above which its reading stops. */
export const HIGH_WATER = 1 << 20;
/** Input (bytes) that is read, unhandled, to see whether the client leaves. */
export const LISTENED = 65536;

/** A client that may be stopped. */
interface Stopped {
  readonly isClosed: boolean;
  /** It is to be looked after at the end of the turn. */
  touch(): void;
}

export class Stops implements Waiter {
  private readonly client: Stopped;
  private readonly socket: Socket;
  private reasons: number;
  /** The link that it waits for (CONGESTED). */
  private congestedBy: Link | null;
  /** Its socket is read. It may be read while there are reasons: what comes is then kept. */
  private listens: boolean;

  constructor(client: Stopped, socket: Socket) {
    this.client = client;
    this.socket = socket;
    this.reasons = 0;
    this.congestedBy = null;
    this.listens = true;
  }

  /** Something speaks against reading. */
  get any(): boolean {
    return this.reasons !== 0;
  }

  has(reason: number): boolean {
    return (this.reasons & reason) !== 0;
  }

  /** Its socket is read, or not. */
  listen(on: boolean): void {
    if (this.listens === on) return;
    this.listens = on;
    if (on) this.socket.resume();
    else this.socket.pause();
  }

  /** It is not read any more, because of `reason`. */
  add(reason: number): void {
    if (this.reasons === 0) this.listen(false);
    this.reasons |= reason;
  }

  /** `reason` is none any more: the client goes on at the end of the turn. */
  end(reason: number): void {
    this.reasons = (this.reasons & ~reason) | RESUMING;
    if (!this.client.isClosed) this.client.touch();
  }

  waitForLink(link: Link): void {
    if (!this.has(CONGESTED)) link.addWaiter(this);
    this.add(CONGESTED);
    this.congestedBy = link;
  }

  /** Whether it waits for a link; if so, `waiter` is told with it. */
  waitsForLink(waiter: Waiter): boolean {
    const link = this.congestedBy;
    if (link === null || !link.congested) return false;
    link.addWaiter(waiter);
    return true;
  }

  linkRelaxed(): void {
    this.congestedBy = null;
    this.end(CONGESTED);
  }

  /** Nothing more is taken until all earlier requests are answered. */
  emptyFirst(): void {
    this.add(EMPTYING);
    this.client.touch();
  }

  /** As `emptyFirst`, but it is seen at once when the client leaves; `kept` bytes wait already. */
  emptyListening(kept: number): void {
    this.reasons |= EMPTYING;
    if (kept < LISTENED) this.listen(true);
    this.client.touch();
  }

  /** False: it is to empty first, and is not empty. */
  emptied(isEmpty: boolean): boolean {
    if (!this.has(EMPTYING)) return true;
    if (isEmpty) this.reasons &= ~EMPTYING;
    return isEmpty;
  }

  /** `queued` requests are in flight, `unread` bytes unwritten: what was too much may be so no more. */
  ease(queued: number, unread: number): void {
    this.reasons &= ~RESUMING;
    if (queued <= MAX_QUEUED >> 1) this.reasons &= ~FULL;
    if (unread <= HIGH_WATER >> 1) this.reasons &= ~UNREAD;
  }
}
