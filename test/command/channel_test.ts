// What a worker says to its supervisor, when that does not read.

import { PassThrough, Writable } from "node:stream";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { lineChannel, Peer } from "../../adapters/workers/channel.ts";

test("log lines that a supervisor does not read are bounded, dropped, counted and told", () => {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  // Holds every write back until it is let go.
  const pipe = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      taken.push(String(chunk));
      waiting.push(done);
    },
  });
  const peer = new Peer(lineChannel(new PassThrough(), pipe), { closed() {} });
  const lines = 10_000;
  for (let i = 0; i < lines; i++) {
    peer.log("warn", `line ${i} ${"x".repeat(100)}`, { pool: "cache" });
  }
  assert.ok(pipe.writableLength < 256 * 1024, `${pipe.writableLength} bytes wait`);
  return new Promise<void>((resolve, reject) => {
    const turn = (): void => {
      const done = waiting.shift();
      if (done !== undefined) {
        done();
        return void setImmediate(turn);
      }
      try {
        const sent = taken.map((one) => JSON.parse(one) as { text: string });
        const told = sent.filter(({ text }) => text.startsWith("log: "));
        assert.is(told.length, 1);
        const dropped = Number(/\d+/.exec(told[0].text)?.[0]);
        assert.is(sent.length - 1 + dropped, lines);
        resolve();
      } catch (error) {
        reject(error);
      }
    };
    setImmediate(turn);
  });
});

test.run();
