// What is told of servers that are followed: failovers with their time, and why the map was looked at.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Chronicle } from "../../core/topology/chronicle.ts";
import { ClusterSight, type SeenNode } from "../../core/topology/cluster_sight.ts";

/** A chronicle whose clock the test moves. */
function begin() {
  const clock = { time: 1000 };
  const lines: string[] = [];
  const none = () => {};
  const log = { error: none, warn: none, info: none, debug: none };
  const counters = { failovers: 0, failover_time: 0 };
  const chronicle = new Chronicle({
    name: "p",
    host: { now: () => clock.time, wallClock: () => 1_800_000_000_000 + clock.time },
    log: { ...log, notice: (text) => lines.push(text) },
    counters,
  });
  return { clock, lines, counters, chronicle, sight: new ClusterSight(chronicle) };
}

function node(name: string, of: string, epoch: number, slots: number[] = []): SeenNode {
  const primary = of === "";
  const rest = { failed: false, epoch, slots, arriving: [] };
  const address = { host: name, port: 1, path: "", mode: -1 };
  return {
    id: `id-${name}`,
    name,
    address,
    host: name,
    hostname: "",
    port: 1,
    primary,
    of,
    ...rest,
  };
}

test("a failover is told with the time since the first trouble", () => {
  const { clock, lines, counters, chronicle, sight } = begin();
  sight.saw([node("a", "", 1, [0, 99]), node("b", "id-a", 1)]);
  chronicle.trouble("a");
  clock.time += 700;
  chronicle.trouble("a");
  clock.time += 1800;
  sight.saw([node("a", "id-b", 2), node("b", "", 2, [0, 98, 200, 200])]);
  assert.equal(chronicle.failovers, [
    { at: 1_800_000_003_500, from: "a", to: "b", what: "100 slots", ms: 2500 },
  ]);
  assert.equal(counters, { failovers: 1, failover_time: 2_500_000 });
  assert.equal(lines, [
    'pool "p": failover: b has taken over 100 slots from a, 2500 ms after the first trouble',
  ]);
});

test("one by hand had no trouble before it; a server that is well again has none either", () => {
  const { chronicle, sight } = begin();
  sight.saw([node("a", "", 1, [0, 9]), node("b", "id-a", 1)]);
  chronicle.trouble("a");
  chronicle.calm("a");
  sight.saw([node("a", "id-b", 2), node("b", "", 2, [0, 0])]);
  assert.is(chronicle.failovers[0].ms, 0);
  assert.is(chronicle.failovers[0].what, "1 slot");
});

test("views that lag behind tell no failover twice, and slots that move are none", () => {
  const { chronicle, sight } = begin();
  const before = [node("a", "", 1, [0, 9]), node("b", "id-a", 1), node("c", "", 3, [10, 19])];
  const after = [node("a", "id-b", 4), node("b", "", 4, [0, 9]), node("c", "", 3, [10, 19])];
  for (const view of [before, after, before, after]) sight.saw(view);
  assert.is(chronicle.failovers.length, 1);
  sight.saw([node("a", "id-b", 4), node("b", "", 4, [5, 9]), node("c", "", 5, [0, 4, 10, 19])]);
  assert.is(chronicle.failovers.length, 1);
  assert.is(sight.epoch, 5);
  // Back again: another one.
  sight.saw([node("a", "", 6, [5, 9]), node("b", "id-a", 6), node("c", "", 5, [0, 4, 10, 19])]);
  assert.equal(chronicle.failovers.map(({ from, to }) => [from, to]), [["b", "a"], ["a", "b"]]);
});

test("trouble may be told under another name than the server that has it", () => {
  const { clock, chronicle } = begin();
  chronicle.trouble("shard1");
  clock.time += 300;
  chronicle.failover("a:1", "b:2", 'shard "shard1"', "shard1");
  const [{ from, to, ms }] = chronicle.failovers;
  assert.equal([from, to, ms], ["a:1", "b:2", 300]);
});

test("only so many are remembered", () => {
  const { chronicle, counters } = begin();
  for (let i = 0; i < 40; i++) chronicle.failover("a", `b${i}`, "1 slot");
  assert.is(counters.failovers, 40);
  assert.is(chronicle.failovers.length, 16);
  assert.is(chronicle.failovers[0].to, "b39");
});

test("the last look says when, why and who; a question in vain does not undo it", () => {
  const { chronicle } = begin();
  assert.equal(chronicle.look, { at: 0, why: "", from: "", error: "" });
  chronicle.asks("MOVED");
  chronicle.told("a:1");
  const told = { at: 1_800_000_001_000, why: "MOVED", from: "a:1" };
  assert.equal(chronicle.look, { ...told, error: "" });
  chronicle.asks("start");
  chronicle.inVain("b:2", "Connection refused");
  assert.equal(chronicle.look, { ...told, error: "b:2: Connection refused" });
});

test.run();
