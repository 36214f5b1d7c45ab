// The parsers under streams that nobody would send, for about a second each; longer with
// `npm run fuzz`. What must hold is in invariants.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { DONE, FORWARD, MORE, type Scan } from "../../core/protocol/codec.ts";
import type { Codec } from "../../core/protocol/codec.ts";
import { attempt, fromHex, fuzz, type Target, TARGETS } from "./fuzz.ts";
import { requestReader } from "./invariants.ts";

const SEED = 1;
const MILLISECONDS = 900;

for (const target of TARGETS) {
  test(`fuzz: ${target.name}`, () => {
    const { kept, failure } = fuzz(target, SEED, MILLISECONDS, 100);
    assert.is(failure, null, failure === null ? "" : JSON.stringify(failure, null, 1));
    assert.ok(kept > 10, `only ${kept} kinds of streams`);
  });
}

/** Inputs by which the fuzzer has found faults, and of which target. */
const FOUND: readonly [string, string][] = [
  // "$5\r*0..": the line of a length has to end in CRLF, however the reply is cut.
  ["redis-replies", "24350d2a300d0a24370d0a"],
  ["redis-replies", "2a310d2a24310d0a610d0a"],
  ["redis-replies", "2a0d0a2b4f4b0d0a"],
  ["redis-replies", "2a310d0a242d31580a2b0d0a"],
];

for (const [name, hex] of FOUND) {
  test(`${name} ${hex} breaks no rule any more`, () => {
    const target = TARGETS.find((one) => one.name === name) as Target;
    for (let cuts = 0; cuts < 50; cuts++) {
      assert.is(attempt(target, fromHex(hex), cuts).why, "");
    }
  });
}

/** A codec of lines whose parser is as `parse` says: to prove that the fuzzer finds faults. */
function faulty(
  parse: (scan: Scan, buf: Uint8Array, start: number, end: number) => number,
): Target {
  const codec = { parseRequest: parse } as unknown as Codec;
  return { ...TARGETS[2], name: "faulty", reader: requestReader(codec) };
}

function lines(scan: Scan, buf: Uint8Array, start: number, end: number, readTo: number): number {
  for (let i = start; i < readTo; i++) {
    if (buf[i] !== 10) continue;
    scan.action = FORWARD;
    scan.keyStart = scan.keyEnd = 0;
    scan.length = i + 1 - start;
    return DONE;
  }
  return readTo < end || end === start ? DONE : MORE;
}

test("the fuzzer finds a parser that reads beyond the end", () => {
  const good = faulty((scan, buf, start, end) => lines(scan, buf, start, end, end));
  assert.is(fuzz(good, SEED, 0, 100).failure, null);
  const bad = faulty((scan, buf, start, end) => lines(scan, buf, start, end, end + 1));
  assert.match(fuzz(bad, SEED, 0, 2000).failure?.why ?? "", /around|not given/);
});

test("the fuzzer finds a parser that throws, and gives the input that does it", () => {
  const bad = faulty((scan, buf, start, end) => {
    if (buf[start] === 0x20) throw new Error("oh");
    return lines(scan, buf, start, end, end);
  });
  const failure = fuzz(bad, SEED, 0, 2000).failure;
  assert.is(failure?.why, "Error: oh");
  assert.is(failure?.hex, "20");
  assert.is(attempt(bad, fromHex("20"), 0).why, "Error: oh");
});

test("the fuzzer finds a parser for which cuts matter", () => {
  const bad = faulty((scan, buf, start, end) => {
    const result = lines(scan, buf, start, end, end);
    if (result !== MORE || end - start < 5) return result;
    scan.length = end - start; // a long line is not waited for
    scan.action = FORWARD;
    scan.keyStart = scan.keyEnd = 0;
    return DONE;
  });
  assert.match(fuzz(bad, SEED, 0, 2000).failure?.why ?? "", /cut into|one request/);
});

test.run();
