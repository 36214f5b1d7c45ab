// The copying of spans, by each of its ways: byte by byte, by words where both buffers have a view,
// by the engine.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { copy, viewed } from "../../core/bytes.ts";

const SIZE = 1024;
const MARK = 0xee;

/** A buffer of SIZE bytes that begins within a larger one, as Node's small ones do. */
const within = (offset: number): Uint8Array =>
  new Uint8Array(SIZE + 16).subarray(offset, offset + SIZE);
const MAKERS: [string, () => Uint8Array][] = [
  ["without a view", () => new Uint8Array(SIZE)],
  ["with a view", () => viewed(new Uint8Array(SIZE))],
  ["with a view, within a larger one", () => viewed(within(3))],
];

for (const [from, makeSource] of MAKERS) {
  for (const [to, makeTarget] of MAKERS) {
    test(`every length at every alignment: ${from} to ${to}`, () => {
      const source = makeSource();
      for (let i = 0; i < SIZE; i++) source[i] = (i * 7 + (i >> 8)) & 0x7f;
      const target = makeTarget();
      const lengths = [...Array(40).keys(), 63, 64, 65, 127, 191, 192, 193, 255, 256, 257, 500];
      for (const n of lengths) {
        for (let start = 0; start < 5; start++) {
          for (let at = 1; at < 6; at++) {
            target.fill(MARK);
            copy(source, start, start + n, target, at);
            const expected = new Uint8Array(SIZE).fill(MARK);
            expected.set(source.slice(start, start + n), at);
            if (target.some((byte, i) => byte !== expected[i])) {
              assert.unreachable(`${n} bytes from ${start} to ${at}`);
            }
          }
        }
      }
    });
  }
}

test("the ends of the buffers are reached, and not passed", () => {
  const source = viewed(new Uint8Array(100).fill(1));
  const target = viewed(new Uint8Array(100));
  copy(source, 90, 100, target, 90);
  assert.equal([...target.subarray(88)], [0, 0, ...Array(10).fill(1)]);
  copy(source, 0, 100, target, 0);
  assert.ok(target.every((byte) => byte === 1));
});

test.run();
