// What gathering output costs: OutBuffer beside what comes to mind first, a new Uint8Array for
// every addition. A task fills one buffer and has a socket take it, as one turn of the event loop
// does. Run by a runner that makes the Bench; knows nothing of it but `add`.

import type { Bench } from "tinybench";
import type { Socket } from "../../core/host.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";

/** Takes everything at once, as a socket mostly does. */
const sink: Socket = {
  remote: "",
  copies: true,
  write: (_buf, start, end) => end - start,
  pause() {},
  resume() {},
  shutdown() {},
  close() {},
};

const ascii = new TextEncoder();

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

export const suite = (bench: Bench): void => {
  const pool = new BufferPool();
  const out = new OutBuffer(pool);
  const source = new Uint8Array(65536).fill(120);

  const spans = (label: string, count: number, bytes: number) => {
    bench.add(`append ${label}, ${count} spans`, () => {
      for (let i = 0; i < count; i++) out.append(source, i, i + bytes);
      out.flush(sink);
    });
    bench.add(`append ${label} (naive), ${count} spans`, () => {
      let all: Uint8Array = new Uint8Array(0);
      for (let i = 0; i < count; i++) all = join(all, source.subarray(i, i + bytes));
      sink.write(all, 0, all.length);
    });
  };
  spans("8 bytes", 256, 8);
  spans("40 bytes", 256, 40);
  spans("64 bytes", 256, 64);
  spans("65 bytes", 256, 65);
  spans("1 KB", 64, 1024);
  spans("16 KB", 16, 16384);

  const numbers = (label: string, first: number) => {
    bench.add(`int of ${label}, 256 numbers`, () => {
      for (let i = 0; i < 256; i++) out.int(first + i);
      out.flush(sink);
    });
    bench.add(`int of ${label} (naive), 256 numbers`, () => {
      let all: Uint8Array = new Uint8Array(0);
      for (let i = 0; i < 256; i++) all = join(all, ascii.encode(String(first + i)));
      sink.write(all, 0, all.length);
    });
  };
  numbers("1 to 3 digits", 0);
  numbers("9 digits", 100000000);
  numbers("13 digits", 1795433469000);

  bench.add("ascii of 5 characters, 256 texts", () => {
    for (let i = 0; i < 256; i++) out.ascii("+OK\r\n");
    out.flush(sink);
  });
  bench.add("ascii of 5 characters (naive), 256 texts", () => {
    let all: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < 256; i++) all = join(all, ascii.encode("+OK\r\n"));
    sink.write(all, 0, all.length);
  });
};
