// The random distribution (nc_random.c): any member, whatever the key; weights do not count.

import type { Member, Ring } from "./ring.ts";

export class RandomRing implements Ring {
  private readonly owners: Int32Array;
  private readonly random: (n: number) => number;

  constructor(members: readonly Member[], random: (n: number) => number) {
    this.owners = Int32Array.from(members, (member) => member.index);
    this.random = random;
  }

  pick(_hash: number): number {
    const count = this.owners.length;
    return count > 0 ? this.owners[this.random(count)] : -1;
  }

  shares(count: number): Float64Array {
    const shares = new Float64Array(count);
    for (const owner of this.owners) shares[owner] = 1 / this.owners.length;
    return shares;
  }
}
