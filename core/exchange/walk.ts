// WALK (SCAN): one server after the other; the cursor in the request tells which.

import type { Scan, Walk } from "../protocol/codec.ts";
import { NOBODY } from "../route/route.ts";
import type { Caller } from "./request.ts";
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
  const steps = codec.walk as Walk;
  const live = route.all();
  const { places } = route;
  let place = steps.to(scan, buf, at, places);
  while (place < places && !live.includes(route.owner(place))) place++;
  if (place >= places) {
    // The end of a walk, unless there is nothing to walk over at all.
    if (live.length > 0) return caller.answer(steps.end);
    return caller.forward(NOBODY, scan, buf, at, length);
  }
  const parent = openParent(caller, scan, places);
  parent.picks[0] = place;
  const link = route.owner(place).linkFor(caller);
  const begin = link.out.size;
  steps.request(scan, buf, at, length, place, places, link.out);
  addPart(parent, link, link.out.size - begin);
}
