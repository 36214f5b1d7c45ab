// A request that goes to several servers is a parent with parts: the parent has a place in the
// client's queue, each part one in a link's.

import type { Link } from "../link/link.ts";
import type { Scan } from "../protocol/codec.ts";
import type { Server } from "../server/server.ts";
import { type Caller, type Request, SPECIAL } from "./request.ts";

/** The parent of a request that was just parsed, at the end of the client's queue. */
export function openParent(caller: Caller, scan: Scan, nkeys: number): Request {
  const parent = caller.context.requests.takeParent(caller, nkeys);
  parent.tagHigh = scan.tagHigh;
  parent.tagLow = scan.tagLow;
  parent.verb = scan.verb;
  parent.mute = scan.mute;
  caller.push(parent);
  return parent;
}

/** One more part, of `bytes` that the link's `out` has already; null: it is to wait for a link. */
export function addPart(
  parent: Request,
  link: Link | null,
  bytes: number,
  kind: number = SPECIAL,
): Request {
  const { sink } = parent;
  const { context } = sink;
  const part = context.requests.take(sink);
  part.kind = kind;
  part.parent = parent;
  part.verb = parent.verb;
  part.noted = 0;
  parent.parts.push(part);
  parent.awaiting++;
  context.counters.fragments++;
  part.bytes = bytes;
  link?.enqueue(part, bytes);
  if (link?.congested) sink.waitForLink(link);
  return part;
}

/** The same bytes to each of the servers. */
export function sendToAll(
  parent: Request,
  servers: readonly Server[],
  buf: Uint8Array,
  start: number,
  length: number,
): void {
  for (const server of servers) {
    const link = server.linkFor(parent.sink);
    link.out.append(buf, start, start + length);
    addPart(parent, link, length);
  }
}
