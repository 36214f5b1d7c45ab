// WALK (SCAN): one server after the other; the cursor in the request tells which.

import type { Scan, Walk } from "../protocol/codec.ts";
import { STATES } from "../route/rounds.ts";
import { NOBODY } from "../route/route.ts";
import { CLASS_READ } from "../stats/latency.ts";
import type { Caller } from "./request.ts";
import { walkRounds } from "./walk_rounds.ts";
import { addPart, openParent } from "./part.ts";

/** To the server at which the cursor stands, or the next one that is alive. */
export function walk(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { route, codec } = caller.context;
  const rounds = route.redirects?.rounds ?? null;
  if (rounds !== null) return walkRounds(caller, rounds, scan, buf, at, length);
  const steps = codec.walk as Walk;
  const { places } = route;
  const behind = route.behind ?? null;
  const states = behind === null ? places : STATES;
  if (states === 0) return caller.forward(NOBODY, scan, buf, at, length);
  const state = steps.to(scan, buf, at, states);
  const place = state < places
    ? route.walkFrom(state, steps.isAmid(scan, buf, at, states))
    : places;
  if (behind !== null && place >= places) return walkRounds(caller, behind, scan, buf, at, length);
  const server = place < places ? route.owner(place) : NOBODY;
  if (!server.available) {
    // The end of a walk, unless there is nothing to walk over at all.
    if (route.all(CLASS_READ).length > 0) return caller.answer(steps.end);
    return caller.forward(NOBODY, scan, buf, at, length);
  }
  const parent = openParent(caller, scan, 2);
  parent.picks[0] = place;
  parent.picks[1] = 0;
  parent.nkeys = states;
  const link = server.linkFor(caller);
  const begin = link.out.size;
  steps.request(scan, buf, at, length, place, states, link.out);
  addPart(parent, link, link.out.size - begin);
}
