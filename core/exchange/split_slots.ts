// A request with several keys, of a route with very many places, or with targets that are no servers: one fragment for each place that has
// some of them, in the order of their first keys. Fragments to one server go one after the other, or are
// one run (runs.ts).

import type { Keys, Scan } from "../protocol/codec.ts";
import { addPart } from "./part.ts";
import { fail } from "./outcome.ts";
import { joinRun } from "./runs.ts";
import { type Request, SPECIAL, WATCHED } from "./request.ts";
import { OutBuffer } from "../wire/out_buffer.ts";

const NONE = -1;

/** By place: its first key, NONE between uses. By key: the next one of its place. */
let heads = new Int32Array(0);
let tails = new Int32Array(0);
let counts = new Int32Array(0);
let nexts = new Int32Array(256);

/** `parent.picks` are the places of the keys, which are several. */
export function splitByPlace(
  parent: Request,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): void {
  const caller = parent.sink;
  const { context } = caller;
  const { route } = context;
  const keys = caller.codec.keys as Keys;
  const { nkeys } = scan;
  const intent = caller.codec.intents[scan.verb + 1];
  const { picks } = parent;
  // Targets that are no servers have places behind the others: one for each key at most.
  const places = route.places + (route.mixed ? nkeys : 0);
  if (heads.length < places) {
    heads = new Int32Array(places).fill(NONE);
    tails = new Int32Array(places);
    counts = new Int32Array(places);
  }
  if (nexts.length < nkeys) nexts = new Int32Array(nkeys);
  const order: number[] = [];
  for (let i = 0; i < nkeys; i++) {
    const place = picks[i];
    nexts[i] = NONE;
    if (heads[place] === NONE) {
      heads[place] = i;
      counts[place] = 0;
      order.push(place);
    } else {
      nexts[tails[place]] = i;
    }
    tails[place] = i;
    counts[place]++;
  }
  // So that it is not over before its last part is on its way.
  parent.awaiting++;
  const single = route.mixed || route.redirects === null || !keys.runs?.fits(scan)
    ? null
    : keys.runs;
  single?.ready(scan, buf, at);
  for (const place of order) {
    const target = route.owner(place, intent, caller);
    const link = target.available ? target.linkFor(caller) : null;
    const out = link === null ? new OutBuffer(context.buffers) : link.out;
    const first = heads[place];
    // Its key follows those of the places before it, as the replies to them do.
    if (single !== null && link !== null && counts[place] === 1) {
      picks[first] = joinRun(parent, link, place, single.alone(scan, buf, at, first, out));
      heads[place] = NONE;
      continue;
    }
    const begin = out.size;
    keys.begin(scan, buf, at, counts[place], out);
    const number = parent.parts.length;
    for (let i = first; i !== NONE; i = nexts[i]) {
      picks[i] = number;
      keys.add(scan, buf, at, i, i + 1, out);
    }
    out.append(keys.end, 0, keys.end.length);
    const part = addPart(parent, link, out.size - begin, route.mixed ? SPECIAL : WATCHED);
    part.place = place;
    if (context.slow.on) {
      keys.select(scan, heads[place]);
      context.slow.note(part, buf, at + scan.keyStart, at + scan.keyEnd);
    }
    heads[place] = NONE;
    if (target.available) continue;
    if (target.parking !== null) {
      target.parking.park(part, out, part.bytes);
    } else {
      out.clear();
      fail(part, target.reason);
    }
  }
  parent.awaiting--;
  if (parent.awaiting > 0 || parent.sink.isClosed) return;
  parent.ready = true;
  if (caller.head === parent) caller.advance();
}
