// The ketama ring, point for point as twemproxy builds it (nc_ketama.c), and a faster look-up.
// Points come from MD5 of the members' names whatever hash the keys use. Knows nothing of keys.

import { utf8 } from "../bytes.ts";
import { md5Words } from "../hash/md5.ts";
import type { Member, Ring } from "./ring.ts";

const POINTS_PER_SERVER = 160;
/** One MD5 digest makes four points. */
const POINTS_PER_DIGEST = 4;
/** twemproxy writes "name-i" into a buffer that holds this many bytes. */
const LONGEST_LABEL = 272;
/** Buckets of the look-up table: 2 to 4 per point, within these bounds. */
const FEWEST_BITS = 8;
const MOST_BITS = 16;

/**
 * How many points a member has. twemproxy computes in float32, which is not a detail: 25 equal
 * servers have 156 points each, not 160. A light one beside a heavy one may have none.
 */
export function pointCount(weight: number, totalWeight: number, members: number): number {
  const f32 = Math.fround;
  const share = f32(f32(weight) / f32(totalWeight));
  const digests = f32(f32(f32(share * POINTS_PER_SERVER) / POINTS_PER_DIGEST) * f32(members));
  return Math.floor(f32(digests + 1e-10)) * POINTS_PER_DIGEST;
}

export class KetamaRing implements Ring {
  /**
   * By the top bits of a hash: the owner, where no point lies within the bucket (most of them);
   * otherwise ~p, p being the first point that may own the hash.
   */
  private readonly table: Int32Array;
  private readonly shift: number;
  /** Points, ascending; then one no hash is above, owned by the first point's owner. */
  private readonly values: Uint32Array;
  private readonly owners: Int32Array;

  constructor(members: readonly Member[]) {
    const points = sortedPoints(members);
    const count = points.length;
    const values = new Uint32Array(count + 1);
    const owners = new Int32Array(count + 1);
    for (let p = 0; p < count; p++) {
      const member = points[p] % members.length;
      values[p] = (points[p] - member) / members.length;
      owners[p] = members[member].index;
    }
    values[count] = 0xffffffff;
    owners[count] = count > 0 ? owners[0] : -1;

    const bits = Math.min(MOST_BITS, Math.max(FEWEST_BITS, 33 - Math.clz32(count)));
    this.shift = 32 - bits;
    this.table = lookUpTable(bits, values, owners);
    this.values = values;
    this.owners = owners;
  }

  pick(hash: number): number {
    const entry = this.table[hash >>> this.shift];
    if (entry >= 0) return entry;
    const values = this.values;
    let p = ~entry;
    while (values[p] < hash) p++;
    return this.owners[p];
  }

  shares(count: number, range: number): Float64Array {
    const shares = new Float64Array(count);
    const { values, owners } = this;
    let low = 0;
    // Each point owns the hashes above the one before it, up to its own value.
    for (let p = 0; p < values.length && low < range; p++) {
      const end = Math.min(values[p] + 1, range);
      if (owners[p] >= 0 && end > low) shares[owners[p]] += (end - low) / range;
      low = Math.max(low, end);
    }
    return shares;
  }
}

/** All points as value * members + member: sorted by value, and by member where values tie. */
function sortedPoints(members: readonly Member[]): Float64Array {
  let totalWeight = 0;
  for (const member of members) totalWeight += member.weight;
  const counts = members.map((m) => pointCount(m.weight, totalWeight, members.length));
  const points = new Float64Array(counts.reduce((sum, n) => sum + n, 0));
  const words = new Uint32Array(POINTS_PER_DIGEST);
  const label = new Uint8Array(LONGEST_LABEL);
  let at = 0;
  for (let m = 0; m < members.length; m++) {
    const nameEnd = put(utf8(members[m].name), label, 0);
    for (let i = 0; i < counts[m] / POINTS_PER_DIGEST; i++) {
      md5Words(label, 0, put("-" + i, label, nameEnd), words);
      for (const word of words) points[at++] = word * members.length + m;
    }
  }
  return points.sort();
}

/** Writes as much of a byte string as fits at `at`; returns where it ends. */
function put(byteString: string, out: Uint8Array, at: number): number {
  const end = Math.min(out.length, at + byteString.length);
  for (let i = at; i < end; i++) out[i] = byteString.charCodeAt(i - at);
  return end;
}

function lookUpTable(bits: number, values: Uint32Array, owners: Int32Array): Int32Array {
  const table = new Int32Array(1 << bits);
  const width = 2 ** (32 - bits);
  let p = 0;
  for (let bucket = 0; bucket < table.length; bucket++) {
    const low = bucket * width;
    while (values[p] < low) p++;
    table[bucket] = values[p] >= low + width - 1 && owners[p] >= 0 ? owners[p] : ~p;
  }
  return table;
}
