// A request with several keys: one fragment for each server that has some of them.

import type { Scan } from "../protocol/codec.ts";
import { sendFragments } from "./fragments.ts";
import { SLICE } from "./in_slices.ts";
import type { Caller } from "./request.ts";
import { sliced } from "./slices.ts";

/** Whole to one server, or a fragment to each of several. */
export function split(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { route, requests } = caller.context;
  if (scan.nkeys > SLICE && route.places > 1) return sliced(caller, scan, buf, at, length);
  const parent = requests.takeParent(caller, scan.nkeys);
  const only = route.pickAll(
    scan,
    buf,
    at,
    parent.picks,
    caller.codec.intents[scan.verb + 1],
    caller,
  );
  if (only !== null) {
    requests.give(parent);
    return caller.forward(only, scan, buf, at, length);
  }
  parent.tagHigh = scan.tagHigh;
  parent.tagLow = scan.tagLow;
  parent.verb = scan.verb;
  parent.mute = scan.mute;
  caller.push(parent);
  sendFragments(parent, scan, buf, at);
}
