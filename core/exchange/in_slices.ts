// Long work for one client, done in slices between which others are served.

import type { Host } from "../host.ts";

/** Keys, pairs or names that one turn of the event loop deals with; what has more of them is cut. */
export const SLICE = 4096;

interface SliceContext {
  readonly host: Host;
  readonly turn: { enter(): void; leave(): void };
}

/** Does `step(i)` for each i of [0, n), SLICE of them in a turn, the first at once; then `done`. */
export function inSlices(
  { host, turn }: SliceContext,
  n: number,
  step: (i: number) => void,
  done: () => void,
): void {
  let at = 0;
  const next = (): void => {
    const end = Math.min(n, at + SLICE);
    while (at < end) step(at++);
    if (at === n) done();
    else host.endOfTurn(later);
  };
  const later = (): void => {
    turn.enter();
    next();
    turn.leave();
  };
  next();
}
