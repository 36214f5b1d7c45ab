// A request of several keys of one place that is on its way (TRYAGAIN): the keys are at two servers,
// and none carries it out. One key after the other works: each is here or there. For requests that
// bring no values along (MGET, DEL, EXISTS ...); what is to be written stays together and waits.

import type { Carrier } from "../link/attempt.ts";
import { DONE, type Keys, Scan, SPLIT } from "../protocol/codec.ts";
import type { Server } from "../server/server.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { addPart } from "./part.ts";
import { type Request, SPECIAL, WATCHED } from "./request.ts";

/** True when it is on its way again, key by key. */
export function sendApart(request: Request, from: Carrier): boolean {
  const { sink, parent, place } = request;
  const { codec, context } = sink;
  const server = context.route.owner(place);
  if (codec.keys === null || !server.available) return false;
  const out = new OutBuffer(context.buffers);
  if (!from.sent(request, out)) return false;
  const sent = new Uint8Array(request.bytes);
  out.moveInto(sent);
  const scan = new Scan();
  if (codec.parseRequest(scan, sent, 0, sent.length) !== DONE) return false;
  if (scan.action !== SPLIT || scan.step !== 1 || scan.nkeys < 2) return false;
  if (parent === null) becomeParent(request, scan, sent, server);
  else multiply(request, parent, scan, sent, server);
  return true;
}

/** It keeps its place in its client's queue; each key is a part of it. */
function becomeParent(request: Request, scan: Scan, sent: Uint8Array, server: Server): void {
  const { nkeys } = scan;
  request.kind = SPECIAL;
  request.parts = [];
  request.picks = new Uint16Array(Math.max(16, nkeys));
  request.nkeys = nkeys;
  for (let k = 0; k < nkeys; k++) {
    request.picks[k] = k;
    sendKey(request, null, request.place, k, scan, sent, server);
  }
}

/** It becomes that of its first key; the others get parts of their own. */
function multiply(
  part: Request,
  parent: Request,
  scan: Scan,
  sent: Uint8Array,
  server: Server,
): void {
  const own = parent.parts.indexOf(part);
  let k = 0;
  for (let i = 0; i < parent.nkeys && k < scan.nkeys; i++) {
    if (parent.picks[i] !== own) continue;
    if (k > 0) parent.picks[i] = parent.parts.length;
    sendKey(parent, k === 0 ? part : null, part.place, k++, scan, sent, server);
  }
}

/** Sends key `k` alone: as `part`, or as a new one. */
function sendKey(
  parent: Request,
  part: Request | null,
  place: number,
  k: number,
  scan: Scan,
  sent: Uint8Array,
  server: Server,
): void {
  const keys = parent.sink.codec.keys as Keys;
  const link = server.linkFor(parent.sink);
  const begin = link.out.size;
  keys.begin(scan, sent, 0, 1, link.out);
  keys.add(scan, sent, 0, k, k + 1, link.out);
  link.out.append(keys.end, 0, keys.end.length);
  if (part !== null) return link.enqueue(part, link.out.size - begin);
  addPart(parent, link, link.out.size - begin, WATCHED).place = place;
}
