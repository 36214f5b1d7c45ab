// The sketch of hot keys beside exact counts, and the sample it is fed with.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { COUNTERS, EVERY, HALF_LIFE, HotKeys, LONGEST } from "../../core/stats/hot_keys.ts";
import { mergeHot } from "../../core/hot_view.ts";
import { random } from "../e2e/harness/bytes.ts";
import { seeds } from "../fake/rounds.ts";

const PADDING = bytes("..");

/** Notes a key that stands somewhere in a buffer. */
function note(hot: HotKeys, key: string, size = 1): number {
  const buf = new Uint8Array([...PADDING, ...bytes(key), ...PADDING]);
  return hot.note(buf, 2, 2 + key.length, size);
}

/** Keys by Zipf's law, `k0` the most frequent one. */
function zipf(seed: number, keys: number, exponent: number): () => string {
  const below = random(seed);
  const sums: number[] = [];
  for (let i = 0, sum = 0; i < keys; i++) sums.push(sum += 1 / (i + 1) ** exponent);
  return () => {
    const at = below(2 ** 31) / 2 ** 31 * sums[keys - 1];
    let [low, high] = [0, keys - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < at) low = middle + 1;
      else high = middle;
    }
    return `k${low}`;
  };
}

test("on Zipf streams the hottest keys are found, and no count is too high", () => {
  for (const seed of seeds(1, 3)) {
    for (const exponent of [0.9, 1, 1.3]) {
      const next = zipf(seed, 20_000, exponent);
      const hot = new HotKeys(seed, 0, 1);
      const exact = new Map<string, number>();
      const n = 40_000;
      for (let i = 0; i < n; i++) {
        const key = next();
        exact.set(key, (exact.get(key) ?? 0) + 1);
        note(hot, key);
      }
      const top = hot.top(32);
      assert.is(top.length, 32);
      for (const { key, share } of top) {
        const count = share * n;
        const real = exact.get(key) as number;
        assert.ok(count <= real + 1e-6, `${key}: ${count} of ${real}`);
        assert.ok(count >= real - n / COUNTERS - 1e-6, `${key}: ${count} of ${real}`);
      }
      // Whatever has more than n / COUNTERS is certainly among those that are counted.
      const all = new Set(hot.top(COUNTERS).map(({ key }) => key));
      for (const [key, count] of exact) {
        if (count > 2 * n / COUNTERS) assert.ok(all.has(key), `${key} with ${count}`);
      }
    }
  }
});

test("keys that are asked for alike are not hot", () => {
  const hot = new HotKeys(1, 0, 1);
  for (let i = 0; i < 50_000; i++) note(hot, `k${i % 5000}`);
  assert.is(hot.countAbove(0.01), 0);
  for (const { share } of hot.top(32)) assert.ok(share < 0.001, String(share));
});

test("one of 64 requests is looked at, whatever the pattern of pipelines", () => {
  const hot = new HotKeys(7, 0);
  const requests = 400_000;
  // Pipelines of these lengths, over and over: each place in them is as likely as any other.
  for (const length of [1, 16, 63, 64, 65, 128]) {
    const places = new Float64Array(length);
    let at = 0;
    let taken = 0;
    while ((at += hot.gap()) <= requests) {
      places[(at - 1) % length]++;
      taken++;
    }
    const expected = requests / EVERY;
    assert.ok(Math.abs(taken - expected) < 5 * Math.sqrt(expected), `${taken} of ${requests}`);
    const each = expected / length;
    for (const [place, count] of places.entries()) {
      assert.ok(
        Math.abs(count - each) < 6 * Math.sqrt(each) + 1,
        `pipelines of ${length}: place ${place} was taken ${count} times, not ${each}`,
      );
    }
  }
});

test("however many requests there are, the sample is of some 1000 keys a second, and right", () => {
  const hot = new HotKeys(5, 0);
  const below = random(11);
  const keys = Array.from({ length: 1000 }, (_, i) => bytes(i < 300 ? "hot" : `k${i}`));
  // Clients, each with the gap before its next request of the sample.
  const clients = Array.from({ length: 50 }, () => ({ left: hot.gap(), unit: hot.unit }));
  let now = 0;
  let samples = 0;
  const second = (requests: number): void => {
    samples = 0;
    for (const client of clients) {
      let left = requests / clients.length;
      while (client.left <= left) {
        left -= client.left;
        const { unit } = client;
        client.left = hot.gap();
        client.unit = hot.unit;
        const key = keys[below(1000)];
        hot.note(key, 0, key.length, 1, unit);
        samples++;
      }
      client.left -= left;
    }
    hot.tick(now += 1000);
  };
  for (const requests of [6_000, 300_000, 100_000]) {
    for (let i = 0; i < 6 * HALF_LIFE; i++) {
      second(requests);
      if (i > 10) assert.ok(samples < 1300, `${samples} of ${requests}`);
    }
    const [first] = hot.top(1);
    assert.ok(Math.abs(hot.rate / requests - 1) < 0.1, `${hot.rate} instead of ${requests}`);
    assert.is(first.key, "hot");
    assert.ok(Math.abs(first.share - 0.3) < 0.06, String(first.share));
  }
});

test("rates are those of now: what is no longer asked for fades", () => {
  const hot = new HotKeys(3, 0, 1);
  let now = 0;
  const second = (key: string, times: number): void => {
    for (let i = 0; i < times; i++) note(hot, key, 100);
    hot.tick(now += 1000);
  };
  for (let i = 0; i < 10; i++) second("old", 50);
  const [early] = hot.top(1);
  assert.ok(Math.abs(early.rate - 50) < 5, `after a few seconds: ${early.rate}`);
  for (let i = 0; i < 200; i++) second("old", 50);
  const [late] = hot.top(1);
  assert.ok(Math.abs(late.rate - 50) < 2, String(late.rate));
  assert.ok(Math.abs(late.bytes - 5000) < 200, String(late.bytes));
  for (let i = 0; i < HALF_LIFE; i++) second("new", 50);
  const shares = new Map(hot.top(2).map(({ key, share }) => [key, share]));
  assert.ok(Math.abs(shares.get("old") as number - 0.5) < 0.03);
  assert.ok(Math.abs(shares.get("new") as number - 0.5) < 0.03);
  for (let i = 0; i < 40; i++) hot.tick(now += 60_000);
  assert.equal(hot.top(32), []);
});

test("keys of any bytes and any length are kept apart, and replies go to the right one", () => {
  const hot = new HotKeys(1, 0, 1);
  const long = "x".repeat(LONGEST);
  const keys = ["", "\0", "\xff\xfe", long, `${long}a`, `${long}ab`, "a", "b"];
  for (const [i, key] of keys.entries()) for (let n = 0; n <= i; n++) note(hot, key, 0);
  const top = hot.top(32);
  assert.is(top.length, keys.length);
  assert.equal(top.filter(({ cut }) => cut).map(({ key }) => key), [long, long]);
  const serial = note(hot, "b", 0);
  hot.replied(serial, 500);
  assert.ok(hot.top(1)[0].bytes > 0);
  // Once its counter is another key's, a reply is nobody's.
  for (let i = 0; i < 20 * COUNTERS; i++) note(hot, `other${i}`, 0);
  hot.replied(serial, 1e9);
  assert.ok(hot.top(COUNTERS).every(({ bytes }) => bytes < 1e9));
});

test("what workers have seen is added up", () => {
  const view = (rate: number, key: string, of: number) => ({
    ...{ pool: "p", rate, limit: 10 },
    hot: [{ key, rate: of, share: of / rate, bytes: 2 * of, server: "a" }],
    big: [
      { key, command: "set", way: "request", bytes: of, count: 1, at: of } as const,
    ],
  });
  const [one] = mergeHot([[view(100, "k", 40)], [view(300, "k", 60)], [view(100, "j", 70)]]);
  assert.is(one.rate, 500);
  assert.equal(one.hot, [
    { key: "k", rate: 100, share: 0.2, bytes: 200, server: "a" },
    { key: "j", rate: 70, share: 0.14, bytes: 140, server: "a" },
  ]);
  assert.equal(one.big.map(({ key, bytes, count, at }) => [key, bytes, count, at]), [
    ["j", 70, 1, 70],
    ["k", 60, 2, 60],
  ]);
});

test.run();
