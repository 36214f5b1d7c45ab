// What comes over a link: finds where replies end and gives each to the sink of the oldest attempt.
//
//   sink ◀─ accept, pass / reply / part / lost ─ head of those in flight ◀═ bytes ═ socket
//
// Replies come in the order of the requests. Knows nothing of what a reply says.

import { ASKED, type Codec, ReplyScan } from "../protocol/codec.ts";
import type { KeptOutBuffer } from "../wire/kept_out_buffer.ts";
import type { OutBuffer } from "../wire/out_buffer.ts";
import { type Attempt, type Carrier, HOLD, LAST, type Run, type Sink } from "./attempt.ts";
import { FrameReader } from "./frames.ts";
import type { Greeting } from "./greeting.ts";
import type { InFlight } from "./in_flight.ts";
import type { LinkContext, LinkCounters, LinkOwner } from "./owner.ts";
import { PartialLine } from "./partial_line.ts";
import { CLOSED, READY } from "./state.ts";

/** A link, as far as it is read. */
export interface ReadLink extends Carrier {
  readonly owner: LinkOwner;
  readonly out: OutBuffer;
  readonly state: number;
  /** How much longer (ms) than the timeout its server may take to answer. */
  readonly patience: number;
  /** What was said first; null: nothing. */
  readonly greeting: Greeting | null;
  /** Every reply to the greeting has come. */
  becomeReady(): void;
  /** The server does not like it. */
  refused(greeting: Greeting, why: string): void;
  /** Closes because of `errno`. */
  abort(errno: string): void;
}

export class ReplyReader {
  private readonly link: ReadLink;
  private readonly flight: InFlight;
  private readonly context: LinkContext;
  private readonly owner: LinkOwner;
  private readonly counters: LinkCounters;
  private readonly codec: Codec;
  private readonly scan: ReplyScan;
  /** Of a link that hears what is published; null for others. */
  private readonly frames: FrameReader | null;
  private readonly line: PartialLine;
  /** Of a reply that goes on: what has been given on. */
  private begun: number;

  constructor(link: ReadLink, flight: InFlight, context: LinkContext, codec: Codec) {
    const { owner } = link;
    this.link = link;
    this.flight = flight;
    this.context = context;
    this.owner = owner;
    this.counters = owner.counters;
    this.codec = codec;
    this.scan = new ReplyScan();
    this.frames = owner.listener === null ? null : new FrameReader(owner.listener);
    this.line = new PartialLine();
    this.begun = 0;
  }

  /** The socket is gone: the next one begins with a new reply. */
  reset(): void {
    this.line.size = 0;
    this.frames?.reset();
    this.scan.reset();
    this.begun = 0;
  }

  /** What has come. */
  take(buf: Uint8Array, start: number, end: number): void {
    let pos = start;
    while (this.line.size > 0 && pos < end) pos = this.completeLine(buf, pos, end);
    if (pos < end) this.handOut(buf, pos, end);
  }

  /**
   * Brings the line or head that was cut to its end with bytes from `buf`, hands out what it
   * completes, and returns where to go on.
   */
  private completeLine(buf: Uint8Array, start: number, end: number): number {
    const { line } = this;
    const { replyHead } = this.codec;
    const pos = line.complete(buf, start, end, replyHead);
    if (line.isWhole(replyHead)) {
      const whole = line.take();
      this.handOut(whole, 0, whole.length);
    }
    return pos;
  }

  /** Hands out the replies in `buf[start, end)`. */
  private handOut(buf: Uint8Array, start: number, end: number): void {
    const { link, flight } = this;
    if (link.state !== READY) {
      if (link.state === CLOSED) return;
      start = this.greeted(buf, start, end);
      if (start >= end || link.state !== READY) return;
    }
    if (this.frames !== null) return this.hear(this.frames, buf, start, end);
    const { codec, scan, counters, owner } = this;
    const { classes } = codec;
    const { slow, big } = this.context;
    const { clock } = this.context.turn;
    const begins = scan.done;
    const fresh = begins && owner.judges;
    const firstVerb = flight.head === null ? ASKED : flight.head.verb;
    // Consecutive replies for one sink are given on as one span.
    let spanSink: Sink | null = null;
    let spanStart = 0;
    // Neighbours that were sent in one turn took equally long.
    let sentAt = 0;
    let cls = 0;
    let alike = 0;
    let late = false;
    // A reply that is large, or goes on, is no more than this.
    const watched = this.begun > 0 || end - start > big.bytes;
    let pos = start;
    while (pos < end) {
      const attempt = flight.head;
      if (attempt === null) break;
      let next = codec.parseReply(scan, buf, pos, end);
      const { run } = attempt;
      if (run) next = this.runOn(run, begins || pos > start, buf, pos, next, end);
      if (!scan.done || (run && run.more >= 0)) {
        if (spanSink !== null) spanSink.pass(buf, spanStart, pos);
        if (alike > 0) owner.answered(cls, clock - sentAt, alike);
        this.unfinished(attempt, buf, pos, next, end);
        if (scan.done) { // between two replies of a run
          spanSink = null;
          alike = 0;
          pos = end;
        }
        break;
      }
      if (attempt.sentAt !== sentAt || classes[attempt.verb + 1] !== cls) {
        if (alike > 0) owner.answered(cls, clock - sentAt, alike);
        sentAt = attempt.sentAt;
        cls = classes[attempt.verb + 1];
        alike = 0;
        // What blocks takes its time.
        late = watched || (clock - sentAt > slow.ms && link.patience === 0);
      }
      alike++;
      if (late) this.look(attempt, clock - sentAt, next - pos);
      flight.shift(attempt);
      counters.responses++;
      const { sink } = attempt;
      const how = sink.accept(attempt, buf[pos]);
      if (how !== HOLD) {
        if (sink !== spanSink) {
          if (spanSink !== null) spanSink.pass(buf, spanStart, pos);
          spanSink = sink;
          spanStart = pos;
        }
        if (how === LAST) {
          sink.pass(buf, spanStart, next);
          spanSink = null;
          sink.advance();
        }
      } else {
        if (spanSink !== null) {
          spanSink.pass(buf, spanStart, pos);
          spanSink = null;
        }
        attempt.nextInFlight = null;
        sink.reply(attempt, link, buf, pos, next);
        if (link.state !== READY) break;
      }
      pos = next;
    }
    if (link.state !== READY) return;
    if (scan.done) {
      if (spanSink !== null) spanSink.pass(buf, spanStart, pos);
      if (alike > 0) owner.answered(cls, clock - sentAt, alike);
    }
    if (owner.keeps) (link.out as KeptOutBuffer).keepLast(flight.bytes);
    if (fresh && pos > start) owner.replied(codec, firstVerb, buf, start, pos);
    if (scan.done && pos < end) {
      // Behind the false end of a list of keys: see exchange/broadcast.ts.
      if (link.retired) return link.discard();
      this.garbage("sent a reply nobody waits for");
    }
  }

  /**
   * What comes behind the first reply `buf[pos, next)` of a run, whose count is -1 when all is there.
   * `begins`: that reply begins here. Returns how far it has come.
   */
  private runOn(
    run: Run,
    begins: boolean,
    buf: Uint8Array,
    pos: number,
    next: number,
    end: number,
  ): number {
    const { codec, scan } = this;
    if (begins && codec.isError(buf, pos)) run.flawed = true;
    while (scan.done && --run.more >= 0 && next < end) {
      if (codec.isError(buf, next)) run.flawed = true;
      next = codec.parseReply(scan, buf, next, end);
    }
    return next;
  }

  /** A whole reply, or the rest of one, after `ms`: it may be slow, or large. */
  private look(attempt: Attempt, ms: number, bytes: number): void {
    const { slow, big, now } = this.context;
    if (ms > slow.ms && this.link.patience === 0) {
      slow.tell(attempt, this.codec, this.owner, ms, now, "");
    }
    const { begun } = this;
    this.begun = 0;
    if (begun + bytes > big.bytes) big.reply(attempt, this.codec, begun + bytes, begun > big.bytes);
  }

  /** The input ends in the middle of a reply: buf[pos, next) is of it, the rest a line. */
  private unfinished(
    attempt: Attempt,
    buf: Uint8Array,
    pos: number,
    next: number,
    end: number,
  ): void {
    if (this.scan.bad) return this.garbage("sent what is no reply");
    if (next < end) this.line.keep(buf, next, end);
    if (next === pos) return;
    const { begun } = this;
    this.begun = begun + next - pos;
    const { big } = this.context;
    if (this.begun > big.bytes) big.reply(attempt, this.codec, this.begun, begun > big.bytes);
    attempt.sink.part(attempt, this.link, buf, pos, next, this.scan.skip);
  }

  /** Replies to the greeting; returns where other replies begin. */
  private greeted(buf: Uint8Array, start: number, end: number): number {
    const { link, scan } = this;
    const { greeting } = link;
    if (greeting === null) return end;
    const pos = greeting.hear(this.codec, scan, buf, start, end);
    if (scan.bad) link.abort("EINVAL");
    else if (greeting.refusal !== null) link.refused(greeting, greeting.refusal);
    else if (!scan.done) this.line.keep(buf, pos, end);
    else {
      if (greeting.isAnswered) link.becomeReady();
      return pos;
    }
    return end;
  }

  /** All that comes is for the listener. */
  private hear(frames: FrameReader, buf: Uint8Array, start: number, end: number): void {
    if (!frames.read(this.codec, this.scan, buf, start, end)) this.garbage("sent what is no reply");
  }

  private garbage(what: string): void {
    if (this.link.state === CLOSED) return;
    this.owner.broken(what);
    this.link.abort("EINVAL");
  }
}
