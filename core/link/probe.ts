// A question to which any answer will do: it shows that the server is there.

import { EMPTY } from "../bytes.ts";
import { ASKED } from "../protocol/scan.ts";
import { type Attempt, HOLD, type Sink } from "./attempt.ts";

export class Probe implements Attempt, Sink {
  readonly sink: Sink;
  readonly remote: string;
  nextInFlight: Attempt | null;
  sentAt: number;
  bytes: number;
  readonly verb: number;
  readonly note: Uint8Array;
  readonly noted: number;
  readonly mute: number;

  constructor() {
    this.sink = this;
    this.remote = "";
    this.nextInFlight = null;
    this.sentAt = 0;
    this.bytes = 0;
    this.verb = ASKED;
    this.note = EMPTY;
    this.noted = 0;
    this.mute = 0;
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  reply(): void {}

  part(): void {}

  lost(): void {}
}
