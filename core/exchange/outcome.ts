// What becomes of a request that has its reply, a part of it, or will have none.

import type { Carrier } from "../link/attempt.ts";
import { OWN } from "../protocol/codec.ts";
import { CLASS_READ } from "../stats/latency.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { ReplyChunk } from "../wire/reply_store.ts";
import { type Caller, type Request, SPECIAL, STREAMED } from "./request.ts";

/** A reply with more than this still to come is passed on as it arrives instead of being held. */
const STREAM = 16384;
/** A client with more than this unwritten while a large reply streams to it stops the link. */
const HIGH_WATER = 1 << 20;

/** Said of a write whose reply is lost where others are sent again. */
const DOUBT = "; it may have been carried out";

/** Why there is no reply, as its client is told. What was not sent, or only reads, has done nothing. */
export function inDoubt(text: string, unsent: boolean, reads: boolean): string {
  return unsent || reads || text === "" || text.endsWith(DOUBT) ? text : text + DOUBT;
}

/** As `inDoubt`, of a request that will not be sent again. */
export function failLost(request: Request, text: string, unsent: boolean): void {
  const { sink: { codec }, verb } = request;
  fail(request, inDoubt(text, unsent, codec.classes[verb + 1] === CLASS_READ));
}

/** `tagHigh` of a request with mute OWN: if it is refused its link is of no more use. */
export const VITAL = 1;

/** The reply of `request` will not come: it is answered with an error, or dropped. */
export function fail(request: Request, text: string): void {
  const { sink, parent } = request;
  if (sink.isClosed) return abandon(request);
  request.release();
  request.ready = true;
  request.failure = text;
  if (parent !== null) return fragmentDone(parent);
  sink.context.counters.forward_error++;
  const { codec } = sink;
  const error = codec.failure(text, request);
  if (request.mute === OWN) {
    // Nobody waits for it.
  } else if (request.mute === 0 || !codec.quiet?.muted(request.mute, error, 0)) {
    request.held = error;
    request.heldEnd = error.length;
  }
  if (sink.head === request) sink.advance();
}

/** The proxy's own words are the reply of `request`, an error that is complete. */
export function answerWith(request: Request, error: Uint8Array): void {
  const { sink, parent } = request;
  if (sink.isClosed) return abandon(request);
  request.release();
  request.ready = true;
  request.held = error;
  request.heldEnd = error.length;
  if (parent !== null) return fragmentDone(parent);
  sink.context.counters.forward_error++;
  if (sink.head === request) sink.advance();
}

/** The proxy's own word is the reply of `request`, which has no parent. Nobody sees OWN's. */
export function conclude(request: Request, reply: Uint8Array): void {
  const { sink } = request;
  if (sink.isClosed) return abandon(request);
  request.release();
  request.ready = true;
  if (request.mute !== OWN) {
    request.held = reply;
    request.heldEnd = reply.length;
  }
  if (sink.head === request) sink.advance();
}

/** A fragment has its reply, or will have none. */
export function fragmentDone(parent: Request): void {
  if (--parent.awaiting > 0) return;
  if (parent.parent !== null) return sliceDone(parent, parent.parent);
  const { sink } = parent;
  if (sink.isClosed) return sink.context.requests.give(parent);
  if (parent.parts.some((part) => part.failure !== "")) sink.context.counters.forward_error++;
  parent.ready = true;
  if (sink.head === parent) sink.advance();
}

/** A slice of a request with very many keys has all its replies (slices.ts). */
function sliceDone(slice: Request, parent: Request): void {
  const { sink, parts } = slice;
  if (!sink.isClosed) {
    const failed = parts.find((part) => part.failure !== "");
    if (failed !== undefined) slice.failure = failed.failure;
    else if (slice.failure === "") joinSlice(slice);
    for (const part of parts) sink.context.requests.give(part);
    parts.length = 0;
  }
  fragmentDone(parent);
}

/** Its one reply takes the place of those of its fragments. */
function joinSlice(slice: Request): void {
  const { sink } = slice;
  const { buffers } = sink.context;
  const out = new OutBuffer(buffers);
  sink.codec.join(slice, out);
  const chunk = new ReplyChunk(buffers, out.size);
  chunk.keep();
  chunk.current = false;
  slice.chunk = chunk;
  slice.held = chunk.buf;
  slice.heldStart = 0;
  slice.heldEnd = out.size;
  out.moveInto(chunk.buf);
  holdMore(sink, slice.heldEnd);
}

/** The reply of a request whose client is gone has come, or will not come. */
export function abandon(request: Request): void {
  if (request.parent !== null) fragmentDone(request.parent);
  else request.sink.context.requests.give(request);
}

/** A whole reply that is not the next thing its client waits for, or is special. */
export function settle(
  request: Request,
  link: Carrier,
  buf: Uint8Array,
  start: number,
  end: number,
): void {
  const { sink, parent } = request;
  if (sink.isClosed) return abandon(request);
  if (request.mute !== 0 && settleMuted(request, link, buf, start)) return;
  if (parent === null && sink.head === request) {
    sink.out.append(request.held, request.heldStart, request.heldEnd);
    sink.out.append(buf, start, end);
    sink.shift(request);
    sink.touch();
    if (sink.head !== null) sink.advance();
    return;
  }
  hold(request, link, buf, start, end);
  if (sink.isClosed) return abandon(request); // it was too much
  request.ready = true;
  if (parent !== null) fragmentDone(parent);
}

/** True when the client must not see the reply. */
function settleMuted(request: Request, link: Carrier, buf: Uint8Array, start: number): boolean {
  const { sink } = request;
  const { codec } = sink;
  const held = request.chunk !== null;
  const first = held ? request.held : buf;
  const at = held ? request.heldStart : start;
  if (request.mute !== OWN && !codec.quiet?.muted(request.mute, first, at)) {
    codec.quiet?.unmute?.(request.mute, first, at);
    return false;
  }
  const refused = request.mute === OWN && codec.isError(first, at);
  const vital = request.tagHigh === VITAL;
  request.release();
  request.ready = true;
  if (sink.head === request) sink.advance();
  // The client was told otherwise: what follows on the link would be taken for something else.
  if (refused && vital) link.discard("EINVAL");
  return true;
}

/** A part of a reply that goes on, `left` bytes at least. */
export function settlePart(
  request: Request,
  link: Carrier,
  buf: Uint8Array,
  start: number,
  end: number,
  left: number,
): void {
  const { sink } = request;
  const direct = sink.head === request && request.parent === null && request.mute === 0;
  if (direct && (request.kind === STREAMED || left > STREAM)) {
    if (request.chunk !== null) {
      sink.out.append(request.held, request.heldStart, request.heldEnd);
      request.release();
    }
    request.kind = STREAMED;
    sink.pass(buf, start, end);
    if (sink.out.size > HIGH_WATER) sink.waitToRead(link);
  } else if (!sink.isClosed) {
    request.kind = SPECIAL;
    hold(request, link, buf, start, end);
  }
}

/** Keeps reply bytes that cannot go to their client yet; a client may have only so much kept. */
function hold(request: Request, link: Carrier, buf: Uint8Array, start: number, end: number): void {
  const { sink } = request;
  link.store.append(request, buf, start, end);
  holdMore(sink, end - start);
}

function holdMore(sink: Caller, n: number): void {
  sink.held += n;
  if (sink.held > sink.context.limits.clientOutput) {
    sink.cutOff(`waits for one reply while ${sink.held} bytes of later ones are held`);
  }
}
