// The Redis codec: tables of requests and replies, each fed whole and cut at every byte, in a
// buffer whose other bytes are poison; splitting and joining; local answers.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { BufferPool, OutBuffer } from "../../core/wire/out_buffer.ts";
import {
  BAD,
  DONE,
  type Facts,
  FORWARD,
  MORE,
  NOTHING,
  type Part,
  PIN,
  REFUSE,
  ReplyScan,
  type Runs,
  Scan,
  SPLIT,
  TOGETHER,
} from "../../core/protocol/codec.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import type { RedisSession } from "../../core/protocol/redis/session.ts";
import { COMMANDS, SUB, verbOf } from "../../core/protocol/redis/commands.ts";

const MAX_REQUEST = 100_000;

const sessions: RedisSession[] = [];
const killed: string[] = [];
const facts: Facts = {
  pool: "cache",
  version: "1.2.3",
  runtime: "fake 1",
  wallClock: () => 1_795_433_469_123,
  uptime: () => 90_000,
  port: () => 22121,
  listen: () => "127.0.0.1:22121",
  peers: () =>
    sessions.map((session) => ({
      session,
      queuedInMulti: -1,
      isBlocked: false,
      isMonitoring: false,
      idle: 2500,
      unblock: () => false,
      kill: (asks) => void killed.push(`${session.id}${asks ? " itself" : ""}`),
    })),
  hidden: () => 0,
  servers: () => 2,
  pause: () => {},
  counters: () => [["Stats", [["total_commands_processed", 7]]]],
};
const codecOf = (auth: string, db = 0) =>
  new RedisCodec({ auth, db, maxRequest: MAX_REQUEST }, facts);
const codec = codecOf("");

const ACTION = [
  ...["forward", "split", "together", "any", "all", "local", "refuse", "quit", "nothing", "pin"],
  ...["walk", "gather"],
];

const PINS = ["none", "block ", "watch", "unwatch", "multi", "exec", "discard", "queue", "reset"];

const bulk = (value: string): string => `$${value.length}\r\n${value}\r\n`;
/** An array of the words of a line; "~" stands for an empty word. */
const array = (line: string): string => {
  const words = line.split(" ").map((word) => word === "~" ? "" : word);
  return `*${words.length}\r\n${words.map(bulk).join("")}`;
};

/** `data` at an odd place of a larger buffer full of `fill`. */
function embed(
  data: string,
  fill: number,
  at = 13,
): { buf: Uint8Array; start: number; end: number } {
  const buf = new Uint8Array(data.length + 64).fill(fill);
  buf.set(bytes(data), at);
  return { buf, start: at, end: at + data.length };
}

/** What the codec makes of the request at the start of `data`, in words. */
function describe(scan: Scan, result: number, buf: Uint8Array, start: number): string {
  if (result === MORE) return "more";
  const error = text(scan.error, 0, scan.error.length);
  if (result === BAD) return `bad ${error}`;
  const parts = [`${scan.length}`, ACTION[scan.action]];
  const from = scan.scratch ?? buf;
  const at = scan.scratch === null ? start : 0;
  if (scan.action === REFUSE) return [...parts, error].join(" ");
  if (scan.action === NOTHING) return parts.join(" ");
  parts.push(COMMANDS[scan.verb].name);
  if (scan.action === FORWARD) parts.push(text(from, at + scan.keyStart, at + scan.keyEnd));
  if (scan.action === PIN) parts.push(`${PINS[scan.pin]}${scan.pin === 1 ? scan.wait : ""}`);
  if (scan.action === SPLIT || scan.action === TOGETHER || scan.nkeys > 0 && scan.action === PIN) {
    const keys: string[] = [];
    for (let i = 0; i < scan.nkeys; i++) {
      codec.keys.select(scan, i);
      keys.push(text(from, at + scan.keyStart, at + scan.keyEnd));
    }
    parts.push(keys.join(","));
  }
  if (scan.scratch !== null) parts.push(JSON.stringify(text(scan.scratch, 0, scan.scratchLength)));
  return parts.join(" ");
}

const FILLS = [0x0d, 0x0a, 0x24, 0x31];

/** `data` is parsed as `expected`, whole, cut anywhere, and byte by byte. */
function check(data: string, expected: string): void {
  const what = JSON.stringify(data.length > 200 ? `${data.slice(0, 200)}...` : data);
  for (const fill of FILLS) {
    const whole = embed(data, fill);
    const scan = new Scan();
    const result = codec.parseRequest(scan, whole.buf, whole.start, whole.end);
    assert.is(describe(scan, result, whole.buf, whole.start), expected, `${what}, whole`);
  }
  const final = expected.startsWith("bad")
    ? -1
    : expected === "more"
    ? Infinity
    : parseInt(expected, 10);
  const step = data.length > 3000 ? 61 : 1;
  for (let cut = 0; cut < data.length; cut += step) {
    const fill = FILLS[cut % FILLS.length];
    for (const again of ["goes on", "starts anew"]) {
      const scan = new Scan();
      const first = embed(data.slice(0, cut), fill, 5);
      const early = codec.parseRequest(scan, first.buf, first.start, first.end);
      if (early !== MORE) {
        // A mistake may be seen early; a request is not whole before its last byte is there.
        if (final < 0) assert.is(early, BAD);
        else assert.ok(cut >= final, `${what}, cut at ${cut}`);
        assert.is(
          describe(scan, early, first.buf, first.start),
          expected,
          `${what}, cut at ${cut}`,
        );
        continue;
      }
      assert.ok(cut < final || final < 0, `${what}, cut at ${cut}`);
      if (again !== "goes on") scan.reset();
      const second = embed(data, fill, 29);
      const result = codec.parseRequest(scan, second.buf, second.start, second.end);
      assert.is(
        describe(scan, result, second.buf, second.start),
        expected,
        `${what}, cut at ${cut}, ${again}`,
      );
    }
  }
  const scan = new Scan();
  let result: number = MORE;
  let last = embed("", 0);
  for (let have = 0; have <= data.length && result === MORE; have += step) {
    last = embed(data.slice(0, have), 0x0a, have % 31);
    result = codec.parseRequest(scan, last.buf, last.start, last.end);
  }
  if (result === MORE && step > 1) return;
  assert.is(describe(scan, result, last.buf, last.start), expected, `${what}, byte by byte`);
}

const arity = (name: string) => `-ERR wrong number of arguments for '${name}' command\r\n`;
const protocol = (message: string) => `bad -ERR Protocol error: ${message}\r\n`;
const SYNTAX = "-ERR syntax error\r\n";

// Arrays, as words of one line: what is found, its length left out.
const ARRAYS: Record<string, [string, string][]> = {
  "a command of one key goes to its server, in any case": [
    ["GET k", "forward get k"],
    ["get k", "forward get k"],
    ["gEt ~", "forward get "],
    ["SET key:with:a:longer:name value EX 10 NX", "forward set key:with:a:longer:name"],
    [`SET k ${"x".repeat(9)}`, "forward set k"],
    [`SET k ${"x".repeat(10)}`, "forward set k"],
    [`SET k ${"x".repeat(99)}`, "forward set k"],
    [`SET k ${"x".repeat(100)}`, "forward set k"],
    [`SET k ${"x".repeat(5000)}`, "forward set k"],
    ["INCR \r\n$1\r\n", "forward incr \r\n$1\r\n"],
    ["HSET h f v f2 v2", "forward hset h"],
    [`LPUSH l ${"v ".repeat(100)}v`, "forward lpush l"],
    ["OBJECT ENCODING k", "forward object|encoding k"],
    ["object encoding k", "forward object|encoding k"],
    ["XGROUP CREATE s g $", "forward xgroup|create s"],
    ["MEMORY USAGE k SAMPLES 5", "forward memory|usage k"],
    ["PFDEBUG TODENSE k", "forward pfdebug k"],
    ["SORT_RO k BY nosort", "forward sort_ro k"],
  ],
  "a command that is split knows its keys": [
    ["MGET a b c", "split mget a,b,c"],
    ["MGET a", "split mget a"],
    ["DEL a a", "split del a,a"],
    ["MSET a 1 b 2", "split mset a,b"],
    ["TOUCH a b", "split touch a,b"],
    [`EXISTS ${"k ".repeat(40)}k`, `split exists ${"k,".repeat(40)}k`],
    ["MSET a 1 b", `refuse ${arity("mset")}`],
    ["MSET a", `refuse ${arity("mset")}`],
    ["MGET", `refuse ${arity("mget")}`],
  ],
  "a command whose keys belong together knows all of them": [
    ["RENAME a b", "together rename a,b"],
    ["SINTER a b c", "together sinter a,b,c"],
    ["SINTERSTORE d a b", "together sinterstore d,a,b"],
    ["MSETNX a 1 b 2", "together msetnx a,b"],
    ["MSETNX a 1 b", `refuse ${arity("msetnx")}`],
    ["BITOP AND d a b", "together bitop d,a,b"],
    ["BITOP NOT d a", "together bitop d,a"],
    ["PFCOUNT a b", "together pfcount a,b"],
    ["SMOVE a b m", "together smove a,b"],
    ["LMOVE a b LEFT RIGHT", "together lmove a,b"],
    ["LCS a b LEN", "together lcs a,b"],
    ["ZUNIONSTORE d 2 a b WEIGHTS 1 2", "together zunionstore d,a,b"],
    ["ZUNIONSTORE d 1 a", "together zunionstore d,a"],
    ["ZUNION 2 a b WITHSCORES", "together zunion a,b"],
    ["ZINTERCARD 2 a b LIMIT 1", "together zintercard a,b"],
    ["SINTERCARD 1 a", "together sintercard a"],
    ["LMPOP 2 a b LEFT", "together lmpop a,b"],
    ["EVAL return 2 a b c", "together eval a,b"],
    ["EVAL return 0", "together eval "],
    ["EVAL return 0 arg", "together eval "],
    ["EVALSHA_RO sha 1 a", "together evalsha_ro a"],
    ["FCALL f 1 a", "together fcall a"],
    ["FCALL_RO f 0", "together fcall_ro "],
    ["SORT l", "together sort l"],
    ["SORT l BY x LIMIT 0 5 DESC", "together sort l"],
    ["SORT l STORE d", "together sort l,d"],
    ["SORT l BY w_* GET # store d", "together sort l,d"],
    ["SORT l STORE x STORE d", "together sort l,d"],
    ["SORT l STORE", "together sort l"],
    ["GEORADIUS g 1 2 3 km STORE d", "together georadius g,d"],
    ["GEORADIUS g 1 2 3 km", "together georadius g"],
    ["GEORADIUSBYMEMBER g m 3 km STOREDIST d", "together georadiusbymember g,d"],
    ["XREAD STREAMS a 0", "together xread a"],
    ["XREAD COUNT 5 STREAMS a b 0 $", "together xread a,b"],
    ["XREADGROUP GROUP g c NOACK STREAMS a b > >", "together xreadgroup a,b"],
    ["XREADGROUP GROUP g c streams a >", "together xreadgroup a"],
  ],
  "keys that cannot be found are told in Redis's words": [
    [
      "XREAD STREAMS a b 0",
      "refuse -ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.\r\n",
    ],
    ["XREAD COUNT 5 COUNT 6", `refuse ${SYNTAX}`],
    ["XREAD COUNT 5 STREAMS", `refuse ${SYNTAX}`],
    ["XREAD WHAT STREAMS a 0", `refuse ${SYNTAX}`],
  ],
  "a number of keys that cannot be right is left to a server to refuse": [
    ["ZUNIONSTORE d 3 a b", "together zunionstore d"],
    ["ZUNIONSTORE d x a", "together zunionstore d"],
    ["ZUNIONSTORE d 0 a", "together zunionstore d"],
    ["ZUNION 2 a", "together zunion "],
    ["SINTERCARD 0 a", "together sintercard "],
    ["EVAL return x", "together eval "],
    ["EVAL return 2 a", "together eval "],
    ["EVAL return -1 a", "together eval "],
    ["EVAL return 99999999999999999999 a", "together eval "],
  ],
  "words that look like an option but are an option's value": [
    ["XREADGROUP GROUP streams block STREAMS a >", "together xreadgroup a"],
    ["XREAD COUNT streams STREAMS a 0", "together xread a"],
    ["GEORADIUSBYMEMBER g store 3 km", "together georadiusbymember g"],
    ["GEORADIUSBYMEMBER g by 3 km STORE d", "together georadiusbymember g,d"],
    ["SORT l BY store GET store", "together sort l"],
    ["SORT l GET store STORE d", "together sort l,d"],
  ],
  "commands for any server, for all, and for ringmux itself": [
    ["COMMAND", "any command"],
    ["COMMAND DOCS get", "any command|docs"],
    ["RANDOMKEY", "all randomkey"],
    ["INFO", "gather info"],
    ["INFO keyspace stats", "gather info"],
    ["SCAN 0", "walk scan"],
    ["scan 18446744073709551615 MATCH a* COUNT 10 TYPE set", "walk scan"],
    ["CONFIG GET save", "any config|get"],
    ["CONFIG RESETSTAT", "all config|resetstat"],
    ["SLOWLOG GET 10", "all slowlog|get"],
    ["ACL WHOAMI", "local acl|whoami"],
    ["DBSIZE", "all dbsize"],
    ["KEYS *", "all keys"],
    ["FLUSHALL ASYNC", "all flushall"],
    ["SCRIPT LOAD return", "all script|load"],
    ["SCRIPT EXISTS a b", "all script|exists"],
    ["FUNCTION LOAD REPLACE x", "all function|load"],
    ["PING", "local ping"],
    ["PING x", "local ping"],
    ["CLIENT SETNAME x", "local client|setname"],
    ["HELLO", "local hello"],
    ["QUIT", "quit quit"],
  ],
  "transactions": [
    ["MULTI", "pin multi multi"],
    ["exec", "pin exec exec"],
    ["DISCARD", "pin discard discard"],
    ["UNWATCH", "pin unwatch unwatch"],
    ["WATCH a b c", "pin watch watch a,b,c"],
    ["WATCH", `refuse ${arity("watch")}`],
    ["MULTI x", `refuse ${arity("multi")}`],
  ],
  "what waits at the server, and for how long": [
    ["BLPOP a b 0", "pin blpop block Infinity a,b"],
    ["BRPOP a 1.5", "pin brpop block 1500 a"],
    ["BLMOVE a b LEFT RIGHT 2", "pin blmove block 2000 a,b"],
    ["BRPOPLPUSH a b 0.01", "pin brpoplpush block 10 a,b"],
    ["BLMPOP 3 2 a b LEFT", "pin blmpop block 3000 a,b"],
    ["BZMPOP 0 1 a MIN COUNT 2", "pin bzmpop block Infinity a"],
    ["BZPOPMIN a b 4", "pin bzpopmin block 4000 a,b"],
    ["BLPOP a x", "pin blpop block 0 a"],
    ["BLPOP a -1", "pin blpop block 0 a"],
    ["XREAD BLOCK 50 STREAMS a $", "pin xread block 50 a"],
    ["XREAD COUNT 1 BLOCK 0 STREAMS a b 0 0", "pin xread block Infinity a,b"],
    ["XREADGROUP GROUP g c BLOCK 7 NOACK STREAMS a >", "pin xreadgroup block 7 a"],
    ["XREAD BLOCK STREAMS a", `refuse ${SYNTAX}`],
    ["BLPOP a", `refuse ${arity("blpop")}`],
  ],
  "what ringmux does not pass on is refused, and the connection stays": [
    [
      "MEMORY DOCTOR",
      "refuse -ERR 'memory doctor' is not supported by ringmux: it administers servers: connect to them directly, or allow @admin (commands.allow)\r\n",
    ],
    ["SCAN x", "refuse -ERR invalid cursor\r\n"],
    ["SCAN -1", "refuse -ERR invalid cursor\r\n"],
    ["SCAN ~", "refuse -ERR invalid cursor\r\n"],
    ["SCAN 18446744073709551616", "refuse -ERR invalid cursor\r\n"],
    ["SCAN 000000000000000000001", "refuse -ERR invalid cursor\r\n"],
    ["CLUSTER INFO", "refuse -ERR This instance has cluster support disabled\r\n"],
    ["ASKING", "refuse -ERR This instance has cluster support disabled\r\n"],
    [
      "CONFIG SET maxmemory 1",
      "refuse -ERR 'config set' is not supported by ringmux: it administers servers: connect to them directly, or allow @admin (commands.allow)\r\n",
    ],
  ],
  "a wrong number of arguments, and what is no command": [
    ["GET", `refuse ${arity("get")}`],
    ["GET a b", `refuse ${arity("get")}`],
    ["set k", `refuse ${arity("set")}`],
    ["OBJECT", `refuse ${arity("object")}`],
    ["OBJECT ENCODING", `refuse ${arity("object|encoding")}`],
    ["OBJECT HELP x", `refuse ${arity("object|help")}`],
    ["OBJECT nope k", "refuse -ERR unknown subcommand 'nope'. Try OBJECT HELP.\r\n"],
    [
      `XINFO ${"y".repeat(200)}`,
      `refuse -ERR unknown subcommand '${"y".repeat(128)}'. Try XINFO HELP.\r\n`,
    ],
    ["nope", "refuse -ERR unknown command 'nope', with args beginning with: \r\n"],
    ["NoPe a ~ b", "refuse -ERR unknown command 'NoPe', with args beginning with: 'a' '' 'b' \r\n"],
    ["~", "refuse -ERR unknown command '', with args beginning with: \r\n"],
    ["GETX k", "refuse -ERR unknown command 'GETX', with args beginning with: 'k' \r\n"],
    ["GE k", "refuse -ERR unknown command 'GE', with args beginning with: 'k' \r\n"],
    ["x\r\ny \r\n", "refuse -ERR unknown command 'x  y', with args beginning with: '  ' \r\n"],
    [
      `${"n".repeat(300)} ${"a".repeat(300)} b`,
      `refuse -ERR unknown command '${"n".repeat(128)}', with args beginning with: '${
        "a".repeat(128)
      }' \r\n`,
    ],
    [
      `nope ${"a".repeat(100)} ${"b".repeat(100)} c`,
      `refuse -ERR unknown command 'nope', with args beginning with: '${"a".repeat(100)}' '${
        "b".repeat(25)
      }' \r\n`,
    ],
  ],
};

for (const name in ARRAYS) {
  test(name, () => {
    for (const [line, expected] of ARRAYS[name]) {
      const data = array(line);
      check(data, `${data.length} ${expected}`);
      check(data + "*1\r\n$4\r\nPING\r\n", `${data.length} ${expected}`);
    }
  });
}

// Whole texts → result, the length first.
const TEXTS: Record<string, [string, string][]> = {
  "empty and negative arrays and empty lines are passed over": [
    ["*0\r\n", "4 nothing"],
    ["*-1\r\n", "5 nothing"],
    ["*-10\r\n", "6 nothing"],
    ["\r\n", "2 nothing"],
    ["\n", "1 nothing"],
    ["   \t\r\n", "6 nothing"],
    ["\r\nPING\r\n", "2 nothing"],
  ],
  "bad lengths break the stream": [
    ["*x\r\n", protocol("invalid multibulk length")],
    ["*1x\r\n", protocol("invalid multibulk length")],
    ["*\r\n", protocol("invalid multibulk length")],
    ["* 1\r\n", protocol("invalid multibulk length")],
    ["*01\r\n$4\r\nPING\r\n", protocol("invalid multibulk length")],
    ["*00\r\n", protocol("invalid multibulk length")],
    ["*1000000000\r\n", protocol("invalid multibulk length")],
    ["*4294967297\r\n$4\r\nPING\r\n", protocol("invalid multibulk length")],
    [`*${"1".repeat(40)}\r\n`, protocol("too big mbulk count string")],
    [`*${"1".repeat(40)}`, protocol("too big mbulk count string")],
    ["*1\r\nPING\r\n", protocol("expected '$', got 'P'")],
    ["*2\r\n$3\r\nGET\r\n:1\r\n", protocol("expected '$', got ':'")],
    ["*2\r\n$3\r\nGET\r\n\r\n", protocol("expected '$', got ' '")],
    ["*1\r\n$-1\r\n", protocol("invalid bulk length")],
    ["*1\r\n$x\r\n", protocol("invalid bulk length")],
    ["*1\r\n$1x\r\n", protocol("invalid bulk length")],
    ["*1\r\n$12x\r\n", protocol("invalid bulk length")],
    ["*1\r\n$04\r\nPING\r\n", protocol("invalid bulk length")],
    ["*1\r\n$00\r\n\r\n", protocol("invalid bulk length")],
    ["*2\r\n$0003\r\nGET\r\n$001\r\nk\r\n", protocol("invalid bulk length")],
    ["*1\r\n$012\r\nPINGPINGPING\r\n", protocol("invalid bulk length")],
    ["*1\r\n$\r\n\r\n", protocol("invalid bulk length")],
    ["*1\r\n$2147483648\r\n", protocol("invalid bulk length")],
    ["*1\r\n$4294967300\r\nPING\r\n", protocol("invalid bulk length")],
    [`*1\r\n$${"0".repeat(40)}4\r\nPING\r\n`, protocol("invalid bulk length")],
  ],
  "a word of another length than told breaks the stream": [
    ["*1\r\n$3\r\nPING\r\n", protocol("invalid bulk length")],
    ["*1\r\n$5\r\nPING\r\n*", protocol("invalid bulk length")],
    ["*1\r\n$4\rxPING\r\n", protocol("invalid bulk length")],
    ["*1\rx$4\r\nPING\r\n", protocol("invalid multibulk length")],
  ],
  "what is too large for the proxy is refused before it is all there": [
    [`*2\r\n$3\r\nGET\r\n$${MAX_REQUEST}\r\n`, protocol("request too large for this proxy")],
    [
      `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${512 * 1024 * 1024}\r\nx`,
      protocol("request too large for this proxy"),
    ],
  ],
  "an unfinished request asks for more": [
    ["*", "more"],
    ["*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99\r\nabc", "more"],
    ["*1\r\n$4\r\nPING\r", "more"],
    ["PING", "more"],
    ['SET k "a', "more"],
    ["*1000000\r\n$4\r\nPING\r\n", "more"],
  ],
  "inline commands are split into words as Redis does it": [
    ["PING\r\n", '6 local ping "*1\\r\\n$4\\r\\nPING\\r\\n"'],
    ["get k\n", '6 forward get k "*2\\r\\n$3\\r\\nget\\r\\n$1\\r\\nk\\r\\n"'],
    ["  get \t k  \r\n", '13 forward get k "*2\\r\\n$3\\r\\nget\\r\\n$1\\r\\nk\\r\\n"'],
    ['get "a b"\r\n', '11 forward get a b "*2\\r\\n$3\\r\\nget\\r\\n$3\\r\\na b\\r\\n"'],
    ["get 'a b'\r\n", '11 forward get a b "*2\\r\\n$3\\r\\nget\\r\\n$3\\r\\na b\\r\\n"'],
    ['get ""\r\n', '8 forward get  "*2\\r\\n$3\\r\\nget\\r\\n$0\\r\\n\\r\\n"'],
    [
      'get "\\x41\\n\\r\\t\\b\\a\\"\\\\\\q\\x4"\r\n',
      `31 forward get A\n\r\t\b\x07"\\qx4 ${JSON.stringify(array('get A\n\r\t\b\x07"\\qx4'))}`,
    ],
    [
      "get 'it\\'s \\n'\r\n",
      `16 forward get it's \\n ${JSON.stringify(`*2\r\n${bulk("get")}${bulk("it's \\n")}`)}`,
    ],
    ['get a"b"\r\n', '10 forward get ab "*2\\r\\n$3\\r\\nget\\r\\n$2\\r\\nab\\r\\n"'],
    ["MGET a b\r\n", `10 split mget a,b ${JSON.stringify(array("MGET a b"))}`],
    ["get a\0b c\r\n", '11 forward get a "*2\\r\\n$3\\r\\nget\\r\\n$1\\r\\na\\r\\n"'],
    ["\0\r\n", "3 nothing"],
    [" \0 \r\n", "5 nothing"],
  ],
  "inline commands may be wrong, too": [
    ["get\r\n", `5 refuse ${arity("get")}`],
    ["nope a\r\n", "8 refuse -ERR unknown command 'nope', with args beginning with: 'a' \r\n"],
    ['get "a\r\n', protocol("unbalanced quotes in request")],
    ["get 'a\r\n", protocol("unbalanced quotes in request")],
    ['get "a"b\r\n', protocol("unbalanced quotes in request")],
    ['get "a\\\r\n', protocol("unbalanced quotes in request")],
    ["get 'a\0'\r\n", protocol("unbalanced quotes in request")],
    ["x".repeat(70_000), protocol("too big inline request")],
    ["x".repeat(70_000) + "\r\n", protocol("too big inline request")],
    ["POST / HTTP/1.1\r\n", protocol("this is HTTP, not Redis")],
    ["GET / HTTP/1.1\r\n", `16 refuse ${arity("get")}`],
    ["Host: localhost\r\n", protocol("this is HTTP, not Redis")],
  ],
};

for (const name in TEXTS) {
  test(name, () => {
    for (const [data, expected] of TEXTS[name]) check(data, expected);
  });
}

test("every command of the table is found in both cases, and asks for its arguments", () => {
  for (const [verb, { name, action, arity: wanted }] of COMMANDS.entries()) {
    assert.is(verbOf(name), verb);
    if (action === SUB) continue;
    const words = name.split("|");
    while (words.length < Math.abs(wanted)) words.push("1");
    for (const change of [(s: string) => s.toUpperCase(), (s: string) => s]) {
      const data = bytes(array(change(words.join(" "))));
      const scan = new Scan();
      assert.is(codec.parseRequest(scan, data, 0, data.length), DONE, name);
      const error = text(scan.error, 0, scan.error.length);
      assert.not(/unknown|wrong number/.test(error), `${name}: ${error}`);
    }
    if (Math.abs(wanted) < 2 || name.includes("|")) continue;
    const short = bytes(array(name));
    const scan = new Scan();
    codec.parseRequest(scan, short, 0, short.length);
    assert.is(text(scan.error, 0, scan.error.length), arity(name));
  }
});

test("a known length is told while the last argument is on its way", () => {
  const head = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1000\r\n";
  const { buf, start, end } = embed(head + "abc", 0x0a);
  const scan = new Scan();
  assert.is(codec.parseRequest(scan, buf, start, end), MORE);
  assert.equal([scan.action, scan.length], [FORWARD, head.length + 1002]);
  assert.is(text(buf, start + scan.keyStart, start + scan.keyEnd), "key");
});

test("the body of a large value is not read", () => {
  const head = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$90000\r\n";
  const data = bytes(`${head}${"x".repeat(90_000)}\r\n`);
  let reads = 0;
  const spy = new Proxy(data, {
    get(target, name) {
      if (typeof name === "string" && Number(name) >= head.length) reads++;
      return Reflect.get(target, name);
    },
  });
  const scan = new Scan();
  for (let end = head.length; end < data.length; end += 1000) {
    assert.is(codec.parseRequest(scan, spy, 0, end), MORE);
  }
  assert.is(reads, 0);
  assert.is(codec.parseRequest(scan, spy, 0, data.length), DONE);
  assert.ok(reads <= 2, "only its end mark is");
});

test("a scan forgets what it held before", () => {
  const scan = new Scan();
  const parse = (data: string): string => {
    const { buf, start, end } = embed(data, 0x24);
    return describe(scan, codec.parseRequest(scan, buf, start, end), buf, start);
  };
  const long = array(`MGET ${"k ".repeat(200)}k`);
  const get = array("GET k");
  const rounds: [string, string][] = [
    ["get q\r\n", '7 forward get q "*2\\r\\n$3\\r\\nget\\r\\n$1\\r\\nq\\r\\n"'],
    [long, `${long.length} split mget ${"k,".repeat(200)}k`],
    ["*1\r\n:", "bad -ERR Protocol error: expected '$', got ':'\r\n"],
    ["nope\r\n", "6 refuse -ERR unknown command 'nope', with args beginning with: \r\n"],
    [array("EVAL s 0"), `${array("EVAL s 0").length} together eval `],
    [array("SORT l STORE d"), `${array("SORT l STORE d").length} together sort l,d`],
    [array("SORT l"), `${array("SORT l").length} together sort l`],
  ];
  for (const [data, expected] of rounds) {
    assert.is(parse(data), expected);
    assert.is(parse(get), `${get.length} forward get k`);
  }
});

// ---------------------------------------------------------------------------------------- replies

const body = "+OK\r\n$3\r\nabc\r\n*1\r\n";
const WHOLE_REPLIES: string[] = [
  "+OK\r\n",
  "+\r\n",
  "-ERR no\r\n",
  ":1\r\n",
  ":-1\r\n",
  "$0\r\n\r\n",
  "$-1\r\n",
  "$3\r\nabc\r\n",
  `$${body.length}\r\n${body}\r\n`,
  `$1000\r\n${"x".repeat(1000)}\r\n`,
  "*0\r\n",
  "*-1\r\n",
  "*1\r\n$-1\r\n",
  "*2\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n+x\r\n",
  "*3\r\n*0\r\n*-1\r\n*1\r\n*0\r\n",
  `*12\r\n${"$2\r\n\r\n\r\n".repeat(12)}`,
  "_\r\n",
  "#t\r\n",
  "#f\r\n",
  ",1.5\r\n",
  ",-inf\r\n",
  "(3492890328409238509324850943850943825024385\r\n",
  "!10\r\nSYNTAX bad\r\n",
  "=7\r\ntxt:abc\r\n",
  "%0\r\n",
  "%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n:2\r\n:3\r\n",
  "~2\r\n+a\r\n%1\r\n+b\r\n_\r\n",
  ">2\r\n+message\r\n+x\r\n",
  "|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n",
  "*2\r\n|1\r\n+a\r\n*0\r\n:1\r\n:2\r\n",
  "+a\rb\r\n",
];
const BAD_REPLIES: string[] = [
  "hello\r\n",
  "\r\n",
  "\n\r\n",
  "$x\r\n",
  "$\r\n",
  "$-2\r\n",
  "$1 \r\n",
  "*x\r\n",
  "*-2\r\n",
  "%-1\r\n",
  "$99999999999\r\n",
  "*99999999999\r\n",
  "*2\r\n+a\r\nhello\r\n",
  "HTTP/1.1 400 Bad Request\r\n",
  `+${"x".repeat(70_000)}`,
];

/** Feeds `data` in steps as a connection does: what is consumed is gone, the rest comes again. */
function feed(data: string, steps: number[], fill: number): number | "bad" | "more" {
  const scan = new ReplyScan();
  let pos = 0;
  let have = 0;
  for (const step of steps) {
    have = Math.min(data.length, have + step);
    const { buf, start, end } = embed(data.slice(pos, have), fill, (have % 17) + 1);
    const next = codec.parseReply(scan, buf, start, end);
    assert.ok(next >= start && next <= end);
    if (pos === 0 && !data.slice(0, have).includes("\r\n")) assert.is(next, start);
    pos += next - start;
    if (scan.bad) return "bad";
    if (scan.done && pos > 0) return pos;
    if (!scan.done) assert.not(text(buf, next, end).includes("\r\n"), "less than a line is left");
  }
  return "more";
}

test("replies end where they should, however they are cut", () => {
  for (const reply of WHOLE_REPLIES) {
    const data = `${reply}$1\r\nx\r\n`;
    for (const fill of [0x0a, 0x0d, 0x31]) {
      assert.is(feed(data, [data.length], fill), reply.length, JSON.stringify(reply));
      for (let cut = 1; cut < reply.length; cut++) {
        assert.is(feed(reply, [cut], fill), "more", `${JSON.stringify(reply)} up to ${cut}`);
        assert.is(feed(data, [cut, data.length], fill), reply.length, JSON.stringify(reply));
        assert.is(
          feed(data, Array(data.length).fill(cut), fill),
          reply.length,
          JSON.stringify(reply),
        );
      }
    }
  }
});

test("what is no reply is told", () => {
  for (const reply of BAD_REPLIES) {
    assert.is(feed(reply, [reply.length], 0x0a), "bad", JSON.stringify(reply.slice(0, 40)));
    if (reply.length > 1000) continue;
    for (let step = 1; step < reply.length; step++) {
      assert.is(feed(reply, Array(reply.length).fill(step), 0x0a), "bad", JSON.stringify(reply));
    }
  }
});

test("deep nesting costs nothing", () => {
  const reply = "*1\r\n".repeat(100_000) + ":1\r\n";
  assert.is(feed(reply, [reply.length], 0x0a), reply.length);
});

test("an error reply, and one that says the server cannot work", () => {
  const is = (reply: string): [boolean, boolean] => {
    const buf = bytes(`..${reply}..`);
    return [codec.isError(buf, 2), codec.serverErrors.isServerFailure(buf, 2, 2 + reply.length)];
  };
  assert.equal(is("+OK\r\n"), [false, false]);
  assert.equal(is("-ERR x\r\n"), [true, false]);
  assert.equal(is("-OOM command not allowed\r\n"), [true, true]);
  assert.equal(is("-BUSY Redis is busy\r\n"), [true, true]);
  assert.equal(is("-BUSYKEY Target key exists\r\n"), [true, false]);
  assert.equal(is("-LOADING Redis is loading\r\n"), [true, true]);
  assert.equal(is("$5\r\n-OOM \r\n"), [false, false]);
});

/** `data`, and how often its bytes are looked at. */
function counted(data: Uint8Array): { buf: Uint8Array; reads: () => number } {
  let reads = 0;
  const buf = new Proxy(data, {
    get(target, name) {
      if (typeof name === "string" && name >= "0" && name < ":") reads++;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { buf, reads: () => reads };
}

test("an inline command that comes byte by byte is read once", () => {
  const line = `GET ${"key ".repeat(2000)}\r\n`;
  const { buf, reads } = counted(bytes(line));
  const scan = new Scan();
  for (let end = 1; end < line.length; end++) {
    assert.is(codec.parseRequest(scan, buf, 0, end), MORE);
  }
  assert.ok(reads() < 4 * line.length, `${reads()} looks at ${line.length} bytes`);
  assert.is(codec.parseRequest(scan, buf, 0, line.length), DONE);
  assert.ok(reads() < 20 * line.length, `${reads()} looks at ${line.length} bytes`);
  assert.is(scan.nargs, 2001);
});

test("errors that a client can make a server say are not the server's", () => {
  const judged = (name: string): number => codec.judged[verbOf(name) + 1];
  for (const name of ["get", "set", "ping", "exec", "mget", "script|kill", "publish"]) {
    assert.is(judged(name), 1, name);
  }
  for (const name of ["eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro"]) {
    assert.is(judged(name), 0, name);
  }
  for (const name of ["script|load", "function|load", "function|restore", "debug", "unknown"]) {
    assert.is(judged(name), 0, name);
  }
  assert.is(codec.judged.length, codec.classes.length);
});

// ------------------------------------------------------------------------------- splitting, joining

function contents(out: OutBuffer): string {
  let sent = "";
  const write = (buf: Uint8Array, start: number, end: number): number => {
    sent += text(buf, start, end);
    return end - start;
  };
  out.flush({
    remote: "",
    copies: false,
    write,
    pause() {},
    resume() {},
    shutdown() {},
    close() {},
  });
  return sent;
}

/** The fragments of a request, by which key goes where. */
function split(request: string, picks: number[]): string[] {
  const { buf, start, end } = embed(request, 0x24);
  const scan = new Scan();
  assert.is(codec.parseRequest(scan, buf, start, end), DONE);
  assert.is(scan.nkeys, picks.length);
  const found: string[] = [];
  for (let part = 0; part <= Math.max(...picks); part++) {
    const out = new OutBuffer(new BufferPool());
    codec.keys.begin(scan, buf, start, picks.filter((p) => p === part).length, out);
    for (let i = 0; i < picks.length;) {
      const from = i;
      while (i < picks.length && picks[i] === part) i++;
      if (i > from) codec.keys.add(scan, buf, start, from, i, out);
      else i++;
    }
    out.append(codec.keys.end, 0, codec.keys.end.length);
    found.push(contents(out));
  }
  return found;
}

function join(verb: string, picks: number[], replies: (string | { failure: string })[]): string {
  const parts = replies.map((reply): Part => {
    if (typeof reply !== "string") {
      return { held: new Uint8Array(0), heldStart: 0, heldEnd: 0, failure: reply.failure };
    }
    const { buf, start, end } = embed(reply, 0x3a);
    return { held: buf, heldStart: start, heldEnd: end, failure: "" };
  });
  const out = new OutBuffer(new BufferPool());
  const picked = Uint16Array.from([...picks, 9, 9]); // it may be longer than needed
  codec.join({
    verb: verbOf(verb),
    nkeys: picks.length,
    picks: picked,
    parts,
    tagHigh: 0,
    tagLow: 0,
  }, out);
  return contents(out);
}

test("a split command becomes commands of the same name with each server's keys in order", () => {
  assert.equal(split(array("mGet a bb a ccc"), [0, 1, 0, 1]), [
    array("mGet a a"),
    array("mGet bb ccc"),
  ]);
  assert.equal(split(array("MSET a 1 b ~ c 33"), [1, 0, 1]), [
    array("MSET b ~"),
    array("MSET a 1 c 33"),
  ]);
  assert.equal(split(array("DEL a b"), [0, 1]), [array("DEL a"), array("DEL b")]);
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  assert.equal(
    split(array(`EXISTS ${keys.join(" ")}`), keys.map((_, i) => i % 3)),
    [0, 1, 2].map(
      (part) => array(`EXISTS ${keys.filter((_, i) => i % 3 === part).join(" ")}`),
    ),
  );
});

test("requests of one key each, end to end, are told apart, and their replies are joined as one", () => {
  const runs = codec.keys.runs as Runs;
  const run = array("mget a") + array("MGET bb ~") + array("MGET {x}\r\n*1");
  const { buf, start, end } = embed(run, 0x2a);
  const scan = new Scan();
  const found: string[] = [];
  for (let at = start; at < end; at += scan.length) {
    runs.cut(scan, buf, at, verbOf("mget"));
    found.push(`${scan.length} ${scan.nkeys} ${text(buf, at + scan.keyStart, at + scan.keyEnd)}`);
  }
  const lengths = [array("mget a"), array("MGET bb ~"), array("MGET {x}\r\n*1")].map((one) =>
    one.length
  );
  assert.equal(found, [`${lengths[0]} 1 a`, `${lengths[1]} 2 bb`, `${lengths[2]} 1 {x}\r\n*1`]);
  const [a, b, c] = ["a", "*1\r\n", ""].map(bulk);
  const nil = "$-1\r\n";
  assert.is(
    join("mget", [0, 1, 0, 0, 1], [`*1\r\n${a}*2\r\n${nil}${b}`, `*1\r\n${c}*1\r\n${nil}`]),
    `*5\r\n${a}${c}${nil}${b}${nil}`,
  );
  assert.is(join("del", [0, 1, 0], [":1\r\n:0\r\n", ":1\r\n"]), ":2\r\n");
  assert.is(join("mset", [0, 1, 0], ["+OK\r\n+OK\r\n", "+OK\r\n"]), "+OK\r\n");
  for (const wrong of [`*1\r\n${a}`, `*1\r\n${a}*2\r\n${b}${c}`, `*2\r\n${a}${b}*1\r\n${c}`]) {
    assert.is(join("mget", [0, 0], [wrong])[0], "-", wrong);
  }
});

test("array replies are joined in the order of the keys", () => {
  const nil = "$-1\r\n";
  assert.is(
    join("mget", [0, 1, 0, 1, 1], [
      `*2\r\n${bulk("a\r\n$3")}${nil}`,
      `*3\r\n${nil}${bulk("")}${bulk("*2\r\n")}`,
    ]),
    `*5\r\n${bulk("a\r\n$3")}${nil}${nil}${bulk("")}${bulk("*2\r\n")}`,
  );
  assert.is(join("mget", [1, 0], ["*1\r\n_\r\n", "*1\r\n$1\r\nx\r\n"]), "*2\r\n$1\r\nx\r\n_\r\n");
  const nested = "*2\r\n*1\r\n:-5\r\n%1\r\n+a\rb\r\n|1\r\n+k\r\n#t\r\n,1.5\r\n";
  assert.is(
    join("mget", [0, 1, 0], [`*2\r\n${nested}:1\r\n`, "*1\r\n=5\r\ntxt:-\r\n"]),
    `*3\r\n${nested}=5\r\ntxt:-\r\n:1\r\n`,
  );
});

test("lists of more servers than any before are joined", () => {
  const names = Array.from({ length: 3000 }, (_, i) => bulk(`key ${i}`));
  assert.is(join("keys", [], names.map((one) => `*1\r\n${one}`)), `*3000\r\n${names.join("")}`);
});

test("sums, OK, the first, lists and least values are joined", () => {
  assert.is(join("del", [0, 1, 2], [":0\r\n", ":12\r\n", ":2147483648\r\n"]), ":2147483660\r\n");
  assert.is(join("dbsize", [], [":0\r\n", ":0\r\n"]), ":0\r\n");
  assert.is(join("mset", [0, 1], ["+OK\r\n", "+OK\r\n"]), "+OK\r\n");
  assert.is(join("flushall", [], ["+OK\r\n", "+OK\r\n"]), "+OK\r\n");
  assert.is(join("script|load", [], [bulk("sha"), bulk("sha")]), bulk("sha"));
  assert.is(
    join("keys", [], [`*2\r\n${bulk("a")}${bulk("b")}`, "*0\r\n", `*1\r\n${bulk("c")}`]),
    `*3\r\n${bulk("a")}${bulk("b")}${bulk("c")}`,
  );
  assert.is(
    join("script|exists", [], ["*3\r\n:1\r\n:0\r\n:1\r\n", "*3\r\n:1\r\n:1\r\n:0\r\n"]),
    "*3\r\n:1\r\n:0\r\n:0\r\n",
  );
});

test("the oldest save, a key of any server, one OK among errors are joined", () => {
  assert.is(join("lastsave", [], [":300\r\n", ":100\r\n", ":200\r\n"]), ":100\r\n");
  const keys = Array.from(
    { length: 4 },
    () => join("randomkey", [], ["$-1\r\n", bulk("a"), "_\r\n", bulk("b")]),
  );
  assert.equal([...new Set(keys)].sort(), [bulk("a"), bulk("b")]);
  assert.is(join("randomkey", [], ["$-1\r\n", "$-1\r\n"]), "$-1\r\n");
  assert.is(join("randomkey", [], ["_\r\n"]), "_\r\n");
  const idle = "-NOTBUSY No scripts in execution right now.\r\n";
  assert.is(join("script|kill", [], [idle, "+OK\r\n"]), "+OK\r\n");
  assert.is(join("script|kill", [], [{ failure: "Connection refused" }, "+OK\r\n"]), "+OK\r\n");
  assert.is(join("script|kill", [], [idle, idle]), idle);
});

/** What SCAN's cursor becomes on its way to a server: [server, request]. */
function walk(line: string, servers: number, live = (_: number) => true): [number, string] {
  const { buf, start, end } = embed(array(line), 0x24);
  const scan = new Scan();
  assert.is(codec.parseRequest(scan, buf, start, end), DONE);
  let index = codec.walk.to(scan, buf, start, servers);
  while (index < servers && !live(index)) index++;
  const out = new OutBuffer(new BufferPool());
  codec.walk.request(scan, buf, start, end - start, index, servers, out);
  return [index, contents(out)];
}

function page(server: number, servers: number, reply: string): string {
  const { buf, start, end } = embed(reply, 0x3a);
  const out = new OutBuffer(new BufferPool());
  const parts = [{ held: buf, heldStart: start, heldEnd: end, failure: "" }];
  const picks = Uint16Array.of(server);
  codec.join({ verb: verbOf("scan"), nkeys: servers, picks, parts, tagHigh: 0, tagLow: 0 }, out);
  return contents(out);
}

test("SCAN's cursor carries the server", () => {
  assert.equal(walk("SCAN 0 COUNT 5", 3), [0, array("SCAN 0 COUNT 5")]);
  assert.equal(walk("scan 2", 3), [2, array("scan 0")]);
  assert.equal(walk("SCAN 40 MATCH ~ TYPE set", 3), [1, array("SCAN 13 MATCH ~ TYPE set")]);
  const largest = 2n ** 64n - 1n;
  assert.equal(walk(`SCAN ${largest}`, 3), [0, array(`SCAN ${largest / 3n}`)]);
  assert.equal(walk(`SCAN ${largest}`, 1), [0, array(`SCAN ${largest}`)]);
  const keys = `*2\r\n${bulk("a")}${bulk("b\r\n")}`;
  const reply = (cursor: string | bigint) => `*2\r\n${bulk(String(cursor))}${keys}`;
  assert.is(page(1, 3, reply("13")), reply("40"));
  assert.is(page(0, 3, reply("0")), reply("1"));
  assert.is(page(2, 3, reply("0")), reply("0"));
  assert.is(page(0, 1, reply(largest)), reply(largest));
  assert.is(page(0, 3, reply(largest / 3n)), reply(largest));
  assert.match(page(1, 3, reply(largest / 3n)), /^-ERR the server's cursor leaves no room/);
  assert.is(page(1, 3, "-ERR syntax error\r\n"), "-ERR syntax error\r\n");
  assert.match(page(1, 3, "*0\r\n"), /^-ERR a server answered/);
  assert.match(page(1, 3, "+OK\r\n"), /^-ERR a server answered/);
  assert.match(page(1, 3, `*2\r\n${bulk("x")}*0\r\n`), /^-ERR a server answered/);
});

test("SCAN passes over a server that is not there, with a fresh cursor", () => {
  assert.equal(walk("SCAN 40 COUNT 5", 3, (i) => i !== 1), [2, array("SCAN 0 COUNT 5")]);
});

test("INFO is ringmux's own figures and the sums of the servers'", () => {
  const info = (...lines: string[]) => lines.join("\r\n") + "\r\n";
  const server = (memory: number, keys: number) =>
    info(
      ...[
        "# Server",
        "redis_version:9",
        "",
        "# Clients",
        "connected_clients:1",
        "blocked_clients:2",
      ],
      ...["", "# Memory", `used_memory:${memory}`, "used_memory_human:x", "used_memory_rss:3000"],
      ...["maxmemory_policy:noeviction", "mem_fragmentation_ratio:9", "", "# Persistence"],
      ...[`rdb_last_save_time:${keys}`, "aof_last_write_status:ok", "", "# CPU"],
      ...["used_cpu_sys:0.250000", "", "# Commandstats"],
      ...["cmdstat_get:calls=2,usec=10,usec_per_call=5.00", "", "# Keyspace"],
      `db0:keys=${keys},expires=${keys},avg_ttl=${keys}`,
    );
  const own = info("# Server", "redis_version:7", "", "# Clients", "connected_clients:5");
  const joined = (mark: string) => {
    const wrap = (value: string) =>
      mark === "$" ? bulk(value) : `=${value.length + 4}\r\ntxt:${value}\r\n`;
    const part = (reply: string, failure = "") => ({
      held: bytes(reply),
      heldStart: 0,
      heldEnd: reply.length,
      failure,
    });
    const out = new OutBuffer(new BufferPool());
    const parts = [part(wrap(server(1000, 10))), part("", "x"), part("-LOADING\r\n")];
    parts.push(part(wrap(server(2000, 30))));
    const picks = new Uint16Array(0);
    codec.join({
      verb: verbOf("info"),
      nkeys: 0,
      picks,
      parts,
      held: bytes(wrap(own)),
      tagHigh: 0,
      tagLow: 0,
    }, out);
    return contents(out);
  };
  const expected = info(
    ...["# Server", "redis_version:7", "", "# Clients", "connected_clients:5", "blocked_clients:4"],
    ...["", "# Memory", "used_memory:3000", "used_memory_human:2.93K", "used_memory_rss:6000"],
    ...["maxmemory_policy:noeviction", "mem_fragmentation_ratio:2.00", "", "# Persistence"],
    ...["rdb_last_save_time:10", "aof_last_write_status:ok", "", "# CPU", "used_cpu_sys:0.500000"],
    ...["", "# Commandstats", "cmdstat_get:calls=4,usec=20,usec_per_call=5.00", "", "# Keyspace"],
    "db0:keys=40,expires=40,avg_ttl=25",
  );
  assert.is(joined("$"), bulk(expected));
  assert.is(joined("="), `=${expected.length + 4}\r\ntxt:${expected}\r\n`);
});

test("a lost fragment or an error is the whole answer", () => {
  const lost = { failure: "Connection refused" };
  const one = `*1\r\n${bulk("x")}`;
  assert.is(join("mget", [0, 1], [one, lost]), "-ERR Connection refused\r\n");
  assert.is(join("mget", [0, 1], [lost, "-ERR x\r\n"]), "-ERR Connection refused\r\n");
  assert.is(join("mget", [0, 1], ["-OOM no\r\n", lost]), "-OOM no\r\n");
  assert.is(join("del", [0, 1], [":1\r\n", "-LOADING x\r\n"]), "-LOADING x\r\n");
  assert.is(join("mset", [0, 1], ["+OK\r\n", "-READONLY x\r\n"]), "-READONLY x\r\n");
  assert.is(join("keys", [], ["-ERR x\r\n", "*0\r\n"]), "-ERR x\r\n");
});

test("replies of another kind or length than asked for are an error", () => {
  const error = "-ERR a server answered part of the request with a reply of another kind\r\n";
  const one = `*1\r\n${bulk("x")}`;
  assert.is(join("mget", [0, 1], [one, "+OK\r\n"]), error);
  assert.is(join("mget", [0, 1], [one, "*-1\r\n"]), error);
  assert.is(join("mget", [0, 1], [one, "*2\r\n:1\r\n:2\r\n"]), error);
  assert.is(join("mget", [0, 1], [one, "*0\r\n"]), error);
  assert.is(join("mget", [0, 0, 1], [one, "*2\r\n:1\r\n:2\r\n"]), error);
  assert.is(join("del", [0, 1], [":1\r\n", "+OK\r\n"]), error);
  assert.is(join("keys", [], ["*0\r\n", "+OK\r\n"]), error);
  assert.is(join("script|exists", [], ["*1\r\n:1\r\n", "+OK\r\n"]), error);
  assert.is(join("script|exists", [], ["*1\r\n:1\r\n", "*2\r\n:1\r\n:1\r\n"]), error);
});

test("many fragments are joined as well as few", () => {
  const n = 300;
  const picks = Array.from({ length: n }, (_, i) => n - 1 - i);
  const replies = picks.map((_, i) => `*1\r\n${bulk(`v${i}`)}`);
  assert.is(join("mget", picks, replies), `*${n}\r\n${picks.map((p) => bulk(`v${p}`)).join("")}`);
});

// ---------------------------------------------------------------------------------- local answers

function ask(who: RedisCodec, session: RedisSession, line: string): string {
  const { buf, start, end } = embed(array(line), 0x24);
  const scan = new Scan();
  assert.is(who.parseRequest(scan, buf, start, end), DONE);
  if (scan.action === REFUSE) return text(scan.error, 0, scan.error.length);
  const reply = who.answer(scan, buf, start, session);
  return text(reply, 0, reply.length);
}

const newSession = (who = codec): RedisSession =>
  who.newSession(7, "10.0.0.9:5", 1_795_433_460_000);

test("PING, ECHO, TIME, ROLE and QUIT", () => {
  const session = newSession();
  const say = (line: string) => ask(codec, session, line);
  assert.is(say("PING"), "+PONG\r\n");
  assert.is(say("ping hi"), bulk("hi"));
  assert.is(say("PING ~"), bulk(""));
  assert.is(say("PING a b"), arity("ping"));
  assert.is(say("ECHO x\r\ny"), bulk("x\r\ny"));
  assert.is(say("ECHO"), arity("echo"));
  assert.is(say("TIME"), `*2\r\n${bulk("1795433469")}${bulk("123000")}`);
  assert.is(say("QUIT"), "+OK\r\n");
  assert.is(say("READONLY"), "+OK\r\n");
  assert.match(say("ROLE"), /^\*3\r\n\$6\r\nmaster\r\n/);
  assert.match(say("LOLWUT"), /ringmux ver\. 1\.2\.3\n\r\n$/);
});

test("AUTH takes the right password only, and knows no other user", () => {
  const locked = codecOf("s\u00e9cret");
  const session = newSession(locked);
  const say = (line: string) => ask(locked, session, line);
  assert.ok(session.locked);
  assert.is(say("AUTH wrong"), "-ERR invalid password\r\n");
  assert.is(say("AUTH s\u00e9cret"), "-ERR invalid password\r\n"); // one byte, not UTF-8
  assert.is(say("AUTH ~"), "-ERR invalid password\r\n");
  assert.ok(session.locked);
  assert.is(say("AUTH s\u00c3\u00a9cret"), "+OK\r\n");
  assert.not(session.locked);
  assert.is(
    say("AUTH default nope"),
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
  );
  assert.ok(session.locked);
  assert.match(say("AUTH other s\u00c3\u00a9cret"), /^-WRONGPASS/);
  assert.is(say("AUTH default s\u00c3\u00a9cret"), "+OK\r\n");
  assert.not(session.locked);
  assert.is(say("AUTH a b c"), SYNTAX);
  assert.is(say("AUTH"), arity("auth"));
  assert.is(say("RESET"), "+RESET\r\n");
  assert.ok(session.locked);
  assert.match(
    ask(codec, newSession(), "AUTH x"),
    /^-ERR Client sent AUTH, but no password is set/,
  );
});

test("only AUTH, HELLO and QUIT are open to all", () => {
  const open = COMMANDS.filter((_, verb) => {
    const scan = new Scan();
    scan.verb = verb;
    return codec.openToAll(scan);
  });
  assert.equal(open.map((c) => c.name).sort(), ["auth", "hello", "quit"]);
  assert.is(
    text(codec.lockedError(), 0, 64),
    "-NOAUTH Authentication required\r\n".padEnd(64, "\0"),
  );
});

test("HELLO tells who we are, in RESP2 and RESP3, and may bring password and name", () => {
  const session = newSession();
  const say = (line: string) => ask(codec, session, line);
  assert.match(say("HELLO"), /^\*14\r\n\$6\r\nserver\r\n\$5\r\nredis\r\n.*proto\r\n:2\r\n/s);
  assert.is(session.resp, 2);
  assert.match(say("HELLO 3 SETNAME me"), /^%7\r\n.*proto\r\n:3\r\n.*id\r\n:7\r\n/s);
  assert.equal([session.resp, session.name], [3, "me"]);
  assert.is(say("CLIENT GETNAME"), bulk("me"));
  assert.match(say("HELLO 2"), /^\*14/);
  assert.is(session.resp, 2);
  assert.is(say("HELLO 4"), "-NOPROTO unsupported protocol version\r\n");
  assert.is(say("HELLO x"), "-ERR Protocol version is not an integer or out of range\r\n");
  assert.is(say("HELLO 2 WHAT"), "-ERR Syntax error in HELLO option 'WHAT'\r\n");
  assert.is(say("HELLO 2 AUTH x"), "-ERR Syntax error in HELLO option 'AUTH'\r\n");
  const locked = codecOf("pw");
  const other = newSession(locked);
  assert.match(ask(locked, other, "HELLO"), /^-NOAUTH HELLO must be called with/);
  assert.match(ask(locked, other, "HELLO 3 AUTH default no"), /^-WRONGPASS/);
  assert.ok(other.locked);
  assert.match(ask(locked, other, "HELLO 3 AUTH default pw"), /^%7/);
  assert.not(other.locked);
});

test("a reply in RESP3 has RESP3's types", () => {
  const session = newSession();
  ask(codec, session, "HELLO 3");
  assert.is(ask(codec, session, "CLIENT GETNAME"), "_\r\n");
  assert.match(ask(codec, session, "INFO server"), /^=\d+\r\ntxt:# Server\r\n/);
  const two = newSession();
  assert.is(ask(codec, two, "CLIENT GETNAME"), "$-1\r\n");
});

test("CLIENT knows the session", () => {
  const session = newSession();
  sessions.splice(0, sessions.length, session, newSession());
  const say = (line: string) => ask(codec, session, line);
  assert.is(say("CLIENT ID"), ":7\r\n");
  assert.is(say("client setname joe"), "+OK\r\n");
  assert.is(say("CLIENT GETNAME"), bulk("joe"));
  assert.is(
    say("CLIENT SETNAME a\nb"),
    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
  );
  assert.is(say("CLIENT SETNAME"), arity("client|setname"));
  assert.is(say("CLIENT GETNAME x"), arity("client|getname"));
  assert.is(say("CLIENT toString"), "-ERR unknown subcommand 'toString'. Try CLIENT HELP.\r\n");
  assert.is(say("CLIENT SETINFO LIB-NAME lib"), "+OK\r\n");
  assert.is(say("CLIENT SETINFO lib-ver 9"), "+OK\r\n");
  assert.is(say("CLIENT SETINFO what 9"), "-ERR Unrecognized option 'what'\r\n");
  assert.match(
    say("CLIENT INFO"),
    /id=7 addr=10\.0\.0\.9:5 .*name=joe age=9 .*lib-name=lib lib-ver=9\n/,
  );
  assert.is(say("CLIENT LIST").match(/id=7/g)!.length, 2);
  assert.is(say("CLIENT NO-EVICT on"), "+OK\r\n");
  assert.is(say("CLIENT REPLY OFF"), "");
  assert.is(say("CLIENT REPLY ON"), "+OK\r\n");
  assert.is(say("CLIENT UNPAUSE"), "+OK\r\n");
  assert.is(say("CLIENT UNBLOCK 5"), ":0\r\n");
  assert.is(say("CLIENT CAPA redirect more"), "+OK\r\n");
  assert.match(say("CLIENT TRACKING on"), /^-ERR CLIENT TRACKING needs RESP3/);
  assert.is(say("CLIENT TRACKING off"), "+OK\r\n");
  assert.is(say("CLIENT GETREDIR"), ":-1\r\n");
  const off = "$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n";
  assert.is(say("CLIENT TRACKINGINFO"), `*6\r\n${off}`);
  assert.match(say("CLIENT HELP"), /^\*\d+\r\n\+CLIENT <subcommand>.*\r\n(\+.*\r\n)+$/);
});

test("CLIENT LIST chooses by id and type, CLIENT KILL by all that Redis has", () => {
  const session = newSession();
  const other = { ...newSession(), id: 8, remote: "10.0.0.9:6", subscribed: [1, 0, 0] };
  sessions.splice(0, sessions.length, session, other);
  const say = (line: string) => ask(codec, session, line);
  const ids = (line: string) => [...say(line).matchAll(/(?:^|\n)id=(\d+) /g)].map((m) => m[1]);
  assert.equal(ids("CLIENT LIST"), ["7", "8"]);
  assert.equal(ids("CLIENT LIST ID 8 9 7"), ["8", "7"]);
  assert.equal(ids("CLIENT LIST TYPE PubSub"), ["8"]);
  assert.equal(ids("CLIENT LIST TYPE normal"), ["7"]);
  assert.is(say("CLIENT LIST TYPE master"), "$0\r\n\r\n");
  assert.match(say("CLIENT LIST ID 8"), / laddr=127\.0\.0\.1:22121 .* idle=2 flags=P .* multi=-1 /);
  const kills = (line: string): [string, string[]] => {
    killed.length = 0;
    return [say(line), [...killed]];
  };
  assert.equal(kills("CLIENT KILL ID 8"), [":1\r\n", ["8"]]);
  assert.equal(kills("CLIENT KILL ID 7"), [":0\r\n", []]);
  assert.equal(kills("CLIENT KILL ID 7 SKIPME no"), [":1\r\n", ["7 itself"]]);
  assert.equal(kills("CLIENT KILL SKIPME no"), [":2\r\n", ["7 itself", "8"]]);
  assert.equal(kills("CLIENT KILL TYPE pubsub"), [":1\r\n", ["8"]]);
  assert.equal(kills("CLIENT KILL ADDR 10.0.0.9:6"), [":1\r\n", ["8"]]);
  assert.equal(kills("CLIENT KILL LADDR 127.0.0.1:1"), [":0\r\n", []]);
  assert.equal(kills("CLIENT KILL USER default LADDR 127.0.0.1:22121"), [":1\r\n", ["8"]]);
  assert.equal(kills("CLIENT KILL 10.0.0.9:5"), ["+OK\r\n", ["7 itself"]]);
  assert.equal(kills("CLIENT KILL 10.0.0.9:7"), ["-ERR No such client\r\n", []]);
});

test("SELECT chooses a database, 0 being the pool's own", () => {
  const five = codecOf("", 5);
  const session = newSession(five);
  assert.is(session.db, 5);
  assert.is(ask(five, session, "SELECT 3"), "+OK\r\n");
  assert.is(session.db, 3);
  assert.is(ask(five, session, "SELECT 0"), "+OK\r\n");
  assert.is(session.db, 5);
  assert.is(ask(five, session, "SELECT x"), "-ERR value is not an integer or out of range\r\n");
  assert.is(ask(five, session, "SELECT 100000"), "-ERR DB index is out of range\r\n");
});

test("INFO shows the sections asked for, and all of them by default", () => {
  const say = (line: string) => ask(codec, newSession(), line);
  const sections = (reply: string) => [...reply.matchAll(/^# (.*)\r$/gm)].map((m) => m[1]);
  const all = ["Server", "Stats", "Persistence", "Replication"];
  assert.equal(sections(say("INFO")), all);
  assert.equal(sections(say("INFO all")), all);
  assert.equal(sections(say("info STATS")), ["Stats"]);
  assert.equal(sections(say("INFO stats server")), ["Server", "Stats"]);
  assert.is(say("INFO nope"), bulk(""));
  assert.match(say("INFO server"), /\r\nringmux_version:1\.2\.3\r\n.*\r\ntcp_port:22121\r\n/s);
  assert.match(say("INFO stats"), /total_commands_processed:7\r\n/);
  const reply = say("INFO");
  assert.is(
    reply.length,
    parseInt(reply.slice(1), 10) + `${reply.indexOf("\n")}`.length * 0 + reply.indexOf("\n") + 3,
  );
});

test("a session goes back to the lane that it came from", () => {
  const session = newSession();
  const lane = codec.lane(session);
  ask(codec, session, "HELLO 3");
  ask(codec, session, "SELECT 5");
  assert.is(codec.lane(session), "3 5");
  codec.lanes.goBack(session, lane);
  assert.is(codec.lane(session), lane);
  assert.equal([session.resp, session.db], [2, 0]);
});

test("the handshake says AUTH, HELLO and SELECT, in that order, where they are needed", () => {
  const says = (auth: string, db: number, resp: number): [string, number] | null => {
    const who = codecOf(auth, db);
    const session = newSession(who);
    session.resp = resp;
    const handshake = who.greeting.handshake(session);
    return handshake && [text(handshake.bytes, 0, handshake.bytes.length), handshake.replies];
  };
  assert.is(says("", 0, 2), null);
  assert.equal(says("pw", 0, 2), [array("AUTH pw"), 1]);
  assert.equal(says("", 5, 2), [array("SELECT 5"), 1]);
  assert.equal(says("pw", 12, 3), [array("AUTH pw") + array("HELLO 3") + array("SELECT 12"), 3]);
});

test("the errors for lost servers and scattered keys", () => {
  const line = codec.failure("Connection refused");
  assert.is(text(line, 0, line.length), "-ERR Connection refused\r\n");
  const scattered = (hashTag: string, line: string) => {
    const who = new RedisCodec({ auth: "", db: 0, maxRequest: MAX_REQUEST, hashTag }, facts);
    const { buf, start, end } = embed(array(line), 0x24);
    const scan = new Scan();
    assert.is(who.parseRequest(scan, buf, start, end), DONE);
    who.keys.select(scan, 1);
    const cross = who.together.crossServer(scan, buf, start, "one", "two");
    return text(cross, 0, cross.length);
  };
  const start = "-CROSSSLOT Keys in request don't hash to the same server: ";
  assert.is(
    scattered("", "SINTER a b"),
    `${start}'a' is on server one, 'b' is on server two, and 'sinter' cannot be split; with ` +
      `hash_tag: "{}" in the configuration, keys with one hash tag are together: '{x}a', '{x}b'\r\n`,
  );
  assert.is(
    scattered("[]", `ZUNIONSTORE \xff\n 1 ${"k".repeat(100)}`),
    `${start}'\xff?' is on server one, '${"k".repeat(64)}...' is on server two, and ` +
      `'zunionstore' cannot be split; keys with one hash tag are together: '[x]\xff?', ` +
      `'[x]${"k".repeat(64)}...'\r\n`,
  );
  const error = bytes("-WRONGPASS no\r\n");
  assert.is(codec.errorText(error, 0, error.length), "WRONGPASS no");
});

test("a count line as long as may be is judged alike however it is cut", () => {
  const data = bytes(`*1${"v".repeat(30)}\ra`);
  const whole = new Scan();
  assert.is(codec.parseRequest(whole, data, 0, data.length), BAD);
  for (let cut = 1; cut < data.length; cut++) {
    const scan = new Scan();
    assert.is(codec.parseRequest(scan, data, 0, cut), MORE, `cut at ${cut}`);
    assert.is(codec.parseRequest(scan, data, 0, data.length), BAD);
    assert.equal(scan.error, whole.error);
  }
});

test.run();
