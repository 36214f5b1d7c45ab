// The memcached codec: tables of requests and replies, each fed whole and cut at every byte, in a
// buffer whose other bytes are poison. What an unusual line is answered with was taken from a real
// memcached 1.6.18.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import {
  ALL,
  ANY,
  BAD,
  type Facts,
  FORWARD,
  LOCAL,
  MORE,
  NOTHING,
  type Part,
  QUIT,
  REFUSE,
  ReplyScan,
  Scan,
  SPLIT,
} from "../../core/protocol/codec.ts";
import { MemcachedCodec } from "../../core/protocol/memcached/codec.ts";
import { COMMANDS, verbOf } from "../../core/protocol/memcached/commands.ts";

const MAX_REQUEST = 100_000;
const codec = new MemcachedCodec(
  { auth: "", db: 0, maxRequest: MAX_REQUEST },
  { version: "9.8.7" } as unknown as Facts,
);

const K250 = "k".repeat(250);
const K251 = "k".repeat(251);
const ACTION = [
  "forward",
  "split",
  "together",
  "any",
  "all",
  "local",
  "refuse",
  "quit",
  "nothing",
  "pin",
  "walk",
  "gather",
  "topics",
  "apart",
];

/** `data` at an odd place of a larger buffer full of `fill`. */
function embed(data: string, fill: number): { buf: Uint8Array; start: number; end: number } {
  const buf = new Uint8Array(data.length + 64).fill(fill);
  buf.set(bytes(data), 13);
  return { buf, start: 13, end: 13 + data.length };
}

/** What the codec makes of the request at the start of `data`, in words. */
function describe(scan: Scan, result: number, buf: Uint8Array, start: number): string {
  if (result === MORE) return "more";
  if (result === BAD) return `bad ${JSON.stringify(text(scan.error, 0, scan.error.length))}`;
  const parts = [ACTION[scan.action], String(scan.length)];
  const from = scan.scratch ?? buf;
  const at = scan.scratch === null ? start : 0;
  if (scan.action === REFUSE) parts.push(JSON.stringify(text(scan.error, 0, scan.error.length)));
  else if (scan.action !== NOTHING) parts.push(COMMANDS[scan.verb].name);
  if (scan.action === FORWARD) parts.push(text(from, at + scan.keyStart, at + scan.keyEnd));
  if (scan.action === SPLIT) {
    const keys: string[] = [];
    for (let i = 0; i < scan.nkeys; i++) {
      codec.keys.select(scan, i);
      keys.push(text(from, at + scan.keyStart, at + scan.keyEnd));
    }
    parts.push(keys.join(","));
  }
  if (scan.mute !== 0) parts.push(`mute${scan.mute}`);
  if (scan.scratch !== null) parts.push(JSON.stringify(text(scan.scratch, 0, scan.scratchLength)));
  return parts.join(" ");
}

function parseWhole(data: string, fill: number): string {
  const { buf, start, end } = embed(data, fill);
  const scan = new Scan();
  return describe(scan, codec.parseRequest(scan, buf, start, end), buf, start);
}

/** First `cut` bytes, then all of them elsewhere, with or without a reset between. */
function parseCut(data: string, cut: number, fill: number, reset: boolean): string {
  const scan = new Scan();
  const part = embed(data.slice(0, cut), fill);
  const result = codec.parseRequest(scan, part.buf, part.start, part.end);
  if (result !== MORE) return describe(scan, result, part.buf, part.start);
  if (reset) scan.reset();
  part.buf.fill(fill); // a borrowed buffer: nothing may be left of it
  const { buf, start, end } = embed(data, fill);
  return describe(scan, codec.parseRequest(scan, buf, start, end), buf, start);
}

/** Every byte by itself, at a new place each time. */
function parseBytewise(data: string, fill: number): string {
  const scan = new Scan();
  for (let n = 0; n <= data.length; n++) {
    const { buf, start, end } = embed(data.slice(0, n), fill);
    const result = codec.parseRequest(scan, buf, start, end);
    if (result !== MORE) return describe(scan, result, buf, start);
  }
  return "more";
}

function check(data: string, expected: string): void {
  const shown = JSON.stringify(data.length > 80 ? data.slice(0, 80) + "..." : data);
  for (const fill of [0x0a, 0x20, 0x61, 0xff]) {
    assert.is(parseWhole(data, fill), expected, `${shown} whole, poison ${fill}`);
    if (data.length > 5000) continue;
    assert.is(parseBytewise(data, fill), expected, `${shown} byte by byte, poison ${fill}`);
    const step = data.length > 600 ? 17 : 1;
    for (let cut = 0; cut < data.length; cut += step) {
      for (const reset of [false, true]) {
        const what = `${shown} cut at ${cut}, poison ${fill}${reset ? ", reset" : ""}`;
        assert.is(parseCut(data, cut, fill, reset), expected, what);
      }
    }
  }
}

const ERROR = '"ERROR\\r\\n"';
const WITH_LF = '"CLIENT_ERROR the key is no base64, or has a line break: no text reply can have ' +
  'it (leave out k)\\r\\n"';
const BAD_LINE = '"CLIENT_ERROR bad command line format\\r\\n"';
const BAD_CHUNK = '"CLIENT_ERROR bad data chunk\\r\\n"';
const BAD_EXPTIME = '"CLIENT_ERROR invalid exptime argument\\r\\n"';
const DUPLICATE = '"CLIENT_ERROR duplicate flag\\r\\n"';
const q = (s: string): string => JSON.stringify(s);

// request → what comes of it: action, length, command, key(s), mute, rewritten bytes
const REQUESTS: Record<string, [string, string][]> = {
  "get and its kin with one key are forwarded as they are": [
    ["get k\r\n", "forward 7 get k"],
    ["gets k\r\n", "forward 8 gets k"],
    ["gat 10 k\r\n", "forward 10 gat k"],
    ["gats -1 k\r\n", "forward 11 gats k"],
    ["get k\n", "forward 6 get k"],
    ["gets k\n", "forward 7 gets k"],
    ["  get  k  \r\n", "forward 12 get k"],
    ["get \xff\x80\r\n", "forward 8 get \xff\x80"],
    ["get a\tb\r\n", "forward 9 get a\tb"],
    ["get a\rb\r\n", "forward 9 get a\rb"],
    ["get n\r\r\n", "forward 8 get n\r"],
    ["get noreply\r\n", "forward 13 get noreply"],
    ["get get\r\n", "forward 9 get get"],
    [`get ${K250}\r\n`, `forward 256 get ${K250}`],
  ],
  "get and its kin with several keys are split": [
    ["get a b\r\n", "split 9 get a,b"],
    ["gets a  bb a \r\n", "split 15 gets a,bb,a"],
    ["gat 0 a b\r\n", "split 11 gat a,b"],
    ["gats +5 a b c\n", "split 14 gats a,b,c"],
    ["get foo noreply\r\n", "split 17 get foo,noreply"],
  ],
  "retrieval commands without good keys are refused": [
    ["get\r\n", `refuse 5 ${ERROR}`],
    ["get \r\n", `refuse 6 ${ERROR}`],
    ["gat\r\n", `refuse 5 ${ERROR}`],
    ["gat 10\r\n", 'refuse 8 "END\\r\\n"'],
    ["gat x k\r\n", `refuse 9 ${BAD_EXPTIME}`],
    [`get ${K251}\r\n`, `refuse 257 ${BAD_LINE}`],
    [`gets ${K251}\r\n`, `refuse 258 ${BAD_LINE}`],
    [`get a ${K251}\r\n`, `refuse 259 ${BAD_LINE}`],
    [`gat 1 ${K251}\r\n`, `refuse 259 ${BAD_LINE}`],
  ],
  "storage commands take their data block with them": [
    ["set k 0 0 3\r\nabc\r\n", "forward 18 set k"],
    ["add k 0 0 3\r\nabc\r\n", "forward 18 add k"],
    ["replace k 0 0 3\r\nabc\r\n", "forward 22 replace k"],
    ["append k 0 0 3\r\nabc\r\n", "forward 21 append k"],
    ["prepend k 0 0 3\r\nabc\r\n", "forward 22 prepend k"],
    ["cas k 0 0 3 77\r\nabc\r\n", "forward 21 cas k"],
    ["cas k 0 0 1 18446744073709551615\r\na\r\n", "forward 37 cas k"],
    ["set k 0 -1 3\r\nabc\r\n", "forward 19 set k"],
    ["set k 0 0 0\r\n\r\n", "forward 15 set k"],
    ["set k 0 0 3\nabc\r\n", "forward 17 set k"],
    ["set k 00 00 03 \r\nabc\r\n", "forward 22 set k"],
    ["  set  k  0  0  3\r\nabc\r\n", "forward 24 set k"],
    ["set k 4294967295 99999999999 3\r\n\r\n\r\r\n", "forward 37 set k"],
    ["set k 0 0 7\r\nget k\r\n\r\n", "forward 22 set k"],
    [`set ${K250} 0 0 1\r\na\r\n`, `forward 265 set ${K250}`],
    [`add ${K250} 0 0 1\r\na\r\n`, `forward 265 add ${K250}`],
    // memcached takes any last word for "not noreply"
    ["set k 0 0 3 nope\r\nabc\r\n", "forward 23 set k"],
    ["cas k 0 0 1 1 nope\r\na\r\n", "forward 23 cas k"],
  ],
  "a refused storage command swallows its data block": [
    [`set ${K251} 0 0 3\r\nabc\r\n`, `refuse 268 ${BAD_LINE}`],
    [`set ${K251} 0 0 9\r\nversion\r\n\r\n`, `refuse 274 ${BAD_LINE}`],
    ["set k x 0 3\r\nabc\r\n", `refuse 18 ${BAD_LINE}`],
    ["set k -1 0 3\r\nabc\r\n", `refuse 19 ${BAD_LINE}`],
    ["set k 4294967296 0 3\r\nabc\r\n", `refuse 27 ${BAD_LINE}`],
    ["set k 0 x 3\r\nabc\r\n", `refuse 18 ${BAD_LINE}`],
    ["set k 0 9999999999999999999 3\r\nabc\r\n", `refuse 36 ${BAD_LINE}`],
    ["cas k 0 0 3 x\r\nabc\r\n", `refuse 20 ${BAD_LINE}`],
    ["cas k 0 0 1 18446744073709551616\r\na\r\n", `refuse 37 ${BAD_LINE}`],
    ["set k x 0 3 noreply\r\nabc\r\n", "nothing 26"],
    [`set ${K251} 0 0 3 noreply\r\nabc\r\n`, "nothing 276"],
  ],
  "a data block of another length than told is a bad chunk of the told length": [
    ["set k 0 0 3\r\nabcde\r\n", `refuse 18 ${BAD_CHUNK}`],
    ["set k 0 0 3\r\nab\r\nversion\r\n", `refuse 18 ${BAD_CHUNK}`],
    ["append k 0 0 3\r\nabcde\r\n", `refuse 21 ${BAD_CHUNK}`],
    ["set k 0 0 3 noreply\r\nabcde\r\n", "nothing 26"],
    ["ms k 2\r\nabcd\r\n", `refuse 12 ${BAD_CHUNK}`],
    ["ms k 2 q\r\nabcd\r\n", `refuse 14 ${BAD_CHUNK}`],
  ],
  "where the data block ends cannot be told, the stream is given up": [
    ["set k 0 0 x\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set k 0 0 -1\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set k 0 0 3abc\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set k 0 0 2147483646\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set k 0 0 4294967296\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set k 0 0 99999999999999999999\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set  0 0 3\r\nabc\r\n", `bad ${ERROR}`],
    ["cas k 0 0 1\r\na\r\n", `bad ${ERROR}`],
    ["set k 0 0 3 noreply x\r\nabc\r\n", `bad ${ERROR}`],
    ["set my key 0 0 3\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["set k 0 0 100001\r\nabc\r\n", 'bad "SERVER_ERROR object too large for cache\\r\\n"'],
    ["ms k 100001\r\nabc\r\n", 'bad "SERVER_ERROR object too large for cache\\r\\n"'],
    ["ms k\r\n", `bad ${BAD_LINE}`],
    ["ms k x\r\nab\r\n", `bad ${BAD_LINE}`],
    ["ms k -1\r\n", `bad ${BAD_LINE}`],
    ["ms k S2\r\nab\r\n", `bad ${BAD_LINE}`],
    ["get a\0b\r\n", `bad ${BAD_LINE}`],
    ["set a\0 0 0 3\r\nabc\r\n", `bad ${BAD_LINE}`],
    ["\x80\x01", 'bad "CLIENT_ERROR a binary request among text commands\\r\\n"'],
  ],
  "storage commands that cannot have announced data are only refused": [
    ["set\r\n", `refuse 5 ${ERROR}`],
    ["set k\r\n", `refuse 7 ${ERROR}`],
    ["set k 0\r\n", `refuse 9 ${ERROR}`],
    ["ms\r\n", `refuse 4 ${ERROR}`],
  ],
  "noreply is taken out and the reply muted": [
    ["set k 0 0 3 noreply\r\nabc\r\n", `forward 26 set k mute1 ${q("set k 0 0 3\r\nabc\r\n")}`],
    ["set k 0 0 3  noreply \nabc\r\n", `forward 27 set k mute1 ${q("set k 0 0 3  \nabc\r\n")}`],
    ["cas k 0 0 1 1 noreply\r\na\r\n", `forward 26 cas k mute1 ${q("cas k 0 0 1 1\r\na\r\n")}`],
    ["delete k noreply\r\n", `forward 18 delete k mute1 ${q("delete k\r\n")}`],
    ["delete k 0 noreply\r\n", `forward 20 delete k mute1 ${q("delete k 0\r\n")}`],
    ["delete noreply noreply\r\n", `forward 24 delete noreply mute1 ${q("delete noreply\r\n")}`],
    ["incr k 1 noreply\r\n", `forward 18 incr k mute1 ${q("incr k 1\r\n")}`],
    ["touch k 1 noreply\r\n", `forward 19 touch k mute1 ${q("touch k 1\r\n")}`],
    ["flush_all noreply\r\n", `all 19 flush_all mute1 ${q("flush_all\r\n")}`],
    ["flush_all 5 noreply\r\n", `all 21 flush_all mute1 ${q("flush_all 5\r\n")}`],
    ["verbosity 1 noreply\r\n", `all 21 verbosity mute1 ${q("verbosity 1\r\n")}`],
  ],
  "noreply in a number's place, to which memcached says nothing, is never forwarded": [
    ["incr k noreply\r\n", "nothing 16"],
    ["incr k noreply noreply\r\n", "nothing 24"],
    ["touch k noreply\r\n", "nothing 17"],
    ["delete k noreply noreply\r\n", "nothing 26"],
    ["verbosity noreply\r\n", "nothing 19"],
    ["flush_all noreply noreply\r\n", "nothing 27"],
    [`incr ${K251} 1 noreply\r\n`, "nothing 268"],
  ],
  "commands of one line go to their key": [
    ["delete k\r\n", "forward 10 delete k"],
    ["delete k 0\r\n", "forward 12 delete k"],
    ["delete k foo\r\n", "forward 14 delete k"],
    ["delete noreply\r\n", "forward 16 delete noreply"],
    ["incr k 1\r\n", "forward 10 incr k"],
    ["incr k x\r\n", "forward 10 incr k"],
    ["decr k 1 2\r\n", "forward 12 decr k"],
    ["touch k -1\n", "forward 11 touch k"],
    ["incr k\r\n", `refuse 8 ${ERROR}`],
    ["incr k 1 noreply x\r\n", `refuse 20 ${ERROR}`],
    ["delete\r\n", `refuse 8 ${ERROR}`],
    ["delete k 0 0 0\r\n", `refuse 16 ${ERROR}`],
    ["touch k\r\n", `refuse 9 ${ERROR}`],
    [`delete ${K251}\r\n`, `refuse 260 ${BAD_LINE}`],
  ],
  "meta commands go to their key": [
    ["mg k\r\n", "forward 6 mg k"],
    ["mg k v t O1\r\n", "forward 13 mg k"],
    ["ms k 2\r\nab\r\n", "forward 12 ms k"],
    ["ms k 0 T0 ME\r\n\r\n", "forward 16 ms k"],
    ["md k I\r\n", "forward 8 md k"],
    ["ma k vq\r\n", "forward 9 ma k"],
    ["me k\r\n", "forward 6 me k"],
    ["me k q\r\n", "forward 8 me k"],
  ],
  "the q flag is taken out and what it hides is muted": [
    ["mg k q v\r\n", `forward 10 mg k mute2 ${q("mg k v\r\n")}`],
    ["mg k v q\r\n", `forward 10 mg k mute2 ${q("mg k v\r\n")}`],
    ["ms k 2 q T0\r\nab\r\n", `forward 17 ms k mute3 ${q("ms k 2 T0\r\nab\r\n")}`],
    ["md k q\r\n", `forward 8 md k mute3 ${q("md k\r\n")}`],
    ["ma k q v\r\n", `forward 10 ma k mute4 ${q("ma k v\r\n")}`],
  ],
  "a base64 key is hashed as the key it stands for": [
    ["mg aGVsbG8= b v\r\n", `forward 17 mg hello ${q("mg aGVsbG8= b v\r\n")}`],
    ["mg aGVsbG8= q b\r\n", `forward 17 mg hello mute2 ${q("mg aGVsbG8= b\r\n")}`],
    ["ms AP8Q 2 b\r\nab\r\n", `forward 17 ms \0\xff\x10 ${q("ms AP8Q 2 b\r\nab\r\n")}`],
    ["me aGVsbG8= b\r\n", `forward 15 me hello ${q("me aGVsbG8= b\r\n")}`],
    ["mg !!! b\r\n", `forward 10 mg !!! ${q("mg !!! b\r\n")}`],
    ["mg aGVsbG8 b\r\n", `forward 14 mg aGVsbG8 ${q("mg aGVsbG8 b\r\n")}`],
  ],
  "a key with a line break is not asked back": [
    ["mg YQpi b k\r\n", `refuse 13 ${WITH_LF}`],
    ["mg YQpi kx v b\r\n", `refuse 16 ${WITH_LF}`],
    ["ms YQpi 2 k b\r\nab\r\n", `refuse 19 ${WITH_LF}`],
    ["md YQpi q b k\r\n", `refuse 15 ${WITH_LF}`],
    ["ma YQpi b k k\r\n", `refuse 15 ${WITH_LF}`],
    ["me YQpi b\r\n", `refuse 11 ${WITH_LF}`],
    ["mg !YQpi b k\r\n", `refuse 14 ${WITH_LF}`],
    ["mg YQpi b v\r\n", `forward 13 mg a\nb ${q("mg YQpi b v\r\n")}`],
    ["mg YQ1i b k\r\n", `forward 13 mg a\rb ${q("mg YQ1i b k\r\n")}`],
    ["mg YQpi k\r\n", "forward 11 mg YQpi"],
  ],
  "malformed meta commands are refused": [
    ["mg\r\n", `refuse 4 ${ERROR}`],
    ["me\r\n", `refuse 4 ${BAD_LINE}`],
    ["mx k\r\n", `refuse 6 ${ERROR}`],
    [`mg ${K251}\r\n`, `refuse 256 ${BAD_LINE}`],
    [`ms ${K251} 2\r\nab\r\n`, `refuse 262 ${BAD_LINE}`],
    ["mg k q q\r\n", `refuse 10 ${DUPLICATE}`],
    ["md k q q\r\n", 'refuse 10 "CLIENT_ERROR invalid or duplicate flag\\r\\n"'],
    ["ms k 2 q q\r\nab\r\n", `refuse 16 ${DUPLICATE}`],
    [`mg k${" v".repeat(18)}\r\n`, 'refuse 42 "CLIENT_ERROR options flags are too long\\r\\n"'],
    [`ms k 1${" v".repeat(17)}\r\na\r\n`, 'refuse 45 "CLIENT_ERROR options flags too long\\r\\n"'],
  ],
  "commands without a key": [
    ["version\r\n", "any 9 version"],
    ["version x\r\n", "any 11 version"],
    ["mn\r\n", "local 4 mn"],
    ["quit\r\n", "quit 6 quit"],
    ["quit\n", "quit 5 quit"],
    ["flush_all\r\n", "all 11 flush_all"],
    ["flush_all 10\r\n", "all 14 flush_all"],
    ["flush_all 0 1 2\r\n", `refuse 17 ${ERROR}`],
    ["verbosity 1\r\n", "all 13 verbosity"],
    ["verbosity\r\n", `refuse 11 ${ERROR}`],
    ["cache_memlimit 64\r\n", "all 19 cache_memlimit"],
    ["stats\r\n", "all 7 stats"],
    ["stats items\r\n", "all 13 items"],
    ["stats reset\r\n", "all 13 reset"],
    ["stats cachedump 1 10\r\n", "apart 22 cachedump"],
    // its reply has no end mark
    ["stats sizes_enable\r\n", `refuse 20 ${ERROR}`],
    ["stats foo\r\n", `refuse 11 ${ERROR}`],
    ["shutdown\r\n", 'refuse 10 "CLIENT_ERROR shutdown is not allowed through a proxy\\r\\n"'],
    ["watch\r\n", 'refuse 7 "CLIENT_ERROR watch is not allowed through a proxy\\r\\n"'],
    [
      "lru_crawler metadump all\r\n",
      'refuse 26 "CLIENT_ERROR lru_crawler is not allowed through a proxy\\r\\n"',
    ],
  ],
  "what is no command is an error and takes its line": [
    ["foo bar\r\n", `refuse 9 ${ERROR}`],
    ["GET k\r\n", `refuse 7 ${ERROR}`],
    ["Set k 0 0 1\r\n", `refuse 13 ${ERROR}`],
    ["getx k\r\n", `refuse 8 ${ERROR}`],
    ["items\r\n", `refuse 7 ${ERROR}`],
    ["\r\n", `refuse 2 ${ERROR}`],
    ["\n", `refuse 1 ${ERROR}`],
    ["  \r\n", `refuse 4 ${ERROR}`],
    ["m\r\n", `refuse 3 ${ERROR}`],
  ],
  "a line is no longer than memcached takes it": [
    ["x".repeat(2048), 'bad "CLIENT_ERROR line too long\\r\\n"'],
    ["x".repeat(2046) + "\r\n", `refuse 2048 ${ERROR}`],
    ["x".repeat(2047) + "\r\n", 'bad "CLIENT_ERROR line too long\\r\\n"'],
    ["gat 1" + " k".repeat(1100) + "\r\n", 'bad "CLIENT_ERROR line too long\\r\\n"'],
    [
      " ".repeat(101) + "get" + " k".repeat(1100) + "\r\n",
      'bad "CLIENT_ERROR line too long\\r\\n"',
    ],
    ["get" + " k".repeat(1100) + "\r\n", `split 2205 get ${"k,".repeat(1099)}k`],
    ["gets" + " k".repeat(1100) + "\n", `split 2205 gets ${"k,".repeat(1099)}k`],
    ["get k" + " ".repeat(2100) + "\r\n", 'refuse 2107 "CLIENT_ERROR line too long\\r\\n"'],
    ["get " + "k ".repeat(MAX_REQUEST / 2), 'bad "CLIENT_ERROR line too long\\r\\n"'],
    ["get " + "k ".repeat(MAX_REQUEST / 4), "more"],
  ],
};

for (const name in REQUESTS) {
  test(name, () => {
    for (const [request, expected] of REQUESTS[name]) check(request, expected);
  });
}

test("every row of the command table is found by its name and by no other case", () => {
  for (const [verb, { name, action }] of COMMANDS.entries()) {
    if (verbOf(name) !== verb) continue; // a subcommand
    const first = parseWhole(`${name}\r\n`, 0);
    assert.ok(action === REFUSE ? first.includes("not allowed") : !first.includes("allowed"), name);
    assert.is(parseWhole(`${name.toUpperCase()}\r\n`, 0), `refuse ${name.length + 2} ${ERROR}`);
  }
  assert.is(COMMANDS[verbOf("version")].action, ANY);
  assert.is(COMMANDS[verbOf("mn")].action, LOCAL);
  assert.is(COMMANDS[verbOf("quit")].action, QUIT);
  assert.is(COMMANDS[verbOf("stats/items")].action, ALL);
});

test("an incomplete line has no length; a known line tells key, length and what is missing", () => {
  const scan = new Scan();
  for (
    const request of ["set key 0 0 1000\r\n", "append key 0 0 1000 \r\n", "ms key 1000 T0\r\n"]
  ) {
    const total = request.length + 1002;
    for (const have of [request.length, request.length + 7, total - 1]) {
      scan.reset();
      const data = (request + "x".repeat(1002)).slice(0, have);
      for (const fed of [data.slice(0, request.length - 2), data]) {
        const { buf, start, end } = embed(fed, 0x0a);
        assert.is(codec.parseRequest(scan, buf, start, end), MORE);
        if (fed !== data) {
          assert.equal([scan.length, scan.left], [0, 0]);
          continue;
        }
        assert.equal([scan.action, scan.length, scan.left], [FORWARD, total, total - have]);
        assert.is(text(buf, start + scan.keyStart, start + scan.keyEnd), "key");
      }
    }
  }
});

test("what will be rewritten tells its length but is not to be sent ahead", () => {
  for (const line of ["set k 0 0 9 noreply\r\n", "ms k 9 q\r\n", "ms aGVsbG8= 9 b\r\n"]) {
    const scan = new Scan();
    const { buf, start, end } = embed(line + "abc", 0x0a);
    assert.is(codec.parseRequest(scan, buf, start, end), MORE);
    assert.equal([scan.action, scan.length, scan.left], [FORWARD, line.length + 11, 0]);
  }
});

test("a refused data block tells how much is to be thrown away", () => {
  const scan = new Scan();
  const line = `set ${K251} 0 0 5000\r\n`;
  const { buf, start, end } = embed(line + "abc", 0x0a);
  assert.is(codec.parseRequest(scan, buf, start, end), MORE);
  assert.equal([scan.action, scan.length, scan.left], [REFUSE, line.length + 5002, 4999]);
});

test("the body of a large value is not read while it comes in", () => {
  const line = "set k 0 0 90000\r\n";
  const data = bytes(line + "x".repeat(90000) + "\r\n");
  let reads = 0;
  const spy = new Proxy(data, {
    get(target, name) {
      if (typeof name === "string" && Number(name) >= line.length) reads++;
      return Reflect.get(target, name);
    },
  });
  const scan = new Scan();
  for (let end = line.length; end < data.length; end += 1000) {
    assert.is(codec.parseRequest(scan, spy, 0, end), MORE);
  }
  assert.is(reads, 0);
  assert.is(codec.parseRequest(scan, spy, 0, data.length), 1);
  assert.is(reads, 2); // its end mark
});

test("a long multi-get cut at every byte is read once, and its words' room is given back", () => {
  const data = bytes("get" + " key".repeat(20_000) + "\r\n");
  const scan = new Scan();
  for (let end = 0; end < data.length; end++) {
    assert.is(codec.parseRequest(scan, data, 0, end), MORE);
  }
  assert.is(codec.parseRequest(scan, data, 0, data.length), 1);
  assert.is(scan.nkeys, 20_000);
  const next = bytes("delete k\r\n");
  codec.parseRequest(scan, next, 0, next.length);
  assert.is(scan.args.length, 32);
});

test("the scratch buffer does not stay large", () => {
  const big = new MemcachedCodec({ auth: "", db: 0, maxRequest: 1 << 24 }, {} as unknown as Facts);
  const scan = new Scan();
  const large = bytes(`set k 0 0 1000000 noreply\r\n${"x".repeat(1_000_000)}\r\n`);
  const small = bytes("set k 0 0 1 noreply\r\nx\r\n");
  big.parseRequest(scan, large, 0, large.length);
  assert.is(text(scan.scratch!, 0, 19), "set k 0 0 1000000\r\n");
  assert.is(scan.scratchLength, large.length - 8);
  assert.ok(scan.scratch!.length >= 1_000_000);
  big.parseRequest(scan, small, 0, small.length);
  const kept = scan.scratch;
  assert.ok(kept!.length <= 8192);
  big.parseRequest(scan, small, 0, small.length);
  assert.is(scan.scratch, kept);
});

// reply → its first so many bytes are one reply, or "bad"
const body = "END\r\nSTORED\r\n";
const REPLIES: [string, number | "bad" | "more"][] = [
  ...[
    "STORED\r\n",
    "NOT_STORED\r\n",
    "EXISTS\r\n",
    "NOT_FOUND\r\n",
    "DELETED\r\n",
    "TOUCHED\r\n",
    "OK\r\n",
    "RESET\r\n",
    "MN\r\n",
    "HD\r\n",
    "HD c5 O1\r\n",
    "EN\r\n",
    "EN kfoo\r\n",
    "NF\r\n",
    "NF k\r\n",
    "NS\r\n",
    "EX c1\r\n",
    "ME k exp=-1 la=1 cas=22 fetch=no cls=1 size=61\r\n",
    "12\r\n",
    "18446744073709551615\r\n",
    "9  \r\n",
    "VERSION 1.6.18\r\n",
    "ERROR\r\n",
    "ERROR: shutdown not enabled\r\n",
    "CLIENT_ERROR bad data chunk\r\n",
    "SERVER_ERROR out of memory\r\n",
    "SERVER_ERROR\r\n",
    "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n",
    "END\r\n",
    "VALUE k 0 3\r\nabc\r\nEND\r\n",
    "VALUE k 0 3 17\r\nabc\r\nEND\r\n",
    "VALUE k 0 0\r\n\r\nEND\r\n",
    `VALUE a\tb 4294967295 ${body.length}\r\n${body}\r\nVALUE a 0 1\r\nx\r\nEND\r\n`,
    "VALUE a\rb 0 1\r\nx\r\nEND\r\n",
    "VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory writing get response\r\n",
    "VA 3\r\nabc\r\n",
    `VA ${body.length} t-1 kfoo O77\r\n${body}\r\n`,
    "VA 0 W\r\n\r\n",
    "STAT pid 5\r\nSTAT version 1.6.18\r\nEND\r\n",
    "STAT inter NULL\r\nSTAT empty \r\nEND\r\n",
    "ITEM k [3 b; 0 s]\r\nEND\r\n",
    "PREFIX a get 1 hit 1 set 0 del 0\r\nEND\r\n",
    // Keys that would be something else, if there were lists where anybody else's reply follows.
    "ITEM k [3 b; 0 s]\r\nITEM a\r\nVALUE k 0 99999999\r\nHD\n\nnonsense [1 b; 0 s]\r\nEND\r\n",
    "VA 1 ka\rb O\r\r\nx\r\n",
    "HD ka\rb\r\n",
  ].map((reply): [string, number] => [reply, reply.length]),
  ["VALUE k 0 3\r\nabc", "more"],
  ["VALUE k 0 3\r\nabc\r\n", "more"],
  ["STAT a b\r\n", "more"],
  ["STORED", "more"],
  ["VERSION ", "more"],
  ["VALUE k 0 3\r\nabcdEND\r\n", "bad"],
  ["VALUE k 0 3\r\nabc\r\nSTORED\r\n", "bad"],
  ["VALUE k 0 3\r\nabc\r\nVA 1\r\nx\r\n", "bad"],
  ["VALUE k 0 x\r\n", "bad"],
  ["VALUE k 0 -1\r\n", "bad"],
  ["VALUE k 0 99999999999\r\n", "bad"],
  ["VALUE k 0\r\n", "bad"],
  ["VA x\r\n", "bad"],
  ["VA 3\r\nabcde\r\n", "bad"],
  ["STORE\r\n", "bad"],
  ["STOREDX\r\n", "bad"],
  ["STORED \r\n", "bad"],
  ["STORED\n", "bad"],
  ["stored\r\n", "bad"],
  ["HDX\r\n", "bad"],
  ["12x\r\n", "bad"],
  ["hello\r\n", "bad"],
  ["\r\n", "bad"],
  ["\n", "bad"],
  ["+PONG\r\n", "bad"],
];

/** Feeds `data` in pieces of at most `step` bytes; returns the reply's length, "bad" or "more". */
function parseReplyIn(data: string, step: number, fill: number): number | "bad" | "more" {
  const scan = new ReplyScan();
  let pos = 0;
  for (let have = Math.min(step, data.length);; have = Math.min(have + step, data.length)) {
    // What is consumed is gone; the rest lies somewhere else now.
    const { buf, start, end } = embed(data.slice(pos, have), fill);
    const first = pos === 0;
    const next = codec.parseReply(scan, buf, start, end);
    assert.ok(next >= start && next <= end);
    if (first && !data.slice(0, have).includes("\n")) assert.is(next, start, "nothing consumed");
    pos += next - start;
    if (scan.bad) return "bad";
    if (scan.done) return pos;
    if (have === data.length) return "more";
  }
}

test("replies end where they should, however they are cut", () => {
  for (const [reply, expected] of REPLIES) {
    for (const fill of [0x0a, 0x0d, 0x20, 0x31]) {
      const followed = typeof expected === "number" ? reply + "VALUE x 0 1\r\ny\r\n" : reply;
      const what = `${JSON.stringify(reply)}, poison ${fill}`;
      assert.is(parseReplyIn(followed, followed.length, fill), expected, `${what}, whole`);
      for (let step = 1; step < followed.length; step++) {
        assert.is(parseReplyIn(followed, step, fill), expected, `${what}, by ${step}`);
      }
    }
  }
});

test("a reply line without an end is given up after 64 KB", () => {
  assert.is(parseReplyIn("VERSION " + "x".repeat(60_000), 70_000, 10), "more");
  assert.is(parseReplyIn("VERSION " + "x".repeat(70_000), 80_000, 10), "bad");
  assert.is(parseReplyIn("VALUE " + "x".repeat(70_000), 80_000, 10), "bad");
  assert.is(parseReplyIn("VALUE k 0 5 " + "1".repeat(70_000), 80_000, 10), "bad");
});

test("the body of a reply is not read", () => {
  const line = "VALUE k 0 50000\r\n";
  const data = bytes(`${line}${"x".repeat(50_000)}\r\nEND\r\n`);
  let reads = 0;
  const spy = new Proxy(data, {
    get(target, name) {
      if (typeof name === "string" && Number(name) >= line.length) reads++;
      return Reflect.get(target, name);
    },
  });
  const scan = new ReplyScan();
  let pos = codec.parseReply(scan, spy, 0, 30_000);
  assert.equal([pos, scan.skip, reads], [30_000, data.length - 30_000 - 5, 0]);
  pos = codec.parseReply(scan, spy, pos, data.length);
  assert.equal([pos, scan.done], [data.length, true]);
  assert.ok(reads < 40);
});

test("each quiet meta command hides just what memcached would not have sent", () => {
  const hidden = (command: string, reply: string): boolean => {
    const { quiet } = COMMANDS[verbOf(command)];
    const { buf, start } = embed(reply, 0x20);
    return codec.quiet.muted(quiet, buf, start);
  };
  assert.ok(hidden("mg", "EN\r\n"));
  assert.ok(hidden("mg", "EN O1\r\n"));
  for (const shown of ["VA 1\r\n", "HD\r\n", "CLIENT_ERROR x\r\n"]) assert.not(hidden("mg", shown));
  assert.ok(hidden("ms", "HD\r\n"));
  for (const shown of ["NS\r\n", "EX\r\n", "NF\r\n", "SERVER_ERROR x\r\n"]) {
    assert.not(hidden("ms", shown));
  }
  assert.ok(hidden("md", "HD\r\n"));
  assert.not(hidden("md", "NF\r\n"));
  assert.ok(hidden("ma", "HD\r\n"));
  assert.ok(hidden("ma", "VA 1\r\n"));
  for (const shown of ["NF\r\n", "EX\r\n", "CLIENT_ERROR x\r\n"]) assert.not(hidden("ma", shown));
  assert.ok(codec.quiet.muted(1, bytes("CLIENT_ERROR x\r\n"), 0));
  assert.not(codec.quiet.muted(0, bytes("HD\r\n"), 0));
});

test("errors are told from other replies, and their text from their mark", () => {
  for (const line of ["ERROR\r\n", "CLIENT_ERROR x\r\n", "SERVER_ERROR x y\r\n"]) {
    assert.ok(codec.isError(bytes(line), 0), line);
  }
  for (const line of ["END\r\n", "EN\r\n", "EXISTS\r\n", "STORED\r\n", "STAT a b\r\n", "1\r\n"]) {
    assert.not(codec.isError(bytes(line), 0), line);
  }
  const said = (line: string): string => codec.errorText(bytes(line), 0, line.length);
  assert.is(said("SERVER_ERROR out of memory\r\n"), "out of memory");
  assert.is(said("CLIENT_ERROR bad data chunk\r\n"), "bad data chunk");
  assert.is(said("ERROR\r\n"), "ERROR");
  assert.is(codec.serverErrors, null);
});

test("local answers and the line for a lost server", () => {
  const scan = new Scan();
  const answer = (request: string): string => {
    const buf = bytes(request);
    codec.parseRequest(scan, buf, 0, buf.length);
    const out = codec.answer(scan, buf, 0, codec.newSession(1, "", 0));
    return text(out, 0, out.length);
  };
  assert.is(answer("mn\r\n"), "MN\r\n");
  assert.is(answer("quit\r\n"), "");
  const refused = codec.failure("Connection refused");
  assert.is(text(refused, 0, refused.length), "SERVER_ERROR Connection refused\r\n");
  assert.is(codec.failure("Connection refused"), refused);
  // Every other request, by whichever path it is parsed, has the server's error.
  for (const request of ["version\r\n", "get a\r\n", "version\r\n", "set a 0 0 1\r\nx\r\n"]) {
    const buf = bytes(request);
    codec.parseRequest(scan, buf, 0, buf.length);
    const line = codec.failure("Connection refused", scan);
    const expected = request[0] === "v"
      ? "VERSION 9.8.7\r\n"
      : "SERVER_ERROR Connection refused\r\n";
    assert.is(text(line, 0, line.length), expected);
  }
  assert.is(codec.newSession(1, "", 0).locked, false);
  assert.is(codec.greeting, null);
});

/** Collects what an OutBuffer would send. */
function written(fill: (out: OutBuffer) => void): string {
  const out = new OutBuffer(new BufferPool());
  let sent = "";
  fill(out);
  out.flush({
    remote: "",
    copies: true,
    write(buf: Uint8Array, start: number, end: number): number {
      sent += text(buf, start, end);
      return end - start;
    },
    pause() {},
    resume() {},
    shutdown() {},
    close() {},
  });
  return sent;
}

/** The fragments of `request` when key i goes to part picks[i]. */
function fragments(request: string, picks: number[]): string[] {
  const scan = new Scan();
  const { buf, start, end } = embed(request, 0x61);
  codec.parseRequest(scan, buf, start, end);
  assert.is(scan.action, SPLIT);
  const all: string[] = [];
  for (let part = 0; part <= Math.max(...picks); part++) {
    all.push(written((out) => {
      codec.keys.begin(scan, buf, start, 0, out);
      picks.forEach((pick, i) => {
        if (pick === part) codec.keys.add(scan, buf, start, i, i + 1, out);
      });
      out.append(codec.keys.end, 0, codec.keys.end.length);
    }));
  }
  return all;
}

test("fragments look as nutcracker writes them", () => {
  assert.equal(fragments("get a bb c\r\n", [0, 1, 0]), ["get a c \r\n", "get bb \r\n"]);
  assert.equal(fragments("gets  a  b\n", [1, 0]), ["gets b \r\n", "gets a \r\n"]);
  assert.equal(fragments("gat 10 a b\r\n", [0, 0]), ["gat 10 a b \r\n"]);
  assert.equal(fragments("gats -1 a b \r\n", [0, 1]), ["gats -1 a \r\n", "gats -1 b \r\n"]);
});

function part(reply: string): Part {
  if (reply.startsWith("!")) {
    return {
      held: undefined as unknown as Uint8Array,
      heldStart: 0,
      heldEnd: 0,
      failure: reply.slice(1),
    };
  }
  const { buf, start, end } = embed(reply, 0x56);
  return { held: buf, heldStart: start, heldEnd: end, failure: "" };
}

const join = (command: string, picks: number[], replies: string[]): string =>
  written((out) =>
    codec.join({
      verb: verbOf(command),
      nkeys: picks.length,
      picks: Uint16Array.from(picks),
      parts: replies.map(part),
      tagHigh: 0,
      tagLow: 0,
    }, out)
  );

const value = (key: string, data: string, cas = ""): string =>
  `VALUE ${key} 0 ${data.length}${cas}\r\n${data}\r\n`;

test("joined values come in the order of the keys", () => {
  const a = `${value("a", "1")}${value("c", "333")}END\r\n`;
  const b = `${value("b", "END\r\n", " 99")}END\r\n`;
  const all = value("a", "1") + value("b", "END\r\n", " 99") + value("c", "333") + "END\r\n";
  assert.is(join("get", [0, 1, 0], [a, b]), all);
  assert.is(
    join("gets", [0, 0, 1], [a, b]),
    value("a", "1") + value("c", "333") +
      value("b", "END\r\n", " 99") + "END\r\n",
  );
});

test("with misses the next value there is takes the place, as in nutcracker", () => {
  // keys a (miss) b c: c's value stands in for a
  const got = join("get", [0, 1, 0], [`${value("c", "3")}END\r\n`, `${value("b", "2")}END\r\n`]);
  assert.is(got, value("c", "3") + value("b", "2") + "END\r\n");
  assert.is(join("get", [0, 1], ["END\r\n", "END\r\n"]), "END\r\n");
});

test("a lost fragment or an error line is the whole reply", () => {
  const good = `${value("a", "1")}END\r\n`;
  assert.is(
    join("get", [0, 1], [good, "!Connection refused"]),
    "SERVER_ERROR Connection refused\r\n",
  );
  assert.is(join("get", [0, 1], [good, "SERVER_ERROR oom\r\n"]), "SERVER_ERROR oom\r\n");
  assert.is(join("get", [0, 1], ["ERROR\r\n", good]), "ERROR\r\n");
});

test("ten thousand keys are joined in linear time", () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => `key:${i}`);
  const replies = ["", "", ""];
  let all = "";
  keys.forEach((key, i) => {
    if (i % 7 === 0) return;
    replies[i % 3] += value(key, "x".repeat(i % 50));
  });
  const next = replies.map((reply) => reply.split(/(?=VALUE )/).filter((s) => s !== ""));
  keys.forEach((_, i) => all += next[i % 3].shift() ?? "");
  const got = join("get", keys.map((_, i) => i % 3), replies.map((reply) => `${reply}END\r\n`));
  assert.is(got, `${all}END\r\n`);
});

test("replies of all servers that say the same become one", () => {
  assert.is(join("flush_all", [], ["OK\r\n", "OK\r\n", "OK\r\n"]), "OK\r\n");
  assert.is(join("stats/reset", [], ["RESET\r\n", "RESET\r\n"]), "RESET\r\n");
  assert.is(
    join("flush_all", [], ["OK\r\n", "!Connection timed out"]),
    "SERVER_ERROR Connection timed out\r\n",
  );
  assert.is(join("flush_all", [], ["OK\r\n", "CLIENT_ERROR x\r\n"]), "CLIENT_ERROR x\r\n");
  const small = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
  assert.is(join("cache_memlimit", [], ["OK\r\n", small]), small);
});

test("stats of several servers are added up where that makes sense", () => {
  const one =
    "STAT pid 7\r\nSTAT uptime 50\r\nSTAT version 1.6.18\r\nSTAT rusage_user 0.500000\r\n" +
    "STAT cmd_get 9007199254740993\r\nSTAT accepting_conns 1\r\nEND\r\n";
  const two =
    "STAT pid 8\r\nSTAT uptime 90\r\nSTAT version 1.6.19\r\nSTAT rusage_user 0.250000\r\n" +
    "STAT cmd_get 2\r\nSTAT accepting_conns 0\r\nSTAT extra 5\r\nEND\r\n";
  assert.is(
    join("stats", [], [one, two]),
    "STAT pid 7\r\nSTAT uptime 90\r\nSTAT version 1.6.18\r\nSTAT rusage_user 0.750000\r\n" +
      "STAT cmd_get 9007199254740995\r\nSTAT accepting_conns 0\r\nSTAT extra 5\r\nEND\r\n",
  );
  assert.is(join("stats", [], [one, "!Connection refused"]), one);
  assert.is(join("stats", [], ["!a", "!b"]), "SERVER_ERROR a\r\n");
});

test("stats subcommands are joined each in its own way", () => {
  assert.is(
    join("stats/items", [], [
      "STAT items:1:number 3\r\nSTAT items:1:age 20\r\nEND\r\n",
      "STAT items:1:number 4\r\nSTAT items:1:age 10\r\nSTAT items:2:number 1\r\nEND\r\n",
    ]),
    "STAT items:1:number 7\r\nSTAT items:1:age 20\r\nSTAT items:2:number 1\r\nEND\r\n",
  );
  const settings = ["STAT maxbytes 1\r\nEND\r\n", "STAT maxbytes 2\r\nEND\r\n"];
  assert.is(join("stats/settings", [], settings), settings[0]);
  const conns = ["STAT 23:addr a\r\nEND\r\n", "END\r\n", "STAT 23:addr b\r\nEND\r\n"];
  assert.is(join("stats/conns", [], conns), "STAT 23:addr a\r\nSTAT 23:addr b\r\nEND\r\n");
  assert.is(join("stats/detail", [], ["OK\r\n", "OK\r\n"]), "OK\r\n");
  const items = ["ITEM a\r\nVALUE k 0 1 [1 b; 0 s]\r\nITEM b [1 b; 0 s]\r\nEND\r\n", "END\r\n"];
  assert.is(join("stats/cachedump", [], items), "ITEM b [1 b; 0 s]\r\nEND\r\n");
  const wrong = "CLIENT_ERROR usage: stats detail on|off|dump\r\n";
  assert.is(join("stats/detail", [], [wrong, wrong]), wrong);
});

test.run();
