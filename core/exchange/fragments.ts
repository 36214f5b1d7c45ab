// The fragments of a request with several keys: what each server that has some of them is to get.
// What a fragment looks like is the codec's.

import type { Link } from "../link/link.ts";
import type { Keys, Scan } from "../protocol/codec.ts";
import type { Server } from "../server/server.ts";
import { addPart } from "./part.ts";
import { splitByPlace } from "./split_slots.ts";
import { type Request, WATCHED } from "./request.ts";

/** Per place: its number of keys, zero between uses; then the number of its part. */
let counts = new Int32Array(64);
let partOf = new Int32Array(64);
/** Per part: its link, and where in that link's output it begins. */
const links: Link[] = [];
const begins: number[] = [];

/**
 * One fragment per place that has a key, sent in the order of the places, as twemproxy does.
 * `parent.picks` has the place of each key, and gets the number of its part.
 */
export function sendFragments(parent: Request, scan: Scan, buf: Uint8Array, at: number): void {
  const caller = parent.sink;
  const { route, slow } = caller.context;
  const keys = caller.codec.keys as Keys;
  const { nkeys } = scan;
  const { picks } = parent;
  const { places } = route;
  if (route.redirects !== null || route.mixed) return splitByPlace(parent, scan, buf, at);
  if (places > counts.length) {
    counts = new Int32Array(places);
    partOf = new Int32Array(places);
  }
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
  for (let p = 0; p < nparts; p++) {
    const { out } = links[p];
    out.append(keys.end, 0, keys.end.length);
    const part = addPart(parent, links[p], out.size - begins[p]);
    if (slow.on) noteKey(part, picks.indexOf(p), scan, buf, at);
  }
}

/** All keys to one server, as a fragment. */
export function sendWhole(
  parent: Request,
  server: Server,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): void {
  const caller = parent.sink;
  const { route, slow } = caller.context;
  const keys = caller.codec.keys as Keys;
  const { nkeys } = scan;
  const link = server.linkFor(caller);
  const { out } = link;
  const begin = out.size;
  keys.begin(scan, buf, at, nkeys, out);
  keys.add(scan, buf, at, 0, nkeys, out);
  out.append(keys.end, 0, keys.end.length);
  parent.picks.fill(0, 0, nkeys);
  const kind = route.redirects !== null ? WATCHED : undefined;
  const part = addPart(parent, link, out.size - begin, kind);
  if (route.redirects !== null) part.place = route.place;
  if (slow.on) noteKey(part, 0, scan, buf, at);
}

/** For the slow log. */
function noteKey(part: Request, key: number, scan: Scan, buf: Uint8Array, at: number): void {
  const arg = 2 * (scan.first + key * scan.step);
  part.sink.context.slow.note(part, buf, at + scan.args[arg], at + scan.args[arg + 1]);
}
