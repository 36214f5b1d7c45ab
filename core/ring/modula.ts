// The modula distribution (nc_modula.c): every member in as many slots as its weight, in order;
// the hash modulo the number of slots. Knows nothing of keys.

import type { Member, Ring } from "./ring.ts";

export class ModulaRing implements Ring {
  /** Owner by slot; never empty, so that an empty ring picks -1. */
  private readonly slots: Int32Array;

  constructor(members: readonly Member[]) {
    let count = 0;
    for (const member of members) count += member.weight;
    this.slots = new Int32Array(Math.max(1, count)).fill(-1);
    let at = 0;
    for (const member of members) {
      this.slots.fill(member.index, at, at + member.weight);
      at += member.weight;
    }
  }

  pick(hash: number): number {
    return this.slots[hash % this.slots.length];
  }

  shares(count: number, range: number): Float64Array {
    const shares = new Float64Array(count);
    const slots = this.slots;
    for (let i = 0; i < slots.length && i < range; i++) {
      // The hashes i, i + slots, i + 2 slots ...
      const hashes = Math.floor((range - 1 - i) / slots.length) + 1;
      if (slots[i] >= 0) shares[slots[i]] += hashes / range;
    }
    return shares;
  }
}
