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

/** By place: its first key, NONE between uses. */
let heads = new Int32Array(0);
/** By a place's first key: its last key, how many it has. */
let tails = new Int32Array(256);
let counts = new Int32Array(256);
/** By key: the next one of its place. */
let nexts = new Int32Array(256);
/** The places' first keys, in their order. */
let firsts = new Int32Array(256);

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
  if (heads.length < places) heads = new Int32Array(places).fill(NONE);
  if (nexts.length < nkeys) enlarge(nkeys);
  let several = 0;
  for (let i = 0; i < nkeys; i++) {
    const head = heads[picks[i]];
    nexts[i] = NONE;
    if (head === NONE) {
      heads[picks[i]] = i;
      tails[i] = i;
      counts[i] = 1;
      firsts[several++] = i;
    } else {
      nexts[tails[head]] = i;
      tails[head] = i;
      counts[head]++;
    }
  }
  // So that it is not over before its last part is on its way.
  parent.awaiting++;
  const single = route.mixed || route.redirects === null || !keys.runs?.fits(scan)
    ? null
    : keys.runs;
  single?.ready(scan, buf, at);
  for (let n = 0; n < several; n++) {
    const first = firsts[n];
    const place = picks[first];
    heads[place] = NONE;
    const target = route.owner(place, intent, caller);
    const link = target.available ? target.linkFor(caller) : null;
    const out = link === null ? new OutBuffer(context.buffers) : link.out;
    // Its key follows those of the places before it, as the replies to them do.
    if (single !== null && link !== null && counts[first] === 1) {
      picks[first] = joinRun(parent, link, place, single.alone(scan, buf, at, first, out));
      continue;
    }
    const begin = out.size;
    keys.begin(scan, buf, at, counts[first], out);
    const number = parent.parts.length;
    for (let i = first; i !== NONE; i = nexts[i]) {
      picks[i] = number;
      keys.add(scan, buf, at, i, i + 1, out);
    }
    out.append(keys.end, 0, keys.end.length);
    const part = addPart(parent, link, out.size - begin, route.mixed ? SPECIAL : WATCHED);
    part.place = place;
    if (context.slow.on) {
      keys.select(scan, first);
      context.slow.note(part, buf, at + scan.keyStart, at + scan.keyEnd);
    }
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

function enlarge(nkeys: number): void {
  tails = new Int32Array(nkeys);
  counts = new Int32Array(nkeys);
  nexts = new Int32Array(nkeys);
  firsts = new Int32Array(nkeys);
}
