// Bytes to send, and bytes that are to be the same.

import * as assert from "uvu/assert";

/** The same bytes; says where they part instead of showing all of them when they are many. */
export function sameBytes(got: string, expected: string, what: string): void {
  if (got === expected) return;
  if (got.length + expected.length < 4000) return assert.is(got, expected, what);
  let i = 0;
  while (got[i] === expected[i]) i++;
  const part = (text: string) => JSON.stringify(text.slice(Math.max(0, i - 40), i + 60));
  const sizes = `${got.length} bytes instead of ${expected.length}`;
  assert.unreachable(`${what}: ${sizes}; at ${i}: ${part(got)} instead of ${part(expected)}`);
}

/** A generator of pseudo-random 32-bit integers: every run tests the same bytes. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
