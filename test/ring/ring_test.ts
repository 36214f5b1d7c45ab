// The rings against the placements of a real nutcracker (golden/vectors.json), ketama's look-up
// table against its definition, and rings with few members or none.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { HASH_NAMES, HASHES, hashKey, type HashName, hashRange } from "../../core/hash/mod.ts";
import { md5Words } from "../../core/hash/md5.ts";
import { pointCount } from "../../core/ring/ketama.ts";
import { buildRing, type Distribution, type Member } from "../../core/ring/mod.ts";
import { goldenKeys } from "../golden/keys.ts";
import { DIGITS, inRingOrder, type Placement, type Vectors } from "../golden/vectors.ts";
import json from "../golden/vectors.json" with { type: "json" };

const vectors: Vectors = json;

const never = (): number => {
  throw new Error("only the random distribution draws");
};

function members(weights: readonly number[]): Member[] {
  return weights.map((weight, index) => ({ name: `server${index}`, weight, index }));
}

/** Our picks for a placement's keys, as digits. `index` is the place in the full sorted list. */
function place({ hash, distribution, hashTag, servers, dead, picks }: Placement): string {
  const list = vectors.servers[servers];
  const order = inRingOrder(list);
  const live: Member[] = [];
  order.forEach((at, index) => {
    if (!dead.includes(at)) live.push({ name: list[at].name, weight: list[at].weight, index });
  });
  const ring = buildRing(distribution as Distribution, live, never);
  const open = hashTag === "" ? -1 : hashTag.charCodeAt(0);
  const ours = goldenKeys(picks.length).map((key) => {
    const h = hashKey(HASHES[hash as HashName], key, 0, key.length, open, hashTag.charCodeAt(1));
    return DIGITS[order[ring.pick(h)]];
  });
  return ours.join("");
}

/** Owner of `hash` by the definition: the first point not below it, or else the first of all. */
function naivePick(list: readonly Member[], hash: number): number {
  const total = list.reduce((sum, member) => sum + member.weight, 0);
  let lowest = Infinity;
  let owner = Infinity;
  let first = -1;
  let found = -1;
  const words = new Uint32Array(4);
  for (const { name, weight, index } of list) {
    for (let i = 0; i < pointCount(weight, total, list.length) / 4; i++) {
      const label = new TextEncoder().encode(`${name}-${i}`);
      md5Words(label, 0, label.length, words);
      for (const value of words) {
        if (value < lowest) [lowest, first] = [value, index];
        if (value >= hash && value < owner) [owner, found] = [value, index];
      }
    }
  }
  return found >= 0 ? found : first;
}

for (const placement of vectors.placements) {
  const { hash, distribution, servers, hashTag, dead } = placement;
  const without = dead.length > 0 ? ` without ${dead}` : "";
  const title = `${distribution} of ${hash} over ${servers}${without} ${hashTag}`.trim();
  test(`${title}: every golden key goes where nutcracker sends it`, () => {
    assert.is(place(placement), placement.picks);
  });
}

test("a member has 160 points per share of the weight, as float32 counts them", () => {
  assert.equal([1, 2, 3].map((weight) => pointCount(weight, 6, 3)), [80, 160, 240]);
  assert.is(pointCount(100000, 100001, 2), 316);
  assert.is(pointCount(1, 100001, 2), 0);
  const short = [25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122, 142, 159, 163, 188, 193];
  for (let n = 1; n < 200; n++) {
    assert.is(pointCount(1, n, n), short.includes(n) ? 156 : 160, `${n} equal servers`);
  }
});

test("ketama's look-up agrees with its definition, at and around the edges of buckets", () => {
  for (const list of [members([1]), members([1, 1]), members([3, 1, 7, 1, 1, 9, 2])]) {
    const ring = buildRing("ketama", list, never);
    const hashes = [0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
    for (let i = 1; i < 64; i++) hashes.push(i * 0x4000000 - 1, i * 0x4000000, i * 0x3f3f3f3);
    for (const hash of hashes) assert.is(ring.pick(hash), naivePick(list, hash), `${hash}`);
  }
});

test("a hash equal to a point belongs to that point", () => {
  const list = members([1, 1, 1]);
  const ring = buildRing("ketama", list, never);
  const words = new Uint32Array(4);
  const label = new TextEncoder().encode("server1-0");
  md5Words(label, 0, label.length, words);
  for (const value of words) assert.is(ring.pick(value), 1);
});

test("where two points have one value the member that comes first has it", () => {
  const twins = [{ name: "twin", weight: 1, index: 4 }, { name: "twin", weight: 1, index: 2 }];
  const ring = buildRing("ketama", twins, never);
  for (let i = 0; i < 100; i++) assert.is(ring.pick(i * 0x28f5c28), 4);
});

test("a ring of one member always picks it", () => {
  const one = [{ name: "a", weight: 3, index: 5 }];
  for (const distribution of ["ketama", "modula", "random"] as const) {
    const ring = buildRing(distribution, one, () => 0);
    for (const hash of [0, 1, 0x80000000, 0xffffffff]) assert.is(ring.pick(hash), 5, distribution);
  }
});

test("a ring without members picks -1", () => {
  for (const distribution of ["ketama", "modula", "random"] as const) {
    const ring = buildRing(distribution, [], never);
    for (const hash of [0, 1, 0x80000000, 0xffffffff]) assert.is(ring.pick(hash), -1, distribution);
  }
});

test("random draws among the members and heeds neither hash nor weight", () => {
  const drawn: number[] = [];
  const ring = buildRing("random", members([1, 9, 1]).slice(1), (n) => {
    drawn.push(n);
    return drawn.length % n;
  });
  assert.equal([1, 1, 1, 1].map((hash) => ring.pick(hash)), [2, 1, 2, 1]);
  assert.equal(drawn, [2, 2, 2, 2]);
});

test("a name of any length and any characters makes a ring", () => {
  const list = [
    { name: "x".repeat(1000), weight: 1, index: 0 },
    { name: "ключ", weight: 1, index: 1 },
    { name: "", weight: 1, index: 2 },
  ];
  const ring = buildRing("ketama", list, never);
  const seen = new Set<number>();
  for (let i = 0; i < 1000; i++) seen.add(ring.pick(i * 4294967));
  assert.equal([...seen].sort(), [0, 1, 2]);
});

test("a share is the part of all hashes that pick the server", () => {
  const range = 1 << 15;
  for (const distribution of ["ketama", "modula"] as const) {
    for (const weights of [[1], [1, 1, 1], [1, 5, 2], [1, 1, 1, 1, 30]]) {
      const list = members(weights).filter(({ index }) => index !== 2);
      const ring = buildRing(distribution, list, never);
      const counted = new Float64Array(weights.length);
      for (let hash = 0; hash < range; hash++) counted[ring.pick(hash)] += 1 / range;
      const shares = ring.shares(weights.length, range);
      for (const [i, share] of shares.entries()) {
        assert.ok(Math.abs(share - counted[i]) < 1e-9, `${distribution} ${weights}: ${i}`);
      }
    }
  }
});

test("shares of all hashes add up to 1 and come near what keys do", () => {
  for (const distribution of ["ketama", "modula", "random"] as const) {
    const list = members([1, 2, 3]);
    const ring = buildRing(distribution, list, (n) => Math.floor(Math.random() * n));
    const shares = ring.shares(3, 2 ** 32);
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9, distribution);
    const counted = new Float64Array(3);
    const tries = 1 << 16;
    for (let i = 0; i < tries; i++) counted[ring.pick(Math.imul(i, 0x9e3779b1) >>> 0)] += 1 / tries;
    for (let i = 0; i < 3; i++) {
      assert.ok(Math.abs(shares[i] - counted[i]) < 0.02, `${distribution} ${i}`);
    }
  }
});

test("a ring without members has no shares", () => {
  for (const distribution of ["ketama", "modula", "random"] as const) {
    assert.equal([...buildRing(distribution, [], never).shares(2, 2 ** 32)], [0, 0], distribution);
  }
});

test("every hash stays in its range", () => {
  for (const name of HASH_NAMES) {
    for (const key of goldenKeys(200)) {
      assert.ok(hashKey(HASHES[name], key, 0, key.length, -1, -1) < hashRange(name), name);
    }
  }
});

test.run();
