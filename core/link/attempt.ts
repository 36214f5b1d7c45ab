// What a link knows of one awaited reply, and whom it gives the reply to. Whoever sends a request
// judges its reply: the link only finds where it begins and ends. Knows no client.

import type { OutBuffer } from "../wire/out_buffer.ts";
import type { ReplyStore } from "../wire/reply_store.ts";

/** An attempt that is several requests end to end: their replies come one behind the other. */
export class Run {
  /** Replies to come behind the one that is next. */
  more: number;
  /** One of them is an error. */
  flawed: boolean;

  constructor() {
    this.more = 0;
    this.flawed = false;
  }
}

/** A request on its way: a place in a link's in-flight queue. */
export interface Attempt {
  /** Who gets the reply. */
  readonly sink: Sink;
  /** Next in the link's in-flight queue. */
  nextInFlight: Attempt | null;
  /** When it was sent (ms, `Turn.clock`), for the timeout and for the latency. */
  sentAt: number;
  /** Length of what was sent. */
  bytes: number;
  /** The codec's own number of the command. */
  verb: number;
  /** The slow log's: note[0, noted) is the beginning of the key. */
  note: Uint8Array;
  noted: number;
  /** See `Scan.mute`. */
  mute: number;
  /** Null or absent: it is one request, with one reply. */
  readonly run?: Run | null;
}

/** What a sink may ask of the link that brings it a reply. */
export interface Carrier {
  /** Whose link it is. */
  readonly owner: unknown;
  /** It takes no more requests: its server has no part in what they are for any more. */
  readonly retired: boolean;
  /** Keeps replies that cannot go to their client yet. */
  readonly store: ReplyStore;
  /**
   * Stops reading until `sink`, whose reply is passed on as it comes, has taken more of it (it then
   * calls `unblock`). Readers may do that to the others for a bounded time only, whoever and how
   * many they are; false when that is used up.
   */
  waitFor(sink: Sink): boolean;
  /** `sink` has caught up, is gone, or is not worth waiting for. */
  unblock(sink: Sink): void;
  /**
   * Appends the bytes that were sent for `attempt`, of which the sink hears right now by `reply` or
   * `lost`. False when they are not kept (any more).
   */
  sent(attempt: Attempt, to: OutBuffer): boolean;
  /** Closes the link for no fault of the server's; `why` is told to those that still wait. */
  discard(why?: string): void;
}

/** Answers of `Sink.accept`. */
/** The reply is not next, or is to be looked at: `reply` gets it. */
export const HOLD = 0;
/** It is the next: its bytes follow by `pass`, perhaps with those of its successors. */
export const SPAN = 1;
/** As SPAN, but what follows it is there already: `pass` and then `advance`. */
export const LAST = 2;

/** Whoever has sent a request: it gets the reply, or hears that there will be none. */
export interface Sink {
  /** Who it is, for log lines. */
  readonly remote: string;
  /**
   * A whole reply to `attempt` is there, which begins with the byte `first`. After SPAN and LAST
   * the attempt is the sink's again. Called once for each reply: it has to be cheap.
   */
  accept(attempt: Attempt, first: number): number;
  /** Replies that were accepted, end to end. The buffer is borrowed. */
  pass(buf: Uint8Array, start: number, end: number): void;
  /** Gives on what is ready behind the replies that were passed. */
  advance(): void;
  /** The whole reply, or the rest of it after `part`. The attempt is the sink's again. */
  reply(attempt: Attempt, link: Carrier, buf: Uint8Array, start: number, end: number): void;
  /** A part of a reply that goes on; `left`: bytes (at least) that are to come. */
  part(
    attempt: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
    left: number,
  ): void;
  /**
   * There will be no reply: `text` says why. `unsent`: no byte of it was handed to the socket, so it
   * was surely not carried out. The attempt is the sink's again.
   */
  lost(attempt: Attempt, link: Carrier, text: string, unsent: boolean): void;
}
