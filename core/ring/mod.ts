// The table of distributions: name in the configuration → how to build the ring. Knows nothing of
// keys, protocols or sockets.

import { KetamaRing } from "./ketama.ts";
import { ModulaRing } from "./modula.ts";
import { RandomRing } from "./random.ts";
import type { Member, Ring } from "./ring.ts";

export type { Member, Ring } from "./ring.ts";

/** In the order of twemproxy's documentation. */
export const DISTRIBUTION_NAMES = ["ketama", "modula", "random"] as const;

export type Distribution = typeof DISTRIBUTION_NAMES[number];

type Builder = (members: readonly Member[], random: (n: number) => number) => Ring;

const BUILDERS: Readonly<Record<Distribution, Builder>> = {
  ketama: (members) => new KetamaRing(members),
  modula: (members) => new ModulaRing(members),
  random: (members, random) => new RandomRing(members, random),
};

/**
 * Builds the ring of the servers that take part, in the order of the full list (twemproxy sorts
 * it by the length of the name, then by its bytes). `random(n)` is an integer in [0, n). Without
 * members the ring picks -1.
 */
export function buildRing(
  distribution: Distribution,
  members: readonly Member[],
  random: (n: number) => number,
): Ring {
  return BUILDERS[distribution](members, random);
}
