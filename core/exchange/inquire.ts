// A command that the codec does not know: a server is asked about it, before it is parsed again.

import { ASKED, type Scan } from "../protocol/codec.ts";
import type { Caller } from "./request.ts";
import { addPart } from "./part.ts";

/**
 * Asks a server. The question has a place in the client's queue and no reply. False when there is
 * nothing to ask, or nobody.
 */
export function inquire(caller: Caller, scan: Scan, buf: Uint8Array, at: number): boolean {
  const { codec, route, requests } = caller.context;
  const inquiry = codec.inquiries?.inquire(scan, buf, at) ?? null;
  if (inquiry === null) return false;
  const server = route.any();
  if (!server.available) return false;
  const parent = requests.takeParent(caller, 0);
  parent.verb = ASKED;
  parent.held = inquiry.name;
  caller.push(parent);
  const link = server.linkFor(caller);
  const { request } = inquiry;
  link.out.append(request, 0, request.length);
  addPart(parent, link, request.length);
  return true;
}
