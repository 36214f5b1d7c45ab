// The memcached binary codec: tables of requests and replies, each fed whole and cut at every byte,
// in a buffer whose other bytes are poison, and the same under random streams.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import {
  ALL,
  BAD,
  DONE,
  type Facts,
  FORWARD,
  LOCAL,
  MORE,
  type Part,
  type Quiet,
  QUIT,
  REFUSE,
  ReplyScan,
  Scan,
} from "../../core/protocol/codec.ts";
import {
  BINARY_COMMANDS,
  type BinaryCommand,
  HIDES_MISS,
  HIDES_NOTHING,
  NO_KEY,
  ONE_KEY,
  opcodeOf,
} from "../../core/protocol/memcached/binary_commands.ts";
import { MemcachedCodec } from "../../core/protocol/memcached/codec.ts";
import { ask, big, BY_ONE, FLAGS, type Packet, readPackets, SOON, tell } from "./packets.ts";

const MAX_REQUEST = 3_000_000;
const textCodec = new MemcachedCodec(
  { auth: "", db: 0, maxRequest: MAX_REQUEST },
  { version: "9.8.7" } as unknown as Facts,
);
const codec = textCodec.dialects.of(0x80);
const quiet = codec.quiet as Quiet;
const session = codec.newSession(1, "", 0);
const K250 = "k".repeat(250);
const K251 = "k".repeat(251);
const ACTION = ["forward", "split", "together", "any", "all", "local", "refuse", "quit", "nothing"];
const OPAQUE = 0xdeadbeef;

test("the first byte chooses the dialect", () => {
  assert.is.not(codec, textCodec);
  assert.is.not(codec.lane(session), textCodec.lane());
  for (let byte = 0; byte < 256; byte++) {
    assert.is(textCodec.dialects.of(byte), byte === 0x80 ? codec : textCodec);
  }
});

/** `data` at an odd place of a larger buffer full of `fill`. */
function embed(data: string, fill: number): { buf: Uint8Array; start: number; end: number } {
  const buf = new Uint8Array(data.length + 64).fill(fill);
  buf.set(bytes(data), 13);
  return { buf, start: 13, end: 13 + data.length };
}

const shown = (p: Packet): string =>
  `${p.opcode.toString(16)} status ${p.status} opaque ${p.opaque.toString(16)} ${p.key}|${p.value}`;

/** What the codec makes of a request, in words. */
function describe(scan: Scan, result: number, buf: Uint8Array, start: number): string {
  if (result === MORE) return "more";
  const error = () => readPackets(text(scan.error, 0, scan.error.length)).map(shown).join();
  if (result === BAD) return `bad ${error()}`;
  const from = scan.scratch ?? buf;
  const at = scan.scratch === null ? start : 0;
  if (scan.action === REFUSE) return `refuse ${scan.length}: ${error()}`;
  const parts = [ACTION[scan.action], String(scan.length)];
  if (scan.action === FORWARD) parts.push(text(from, at + scan.keyStart, at + scan.keyEnd));
  if (scan.action === LOCAL || scan.action === QUIT) {
    const reply = codec.answer(scan, from, at, session);
    parts.push(readPackets(text(reply, 0, reply.length)).map(shown).join());
  }
  if (scan.scratch !== null) {
    const original = text(buf, start, start + scan.length);
    const sent = text(scan.scratch, 0, scan.scratchLength);
    assert.is(original[0] + sent[1] + original.slice(2), sent, "only the opcode is another");
    parts.push(`sent as ${sent.charCodeAt(1).toString(16)}, mute ${scan.mute.toString(16)}`);
  }
  return parts.join(" ");
}

const asked = (opcode: number, parts: Parameters<typeof ask>[1] = {}): string =>
  ask(opcode, { opaque: OPAQUE, ...parts });
const error = (opcode: number, status: number, why: string): string =>
  `${opcode.toString(16)} status ${status} opaque deadbeef |${why}`;
const INVALID = (opcode: number): string => error(opcode, 4, "Invalid arguments");
const UNKNOWN = (opcode: number): string => error(opcode, 0x81, "Unknown command");

/** A right request for a row of the table. */
function sample(command: BinaryCommand, key = "key", value = "value"): string {
  return asked(command.opcode, {
    extras: "\x01".repeat(command.extras),
    key: command.key === NO_KEY ? "" : key,
    value: command.value ? value : "",
  });
}

const TABLES: Record<string, [string, string][]> = {
  "requests with a key go to its server as they are": [
    [asked(0, { key: "k" }), "forward 25 k"],
    [asked(0, { key: K250 }), `forward 274 ${K250}`],
    [asked(0, { key: "\x80!~\xff" }), "forward 28 \x80!~\xff"],
    [asked(0x0c, { key: "k" }), "forward 25 k"],
    [asked(1, { key: "k", extras: FLAGS, value: "v\r\n" }), "forward 36 k"],
    [asked(2, { key: "k", extras: FLAGS }), "forward 33 k"],
    [asked(3, { key: "k", extras: FLAGS, value: "v", cas: 77 }), "forward 34 k"],
    [asked(4, { key: "k" }), "forward 25 k"],
    [asked(5, { key: "n", extras: BY_ONE }), "forward 45 n"],
    [asked(6, { key: "n", extras: BY_ONE }), "forward 45 n"],
    [asked(0x0e, { key: "k", value: "more" }), "forward 29 k"],
    [asked(0x0f, { key: "k", value: "more" }), "forward 29 k"],
    [asked(0x1c, { key: "k", extras: SOON }), "forward 29 k"],
    [asked(0x1d, { key: "k", extras: SOON }), "forward 29 k"],
    [asked(0x23, { key: "k", extras: SOON }), "forward 29 k"],
  ],
  "a key that text could not have is refused, as soon as it is there": [
    ...["\0", "a\r\nb", "\n", "a b", "\t", "k\x7f"].map((key): [string, string] => {
      return [asked(0, { key }), `refuse ${24 + key.length}: ${error(0, 4, "Invalid arguments")}`];
    }),
    [
      asked(1, { key: "k\n", extras: FLAGS, value: "v" }),
      `refuse 35: ${error(1, 4, "Invalid arguments")}`,
    ],
  ],
  "quiet requests are sent as loud ones": [
    [asked(9, { key: "k" }), "forward 25 k sent as 0, mute 9"],
    [asked(0x0d, { key: "k" }), "forward 25 k sent as c, mute d"],
    [asked(0x11, { key: "k", extras: FLAGS, value: "v" }), "forward 34 k sent as 1, mute 11"],
    [asked(0x12, { key: "k", extras: FLAGS }), "forward 33 k sent as 2, mute 12"],
    [asked(0x13, { key: "k", extras: FLAGS }), "forward 33 k sent as 3, mute 13"],
    [asked(0x14, { key: "k" }), "forward 25 k sent as 4, mute 14"],
    [asked(0x15, { key: "k", extras: BY_ONE }), "forward 45 k sent as 5, mute 15"],
    [asked(0x16, { key: "k", extras: BY_ONE }), "forward 45 k sent as 6, mute 16"],
    [asked(0x18), "all 24 sent as 8, mute 18"],
    [asked(0x18, { extras: SOON }), "all 28 sent as 8, mute 18"],
    [asked(0x19, { key: "k", value: "v" }), "forward 26 k sent as e, mute 19"],
    [asked(0x1a, { key: "k", value: "v" }), "forward 26 k sent as f, mute 1a"],
    [asked(0x1e, { key: "k", extras: SOON }), "forward 29 k sent as 1d, mute 1e"],
    [asked(0x24, { key: "k", extras: SOON }), "forward 29 k sent as 23, mute 24"],
  ],
  "requests without a key": [
    [asked(0x0a), "local 24 a status 0 opaque deadbeef |"],
    [asked(7), "quit 24 7 status 0 opaque deadbeef |"],
    [asked(0x17), "quit 24 "],
    [asked(0x0b), "any 24"],
    [asked(8), "all 24"],
    [asked(8, { extras: SOON }), "all 28"],
    [asked(0x10), "all 24"],
    [asked(0x10, { key: "items" }), "all 29"],
    [asked(0x10, { key: "detail on" }), "all 33"],
    [asked(0x10, { key: "nosuch" }), `refuse 30: ${error(0x10, 1, "Not found")}`],
  ],
  "what memcached without SASL does not know is refused": [
    [asked(0x20), `refuse 24: ${UNKNOWN(0x20)}`],
    [asked(0x21, { key: "PLAIN", value: "\0user\0pw" }), `refuse 37: ${UNKNOWN(0x21)}`],
    [asked(0x22, { key: "PLAIN", value: "x" }), `refuse 30: ${UNKNOWN(0x22)}`],
    [asked(0x1b, { extras: big(1, 4) }), `refuse 28: ${UNKNOWN(0x1b)}`],
    [asked(0x1f), `refuse 24: ${UNKNOWN(0x1f)}`],
    [asked(0xff, { key: "k", value: "x".repeat(100) }), `refuse 125: ${UNKNOWN(0xff)}`],
  ],
  "parts that a command does not have are refused": [
    [asked(0), `refuse 24: ${INVALID(0)}`],
    [asked(0, { key: K251 }), `refuse 275: ${INVALID(0)}`],
    [asked(0, { key: "k", extras: SOON }), `refuse 29: ${INVALID(0)}`],
    [asked(0, { key: "k", value: "v" }), `refuse 26: ${INVALID(0)}`],
    [asked(9), `refuse 24: ${INVALID(9)}`],
    [asked(1, { key: "k", value: "v" }), `refuse 26: ${INVALID(1)}`],
    [asked(1, { extras: FLAGS, value: "v" }), `refuse 33: ${INVALID(1)}`],
    [asked(4, { key: "k", value: "v" }), `refuse 26: ${INVALID(4)}`],
    [asked(5, { key: "k" }), `refuse 25: ${INVALID(5)}`],
    [asked(8, { key: "k" }), `refuse 25: ${INVALID(8)}`],
    [asked(8, { extras: "\0" }), `refuse 25: ${INVALID(8)}`],
    [asked(0x0a, { value: "x" }), `refuse 25: ${INVALID(0x0a)}`],
    [asked(0x0e, { key: "k", extras: SOON }), `refuse 29: ${INVALID(0x0e)}`],
    [asked(0x10, { key: K251 }), `refuse 275: ${INVALID(0x10)}`],
    [asked(0x10, { key: "items", value: "x" }), `refuse 30: ${INVALID(0x10)}`],
    [asked(0x1c, { key: "k", extras: SOON, value: "x" }), `refuse 30: ${INVALID(0x1c)}`],
  ],
  "a stream that cannot be trusted is given up": [
    ["get k\r\n", "bad 0 status 4 opaque 0 |Invalid arguments"],
    ["\x81", "bad 0 status 4 opaque 0 |Invalid arguments"],
    ["\0", "bad 0 status 4 opaque 0 |Invalid arguments"],
    // Key or extras longer than the body.
    [asked(0).slice(0, 2) + "\0\x01" + asked(0).slice(4), `bad ${INVALID(0)}`],
    [asked(1).slice(0, 4) + "\x08" + asked(1).slice(5), `bad ${INVALID(1)}`],
    [
      asked(1).slice(0, 8) + big(MAX_REQUEST + 1, 4) + asked(1).slice(12),
      `bad ${error(1, 3, "Too large.")}`,
    ],
    [
      asked(1).slice(0, 8) + "\xff\xff\xff\xff" + asked(1).slice(12),
      `bad ${error(1, 3, "Too large.")}`,
    ],
    // Refused, and more of it than is worth reading.
    [asked(0x7f).slice(0, 8) + big(2 << 20, 4) + asked(0x7f).slice(12), `bad ${UNKNOWN(0x7f)}`],
  ],
};

for (const [title, rows] of Object.entries(TABLES)) {
  test(title, () => {
    for (const [request, expected] of rows) {
      for (const fill of [0x80, 0, 0xff]) {
        const { buf, start, end } = embed(request, fill);
        const scan = new Scan();
        const whole = describe(scan, codec.parseRequest(scan, buf, start, end), buf, start);
        assert.is(whole, expected, JSON.stringify(request));
        const kept = new Scan();
        for (let cut = start; cut < end; cut++) {
          const fresh = new Scan();
          const result = codec.parseRequest(fresh, buf, start, cut);
          assert.is(codec.parseRequest(kept, buf, start, cut), result);
          if (result === MORE) continue;
          assert.is(describe(fresh, result, buf, start), expected, `cut at ${cut - start}`);
          break;
        }
        const result = codec.parseRequest(kept, buf, start, end);
        assert.is(describe(kept, result, buf, start), expected, "after every cut");
      }
    }
  });
}

test("while a value is on its way, its key and what is missing are known", () => {
  const request = asked(1, { key: "key", extras: FLAGS, value: "v".repeat(2_000_000) });
  const { buf, start } = embed(request, 0);
  const scan = new Scan();
  for (const have of [24, 35, 36, 100_000, request.length - 1]) {
    assert.is(codec.parseRequest(scan, buf, start, start + have), MORE);
    assert.is(scan.action, FORWARD);
    assert.is(scan.length, request.length);
    assert.is(scan.left, request.length - have);
    assert.is(scan.keyEnd, 35);
  }
  assert.is(codec.parseRequest(scan, buf, start, start + 23), MORE);
  assert.is(scan.left, 0);
  buf[start + 1] = 0x11; // quiet: it has to be rewritten
  assert.is(codec.parseRequest(scan, buf, start, start + 100), MORE);
  assert.is(scan.left, 0);
});

test("every quiet opcode hides one thing and shows the rest under its own opcode", () => {
  for (const command of BINARY_COMMANDS) {
    if (command === undefined || command.hides === HIDES_NOTHING) continue;
    const { opcode, loud, hides, name } = command;
    assert.is(name.at(-1), "q");
    assert.is(BINARY_COMMANDS[loud]?.name, name.slice(0, -1));
    for (const status of [0, 1, 2, 3, 4, 5, 6, 0x81, 0x82, 0x86, 0x100, 0x101]) {
      const reply = bytes(`..${tell(loud, { status, value: "x" })}`);
      const hidden = hides === HIDES_MISS ? status === 1 : status === 0;
      assert.is(quiet.muted(opcode, reply, 2), hidden, `${name} ${status}`);
      quiet.unmute?.(opcode, reply, 2);
      assert.is(text(reply, 2, reply.length), tell(opcode, { status, value: "x" }));
    }
  }
});

/** The replies in a stream, read as a server connection reads them. */
function readReplies(pieces: string[], fill: number): string[] {
  const scan = new ReplyScan();
  const found: string[] = [];
  let reply = "";
  let carry = "";
  for (const piece of pieces) {
    carry += piece;
    const { buf, start, end } = embed(carry, fill);
    let pos = start;
    while (pos < end) {
      const next = codec.parseReply(scan, buf, pos, end);
      assert.ok(next >= pos && next <= end);
      if (scan.bad) return [...found, "bad"];
      if (reply === "" && next > pos) assert.ok(end - pos >= codec.replyHead, "a whole head");
      reply += text(buf, pos, next);
      pos = next;
      if (!scan.done) break;
      found.push(reply);
      reply = "";
    }
    carry = text(buf, pos, end);
    assert.ok(carry.length < codec.replyHead, "no more is left than a part of a head");
  }
  return [...found, `rest ${reply}${carry}`];
}

const stat = (name: string, value: string): string => tell(0x10, { key: name, value, opaque: 5 });
const STATS = `${stat("a", "1")}${stat("b", "\x81\x10")}${tell(0x10, { opaque: 5 })}`;
const REPLIES = [
  tell(0, { extras: SOON, value: "hello\n" }),
  tell(0, { extras: SOON }),
  tell(0, { status: 1, value: "Not found" }),
  tell(0x0c, { status: 1, key: "k" }),
  tell(0x0c, { extras: SOON, key: "k", value: "\x81".repeat(300) }),
  tell(1, { cas: 7 }),
  tell(5, { value: big(9, 8), opaque: 0x0a0a0a0a }),
  tell(0x0b, { value: "1.6.18" }),
  STATS,
  tell(0x10, { status: 1, value: "Not found" }),
  tell(0x10),
];

test("replies are found by their lengths, cut at every byte", () => {
  for (const reply of REPLIES) {
    for (let cut = 0; cut <= reply.length; cut++) {
      const pieces = [reply.slice(0, cut), reply.slice(cut)];
      assert.equal(readReplies(pieces, 0x81), [reply, "rest "]);
    }
  }
  const all = REPLIES.join("");
  assert.equal(readReplies([all], 0), [...REPLIES, "rest "]);
  assert.equal(readReplies(all.split(""), 0), [...REPLIES, "rest "]);
});

test("what is no reply is told at its first byte, or when its lengths do not add up", () => {
  for (const start of ["\x80", "E", "\0"]) assert.equal(readReplies([start], 0), ["bad"]);
  const wrong = tell(0, { key: "k" });
  assert.equal(readReplies([wrong.slice(0, 8) + "\0\0\0\0" + wrong.slice(12)], 0), ["bad"]);
  assert.equal(readReplies([stat("a", "1") + "STAT"], 0), ["bad"]);
});

test("failures repeat the opcode and the opaque of what was asked", () => {
  for (const opaque of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    for (const command of BINARY_COMMANDS) {
      if (command === undefined) continue;
      const { buf, start, end } = embed(ask(command.opcode, { key: "k", opaque }), 0);
      const scan = new Scan();
      codec.parseRequest(scan, buf, start, end);
      assert.ok(scan.tagHigh < 1 << 30 && scan.tagLow < 1 << 30, "small integers");
      if (command.name === "version") continue;
      const packet = codec.failure("Connection refused", scan);
      const expected = tell(command.opcode, { status: 0x86, opaque, value: "Connection refused" });
      assert.is(text(packet, 0, packet.length), expected);
      assert.ok(codec.isError(packet, 0));
      assert.is(codec.errorText(packet, 0, packet.length), "Connection refused");
      if (command.hides > 0) assert.not(quiet.muted(command.opcode, packet, 0));
    }
  }
  const { buf, start, end } = embed(ask(0x0b, { opaque: 77 }), 0);
  const scan = new Scan();
  codec.parseRequest(scan, buf, start, end);
  const version = codec.failure("Connection refused", scan);
  assert.is(text(version, 0, version.length), tell(0x0b, { opaque: 77, value: "9.8.7" }));
  const packet = codec.failure("max number of clients reached");
  assert.is(readPackets(text(packet, 0, packet.length))[0].status, 0x86);
});

/** What joins to what; a part is a reply, or "!" and why there is none. */
function joined(request: string, replies: string[]): string {
  const { buf, start, end } = embed(request, 0);
  const scan = new Scan();
  assert.is(codec.parseRequest(scan, buf, start, end), DONE);
  assert.is(scan.action, ALL);
  const parts = replies.map((reply): Part => {
    const failed = reply.startsWith("!");
    const held = bytes(`..${failed ? "" : reply}..`);
    return { held, heldStart: 2, heldEnd: held.length - 2, failure: failed ? reply.slice(1) : "" };
  });
  const { verb, tagHigh, tagLow } = scan;
  const out = new OutBuffer(new BufferPool());
  codec.join({ verb, nkeys: 0, picks: new Uint16Array(0), parts, tagHigh, tagLow }, out);
  let sent = "";
  const write = (b: Uint8Array, from: number, to: number): number => {
    sent += text(b, from, to);
    return to - from;
  };
  const silent = { pause() {}, resume() {}, shutdown() {}, close() {} };
  out.flush({ remote: "", copies: true, write, ...silent });
  return sent;
}

test("flush: one reply unless a server says otherwise or is lost", () => {
  const [ok, no] = [tell(8, { opaque: 3 }), tell(8, { status: 0x20, value: "no", opaque: 3 })];
  const flush = ask(8, { opaque: 3 });
  assert.is(joined(flush, [ok, ok]), ok);
  assert.is(joined(flush, [ok, no]), no);
  assert.is(joined(flush, [ok, "!gone"]), tell(8, { status: 0x86, value: "gone", opaque: 3 }));
  const quiet = ask(0x18, { opaque: 3 });
  assert.is(joined(quiet, [ok, no]), tell(0x18, { status: 0x20, value: "no", opaque: 3 }));
});

test("stat: sums, for lost servers only what the others say", () => {
  const asks = ask(0x10, { opaque: 5 });
  const end = tell(0x10, { opaque: 5 });
  const one = stat("n", "1") + stat("version", "1.6") + stat("t", "0.25") + end;
  const two = stat("n", "18446744073709551615") + stat("version", "1.5") + stat("t", "1.50") + end;
  const sum = stat("n", "18446744073709551616") + stat("version", "1.6") + stat("t", "1.75") + end;
  assert.is(joined(asks, [one, two]), sum);
  assert.is(joined(asks, ["!gone", two]), two);
  const lost = tell(0x10, { status: 0x86, value: "gone", opaque: 5 });
  assert.is(joined(asks, ["!gone", "!gone"]), lost);
  assert.is(joined(asks, [end, end]), end);
  const missing = tell(0x10, { status: 1, value: "Not found", opaque: 5 });
  assert.is(joined(ask(0x10, { key: "items", opaque: 5 }), [one, missing]), missing);
});

test("stat with a key: the first server's, one after the other, or one reply", () => {
  const end = tell(0x10, { opaque: 5 });
  const [one, two] = [stat("n", "1"), stat("n", "2")];
  const join = (key: string) => joined(ask(0x10, { key, opaque: 5 }), [one + end, two + end]);
  assert.is(join("settings"), one + end);
  assert.is(join("detail dump"), one + two + end);
  assert.is(joined(ask(0x10, { key: "reset", opaque: 5 }), [end, end]), end);
});

// ------------------------------------------------------------------------------- random streams

const commands = BINARY_COMMANDS.filter((c) => c !== undefined);
const bytesOf = (maxLength: number) =>
  fc.array(fc.nat(255), { maxLength }).map((list) => String.fromCharCode(...list));
const right = fc.tuple(fc.constantFrom(...commands), bytesOf(20), bytesOf(60)).map((
  [command, key, value],
) => sample(command, command.key === ONE_KEY ? `k${key}` : "items", value));
/** A header whose fields are anything, its body as long as it says, or not. */
const wrong = fc.record({
  opcode: fc.nat(255),
  key: bytesOf(4),
  extras: bytesOf(9),
  value: bytesOf(9),
  opaque: fc.nat(),
  field: fc.constantFrom(-1, -1, 0, 2, 4, 8, 11),
  byte: fc.nat(255),
}).map(({ opcode, field, byte, ...parts }) => {
  const request = ask(opcode, parts);
  return field < 0 ? request : request.slice(0, field) + big(byte, 1) + request.slice(field + 1);
});
const cuts = fc.array(fc.nat(400), { maxLength: 12 });

function cut(input: string, at: number[]): string[] {
  const places = [...new Set(at.filter((n) => n < input.length))].sort((a, b) => a - b);
  return [...places, input.length].map((end, i) => input.slice(i === 0 ? 0 : places[i - 1], end));
}

/** Reads a stream as a client connection does: what is unfinished is kept for the next piece. */
function read(pieces: string[], fill: number, keepScan: boolean): string[] {
  const scan = new Scan();
  const found: string[] = [];
  let carry = "";
  for (const piece of pieces) {
    carry += piece;
    const { buf, start, end } = embed(carry, fill);
    let pos = start;
    while (pos < end) {
      const result = codec.parseRequest(scan, buf, pos, end);
      const what = describe(scan, result, buf, pos);
      if (result === BAD) return [...found, what];
      if (result === MORE) {
        if (!keepScan) scan.reset();
        break;
      }
      found.push(`${what} ${text(buf, pos, pos + scan.length)}`);
      assert.ok(scan.length >= 24 && pos + scan.length <= end, "takes bytes, and only given ones");
      pos += scan.length;
    }
    carry = text(buf, pos, end);
  }
  return [...found, `rest ${carry}`];
}

test("requests are the same however their stream is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(right, wrong), { maxLength: 6 }), cuts, (requests, at) => {
      const input = requests.join("");
      const expected = read([input], 0, true);
      for (const fill of [0, 0x80, 0xff]) {
        assert.equal(read([input], fill, true), expected);
        assert.equal(read(cut(input, at), fill, true), expected);
        assert.equal(read(cut(input, at), fill, false), expected);
      }
    }),
    { numRuns: 800 },
  );
});

test("whatever is forwarded is exactly what its command is to look like, and loud", () => {
  fc.assert(
    fc.property(fc.oneof(right, wrong), (request) => {
      const { buf, start, end } = embed(request, 0x80);
      const scan = new Scan();
      const result = codec.parseRequest(scan, buf, start, end);
      if (result !== DONE || scan.action >= LOCAL) return;
      const sent = scan.scratch === null
        ? text(buf, start, start + scan.length)
        : text(scan.scratch, 0, scan.scratchLength);
      const [packet] = readPackets(sent);
      const command = BINARY_COMMANDS[packet.opcode] as BinaryCommand;
      assert.is(packet.magic, 0x80);
      assert.is(command.loud, packet.opcode);
      assert.ok([command.extras, command.otherExtras].includes(packet.extras.length));
      assert.ok(packet.key.length <= 250);
      if (command.key === ONE_KEY) assert.ok(packet.key.length > 0);
      if (command.key === NO_KEY) assert.is(packet.key, "");
      if (!command.value) assert.is(packet.value, "");
      assert.is(sent.length, 24 + packet.extras.length + packet.key.length + packet.value.length);
    }),
    { numRuns: 3000 },
  );
});

test("replies are the same however their stream is cut", () => {
  const reply = fc.oneof(
    fc.constantFrom(...REPLIES),
    fc.tuple(fc.nat(255).filter((n) => n !== 0x10), fc.nat(0xffff), bytesOf(50)).map((
      [opcode, status, value],
    ) => tell(opcode, { status, value })),
  );
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 6 }), cuts, (replies, at) => {
      const input = replies.join("");
      for (const fill of [0, 0x81, 0xff]) {
        assert.equal(readReplies([input], fill), [...replies, "rest "]);
        assert.equal(readReplies(cut(input, at), fill), [...replies, "rest "]);
      }
    }),
    { numRuns: 800 },
  );
});

test("the table holds every opcode of memcached", () => {
  assert.is(commands.length, 0x1a + 1 + 4 + 5);
  assert.is(opcodeOf("gatkq"), 0x24);
});

test.run();
