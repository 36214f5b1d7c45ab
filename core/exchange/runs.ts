// The fragments of a request over many places (the hash slots of a cluster), whose servers take the keys
// of one place together and no others: those that go to one server are one attempt, a run of requests
// end to end, which costs as little as a fragment of many keys. Only where a server refuses one of them,
// or is lost, each becomes a fragment of its own and is seen to by itself.

import { EMPTY } from "../bytes.ts";
import { type Carrier, Run } from "../link/attempt.ts";
import type { Link } from "../link/link.ts";
import { ReplyScan, type Runs, Scan } from "../protocol/codec.ts";
import type { Redirects } from "../route/route.ts";
import type { ReplyStore } from "../wire/reply_store.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { addPart } from "./part.ts";
import { abandon, failLost, settle } from "./outcome.ts";
import { type Request, WATCHED } from "./request.ts";
import { recovered, redirected } from "./resend.ts";

/** The number of the part that has the run, to which the `bytes` written to `link` last belong. */
export function joinRun(parent: Request, link: Link, place: number, bytes: number): number {
  const { last } = link;
  const part = last as Request | null;
  if (part !== null && part.run !== null && part.parent === parent) {
    link.extend(part, part.run, bytes);
    return part.number;
  }
  const first = addPart(parent, link, bytes, WATCHED);
  first.run = new Run();
  first.place = place;
  first.number = parent.parts.length - 1;
  return first.number;
}

/** A link as the single requests of a run see it: what was sent for them is in `bytes`. */
class Strand implements Carrier {
  readonly owner: unknown;
  readonly retired: boolean;
  readonly store: ReplyStore;
  private readonly link: Carrier;
  private readonly bytes: Uint8Array;
  /** What was sent for the request that is looked at: bytes[from, to). */
  from: number;
  to: number;

  constructor(link: Carrier, bytes: Uint8Array) {
    this.owner = link.owner;
    this.retired = link.retired;
    this.store = link.store;
    this.link = link;
    this.bytes = bytes;
    this.from = 0;
    this.to = 0;
  }

  waitFor(sink: Parameters<Carrier["waitFor"]>[0]): boolean {
    return this.link.waitFor(sink);
  }

  unblock(sink: Parameters<Carrier["unblock"]>[0]): void {
    this.link.unblock(sink);
  }

  sent(_: unknown, to: OutBuffer): boolean {
    to.append(this.bytes, this.from, this.to);
    return true;
  }

  discard(why?: string): void {
    this.link.discard(why);
  }
}

/**
 * The rest `buf[start, end)` of the replies to a run has come. False when there is nothing wrong with
 * any of them: they are joined as they are.
 */
export function unravel(
  request: Request,
  redirects: Redirects | null,
  link: Carrier,
  buf: Uint8Array,
  start: number,
  end: number,
): boolean {
  const { run, sink } = request;
  if (run === null || !run.flawed || sink.isClosed) return false;
  const reply = repliesTo(request, buf, start, end);
  return eachOf(request, link, (part, strand) => reply(part, redirects, strand));
}

/** The link of a run is lost, as `recovered`. False when it is for the caller to fail it as a whole. */
export function unravelLost(
  request: Request,
  redirects: Redirects,
  link: Carrier,
  text: string,
  unsent: boolean,
): boolean {
  if (request.sink.isClosed) return false;
  // Some may have been answered before.
  const reply = repliesTo(request, EMPTY, 0, 0);
  return eachOf(request, link, (part, strand) => {
    if (reply(part, redirects, strand)) return;
    if (recovered(part, redirects, strand, text, unsent)) return;
    failLost(part, text, unsent);
  });
}

type Replier = (part: Request, redirects: Redirects | null, strand: Strand) => boolean;

/** Gives the whole replies that are held, and those in `buf[start, end)`, to one part each; false: no more. */
function repliesTo(
  { held, heldStart, heldEnd, sink }: Request,
  buf: Uint8Array,
  start: number,
  end: number,
): Replier {
  const begun = heldEnd - heldStart;
  const replies = new Uint8Array(begun + end - start);
  replies.set(held.subarray(heldStart, heldEnd));
  replies.set(buf.subarray(start, end), begun);
  const scan = new ReplyScan();
  let at = 0;
  return (part, redirects, strand) => {
    if (!scan.done || at >= replies.length) return false;
    const from = at;
    at = sink.codec.parseReply(scan, replies, at, replies.length);
    if (!scan.done) return false;
    const gone = redirects !== null && redirected(part, redirects, strand, replies, from, at);
    if (!gone) settle(part, strand, replies, from, at);
    return true;
  };
}

/** Makes each request of a run a part of its own, the first in the run's place. False: nothing is done. */
function eachOf(
  request: Request,
  link: Carrier,
  then: (part: Request, strand: Strand) => void,
): boolean {
  const parent = request.parent as Request;
  const { sink } = request;
  const { context } = sink;
  const out = new OutBuffer(context.buffers);
  if (!link.sent(request, out)) return false;
  const sent = new Uint8Array(request.bytes);
  out.moveInto(sent);
  const strand = new Strand(link, sent);
  const parts = partsOf(request, parent, sent);
  for (const part of parts) {
    strand.from = strand.to;
    strand.to += part.bytes;
    if (sink.isClosed) abandon(part);
    else then(part, strand);
  }
  return true;
}

function partsOf(request: Request, parent: Request, sent: Uint8Array): Request[] {
  const { sink } = request;
  const { codec, context } = sink;
  const { number, verb } = request;
  const runs = codec.keys?.runs as Runs;
  request.release();
  request.run = null;
  request.kind = WATCHED;
  const parts: Request[] = [];
  const scan = new Scan();
  let key = 0;
  for (let at = 0; at < sent.length; at += scan.length) {
    runs.cut(scan, sent, at, verb);
    const part = at === 0 ? request : context.requests.take(sink);
    if (at > 0) {
      part.kind = WATCHED;
      part.parent = parent;
      part.verb = verb;
      part.noted = 0;
      part.sentAt = request.sentAt;
      part.number = parent.parts.length;
      parent.parts.push(part);
      parent.awaiting++;
    }
    part.bytes = scan.length;
    context.route.pick(sent, at + scan.keyStart, at + scan.keyEnd, part.intent);
    part.place = context.route.place;
    // Its keys are the next ones of the run's.
    for (let n = scan.nkeys; n > 0 && key < parent.nkeys; key++) {
      if (parent.picks[key] !== number) continue;
      parent.picks[key] = part.number;
      n--;
    }
    parts.push(part);
  }
  return parts;
}
