// The slots of keys, as CLUSTER KEYSLOT of Redis 7.0.15 gives them; whose a slot is.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { crc16 } from "../../core/hash/crc.ts";
import { slotOf } from "../../core/route/slots.ts";
import type { Server } from "../../core/server/server.ts";
import { type Node, SlotMap, SLOTS } from "../../core/topology/slot_map.ts";
import { seeded } from "../fuzz/streams.ts";

const GOLDEN: [string, number][] = [
  ["", 0],
  ["a", 15495],
  ["foo", 12182],
  ["123456789", 12739],
  ["{user1000}.following", 3443],
  ["foo{}{bar}", 8363],
  ["foo{{bar}}zap", 4015],
  ["foo{bar}{zap}", 5061],
  ["{}", 15257],
  ["{}x", 10595],
  ["a{b", 13340],
  ["a}b{c}d", 7365],
  ["{a}{b}", 15495],
  ["a{b}", 3300],
  ["{{}", 4092],
  ["}{x}", 16287],
  ["key:1000", 15018],
  ["tag{}", 7812],
];

test("keys belong to the slots that Redis says", () => {
  for (const [key, slot] of GOLDEN) {
    assert.is(slotOf(bytes(`xx${key}}y`), 2, 2 + key.length), slot, JSON.stringify(key));
  }
});

test("four bytes at a time, keys of any length and braces have the slot they have byte by byte", () => {
  // As the specification says it.
  const slowly = (key: Uint8Array): number => {
    const open = key.indexOf(123);
    const close = open < 0 ? -1 : key.indexOf(125, open);
    const [from, to] = close > open + 1 ? [open + 1, close] : [0, key.length];
    return crc16(key, from, to) & (SLOTS - 1);
  };
  const some = seeded(7);
  for (let i = 0; i < 20000; i++) {
    const key = Uint8Array.from(
      { length: some(24) },
      () => [123, 125, some(256), some(256)][some(4)],
    );
    if (i % 2 === 0) { for (let j = 0; j < key.length; j++) key[j] &= 0xfb; // hardly a brace
     }
    const buf = new Uint8Array(key.length + 6).fill(123);
    buf.set(key, 3);
    assert.is(slotOf(buf, 3, 3 + key.length), slowly(key), String(key));
  }
});

function node(id: string): Node {
  return { id, server: {} as Server, missing: 0, failed: false };
}

test("a claim needs a higher epoch than the owner's", () => {
  const map = new SlotMap();
  const [a, b] = [map.add(node("a")), map.add(node("b"))];
  assert.ok(map.claim(5, a, 3));
  assert.not.ok(map.claim(5, b, 3));
  assert.not.ok(map.claim(5, b, 2));
  assert.is(map.owners[5], a);
  assert.ok(map.claim(5, b, 4));
  assert.is(map.owners[5], b);
});

test("what MOVED says stays until a higher claim comes", () => {
  const map = new SlotMap();
  const [a, b] = [map.add(node("a")), map.add(node("b"))];
  map.claim(5, a, 3);
  map.patch(5, b);
  assert.not.ok(map.claim(5, a, 3), "an old view undoes nothing");
  assert.is(map.owners[5], b);
  assert.ok(map.claim(5, a, 4));
  assert.is(map.owners[5], a);
});

test("every change of an owner is a new epoch of its slot, and of no other", () => {
  const map = new SlotMap();
  const a = map.add(node("a"));
  for (let slot = 0; slot < SLOTS; slot++) map.claim(slot, a, 1);
  const { epoch } = map;
  map.claim(7, a, 2);
  assert.is(map.epoch, epoch, "the same owner");
  map.patch(7, map.add(node("b")));
  assert.is(map.epoch, epoch + 1);
  assert.is(map.epochs[7], epoch + 1);
  assert.ok(map.epochs[8] <= epoch);
});

test("what a node had that is gone is nobody's, and anybody may claim it", () => {
  const map = new SlotMap();
  const [a, b] = [map.add(node("a")), map.add(node("b"))];
  map.claim(5, a, 9);
  map.remove(a);
  assert.is(map.owner(5), null);
  assert.ok(map.claim(5, b, 1));
  assert.is(map.add(node("c")), a, "its number is given anew");
});

test.run();
