// How often tests with pseudo-random numbers go round: RINGMUX_ROUNDS=20 npm test -- random

import process from "node:process";

const ROUNDS = Number(process.env.RINGMUX_ROUNDS ?? 1);

/** `n` seeds from `first` on, or more if more rounds are wanted; later ones do not meet others'. */
export function* seeds(first: number, n: number): Generator<number> {
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < n; i++) yield first + i + round * 100_000;
  }
}
