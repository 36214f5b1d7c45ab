// A request with several keys: one fragment for each server that has some of them. What a fragment
// looks like is the codec's.

import type { Link } from "../link/link.ts";
import type { Keys, Scan } from "../protocol/codec.ts";
import type { Server } from "../server/server.ts";
import { addPart } from "./part.ts";
import type { Caller, Request } from "./request.ts";
import { splitByPlace } from "./split_slots.ts";

/** Per place: its number of keys, zero between uses; then the number of its part. */
let counts = new Int32Array(64);
let partOf = new Int32Array(64);
/** Per part: its link, and where in that link's output it begins. */
const links: Link[] = [];
const begins: number[] = [];

/** One fragment per place that has a key, sent in the order of the places, as twemproxy does. */
export function split(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { context, codec } = caller;
  const { route, requests } = context;
  const keys = codec.keys as Keys;
  const { nkeys } = scan;
  const { places } = route;
  if (places > counts.length && route.redirects === null) {
    counts = new Int32Array(places);
    partOf = new Int32Array(places);
  }
  const parent = requests.takeParent(caller, nkeys);
  const { picks } = parent;
  const only = route.pickAll(scan, buf, at, picks);
  if (only !== null) {
    requests.give(parent);
    return caller.forward(only, scan, buf, at, length);
  }
  if (route.redirects !== null) return splitByPlace(caller, parent, scan, buf, at);
  for (let i = 0; i < nkeys; i++) counts[picks[i]]++;
  let nparts = 0;
  for (let place = 0; place < places; place++) {
    if (counts[place] === 0) continue;
    const link = (route.owner(place) as Server).linkFor(caller);
    links[nparts] = link;
    begins[nparts] = link.out.size;
    keys.begin(scan, buf, at, counts[place], link.out);
    partOf[place] = nparts++;
    counts[place] = 0;
  }
  // Neighbours that go to one server are copied as one span.
  for (let i = 0; i < nkeys;) {
    const from = i;
    const place = picks[i];
    const part = partOf[place];
    do picks[i++] = part; while (i < nkeys && picks[i] === place);
    keys.add(scan, buf, at, from, i, links[part].out);
  }
  parent.tagHigh = scan.tagHigh;
  parent.tagLow = scan.tagLow;
  parent.verb = scan.verb;
  caller.push(parent);
  for (let p = 0; p < nparts; p++) {
    const { out } = links[p];
    out.append(keys.end, 0, keys.end.length);
    const part = addPart(parent, links[p], out.size - begins[p]);
    if (context.slow.on) noteKey(part, p, scan, buf, at);
  }
}

/** For the slow log: the first key of part number `p`. */
function noteKey(part: Request, p: number, scan: Scan, buf: Uint8Array, at: number): void {
  const { sink, parent } = part;
  const key = (parent as Request).picks.indexOf(p);
  (sink.codec.keys as Keys).select(scan, key);
  sink.context.slow.note(part, buf, at + scan.keyStart, at + scan.keyEnd);
}
