// What would move, told from a sample: is it near to what there is, and is the error that is told right?

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Estimate, estimateOf, Part } from "../../core/exchange/estimate.ts";
import { random } from "../e2e/harness/bytes.ts";
import { seeds } from "../fake/rounds.ts";

interface Key {
  bytes: number;
  to: string;
}

/** Keys of which a third go to c and a tenth to d. */
function population(n: number, below: (n: number) => number): Key[] {
  return Array.from({ length: n }, () => {
    const dice = below(30);
    return { bytes: 50 + below(5000), to: dice < 10 ? "c" : dice < 13 ? "d" : "" };
  });
}

function sampled(keys: Key[], n: number, below: (n: number) => number): Estimate {
  const part = new Part("a", keys.length);
  const left = [...keys];
  for (let i = 0; i < n; i++) {
    const [{ bytes, to }] = left.splice(below(left.length), 1);
    part.add(bytes, to);
  }
  return estimateOf([part], [], 1);
}

function real(keys: Key[], to: string): { keys: number; bytes: number } {
  const those = keys.filter((key) => key.to === to);
  return { keys: those.length, bytes: those.reduce((sum, { bytes }) => sum + bytes, 0) };
}

test("what is told is within its error of what there is, nearly always", () => {
  const within = { keys: 0, bytes: 0, of: 0 };
  for (const seed of seeds(1, 150)) {
    const below = random(seed);
    const keys = population(3000, below);
    for (const { to, ...flow } of sampled(keys, 600, below).flows) {
      const truth = real(keys, to);
      within.of++;
      if (Math.abs(flow.keys - truth.keys) <= flow.keysError) within.keys++;
      if (Math.abs(flow.bytes - truth.bytes) <= flow.bytesError) within.bytes++;
      assert.ok(flow.keysError < 0.2 * keys.length, `${flow.keysError}`);
    }
  }
  // 95 % are to be.
  assert.ok(within.keys > 0.92 * within.of, JSON.stringify(within));
  assert.ok(within.bytes > 0.92 * within.of, JSON.stringify(within));
});

test("of what was seen whole there is no error", () => {
  const below = random(7);
  const keys = population(500, below);
  const { flows, servers } = sampled(keys, 500, below);
  assert.equal(
    flows,
    ["c", "d"].map((to) => ({ from: "a", to, ...real(keys, to), keysError: 0, bytesError: 0 })),
  );
  const bytes = keys.reduce((sum, key) => sum + key.bytes, 0);
  assert.equal(servers, [{ server: "a", keys: 500, bytes, bytesError: 0, sampled: 500 }]);
});

test("servers and databases are added up, the largest keys come first, nothing is nothing", () => {
  const one = new Part("a", 10);
  const two = new Part("a", 1000);
  const three = new Part("b", 0);
  for (let i = 0; i < 10; i++) one.add(100, "b");
  one.isWhole();
  for (let i = 0; i < 100; i++) two.add(10, i < 50 ? "b" : "");
  const bigs = Array.from({ length: 30 }, (_, i) => ({ server: "a", key: `k${i}`, bytes: i }));
  const { flows, servers, bigs: told } = estimateOf([one, two, three], bigs, 1);
  assert.is(flows.length, 1);
  assert.is(flows[0].keys, 510);
  assert.is(flows[0].bytes, 1000 + 5000);
  assert.ok(flows[0].keysError > 50 && flows[0].keysError < 150, `${flows[0].keysError}`);
  assert.equal(servers.map(({ keys, sampled }) => [keys, sampled]), [[1010, 110], [0, 0]]);
  assert.is(told.length, 20);
  assert.is(told[0].key, "k29");
});

test.run();
