// One attempt of a plan at one server.

import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import type { Target } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import type { Judge } from "./judge.ts";
import { fail, settle, settlePart } from "./outcome.ts";
import { Plan, type Want } from "./plan.ts";
import { type Request, STREAMED } from "./request.ts";

/** A reply with more than this still to come may go to its client as it comes. */
const STREAM = 16384;

/** Sends `buf[start, end)` where it is to go; `judge` hears what becomes of it. */
export function send(
  target: Target,
  want: Want,
  buf: Uint8Array,
  start: number,
  end: number,
  judge: Judge,
  index: number,
): void {
  const { caller } = want;
  if (caller.isClosed) return judge.lost(index, "", true);
  if (!target.available) {
    const { parking, reason } = target;
    if (parking instanceof Plan) return parking.run(want, buf, start, end, judge, index);
    return judge.lost(index, reason, true);
  }
  const link = target.linkFor(caller);
  link.send(new Errand(want, judge, index), buf, start, end);
  if (link.congested) caller.waitForLink(link);
}

export class Errand implements Attempt, Sink {
  readonly sink: Sink;
  nextInFlight: Attempt | null;
  sentAt: number;
  bytes: number;
  verb: number;
  note: Uint8Array;
  noted: number;
  mute: number;
  protected readonly want: Want;
  protected readonly judge: Judge;
  protected readonly index: number;
  /** What has come of a reply that goes on; null while nothing has. */
  private gathered: OutBuffer | null;
  /** The request that its reply is given to as it comes. */
  private into: Request | null;

  constructor(want: Want, judge: Judge, index: number) {
    this.sink = this;
    this.nextInFlight = null;
    this.sentAt = 0;
    this.bytes = 0;
    this.verb = want.verb;
    this.note = want.note;
    this.noted = want.note.length;
    this.mute = 0;
    this.want = want;
    this.judge = judge;
    this.index = index;
    this.gathered = null;
    this.into = null;
  }

  get remote(): string {
    return this.want.caller.remote;
  }

  /** Nothing of its reply has come. */
  protected get isUnanswered(): boolean {
    return this.gathered === null && this.into === null;
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  reply(_: Attempt, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    const { judge, index, into, gathered, want } = this;
    if (into !== null) {
      this.into = null;
      settle(into, link, buf, start, end);
      return judge.streamed(index);
    }
    if (gathered === null) return judge.reply(index, link, buf, start, end);
    if (want.takes(gathered.size, end - start)) gathered.append(buf, start, end);
    this.gathered = null;
    const { buffers } = want.caller.context;
    const { size } = gathered;
    const whole = buffers.take(size);
    gathered.moveInto(whole);
    judge.reply(index, link, whole, 0, size);
    buffers.give(whole);
  }

  part(
    _: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
    left: number,
  ): void {
    const { want } = this;
    if (this.isUnanswered && left > STREAM) this.into = this.judge.streams(this.index);
    if (this.into !== null) return settlePart(this.into, link, buf, start, end, left);
    if (want.caller.isClosed) return this.letGo();
    this.gathered ??= new OutBuffer(want.caller.context.buffers);
    if (want.takes(this.gathered.size, end - start)) this.gathered.append(buf, start, end);
  }

  private letGo(): void {
    this.gathered?.clear();
    this.gathered ??= new OutBuffer(this.want.caller.context.buffers);
  }

  lost(_: Attempt, _link: Carrier, text: string, unsent: boolean): void {
    const { judge, index, into } = this;
    this.gathered?.clear();
    this.gathered = null;
    if (into === null) return judge.lost(index, text, unsent);
    this.into = null;
    // A client that has had a part of its reply cannot be told: only closing is honest.
    if (into.kind === STREAMED && !into.sink.isClosed) into.sink.cutOff("lost reply");
    fail(into, text);
    judge.streamed(index);
  }
}
