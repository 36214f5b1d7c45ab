// A request of the proxy's own, outside of any client's queue, and what may hear its answer.

import { EMPTY } from "../bytes.ts";
import type { Lost } from "../protocol/migrating.ts";
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

/** Gathers an answer, and gives it on whole; or says why there will be none. */
export class Hearing extends Unheard {
  private parts: Uint8Array[];
  private readonly done: (answer: Uint8Array | Lost) => void;

  constructor(done: (answer: Uint8Array | Lost) => void) {
    super();
    this.parts = [];
    this.done = done;
  }

  override part(
    _attempt?: Attempt,
    _link?: Carrier,
    buf: Uint8Array = EMPTY,
    start = 0,
    end = 0,
  ): void {
    this.parts.push(buf.slice(start, end));
  }

  override reply(_: Attempt, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    this.parts.push(buf.slice(start, end));
    const { parts } = this;
    this.parts = [];
    this.done(joined(parts));
  }

  override lost(_attempt?: Attempt, _link?: Carrier, why = "", unsent = false): void {
    this.parts = [];
    this.done({ is: "lost", unsent, why: why === "" ? "the connection was closed" : why });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
