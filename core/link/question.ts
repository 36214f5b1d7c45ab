// A request of the proxy's own, outside of any client's queue, and what may hear its answer.

import { EMPTY } from "../bytes.ts";
import { ASKED } from "../protocol/scan.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "./attempt.ts";

export class Question implements Attempt {
  readonly sink: Sink;
  nextInFlight: Attempt | null;
  sentAt: number;
  bytes: number;
  readonly verb: number;
  readonly note: Uint8Array;
  readonly noted: number;
  readonly mute: number;

  constructor(sink: Sink) {
    this.sink = sink;
    this.nextInFlight = null;
    this.sentAt = 0;
    this.bytes = 0;
    this.verb = ASKED;
    this.note = EMPTY;
    this.noted = 0;
    this.mute = 0;
  }
}

/** Hears nothing, of any question. */
export class Unheard implements Sink {
  readonly remote: string = "";

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  part(): void {}

  reply(_: Attempt, _link: Carrier, _buf: Uint8Array, _start: number, _end: number): void {}

  lost(): void {}
}

/** For what nobody waits for: any answer shows that the server is there. */
export const UNHEARD: Sink = new Unheard();
