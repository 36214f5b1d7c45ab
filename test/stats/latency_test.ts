// The histogram of latencies: every duration is in the bucket whose bounds hold it.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Latency, LATENCY_BOUNDS, mergeLatency, quantile } from "../../core/stats/latency.ts";

test("a duration is counted in the first bucket that is not below it", () => {
  const edges = LATENCY_BOUNDS.flatMap((bound) => [bound * 0.999, bound, bound * 1.001]);
  for (const seconds of [0, 1e-9, ...edges, 1000]) {
    const latency = new Latency();
    latency.record(seconds * 1000, 1);
    const expected = LATENCY_BOUNDS.findIndex((bound) => seconds <= bound * (1 + 1e-12));
    const found = [...latency.counts].findIndex((n) => n === 1);
    assert.is(found, expected < 0 ? LATENCY_BOUNDS.length : expected, `${seconds} s`);
  }
});

test("a quantile lies between the bounds of its bucket", () => {
  const latency = new Latency();
  latency.record(0.1, 99); // 64 to 128 us
  latency.record(10, 1); // 8.192 to 16.384 ms
  const counts = [...latency.counts];
  assert.ok(quantile(counts, 0.5) > 64e-6 && quantile(counts, 0.5) <= 128e-6);
  assert.ok(quantile(counts, 0.999) > 8.192e-3 && quantile(counts, 0.999) <= 16.384e-3);
  assert.is(quantile(counts.map(() => 0), 0.5), 0);
});

test("histograms of several workers add up", () => {
  const [a, b] = [new Latency(), new Latency()];
  a.record(1, 2);
  b.record(1, 3);
  b.record(100, 1);
  const [sum] = mergeLatency([a.snapshot(0)], [b.snapshot(0)]);
  assert.is(sum.counts.reduce((total, n) => total + n), 6);
  assert.ok(Math.abs(sum.sum - 0.105) < 1e-9);
});

test.run();
