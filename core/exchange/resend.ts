// Sends a request again, at its old place in its client's queue: for routes that keep what they send
// and know better than the server that refused it, or was lost, where it belongs.

import type { Carrier } from "../link/attempt.ts";
import type { Redirects } from "../route/route.ts";
import type { Server } from "../server/server.ts";
import { MANAGED, type Request, WATCHED } from "./request.ts";

/** How often one request is sent again; then the client gets what the server said. */
const MOST = 5;
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
  if (buf[start] !== MINUS || !isManaged(request)) return false;
  const target = redirects.refused(buf, start, end);
  return target !== null && target.available && resend(request, link, target);
}

/** A managed route's link is lost; true when the request goes to another server instead. */
export function recovered(
  request: Request,
  redirects: Redirects,
  link: Carrier,
  unsent: boolean,
): boolean {
  if (!isManaged(request)) return false;
  if (!unsent && !isSafe(request, redirects)) return false;
  const target = redirects.lost(link);
  return target !== null && target.available && resend(request, link, target);
}

/** Whether it does no harm to carry it out twice. */
function isSafe(request: Request, redirects: Redirects): boolean {
  const { sink, verb } = request;
  return redirects.mayRepeat(sink.codec.classes[verb + 1]);
}

function resend(request: Request, from: Carrier, to: Server): boolean {
  if (request.resent >= MOST) return false;
  const link = to.linkFor(request.sink);
  if (!from.sent(request, link.out)) return false;
  request.resent++;
  link.enqueue(request, request.bytes);
  if (link.congested) request.sink.waitForLink(link);
  return true;
}
