// A request with a great many keys is carried out in slices, one in each turn of the event loop, so
// that others are served in between: by the proxy, and by the servers too, which get the keys in
// several fragments. Each slice picks its servers anew. Its parent is in the client's queue from the
// beginning, and the client is not read until the last slice is sent.
//
//   parent (the client's next reply) ─ parts ▸ slice, slice … ─ parts ▸ fragment, fragment …
//
// A slice that has all its replies is joined at once; the whole is joined from the slices.

import type { Waiter } from "../link/link.ts";
import { Scan } from "../protocol/codec.ts";
import { SLICE } from "./in_slices.ts";
import { openParent } from "./part.ts";
import { sendFragments, sendWhole } from "./fragments.ts";
import { fragmentDone } from "./outcome.ts";
import { type Caller, type Request, SLICED } from "./request.ts";

/** What is left when the connections were replaced: see `Pool.change`. */
const REPLACED = "the connection to the server was replaced";

/** Begins to carry out a SPLIT request. */
export function sliced(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  new Slices(caller, scan, buf, at, length).start();
}

class Slices implements Waiter {
  private readonly caller: Caller;
  private readonly parent: Request;
  /** The request: buf[0, scan.length), and what the scan says of the slice that is next. */
  private readonly scan: Scan;
  private readonly buf: Uint8Array;
  /** Keys that are still to be sent. */
  private left: number;
  /** The caller's when it began. */
  private readonly renewals: number;
  private readonly run: () => void;

  constructor(caller: Caller, scan: Scan, buf: Uint8Array, at: number, length: number) {
    const { context } = caller;
    this.caller = caller;
    this.parent = openParent(caller, scan, 0);
    this.parent.kind = SLICED;
    this.parent.awaiting = 1; // until the last slice is sent
    this.scan = new Scan();
    this.scan.adopt(scan);
    this.buf = context.buffers.take(length);
    this.buf.set(buf.subarray(at, at + length));
    this.left = scan.nkeys;
    this.renewals = caller.renewals;
    this.run = () => {
      const { turn } = context;
      turn.enter();
      this.next();
      turn.leave();
    };
  }

  start(): void {
    this.caller.stopForWork();
    this.next();
  }

  /** Sends one slice, and sees to it that the next one follows. */
  private next(): void {
    const { caller, parent, scan } = this;
    if (caller.isClosed) return this.end();
    const slice = caller.context.requests.takeParent(caller, Math.min(SLICE, this.left));
    slice.parent = parent;
    slice.tagHigh = parent.tagHigh;
    slice.tagLow = parent.tagLow;
    slice.verb = parent.verb;
    slice.awaiting = 1; // until all its fragments are sent
    parent.parts.push(slice);
    parent.awaiting++;
    scan.nkeys = slice.nkeys;
    if (caller.isFinishing || caller.renewals !== this.renewals) {
      slice.failure = REPLACED;
      this.left = 0;
    } else {
      this.send(slice);
      scan.first += scan.step * slice.nkeys;
      this.left -= slice.nkeys;
    }
    fragmentDone(slice);
    if (this.left === 0) return this.end();
    if (caller.waitsForLink(this)) return;
    this.goOn();
  }

  private send(slice: Request): void {
    const { scan, buf } = this;
    const { caller } = this;
    const intent = caller.codec.intents[scan.verb + 1];
    const only = caller.context.route.pickAll(scan, buf, 0, slice.picks, intent, caller);
    if (only === null || (!only.available && only.parking !== null)) {
      sendFragments(slice, scan, buf, 0);
    } else if (only.available) sendWhole(slice, only, scan, buf, 0);
    else slice.failure = only.reason;
  }

  private goOn(): void {
    this.caller.context.host.endOfTurn(this.run);
  }

  linkRelaxed(): void {
    this.goOn();
  }

  private end(): void {
    const { caller, parent } = this;
    caller.context.buffers.give(this.buf);
    fragmentDone(parent);
    caller.workDone();
  }
}
