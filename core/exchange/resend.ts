// Sends a request again, at its old place in its client's queue: for routes that keep what they send
// and know better than the server that refused it, or was lost, where it belongs.

import type { Carrier } from "../link/attempt.ts";
import { Question, UNHEARD } from "../link/question.ts";
import type { Redirects } from "../route/route.ts";
import { type Parking, Server, type Target } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { sendApart } from "./apart.ts";
import { answerWith, fail } from "./outcome.ts";
import type { ScriptShelf } from "./scripts.ts";
import { BOUND, MANAGED, type Request, WATCHED } from "./request.ts";

const MINUS = 45;

/** Whether it may be sent again: not over a link of its client's own, not to a certain server. */
function isManaged({ kind, chunk, sink }: Request): boolean {
  return (kind === MANAGED || kind === WATCHED) && chunk === null && !sink.isClosed;
}

/** A managed route's server has answered; true when the request goes on to another one. */
export function redirected(
  request: Request,
  redirects: Redirects,
  link: Carrier,
  buf: Uint8Array,
  start: number,
  end: number,
): boolean {
  // An error is one line: a reply that was kept in part is none that a route looks for.
  if (!isManaged(request)) return false;
  if (request.resent >= BOUND) {
    if (request.sink.heldReply(request, redirects, link, buf, start, end)) return true;
  }
  if (buf[start] !== MINUS) return false;
  const { scripts } = request.sink.context;
  if (scripts !== null && scripts.words.isMissing(buf, start, end)) {
    if (withScript(request, scripts, link)) return true;
  }
  const isHeld = request.resent >= BOUND;
  const target = redirects.refused(buf, start, end, request, link);
  if (target === null) return false;
  if (isHeld) return answered(request, redirects.held(request));
  if (redirects.apart && sendApart(request, link)) return true;
  if (!isPossible(target)) return toldWhy(request, target);
  if (target.available && request.resent >= redirects.most) {
    return answered(request, redirects.tooMany(request));
  }
  if (resend(request, redirects.preface, link, target)) return true;
  return answered(request, redirects.forgotten(request));
}

/** The server has no such script: it gets it, and the request again; once. */
function withScript(request: Request, scripts: ScriptShelf, link: Carrier): boolean {
  const { owner } = link;
  if (!(owner instanceof Server) || request.resent >= BOUND || request.repeated > 0) return false;
  const out = new OutBuffer(request.sink.context.buffers);
  if (!link.sent(request, out)) return false;
  const sent = new Uint8Array(request.bytes);
  out.moveInto(sent);
  const load = scripts.loadFor(sent);
  if (load === null) return false;
  request.repeated++;
  return sendTo(request, load, link, owner);
}

/** A managed route's link is lost; true when the request goes to another server instead. */
export function recovered(
  request: Request,
  redirects: Redirects,
  link: Carrier,
  text: string,
  unsent: boolean,
): boolean {
  if (!isManaged(request)) return false;
  if (request.resent >= BOUND) {
    if (request.sink.heldLoss(request, redirects, link, text, unsent)) return true;
    if (request.resent >= BOUND) return false;
  }
  const target = redirects.lost(link, request);
  if (!unsent && !isSafe(request, redirects)) return false;
  if (target === null) return false;
  if (!isPossible(target)) return toldWhy(request, target);
  if (target.available && request.resent >= redirects.most) return false;
  if (!unsent) request.repeated++;
  return resend(request, null, link, target);
}

/** Whether it does no harm to carry it out twice. */
function isSafe(request: Request, redirects: Redirects): boolean {
  const { sink, verb, repeated } = request;
  return redirects.mayRepeat(sink.codec.classes[verb + 1], repeated);
}

function isPossible(target: Target): boolean {
  return target.available || target.parking !== null;
}

/** There is no server for it, and it does not wait for one. */
function toldWhy(request: Request, target: Target): boolean {
  if (!target.available) fail(request, target.reason);
  return true;
}

function answered(request: Request, error: Uint8Array | null): boolean {
  if (error === null) return false;
  answerWith(request, error);
  return true;
}

function resend(
  request: Request,
  preface: Uint8Array | null,
  from: Carrier,
  to: Target,
): boolean {
  if (!to.available) return park(request, from, to.parking as Parking);
  return sendTo(request, preface, from, to);
}

function park(request: Request, from: Carrier, parking: Parking): boolean {
  const bytes = new OutBuffer(request.sink.context.buffers);
  if (!from.sent(request, bytes)) return false;
  parking.park(request, bytes, request.bytes);
  return true;
}

function sendTo(
  request: Request,
  preface: Uint8Array | null,
  from: Carrier,
  to: Server,
): boolean {
  const link = to.linkFor(request.sink);
  if (preface === null) {
    if (!from.sent(request, link.out)) return false;
  } else {
    // The request counts only right behind the preface.
    const bytes = new OutBuffer(request.sink.context.buffers);
    if (!from.sent(request, bytes)) return false;
    link.send(new Question(UNHEARD), preface, 0, preface.length);
    bytes.moveTo(link.out);
  }
  request.resent++;
  link.enqueue(request, request.bytes);
  if (link.congested) request.sink.waitForLink(link);
  return true;
}
