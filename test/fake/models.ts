// What the random test needs to know of a protocol: requests with the only right reply to each,
// and a server that gives it. Every value tells its key, so that a reply which strays is seen.

import { ask, FLAGS, packetEnd, readPackets, SOON, tell } from "../protocol/packets.ts";
import { VERSION as RINGMUX } from "../../core/version.ts";
import { bulk, command } from "./fixture.ts";

/** Whole numbers from 0 to n - 1, the same ones for the same seed. */
export type Dice = (n: number) => number;

export function dice(seed: number): Dice {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

export interface Step {
  request: string;
  /** The reply; "" when there is none. */
  reply: string;
  /** Whether an error may stand in its place when a server is lost. */
  mayFail: boolean;
  /** The client is closed after it. */
  last: boolean;
  /** What such an error looks like, and any beginning of it, if not as the model's. */
  error?: RegExp;
  begun?: RegExp;
}

export interface Model {
  memcached: boolean;
  config: string[];
  /** What a lost reply is replaced by, and any beginning of that. */
  error: RegExp;
  begun: RegExp;
  step(roll: Dice, client: string, n: number): Step;
  /** The replies to the whole requests in `input`, and the rest of it. */
  serve(input: string): { replies: string[]; rest: string };
}

function hash(text: string): number {
  let h = 7;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) >>> 0;
  return (h ^ (h >>> 13)) >>> 0;
}

/** A value of a length that the key decides: mostly short, sometimes long enough to stream. */
function value(key: string): string {
  const h = hash(key);
  const kind = h % 40;
  const length = kind === 0 ? 40_000 + (h % 60_000) : kind < 4 ? h % 20_000 : h % 90;
  const unit = `<${key}\r\n>`;
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
}

/** A value that is too large to be gathered before it is sent on. */
const large = (key: string, roll: Dice): string =>
  `<${key}\r\n>`.repeat(150_000).slice(0, (1 << 20) + roll(50_000));

const has = (key: string): boolean => hash(`has ${key}`) % 3 > 0;
const element = (key: string): string => has(key) ? bulk(value(key)) : "$-1\r\n";

function reading(key: string): string {
  switch (hash(`kind ${key}`) % 12) {
    case 0:
      return `-WRONGTYPE ${key}\r\n`;
    case 1:
      return `*3\r\n${element(key)}*2\r\n:1\r\n+${key}\r\n*0\r\n`;
    case 2:
      return `:${hash(key)}\r\n`;
    default:
      return element(key);
  }
}

function redisReply(words: string[]): string {
  const keys = words.slice(1);
  switch (words[0].toUpperCase()) {
    case "GET":
      return reading(keys[0]);
    case "MGET":
      return `*${keys.length}\r\n${keys.map(element).join("")}`;
    case "DEL":
      return `:${keys.filter(has).length}\r\n`;
    case "DBSIZE":
      return ":7\r\n";
    case "SET":
    case "MSET":
    case "SELECT":
    case "HELLO":
      return "+OK\r\n";
    case "COMMAND": // INFO of a command that ringmux does not know: nor does the server
      return "*1\r\n*-1\r\n";
    default:
      throw new Error(`a server got ${words[0]}`);
  }
}

/** The words of the array at `pos` of `input`, and where it ends; null if it is not whole. */
function readArray(input: string, pos: number): { words: string[]; end: number } | null {
  let line = input.indexOf("\r\n", pos);
  if (line < 0) return null;
  if (input[pos] !== "*") throw new Error(`no request: ${JSON.stringify(input.slice(pos, 60))}`);
  const words: string[] = [];
  const count = Number(input.slice(pos + 1, line));
  pos = line + 2;
  while (words.length < count) {
    line = input.indexOf("\r\n", pos);
    if (line < 0) return null;
    if (input[pos] !== "$") throw new Error(`no word: ${JSON.stringify(input.slice(pos, 60))}`);
    const end = line + 2 + Number(input.slice(pos + 1, line));
    if (end + 2 > input.length) return null;
    if (input.slice(end, end + 2) !== "\r\n") throw new Error("a word of another length");
    words.push(input.slice(line + 2, end));
    pos = end + 2;
  }
  return { words, end: pos };
}

const SERVERS = 3;

export const redis: Model = {
  memcached: false,
  config: ["redis_db: 2"],
  error: /-ERR (Connection|unknown|Invalid)[^\r\n]*\r\n/y,
  begun: /^-(E(R(R( [^\n]*)?)?)?)?$/,

  step(roll, client, n) {
    const key = (): string => `${client}.${n}.${roll(1000)}`;
    const keys = Array.from({ length: 1 + roll(8) }, key);
    const step = (request: string, reply: string, mayFail = true, last = false): Step => ({
      request,
      reply,
      mayFail,
      last,
    });
    const sent = (...words: string[]): Step => step(command(...words), redisReply(words));
    switch (roll(32)) {
      case 0:
        return step(command("PING"), "+PONG\r\n", false);
      case 1:
        return step(`echo ${client}\r\n`, bulk(client), false);
      case 2:
        return step(
          command("WHAT", client),
          `-ERR unknown command 'WHAT', with args beginning with: '${client}' \r\n`,
          false,
        );
      case 3:
        return step(`get ${keys[0]}\n`, redisReply(["get", keys[0]]));
      case 4:
        return step(command("DBSIZE"), `:${7 * SERVERS}\r\n`);
      case 5:
        return sent("MSET", ...keys.flatMap((k) => [k, value(k)]));
      case 6:
        if (roll(16) === 0) return sent("SET", keys[0], large(keys[0], roll));
        return sent("SET", keys[0], value(keys[0]));
      case 7:
        return sent("SET", keys[0], value(keys[0]));
      case 8:
      case 9:
      case 10:
        return sent("DEL", ...keys);
      case 11:
      case 12:
      case 13:
      case 14:
        return sent("MGET", ...keys);
      case 15:
        return roll(4) > 0
          ? step("\r\n", "", false)
          : step(command("SELECT", String(roll(3))), "+OK\r\n", false);
      case 16:
        if (roll(8) > 0) return sent("GET", keys[0]);
        return step(command("QUIT"), "+OK\r\n", false, true);
      case 17:
        if (roll(12) > 0) return sent("GET", keys[0]);
        return step("*1\r\n+x\r\n", "-ERR Protocol error: expected '$', got '+'\r\n", false, true);
      default:
        return sent("GET", keys[0]);
    }
  },

  serve(input) {
    const replies: string[] = [];
    let pos = 0;
    for (;;) {
      const found = pos < input.length ? readArray(input, pos) : null;
      if (found === null) return { replies, rest: input.slice(pos) };
      replies.push(redisReply(found.words));
      pos = found.end;
    }
  },
};

const item = (key: string, cas: boolean): string => {
  if (!has(key)) return "";
  const data = value(key);
  return `VALUE ${key} ${hash(key) % 9} ${data.length}${cas ? " 5" : ""}\r\n${data}\r\n`;
};

function memcachedReply(words: string[]): string {
  const [verb, ...keys] = words;
  switch (verb) {
    case "get":
    case "gets":
      return `${keys.map((key) => item(key, verb === "gets")).join("")}END\r\n`;
    case "set":
    case "append":
      return hash(keys[0]) % 5 === 0 ? "SERVER_ERROR out of memory\r\n" : "STORED\r\n";
    case "delete":
      return has(keys[0]) ? "DELETED\r\n" : "NOT_FOUND\r\n";
    case "incr":
      return has(keys[0]) ? `${hash(keys[0])}\r\n` : "NOT_FOUND\r\n";
    case "mg":
      if (!has(keys[0])) return "EN\r\n";
      return `VA ${value(keys[0]).length} k${keys[0]}\r\n${value(keys[0])}\r\n`;
    case "md":
      return has(keys[0]) ? "HD\r\n" : "NF\r\n";
    case "flush_all":
      return "OK\r\n";
    case "version":
      return "VERSION 1\r\n";
    default:
      throw new Error(`a server got ${verb}`);
  }
}

export const memcached: Model = {
  memcached: true,
  config: [],
  error: /SERVER_ERROR (Connection|unknown|Invalid)[^\r\n]*\r\n/y,
  begun: /^S(E(R(V[^\n]*)?)?)?$/,

  step(roll, client, n) {
    const key = (): string => `${client}.${n}.${roll(1000)}`;
    const keys = Array.from({ length: 1 + roll(8) }, key);
    const [k] = keys;
    const step = (request: string, reply: string, mayFail = true, last = false): Step => ({
      request: `${request}\r\n`,
      reply,
      mayFail,
      last,
    });
    const sent = (line: string, body = ""): Step =>
      step(line + body, memcachedReply(line.split(" ")));
    // Where keys are missing, values come in another order than the keys, as from twemproxy.
    const there = keys.filter(has);
    const several = there.length > 0 ? there : [k];
    const data = value(k);
    switch (roll(24)) {
      case 0:
        return step("mn", "MN\r\n", false);
      case 1:
        return step("what", "ERROR\r\n", false);
      case 2:
        return sent("flush_all");
      case 3:
        return step("flush_all noreply", "", false);
      case 4:
        // Without a server ringmux tells its own.
        return {
          ...sent("version"),
          error: new RegExp(escaped(`VERSION ${RINGMUX}\r\n`), "y"),
          begun: /^V[^\n]*$/,
        };
      case 5:
        return step(`set ${k} 0 0 ${data.length} noreply\r\n${data}`, "", false);
      case 6:
        return step(`delete ${k} noreply`, "", false);
      case 7: {
        const body = roll(16) === 0 ? large(k, roll) : data;
        return sent(`set ${k} 0 0 ${body.length}`, `\r\n${body}`);
      }
      case 8:
        return sent(`append ${k} 0 0 ${data.length}`, `\r\n${data}`);
      case 9:
        return sent(`delete ${k}`);
      case 10:
        return sent(`incr ${k} 1`);
      case 11:
        return sent(`mg ${k} v k`);
      case 12:
        return step(`mg ${k} v k q`, has(k) ? memcachedReply(["mg", k]) : "");
      case 13:
        return step(`md ${k} q`, has(k) ? "" : "NF\r\n");
      case 14:
      case 15:
      case 16:
        return sent(`gets ${several.join(" ")}`);
      case 17:
      case 18:
        return sent(`get ${several.join(" ")}`);
      case 19:
        return roll(10) > 0 ? sent(`get ${k}`) : step("quit", "", false, true);
      default:
        return sent(`get ${k}`);
    }
  },

  serve(input) {
    const replies: string[] = [];
    let pos = 0;
    for (;;) {
      const line = input.indexOf("\r\n", pos);
      if (line < 0) return { replies, rest: input.slice(pos) };
      const words = input.slice(pos, line).trimEnd().split(" ");
      let end = line + 2;
      if (words[0] === "set" || words[0] === "append") end += Number(words[4]) + 2;
      if (end > input.length) return { replies, rest: input.slice(pos) };
      if (words.includes("noreply") || words.includes("q")) throw new Error("it is not muted");
      replies.push(memcachedReply(words));
      pos = end;
    }
  },
};

// The right reply to a request, as a server gives it. Values depend on the key alone.
function binaryReply(opcode: number, key: string, opaque: number): string {
  const said = (parts: Parameters<typeof tell>[1] = {}): string =>
    tell(opcode, { ...parts, opaque });
  const missing = said({ status: 1, value: "Not found" });
  const withKey = opcode === GETK || opcode === GATK;
  switch (opcode) {
    case GET:
    case GETK:
    case GAT:
    case GATK:
      if (!has(key)) return withKey ? said({ status: 1, key }) : missing;
      return said({ extras: FLAGS.slice(4), key: withKey ? key : "", value: value(key), cas: 5 });
    case SET:
    case APPEND:
      return hash(key) % 5 === 0 ? said({ status: 0x82, value: "Out of memory" }) : said();
    case DELETE:
      return has(key) ? said() : missing;
    case FLUSH:
      return said();
    case VERSION:
      return said({ value: "1" });
    case STAT:
      return said({ key: "cmd_get", value: "3" }) + said({ key: "version", value: "1" }) + said();
    default:
      throw new Error(`a server got opcode ${opcode}`);
  }
}

const [GET, SET, DELETE, QUIT, FLUSH, GETQ, NOOP, VERSION] = [0, 1, 4, 7, 8, 9, 10, 11];
const [GETK, GETKQ, APPEND, STAT, SETQ, DELETEQ, QUITQ] = [12, 13, 14, 0x10, 0x11, 0x14, 0x17];
const [FLUSHQ, APPENDQ, GAT, GATQ, GATK, GATKQ] = [0x18, 0x19, 0x1d, 0x1e, 0x23, 0x24];
const STORES = [SET, APPEND, SETQ, APPENDQ];
const LOUD: Record<number, number> = {
  [GETQ]: GET,
  [GETKQ]: GETK,
  [GATQ]: GAT,
  [GATKQ]: GATK,
  [SETQ]: SET,
  [DELETEQ]: DELETE,
  [FLUSHQ]: FLUSH,
  [APPENDQ]: APPEND,
};
const HIDES_MISS = [GETQ, GETKQ, GATQ, GATKQ];
const KEYED = [GET, GET, GET, GETK, GAT, GATK, GETQ, GETQ, GETKQ, GATQ, GATKQ, SET, SETQ];
const MORE_KEYED = [...KEYED, DELETE, DELETEQ, APPEND, APPENDQ];

/** What a client sees of the reply to what it sent. */
function seen(opcode: number, key: string, opaque: number): string {
  const loud = LOUD[opcode];
  if (loud === undefined) return binaryReply(opcode, key, opaque);
  const reply = binaryReply(loud, key, opaque);
  const { status } = readPackets(reply)[0];
  if (HIDES_MISS.includes(opcode) ? status === 1 : status === 0) return "";
  return reply[0] + String.fromCharCode(opcode) + reply.slice(2);
}

/** A regular expression for this very text. */
const escaped = (text: string): string =>
  [...text].map((c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`).join("");

function binaryStep(roll: Dice, client: string, n: number): Step {
  const opaque = roll(3) === 0 ? 0x0a0a0a0a : hash(`${client} ${n}`);
  const key = `${client}.${n}.${roll(1000)}`;
  const step = (
    opcode: number,
    parts: Parameters<typeof ask>[1],
    reply: string,
    mayFail = true,
    last = false,
  ): Step => {
    const head = tell(opcode, { status: 0x86, opaque });
    // The length of the text is not looked at; the rest has to be right to the byte.
    const error = new RegExp(
      `${escaped(head.slice(0, 8))}\\0\\0\\0[^]${escaped(head.slice(12))}` +
        "(Connection (refused|reset by peer|timed out)|unknown|Invalid argument)",
      "y",
    );
    const beginnings = [...head.slice(0, 8)].map((_, i) => escaped(head.slice(0, i)));
    const begun = new RegExp(`^(${beginnings.join("|")}|${escaped(head.slice(0, 8))}[^]{0,50})$`);
    return { request: ask(opcode, { ...parts, opaque }), reply, mayFail, last, error, begun };
  };
  const plain = (opcode: number): Step => step(opcode, {}, seen(opcode, "", opaque));
  switch (roll(24)) {
    case 0:
    case 1:
    case 2:
      return step(NOOP, {}, tell(NOOP, { opaque }), false);
    case 3: {
      const reply = tell(0x21, { status: 0x81, value: "Unknown command", opaque });
      return step(0x21, { key: "PLAIN", value: client }, reply, false);
    }
    case 4:
      return step(GET, {}, tell(GET, { status: 4, value: "Invalid arguments", opaque }), false);
    case 5:
      return plain(roll(2) > 0 ? FLUSH : FLUSHQ);
    case 6: {
      const own = tell(VERSION, { opaque, value: RINGMUX });
      const begun = [...own].map((_, i) => escaped(own.slice(0, i)));
      return {
        ...plain(VERSION),
        error: new RegExp(escaped(own), "y"),
        begun: new RegExp(`^(${begun.join("|")})$`),
      };
    }
    case 7: {
      const stat = (key: string, value: string) => tell(STAT, { key, value, opaque });
      const sum = stat("cmd_get", String(3 * SERVERS)) + stat("version", "1");
      // With a server lost the others are added up.
      const some = [1, 2].map((n) => stat("cmd_get", String(3 * n)) + stat("version", "1"));
      const all = step(STAT, {}, sum + tell(STAT, { opaque }));
      const error = (all.error as RegExp).source;
      const fewer = some.map((text) => escaped(text + tell(STAT, { opaque })));
      return {
        ...all,
        error: new RegExp(`(${[error, ...fewer].join("|")})`, "y"),
        begun: new RegExp(`^(${(all.begun as RegExp).source}|\\x81\\x10[^]{0,200})$`),
      };
    }
    case 8:
      if (roll(8) > 0) return step(GET, { key }, seen(GET, key, opaque));
      return roll(2) > 0
        ? step(QUIT, {}, tell(QUIT, { opaque }), false, true)
        : step(QUITQ, {}, "", false, true);
    default: {
      const opcode = MORE_KEYED[roll(MORE_KEYED.length)];
      const touches = [GAT, GATQ, GATK, GATKQ].includes(opcode);
      const extras = touches ? SOON : opcode === SET || opcode === SETQ ? FLAGS : "";
      let data = STORES.includes(opcode) ? value(key) : "";
      if (opcode === SET && roll(16) === 0) data = large(key, roll);
      return step(opcode, { key, extras, value: data }, seen(opcode, key, opaque));
    }
  }
}

/** Clients of both memcached protocols at once: every other one speaks the binary one. */
export const mixed: Model = {
  ...memcached,
  step(roll, client, n) {
    const binary = Number(client.slice(1)) % 2 > 0;
    return binary ? binaryStep(roll, client, n) : memcached.step(roll, client, n);
  },

  serve(input) {
    if (input[0] !== "\x80") return memcached.serve(input);
    const replies: string[] = [];
    let pos = 0;
    for (let end = packetEnd(input, 0); end > 0; end = packetEnd(input, pos)) {
      const [{ magic, opcode, key, opaque }] = readPackets(input.slice(pos, end));
      if (magic !== 0x80) throw new Error("it is not binary");
      if (LOUD[opcode] !== undefined) throw new Error("it is not loud");
      replies.push(binaryReply(opcode, key, opaque));
      pos = end;
    }
    return { replies, rest: input.slice(pos) };
  },
};
