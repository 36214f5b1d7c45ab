// The samples behind the graphs: differences, percentiles of the last seconds, a bounded ring.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { History } from "../../adapters/admin/history.ts";
import { pool, server, snapshot } from "./fixture.ts";

const START = 1_800_000_000_000;

test("a sample is what came since the one before, a second", () => {
  const history = new History();
  history.add(snapshot([pool("p", [server("a", 100)])], START));
  assert.equal(history.since(0), { times: [], pools: [] }, "one snapshot is no difference");
  history.add(snapshot([pool("p", [server("a", 300)], { forward_error: 4 })], START + 2000));
  const { times, pools: [only] } = history.since(0);
  assert.equal(times, [START + 2000]);
  assert.equal(only.series.requests, [100]);
  assert.equal(only.series.errors, [2]);
  assert.equal(only.servers[0].series.requests, [100]);
  const [p50] = only.series.p50;
  assert.ok(p50 > 0.000512 && p50 <= 0.001024, `1 ms: ${p50}`);
});

test("only what is newer than asked for is told", () => {
  const history = new History();
  for (let i = 0; i < 5; i++) history.add(snapshot([pool("p", [server("a", i)])], START + i));
  assert.equal(history.since(START + 2).times, [START + 3, START + 4]);
  assert.equal(history.since(START + 9).pools[0].series.requests, []);
});

test("the oldest samples make room, and the order stays", () => {
  const history = new History();
  for (let i = 0; i <= 1000; i++) {
    history.add(snapshot([pool("p", [server("a", i * i)])], START + 1000 * i));
  }
  const { times, pools: [only] } = history.since(0);
  assert.is(times.length, 900);
  assert.is(times[0], START + 101_000);
  assert.is(times[899], START + 1_000_000);
  assert.is(only.series.requests[0], 101 * 101 - 100 * 100);
  assert.is(only.series.requests[899], 1000 * 1000 - 999 * 999);
});

test("percentiles are those of the last ten samples", () => {
  const history = new History();
  for (let i = 0; i <= 11; i++) {
    history.add(snapshot([pool("p", [server("a", i === 0 ? 0 : 1000)])], START + 1000 * i));
  }
  const { p99 } = history.since(0).pools[0].series;
  assert.ok(p99.slice(0, 10).every((value) => value > 0), String(p99));
  assert.is(p99[10], 0, "eleven seconds after the last request there is none");
});

test("counts that go back (a worker was replaced) are no growth", () => {
  const history = new History();
  history.add(snapshot([pool("p", [server("a", 100)], { forward_error: 9 })], START));
  history.add(snapshot([pool("p", [server("a", 40)])], START + 1000));
  const { series } = history.since(0).pools[0];
  assert.equal([series.requests, series.errors, series.p50], [[0], [0], [0]]);
});

test("pools and servers come and go", () => {
  const history = new History();
  history.add(snapshot([pool("p", [server("a", 1)])], START));
  history.add(snapshot([pool("p", [server("a", 2)])], START + 1000));
  history.add(snapshot([pool("p", [server("b", 7)]), pool("q", [server("a")])], START + 2000));
  const view = history.since(0);
  assert.equal(view.pools.map(({ name }) => name), ["p", "q"]);
  assert.equal(view.pools[0].servers.map(({ name }) => name), ["b"]);
  assert.equal(view.pools[0].servers[0].series.requests, [0, 0], "nothing to compare with yet");
  assert.is(view.pools[1].series.requests.length, 2);
});

test("a snapshot that is not newer is no sample", () => {
  const history = new History();
  history.add(snapshot([pool("p", [server("a", 1)])], START));
  history.add(snapshot([pool("p", [server("a", 2)])], START));
  history.add(snapshot([pool("p", [server("a", 2)])], START - 5));
  assert.equal(history.since(0).times, []);
});

test.run();
