// What picking a server costs, and what building a ring costs: ours beside the binary search that
// twemproxy does. A task is 16384 picks with hashes in no order. Run by a runner that makes the
// Bench; knows nothing of it but `add`.

import type { Bench } from "tinybench";
import { KetamaRing } from "../../core/ring/ketama.ts";
import { buildRing, type Member, type Ring } from "../../core/ring/mod.ts";

/** Enough that branch prediction cannot learn the sequence. A power of two. */
const PICKS = 16384;
const SIZES = [2, 8, 64];

/** twemproxy's ketama_dispatch over the same points. */
class BinarySearchRing implements Ring {
  private readonly values: Uint32Array;
  private readonly owners: Int32Array;

  constructor(values: Uint32Array, owners: Int32Array) {
    this.values = values;
    this.owners = owners;
  }

  pick(hash: number): number {
    let left = 0;
    let right = this.values.length - 1;
    while (left < right) {
      const middle = (left + right) >>> 1;
      if (this.values[middle] < hash) left = middle + 1;
      else right = middle;
    }
    return this.owners[left];
  }

  shares(count: number): Float64Array {
    return new Float64Array(count); // nobody asks here
  }
}

function members(count: number): Member[] {
  return Array.from({ length: count }, (_, index) => ({ name: `s${index}`, weight: 1, index }));
}

function hashes(): Uint32Array {
  const out = new Uint32Array(PICKS);
  for (let i = 0, h = 1; i < PICKS; i++) out[i] = h = Math.imul(h, 1664525) + 1013904223;
  return out;
}

export const suite = (bench: Bench): void => {
  const input = hashes();
  let sink = 0;
  const random = (n: number) => input[sink & (PICKS - 1)] % n;
  const add = (name: string, ring: Ring) =>
    bench.add(`${name}, ${PICKS} picks`, () => {
      for (let i = 0; i < PICKS; i++) sink += ring.pick(input[i]);
    });
  for (const size of SIZES) {
    const ketama = new KetamaRing(members(size));
    add(`ketama of ${size}, table`, ketama);
    const { values, owners } = ketama as unknown as { values: Uint32Array; owners: Int32Array };
    add(`ketama of ${size}, binary search`, new BinarySearchRing(values, owners));
    add(`modula of ${size}`, buildRing("modula", members(size), random));
    add(`random of ${size}`, buildRing("random", members(size), random));
  }
  for (const size of SIZES) {
    const list = members(size);
    bench.add(`build ketama of ${size}`, () => {
      sink += buildRing("ketama", list, random).pick(0);
    });
  }
};
