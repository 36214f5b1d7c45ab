// The lanes of a pool: how many there are at most, which make room, and which are closed when idle.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Lanes, NO_LANE } from "../../core/server/lanes.ts";
import { shareOf, Shares } from "../../core/server/shares.ts";

function start(): { lanes: Lanes<string>; closed: number[]; enter: (key: string) => number } {
  const closed: number[] = [];
  const lanes = new Lanes<string>((lane) => closed.push(lane));
  return { lanes, closed, enter: (key) => lanes.enter(key, () => key.toUpperCase(), 3) };
}

test("clients of one kind share a lane, and keep what belongs to it", () => {
  const { lanes, enter } = start();
  assert.equal([enter("a"), enter("b"), enter("a")], [0, 1, 0]);
  assert.equal([lanes.of(0), lanes.of(1), lanes.size], ["A", "B", 2]);
});

test("beyond the bound there is no lane while all are in use", () => {
  const { lanes, closed, enter } = start();
  for (const key of ["a", "b", "c"]) enter(key);
  assert.is(enter("d"), NO_LANE);
  assert.is(enter("a"), 0);
  lanes.leave(0, 5);
  assert.is(enter("d"), NO_LANE, "another client is still there");
  assert.equal(closed, []);
});

test("the lane that has been idle longest makes room, and its number is used again", () => {
  const { lanes, closed, enter } = start();
  for (const key of ["a", "b", "c"]) enter(key);
  lanes.leave(2, 10);
  lanes.leave(1, 20);
  assert.is(enter("d"), 2);
  assert.equal([closed, lanes.of(2), lanes.size], [[2], "D", 3]);
  assert.is(enter("c"), 1);
  assert.equal(closed, [2, 1]);
  assert.is(enter("b"), NO_LANE);
});

test("a lane is closed when it has been idle long enough, not before, and not one in use", () => {
  const { lanes, closed, enter } = start();
  enter("a");
  enter("b");
  lanes.leave(1, 100);
  lanes.tick(159, 60);
  assert.equal(closed, []);
  assert.is(enter("b"), 1);
  lanes.tick(500, 60);
  lanes.leave(1, 500);
  lanes.tick(560, 60);
  lanes.tick(1000, 60);
  assert.equal([closed, lanes.size], [[1], 1]);
  lanes.leave(0, 1000);
  lanes.tick(9000, Infinity); // 0 in the configuration: never
  assert.is(lanes.size, 1);
});

test("one client that goes through many kinds leaves no more than the bound", () => {
  const { lanes, closed, enter } = start();
  let lane = enter("0");
  for (let i = 1; i < 200; i++) {
    const next = enter(String(i));
    assert.ok(next >= 0 && next < 3);
    lanes.leave(lane, i);
    lane = next;
    assert.is(lanes.of(lane), String(i));
  }
  assert.is(lanes.size, 3);
  assert.is(closed.length, 197);
});

test("random coming and going: a lane in use is never closed, and there are never too many", () => {
  let seed = 7;
  const random = (n: number) => {
    seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
    return (seed >>> 16) % n; // the low bits are hardly random
  };
  const inUse: { key: string; lane: number }[] = [];
  const lanes = new Lanes<string>((lane) => {
    assert.not.ok(inUse.some((one) => one.lane === lane), `lane ${lane} is in use`);
  });
  let refused = 0;
  for (let now = 0; now < 5000; now++) {
    if (random(2) === 0 && inUse.length > 0) {
      lanes.leave(inUse.splice(random(inUse.length), 1)[0].lane, now);
    } else {
      const key = `k${random(9)}`;
      const lane = lanes.enter(key, () => key, 4);
      if (lane !== NO_LANE) inUse.push({ key, lane });
      else refused++;
    }
    if (random(10) === 0) lanes.tick(now, 20);
    assert.ok(lanes.size <= 4);
    for (const { key, lane } of inUse) assert.is(lanes.of(lane), key);
  }
  assert.ok(refused > 0);
});

test("one user cannot have more than his share, and what he gives back he may take again", () => {
  const shares = new Shares();
  assert.equal(["a", "a", "a", "b"].map((user) => shares.take(user, 2)), [true, true, false, true]);
  shares.give("a");
  assert.equal([shares.take("a", 2), shares.take("a", 2)], [true, false]);
  assert.equal([shareOf(64, 50), shareOf(3, 50), shareOf(1, 1), shareOf(0, 50)], [32, 1, 1, 1]);
});

test.run();
