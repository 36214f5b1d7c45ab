// What the memcached codec costs: requests, replies, and a multi-get of 50 keys over four servers,
// beside the way that comes to mind first, strings split into words. A task works through one read
// of pipelined commands. Run by a runner that makes the Bench; knows nothing of it but `add`.

import type { Bench } from "tinybench";
import type { Socket } from "../../core/host.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import { DONE, type Facts, type Part, ReplyScan, Scan } from "../../core/protocol/codec.ts";
import { MemcachedCodec } from "../../core/protocol/memcached/codec.ts";

const PIPELINE = 64;
const KEYS = 50;
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

const pipeline = (command: (i: number) => string): Uint8Array =>
  encoder.encode(Array.from({ length: PIPELINE }, (_, i) => command(i)).join(""));

interface NaiveRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly body: Uint8Array | null;
}

/** A line at a time, as a string. */
function parseNaively(buf: Uint8Array): NaiveRequest[] {
  const found: NaiveRequest[] = [];
  let pos = 0;
  while (pos < buf.length) {
    const lf = buf.indexOf(10, pos);
    const [command, ...args] = decoder.decode(buf.subarray(pos, lf - 1)).split(" ");
    pos = lf + 1;
    let body: Uint8Array | null = null;
    if (command === "set" || command === "add") {
      const size = parseInt(args[3], 10);
      body = buf.slice(pos, pos + size);
      pos += size + 2;
    }
    found.push({ command, args, body });
  }
  return found;
}

interface NaiveValue {
  readonly key: string;
  readonly line: string;
  readonly body: Uint8Array;
}

/** The values of one retrieval reply; returns where it ends. */
function readNaively(buf: Uint8Array, pos: number, found: NaiveValue[]): number {
  for (;;) {
    const lf = buf.indexOf(10, pos);
    const line = decoder.decode(buf.subarray(pos, lf - 1));
    pos = lf + 1;
    if (!line.startsWith("VALUE ")) return pos;
    const words = line.split(" ");
    const size = parseInt(words[3], 10);
    found.push({ key: words[1], line, body: buf.slice(pos, pos + size) });
    pos += size + 2;
  }
}

export const suite = (bench: Bench): void => {
  const options = { auth: "", db: 0, maxRequest: 1 << 20 };
  const codec = new MemcachedCodec(options, {} as unknown as Facts);
  const scan = new Scan();
  const replyScan = new ReplyScan();
  const out = new OutBuffer(new BufferPool());
  let total = 0;

  const requests = (name: string, command: (i: number) => string) => {
    const buf = pipeline(command);
    bench.add(`${name}, ${PIPELINE} requests`, () => {
      let pos = 0;
      while (pos < buf.length) {
        if (codec.parseRequest(scan, buf, pos, buf.length) !== DONE) throw new Error(name);
        pos += scan.length;
      }
      total += scan.keyEnd;
    });
    bench.add(`${name} (naive), ${PIPELINE} requests`, () => {
      total += parseNaively(buf).length;
    });
  };
  requests("parse get", (i) => `get ${key(i)}\r\n`);
  requests("parse set of 32 bytes", (i) => `set ${key(i)} 0 3600 32\r\n${value}\r\n`);
  requests("parse incr", (i) => `incr ${key(i)} 1\r\n`);

  const replies = (name: string, reply: (i: number) => string) => {
    const buf = pipeline(reply);
    bench.add(`${name}, ${PIPELINE} replies`, () => {
      let pos = 0;
      while (pos < buf.length) pos = codec.parseReply(replyScan, buf, pos, buf.length);
      total += pos;
    });
    bench.add(`${name} (naive), ${PIPELINE} replies`, () => {
      const found: NaiveValue[] = [];
      let pos = 0;
      while (pos < buf.length) pos = readNaively(buf, pos, found);
      total += found.length;
    });
  };
  replies("reply to a get, 32 bytes", (i) => `VALUE ${key(i)} 0 32\r\n${value}\r\nEND\r\n`);
  replies("reply to a set", () => "STORED\r\n");

  const keys = Array.from({ length: KEYS }, (_, i) => key(i));
  const picks = Uint16Array.from(keys, (_, i) => (i * 7) % SERVERS);
  const request = encoder.encode(`get ${keys.join(" ")}\r\n`);
  bench.add(`split a get, ${KEYS} keys`, () => {
    codec.parseRequest(scan, request, 0, request.length);
    for (let server = 0; server < SERVERS; server++) {
      codec.keys.begin(scan, request, 0, KEYS, out);
      for (let i = 0; i < KEYS; i++) {
        if (picks[i] === server) codec.keys.add(scan, request, 0, i, i + 1, out);
      }
      out.append(codec.keys.end, 0, codec.keys.end.length);
    }
    out.flush(sink);
  });
  bench.add(`split a get (naive), ${KEYS} keys`, () => {
    const [{ args }] = parseNaively(request);
    for (let server = 0; server < SERVERS; server++) {
      const fragment = `get ${args.filter((_, i) => picks[i] === server).join(" ")}\r\n`;
      total += encoder.encode(fragment).length;
    }
  });

  const parts: Part[] = Array.from({ length: SERVERS }, (_, server) => {
    const mine = keys.filter((_, i) => picks[i] === server);
    const held = encoder.encode(
      mine.map((name) => `VALUE ${name} 0 32\r\n${value}\r\n`).join("") + "END\r\n",
    );
    return { held, heldStart: 0, heldEnd: held.length, failure: "" };
  });
  codec.parseRequest(scan, request, 0, request.length);
  const fanOut = { verb: scan.verb, nkeys: KEYS, picks, parts, tagHigh: 0, tagLow: 0 };
  bench.add(`join a get, ${KEYS} keys`, () => {
    codec.join(fanOut, out);
    out.flush(sink);
  });
  bench.add(`join a get (naive), ${KEYS} keys`, () => {
    const found: NaiveValue[] = [];
    for (const part of parts) readNaively(part.held, 0, found);
    const byKey = new Map(found.map((item) => [item.key, item]));
    const pieces: Uint8Array[] = [];
    for (const name of keys) {
      const item = byKey.get(name);
      if (item !== undefined) pieces.push(encoder.encode(`${item.line}\r\n`), item.body);
    }
    const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      joined.set(piece, at);
      at += piece.length;
    }
    total += joined.length;
  });
  if (total < 0) throw new Error("never: it keeps the results alive");
};
