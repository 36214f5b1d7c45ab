// A request of the proxy's own among a client's: the client gets no reply to it.

import { VITAL } from "../../exchange/outcome.ts";
import { type Caller, SPECIAL } from "../../exchange/request.ts";
import type { Link } from "../../link/link.ts";
import { ASKED, OWN } from "../../protocol/codec.ts";

/** Sends it over `link`; if a `vital` one is refused the link is of no more use. */
export function sendOwn(client: Caller, link: Link, bytes: Uint8Array, vital: boolean): void {
  const request = client.context.requests.take(client);
  request.mute = OWN;
  request.verb = ASKED;
  request.kind = SPECIAL;
  request.tagHigh = vital ? VITAL : 0;
  request.noted = 0;
  client.push(request);
  link.send(request, bytes, 0, bytes.length);
}
