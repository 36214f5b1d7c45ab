// Valid streams of every protocol to begin with, and how they are spoilt. Byte strings: one
// character per byte. Everything is made from a seed.

import { COMMANDS as REDIS } from "../../core/protocol/redis/commands.ts";
import { ask, BY_ONE, FLAGS, SOON, tell } from "../protocol/packets.ts";

/** Random integer in [0, below). */
export type Random = (below: number) => number;

/** The generator "mulberry32". */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function one<T>(rand: Random, items: readonly T[]): T {
  return items[rand(items.length)];
}

function many(rand: Random, most: number, make: () => string): string {
  let all = "";
  for (let n = rand(most + 1); n > 0; n--) all += make();
  return all;
}

function word(rand: Random): string {
  const kind = rand(8);
  if (kind < 5) return one(rand, "k key k:1 {tag}k 0 1 -1 2 store limit STREAMS x".split(" "));
  if (kind === 5) return "v".repeat(rand(300));
  let bytes = "";
  for (let n = rand(30); n > 0; n--) bytes += String.fromCharCode(rand(256));
  return bytes;
}

const bulk = (value: string): string => `$${value.length}\r\n${value}\r\n`;

function redisCommand(rand: Random): string {
  if (rand(8) === 0) {
    const long = `mget ${many(rand, 200, () => `${word(rand)} `)}`.replace(/[\r\n]/g, "");
    return one(rand, [
      long,
      'get "a\\x41"',
      "mget a 'b c'",
      "PING",
      "",
      "set k v ",
      '"\\n',
      "del a b",
    ]) +
      one(rand, ["\r\n", "\n"]);
  }
  const words = one(rand, REDIS).name.split("|");
  for (let n = rand(6); n > 0; n--) words.push(word(rand));
  return `*${words.length}\r\n${words.map(bulk).join("")}`;
}

export function redisRequests(rand: Random): string {
  return many(rand, 5, () => redisCommand(rand));
}

function redisReply(rand: Random, depth: number): string {
  const inner = (n: number): string => {
    let all = "";
    while (n-- > 0) all += redisReply(rand, depth + 1);
    return all;
  };
  const n = rand(4);
  switch (rand(depth > 4 ? 8 : 13)) {
    case 0:
    case 1:
      return bulk(word(rand));
    case 2:
      return one(rand, [
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "_\r\n",
        "#t\r\n",
        ",1.5e9\r\n",
        "(-12\r\n",
      ]);
    case 3:
      return `:${rand(1 << 30) - (1 << 29)}\r\n`;
    case 4:
      return "+OK\r\n";
    case 5:
      return one(rand, ["-ERR x\r\n", "-LOADING x\r\n", "-MOVED 1 a:1\r\n", "-\r\n"]);
    case 6:
      return `=${n + 4}\r\ntxt:${"t".repeat(n)}\r\n`;
    case 7:
      return `!${n}\r\n${"e".repeat(n)}\r\n`;
    case 8:
    case 9:
      return `*${n}\r\n${inner(n)}`;
    case 10:
      return `${one(rand, ["~", ">"])}${n}\r\n${inner(n)}`;
    case 11:
      return `%${n}\r\n${inner(2 * n)}`;
    default:
      return `|${n}\r\n${inner(2 * n + 1)}`;
  }
}

export function redisReplies(rand: Random): string {
  return many(rand, 5, () => redisReply(rand, 0));
}

const TEXT_VERBS = ("get gets gat gats set add replace append prepend cas delete incr decr touch " +
  "mg ms md ma me mn version quit flush_all verbosity stats shutdown foo").split(" ");
const TEXT_WORDS_LIST =
  "k key noreply 0 1 -1 3 12 q b v k O1 T0 MS aGVsbG8= items 4294967296 99999 YQpi " +
  "YQ0KRU5EDQo= !YQpi kx N9 cachedump detail dump a\rb O\r1 10000000000000000000000000000000000001";

const TEXT_WORDS = TEXT_WORDS_LIST.split(" ");

/** Keys as a server shows them that somebody has made to look like something else. */
const EVIL = ["a\r\nEND", "b\r\nVALUE k 0 99999", "c\nHD", "d e", "f\r", "g [1 b; 0 s]\r\nITEM h"];

function textCommand(rand: Random): string {
  const value = word(rand);
  const end = one(rand, ["", "", " noreply", " q", " b", " junk", " T0"]);
  const eol = one(rand, ["\r\n", "\r\n", "\n"]);
  if (rand(2) === 0) {
    const verb = one(rand, ["set", "add", "append", "cas", "ms"]);
    const head = verb === "ms"
      ? `ms ${one(rand, ["k", "aGVsbG8="])} ${value.length}`
      : `${verb} k ${rand(9)} ${rand(3) - 1} ${value.length}${verb === "cas" ? " 9" : ""}`;
    return `${head}${end}${eol}${value}\r\n`;
  }
  const line = many(rand, 5, () => " " + one(rand, TEXT_WORDS));
  return one(rand, TEXT_VERBS) + line + eol;
}

export function textRequests(rand: Random): string {
  return many(rand, 5, () => textCommand(rand));
}

function textReply(rand: Random): string {
  const value = word(rand);
  switch (rand(7)) {
    case 5:
      return many(rand, 3, () => `ITEM ${one(rand, EVIL)} [${rand(9)} b; 0 s]\r\n`) + "END\r\n";
    case 6:
      return one(rand, [`HD k${one(rand, EVIL)}\r\n`, `VA 1 ka\rb O\r\r\nx\r\n`]);
    case 0: {
      const cas = one(rand, ["", " 7"]);
      return many(rand, 3, () => `VALUE k 0 ${value.length}${cas}\r\n${value}\r\n`) + "END\r\n";
    }
    case 1:
      return `VA ${value.length} t1\r\n${value}\r\n`;
    case 2:
      return "STAT a 1\r\nSTAT b x y\r\nEND\r\n";
    default:
      return one(rand, "STORED,OK,12,HD c1,EN,MN,ERROR,SERVER_ERROR x,ME k x=1".split(",")) +
        "\r\n";
  }
}

export function textReplies(rand: Random): string {
  return many(rand, 5, () => textReply(rand));
}

function binaryRequest(rand: Random): string {
  const opcode = rand(4) === 0 ? rand(256) : rand(0x25);
  const extras = one(rand, ["", "", FLAGS, BY_ONE, SOON]);
  return ask(opcode, {
    key: word(rand).slice(0, 250),
    extras,
    value: word(rand),
    opaque: rand(99),
  });
}

export function binaryRequests(rand: Random): string {
  return many(rand, 4, () => binaryRequest(rand));
}

export function binaryReplies(rand: Random): string {
  return many(rand, 4, () => {
    const parts = { key: one(rand, ["", "k"]), extras: one(rand, ["", "\0\0\0\x07"]) };
    return tell(rand(0x25), { ...parts, value: word(rand), status: rand(4), opaque: rand(99) });
  });
}

const NUMBERS = ("0 -1 00 +1 1 9 10 64 65535 65536 99999999 2147483647 2147483648 4294967295 " +
  "4294967297 9007199254740993 18446744073709551616 1e3 0x10").split(" ").concat("");
const MARKS = [..."*$:+-_#,(!=~>%|\r\n \"'\\\0\x80\x81\xff", "\r\n", "*1\r\n", "$1\r\n", "END\r\n"];

/** A few changes of every kind; `others` are streams to take parts from. */
export function mutate(rand: Random, input: string, others: readonly string[]): string {
  for (let n = 1 + rand(4); n > 0; n--) {
    const at = rand(input.length + 1);
    const to = at + rand(rand(3) === 0 ? 200 : 8);
    const [head, tail] = [input.slice(0, at), input.slice(at)];
    switch (rand(9)) {
      case 0:
        input = head + String.fromCharCode(rand(256)) + tail.slice(1);
        break;
      case 1:
        input = head + one(rand, MARKS) + tail.slice(rand(2));
        break;
      case 2:
        input = head + input.slice(to);
        break;
      case 3:
        input = head + input.slice(at, to) + tail;
        break;
      case 4: {
        const other = one(rand, others) ?? "";
        input = head + other.slice(rand(other.length + 1));
        break;
      }
      case 5:
        input = head + one(rand, others) + tail;
        break;
      case 6: // another number in a number's place
        input = head + tail.replace(/\d+/, one(rand, NUMBERS));
        break;
      case 7:
        input = head + one(rand, MARKS).repeat(rand(rand(9) === 0 ? 3000 : 20)) + tail;
        break;
      default: // one bit
        if (tail === "") break;
        input = head + String.fromCharCode(tail.charCodeAt(0) ^ (1 << rand(8))) + tail.slice(1);
    }
  }
  return input.length > 20_000 ? input.slice(0, 20_000) : input;
}
