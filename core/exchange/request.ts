// One awaited reply: a place in its client's queue and a place in a connection's in-flight queue.
// Also a request that was split (the parent, in the client's queue only) and each of its fragments
// (in an in-flight queue only). One class for all, so that objects keep one shape.

import { EMPTY } from "../bytes.ts";
import type { FanOut, Part } from "../protocol/codec.ts";
import type { Client } from "../client/client.ts";
import type { Hold } from "../wire/hold.ts";

/** Goes straight from the server's bytes to the client's, if it is the client's next. */
export const PLAIN = 0;
/** Something about it is special: muted, partly held, or a fragment. */
export const SPECIAL = 1;

const NO_PICKS = new Uint16Array(0);

export class Request implements FanOut, Part {
  client: Client;
  /** Next in the client's queue. */
  next: Request | null;
  /** Next in the connection's in-flight queue. */
  nextInFlight: Request | null;
  kind: number;
  /** The whole reply is there (or there will be none): it may go to the client when its turn comes. */
  ready: boolean;
  /** When it was sent (ms, `Turn.clock`), for the timeout and for the latency. */
  sentAt: number;
  /** Length of what was sent. */
  bytes: number;
  /** See `Scan.mute`. */
  mute: number;
  /** See `Origin`; set by whoever takes the request. */
  tagHigh: number;
  tagLow: number;
  /** A reply that had to wait: `held[heldStart, heldEnd)`. */
  held: Uint8Array;
  heldStart: number;
  heldEnd: number;
  /** What `held` is borrowed from; null when it is nobody's (constants, local answers). */
  hold: Hold | null;
  /** strerror text when the reply was lost; "" otherwise. */
  failure: string;
  /** Fragments only. */
  parent: Request | null;
  /** Codec's own number of the command. */
  verb: number;
  /** The slow log's: note[0, noted) is the beginning of the key. Undefined while it is off. */
  note: Uint8Array;
  noted: number;
  /** Parents only, from here on. */
  parts: Request[];
  awaiting: number;
  nkeys: number;
  picks: Uint16Array;

  constructor(client: Client) {
    this.client = client;
    this.next = null;
    this.nextInFlight = null;
    this.kind = PLAIN;
    this.ready = false;
    this.sentAt = 0;
    this.bytes = 0;
    this.mute = 0;
    this.tagHigh = 0;
    this.tagLow = 0;
    this.held = EMPTY;
    this.heldStart = 0;
    this.heldEnd = 0;
    this.hold = null;
    this.failure = "";
    this.parent = null;
    this.verb = 0;
    this.note = EMPTY;
    this.noted = 0;
    this.parts = NO_PARTS;
    this.awaiting = 0;
    this.nkeys = 0;
    this.picks = NO_PICKS;
  }

  /** Lets go of a reply that was held. */
  release(): void {
    if (this.hold !== null) {
      this.client.held -= this.heldEnd - this.heldStart;
      this.hold.drop();
      this.hold = null;
    }
    this.held = EMPTY;
    this.heldStart = 0;
    this.heldEnd = 0;
  }
}

const NO_PARTS: Request[] = [];

/** Free requests, reused; parents apart, since they bring their arrays along. */
export class RequestPool {
  private readonly singles: Request[];
  private readonly parents: Request[];

  constructor() {
    this.singles = [];
    this.parents = [];
  }

  take(client: Client): Request {
    const request = this.singles.pop();
    if (request === undefined) return new Request(client);
    request.client = client;
    return request;
  }

  /** A parent with room for `nkeys` picks and no parts. */
  takeParent(client: Client, nkeys: number): Request {
    const request = this.parents.pop() ?? new Request(client);
    request.client = client;
    if (request.parts === NO_PARTS) request.parts = [];
    if (request.picks.length < nkeys) request.picks = new Uint16Array(Math.max(16, nkeys));
    request.nkeys = nkeys;
    request.kind = SPECIAL;
    return request;
  }

  /** Takes back a plain request whose reply went straight through: nothing else of it was touched. */
  givePlain(request: Request): void {
    request.next = null;
    request.nextInFlight = null;
    if (this.singles.length < MOST) this.singles.push(request);
  }

  /** Takes back any request, a parent with its fragments. */
  give(request: Request): void {
    request.next = null;
    request.nextInFlight = null;
    request.kind = PLAIN;
    request.ready = false;
    request.mute = 0;
    request.release();
    request.failure = "";
    request.parent = null;
    if (request.parts === NO_PARTS) {
      if (this.singles.length < MOST) this.singles.push(request);
      return;
    }
    for (const part of request.parts) this.give(part);
    request.parts.length = 0;
    if (this.parents.length < MOST_PARENTS && request.picks.length <= 4096) {
      this.parents.push(request);
    }
  }
}

const MOST = 16384;
const MOST_PARENTS = 256;
