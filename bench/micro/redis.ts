// What the Redis codec costs: requests, replies, and an MGET of 10 and of 100 keys over four
// servers, beside the way that comes to mind first, lines decoded and arguments cut out. A task
// works through one read of pipelined commands. Run by a runner that makes the Bench; knows
// nothing of it but `add`.

import type { Bench } from "tinybench";
import type { Socket } from "../../core/host.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import { DONE, type Facts, type Part, ReplyScan, Scan } from "../../core/protocol/codec.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";

const PIPELINE = 64;
const SERVERS = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const sink: Socket = {
  remote: "",
  copies: false,
  write: (_buf, start, end) => end - start,
  pause() {},
  resume() {},
  shutdown() {},
  close() {},
};

const key = (i: number): string => `user:${100000 + i}:profile`;
const value = "v".repeat(32);
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const array = (...words: string[]): string => `*${words.length}\r\n${words.map(bulk).join("")}`;

const pipeline = (one: (i: number) => string): Uint8Array =>
  encoder.encode(Array.from({ length: PIPELINE }, (_, i) => one(i)).join(""));

type Value = string | number | null | Uint8Array | Value[];

/** The element at `pos` as JavaScript values, and where it ends. */
function readNaively(buf: Uint8Array, pos: number): { value: Value; end: number } {
  const lf = buf.indexOf(10, pos);
  const line = decoder.decode(buf.subarray(pos + 1, lf - 1));
  switch (buf[pos]) {
    case 36: { // $
      const size = parseInt(line, 10);
      if (size < 0) return { value: null, end: lf + 1 };
      return { value: buf.slice(lf + 1, lf + 1 + size), end: lf + 3 + size };
    }
    case 42: { // *
      const values: Value[] = [];
      let end = lf + 1;
      for (let i = parseInt(line, 10); i > 0; i--) {
        const item = readNaively(buf, end);
        values.push(item.value);
        end = item.end;
      }
      return { value: values, end };
    }
    case 58: // :
      return { value: parseInt(line, 10), end: lf + 1 };
    default:
      return { value: line, end: lf + 1 };
  }
}

/** An array of bulk strings, joined from pieces. */
function writeNaively(words: readonly (string | Uint8Array)[]): Uint8Array {
  const pieces: Uint8Array[] = [encoder.encode(`*${words.length}\r\n`)];
  for (const word of words) {
    const data = typeof word === "string" ? encoder.encode(word) : word;
    pieces.push(encoder.encode(`$${data.length}\r\n`), data, encoder.encode("\r\n"));
  }
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

export const suite = (bench: Bench): void => {
  const options = { auth: "", db: 0, maxRequest: 1 << 20 };
  const codec = new RedisCodec(options, {} as unknown as Facts);
  const scan = new Scan();
  const replyScan = new ReplyScan();
  const out = new OutBuffer(new BufferPool());
  let total = 0;

  const requests = (name: string, request: (i: number) => string) => {
    const buf = pipeline(request);
    bench.add(`${name}, ${PIPELINE} requests`, () => {
      let pos = 0;
      while (pos < buf.length) {
        if (codec.parseRequest(scan, buf, pos, buf.length) !== DONE) throw new Error(name);
        pos += scan.length;
      }
      total += scan.keyEnd;
    });
    bench.add(`${name} (naive), ${PIPELINE} requests`, () => {
      let pos = 0;
      while (pos < buf.length) {
        const { value: words, end } = readNaively(buf, pos);
        const [name, key] = words as Uint8Array[];
        total += decoder.decode(name).toUpperCase().length + key.length;
        pos = end;
      }
    });
  };
  requests("parse GET", (i) => array("GET", key(i)));
  requests("parse SET of 32 bytes", (i) => array("SET", key(i), value));

  const replies = (name: string, reply: (i: number) => string) => {
    const buf = pipeline(reply);
    bench.add(`${name}, ${PIPELINE} replies`, () => {
      let pos = 0;
      while (pos < buf.length) pos = codec.parseReply(replyScan, buf, pos, buf.length);
      total += pos;
    });
    bench.add(`${name} (naive), ${PIPELINE} replies`, () => {
      let pos = 0;
      while (pos < buf.length) pos = readNaively(buf, pos).end;
      total += pos;
    });
  };
  replies("reply of 32 bytes", () => bulk(value));
  replies("reply +OK", () => "+OK\r\n");
  replies("reply :1", () => ":1\r\n");

  let id = 0;
  bench.add("session of a new client, 256 clients", () => {
    for (let i = 0; i < 256; i++) {
      total += codec.newSession(++id, "10.9.0.1:40000", 1795433469000.5).id;
    }
  });

  for (const nkeys of [10, 100]) {
    const keys = Array.from({ length: nkeys }, (_, i) => key(i));
    const picks = Uint16Array.from(keys, (_, i) => (i * 7) % SERVERS);
    const counts = Array.from({ length: SERVERS }, (_, s) => picks.filter((p) => p === s).length);
    const request = encoder.encode(array("MGET", ...keys));
    bench.add(`split an MGET of ${nkeys}, ${nkeys} keys`, () => {
      codec.parseRequest(scan, request, 0, request.length);
      for (let server = 0; server < SERVERS; server++) {
        codec.keys.begin(scan, request, 0, counts[server], out);
        for (let i = 0; i < nkeys; i++) {
          if (picks[i] === server) codec.keys.add(scan, request, 0, i, i + 1, out);
        }
      }
      out.flush(sink);
    });
    bench.add(`split an MGET of ${nkeys} (naive), ${nkeys} keys`, () => {
      const [name, ...rest] = readNaively(request, 0).value as Uint8Array[];
      for (let server = 0; server < SERVERS; server++) {
        const mine = rest.filter((_, i) => picks[i] === server);
        total += writeNaively([name, ...mine]).length;
      }
    });

    const parts: Part[] = counts.map((count) => {
      const held = encoder.encode(array(...Array<string>(count).fill(value)));
      return { held, heldStart: 0, heldEnd: held.length, failure: "" };
    });
    codec.parseRequest(scan, request, 0, request.length);
    const fanOut = { verb: scan.verb, nkeys, picks, parts, tagHigh: 0, tagLow: 0 };
    bench.add(`join an MGET of ${nkeys}, ${nkeys} keys`, () => {
      codec.join(fanOut, out);
      out.flush(sink);
    });
    bench.add(`join an MGET of ${nkeys} (naive), ${nkeys} keys`, () => {
      const lists = parts.map((part) => readNaively(part.held, 0).value as Uint8Array[]);
      const next = new Array<number>(SERVERS).fill(0);
      total += writeNaively(keys.map((_, i) => lists[picks[i]][next[picks[i]]++])).length;
    });
  }
  if (total < 0) throw new Error("never: it keeps the results alive");
};
