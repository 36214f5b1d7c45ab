// A small Redis in memory, for trying ringmux out only: strings, lists, hashes, sets and sorted
// sets as far as a first look goes; nothing is saved. Knows nothing of sockets.
// The protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/

import type { LineReader } from "./line_reader.ts";

type Value = string | string[] | Map<string, string> | Set<string> | {
  scores: Map<string, number>;
};

interface Entry {
  value: Value;
  /** Milliseconds since 1970; Infinity for never. */
  expires: number;
}

/** Thrown by a command; becomes an error reply. */
class Refusal extends Error {}

const OK = "+OK\r\n";
const NIL = "$-1\r\n";
const int = (n: number): string => `:${n}\r\n`;
const bulk = (text: string | null | undefined): string =>
  text === null || text === undefined ? NIL : `$${text.length}\r\n${text}\r\n`;
const array = (items: readonly (string | null | undefined)[]): string =>
  `*${items.length}\r\n${items.map(bulk).join("")}`;

/** Fewest and most arguments (the name not counted), and what to do with them. */
type Command = readonly [min: number, max: number, run: (args: string[]) => string];

const ANY = Infinity;

export class DemoRedis {
  private readonly store: Map<string, Entry>;
  private readonly commands: Map<string, Command>;

  constructor() {
    this.store = new Map();
    this.commands = new Map(Object.entries(this.table()));
  }

  /** Answers every whole command that has arrived. */
  serve(input: LineReader): { reply: string; quit: boolean } {
    let reply = "";
    for (;;) {
      const mark = input.mark();
      const args = readCommand(input);
      if (args === null) {
        input.back(mark);
        return { reply, quit: false };
      }
      if (args === "bad") return { reply: `${reply}-ERR Protocol error\r\n`, quit: true };
      if (args.length === 0) continue;
      if (args[0].toUpperCase() === "QUIT") return { reply: reply + OK, quit: true };
      reply += this.run(args);
    }
  }

  private run([name, ...args]: string[]): string {
    const command = this.commands.get(name.toUpperCase());
    if (command === undefined) return `-ERR unknown command '${name}' (this is a demo server)\r\n`;
    const [min, max, run] = command;
    if (args.length < min || args.length > max) {
      return `-ERR wrong number of arguments for '${name.toLowerCase()}' command\r\n`;
    }
    try {
      return run(args);
    } catch (error) {
      if (error instanceof Refusal) return `-${error.message}\r\n`;
      throw error;
    }
  }

  private entry(key: string): Entry | undefined {
    const entry = this.store.get(key);
    if (entry === undefined || entry.expires > Date.now()) return entry;
    this.store.delete(key);
    return undefined;
  }

  /** The value at `key` if it is of the wanted type, made by `make` if there is none. */
  private get<T extends Value>(
    key: string,
    is: (v: Value) => v is T,
    make?: () => T,
  ): T | undefined {
    const entry = this.entry(key);
    if (entry !== undefined) {
      if (is(entry.value)) return entry.value;
      throw new Refusal("WRONGTYPE Operation against a key holding the wrong kind of value");
    }
    if (make === undefined) return undefined;
    const value = make();
    this.store.set(key, { value, expires: Infinity });
    return value;
  }

  private string(key: string): string | undefined {
    return this.get(key, isString);
  }

  private put(key: string, value: string, expires = Infinity): void {
    this.store.set(key, { value, expires });
  }

  /** Changes the text of a string and leaves its time to live alone. */
  private edit(key: string, value: string): void {
    this.put(key, value, this.entry(key)?.expires);
  }

  /** An empty collection is no collection. */
  private drop(key: string, size: number): void {
    if (size === 0) this.store.delete(key);
  }

  private add(key: string, delta: number): string {
    const sum = whole(this.string(key) ?? "0") + delta;
    this.edit(key, String(sum));
    return int(sum);
  }

  private expire(key: string, at: number): string {
    const entry = this.entry(key);
    if (entry === undefined) return int(0);
    entry.expires = at;
    return int(1);
  }

  private timeToLive(key: string, unit: number): string {
    const entry = this.entry(key);
    if (entry === undefined) return int(-2);
    return int(entry.expires === Infinity ? -1 : Math.round((entry.expires - Date.now()) / unit));
  }

  private liveKeys(): string[] {
    return [...this.store.keys()].filter((key) => this.entry(key) !== undefined);
  }

  private set([key, value, ...options]: string[]): string {
    let expires = Infinity;
    const words = options.map((option) => option.toUpperCase());
    const exists = this.entry(key) !== undefined;
    if (words.includes("NX") && exists || words.includes("XX") && !exists) return NIL;
    if (words.includes("KEEPTTL")) expires = this.entry(key)?.expires ?? Infinity;
    for (const [word, unit] of [["EX", 1000], ["PX", 1]] as const) {
      const at = words.indexOf(word);
      if (at >= 0) expires = Date.now() + whole(options[at + 1] ?? "") * unit;
    }
    this.put(key, value, expires);
    return OK;
  }

  private table(): Record<string, Command> {
    const push = (left: boolean): Command => [2, ANY, ([key, ...items]) => {
      const list = this.get(key, isList, () => []) as string[];
      for (const item of items) left ? list.unshift(item) : list.push(item);
      return int(list.length);
    }];
    const pop = (left: boolean): Command => [1, 1, ([key]) => {
      const list = this.get(key, isList);
      const item = left ? list?.shift() : list?.pop();
      if (list !== undefined) this.drop(key, list.length);
      return bulk(item);
    }];
    const remove: Command = [
      1,
      ANY,
      (keys) => int(keys.filter((key) => this.entry(key) && this.store.delete(key)).length),
    ];
    const has: Command = [1, ANY, (keys) => int(keys.filter((key) => this.entry(key)).length)];
    const flush: Command = [0, 1, () => {
      this.store.clear();
      return OK;
    }];
    const hset = ([key, ...pairs]: string[]): number => {
      if (pairs.length % 2 !== 0) {
        throw new Refusal("ERR wrong number of arguments for 'hset' command");
      }
      const hash = this.get(key, isHash, () => new Map()) as Map<string, string>;
      const before = hash.size;
      for (let i = 0; i < pairs.length; i += 2) hash.set(pairs[i], pairs[i + 1]);
      return hash.size - before;
    };
    return {
      PING: [0, 1, ([text]) => text === undefined ? "+PONG\r\n" : bulk(text)],
      ECHO: [1, 1, ([text]) => bulk(text)],
      SELECT: [1, 1, () => OK],
      COMMAND: [0, ANY, () => "*0\r\n"],
      INFO: [
        0,
        ANY,
        () =>
          bulk(
            `# Server\r\nredis_version:7.0.0-demo\r\n# Keyspace\r\ndb0:keys=${this.store.size}\r\n`,
          ),
      ],
      DBSIZE: [0, 0, () => int(this.liveKeys().length)],
      KEYS: [1, 1, ([pattern]) => array(this.liveKeys().filter(glob(pattern)))],
      FLUSHALL: flush,
      FLUSHDB: flush,
      TYPE: [1, 1, ([key]) => `+${typeName(this.entry(key)?.value)}\r\n`],
      DEL: remove,
      UNLINK: remove,
      EXISTS: has,
      TOUCH: has,
      EXPIRE: [2, 2, ([key, s]) => this.expire(key, Date.now() + 1000 * whole(s))],
      PEXPIRE: [2, 2, ([key, ms]) => this.expire(key, Date.now() + whole(ms))],
      PERSIST: [1, 1, ([key]) => this.expire(key, Infinity)],
      TTL: [1, 1, ([key]) => this.timeToLive(key, 1000)],
      PTTL: [1, 1, ([key]) => this.timeToLive(key, 1)],

      GET: [1, 1, ([key]) => bulk(this.string(key))],
      SET: [2, 6, (args) => this.set(args)],
      SETEX: [3, 3, ([key, s, value]) => this.set([key, value, "EX", s])],
      SETNX: [2, 2, ([key, value]) => int(this.set([key, value, "NX"]) === OK ? 1 : 0)],
      GETSET: [2, 2, ([key, value]) => {
        const old = this.string(key);
        this.put(key, value);
        return bulk(old);
      }],
      GETDEL: [1, 1, ([key]) => {
        const old = this.string(key);
        this.store.delete(key);
        return bulk(old);
      }],
      APPEND: [2, 2, ([key, more]) => {
        const text = (this.string(key) ?? "") + more;
        this.edit(key, text);
        return int(text.length);
      }],
      STRLEN: [1, 1, ([key]) => int((this.string(key) ?? "").length)],
      INCR: [1, 1, ([key]) => this.add(key, 1)],
      DECR: [1, 1, ([key]) => this.add(key, -1)],
      INCRBY: [2, 2, ([key, n]) => this.add(key, whole(n))],
      DECRBY: [2, 2, ([key, n]) => this.add(key, -whole(n))],
      MGET: [1, ANY, (keys) =>
        array(keys.map((key) => {
          const value = this.entry(key)?.value;
          return typeof value === "string" ? value : null;
        }))],
      MSET: [2, ANY, (pairs) => {
        if (pairs.length % 2 !== 0) {
          throw new Refusal("ERR wrong number of arguments for 'mset' command");
        }
        for (let i = 0; i < pairs.length; i += 2) this.put(pairs[i], pairs[i + 1]);
        return OK;
      }],

      HSET: [3, ANY, (args) => int(hset(args))],
      HMSET: [3, ANY, (args) => {
        hset(args);
        return OK;
      }],
      HGET: [2, 2, ([key, field]) => bulk(this.get(key, isHash)?.get(field))],
      HMGET: [2, ANY, ([key, ...fields]) => {
        const hash = this.get(key, isHash);
        return array(fields.map((field) => hash?.get(field)));
      }],
      HGETALL: [1, 1, ([key]) => array([...this.get(key, isHash) ?? []].flat())],
      HKEYS: [1, 1, ([key]) => array([...this.get(key, isHash)?.keys() ?? []])],
      HVALS: [1, 1, ([key]) => array([...this.get(key, isHash)?.values() ?? []])],
      HLEN: [1, 1, ([key]) => int(this.get(key, isHash)?.size ?? 0)],
      HEXISTS: [2, 2, ([key, field]) => int(this.get(key, isHash)?.has(field) ? 1 : 0)],
      HINCRBY: [3, 3, ([key, field, n]) => {
        const hash = this.get(key, isHash, () => new Map()) as Map<string, string>;
        const sum = whole(hash.get(field) ?? "0") + whole(n);
        hash.set(field, String(sum));
        return int(sum);
      }],
      HDEL: [2, ANY, ([key, ...fields]) => {
        const hash = this.get(key, isHash);
        const gone = fields.filter((field) => hash?.delete(field)).length;
        if (hash !== undefined) this.drop(key, hash.size);
        return int(gone);
      }],

      LPUSH: push(true),
      RPUSH: push(false),
      LPOP: pop(true),
      RPOP: pop(false),
      LLEN: [1, 1, ([key]) => int(this.get(key, isList)?.length ?? 0)],
      LINDEX: [2, 2, ([key, i]) => bulk(this.get(key, isList)?.at(whole(i)))],
      LRANGE: [3, 3, ([key, from, to]) => array(range(this.get(key, isList) ?? [], from, to))],

      SADD: [2, ANY, ([key, ...members]) => {
        const set = this.get(key, isSet, () => new Set()) as Set<string>;
        const before = set.size;
        for (const member of members) set.add(member);
        return int(set.size - before);
      }],
      SREM: [2, ANY, ([key, ...members]) => {
        const set = this.get(key, isSet);
        const gone = members.filter((member) => set?.delete(member)).length;
        if (set !== undefined) this.drop(key, set.size);
        return int(gone);
      }],
      SMEMBERS: [1, 1, ([key]) => array([...this.get(key, isSet) ?? []])],
      SISMEMBER: [2, 2, ([key, member]) => int(this.get(key, isSet)?.has(member) ? 1 : 0)],
      SCARD: [1, 1, ([key]) => int(this.get(key, isSet)?.size ?? 0)],

      ZADD: [3, ANY, ([key, ...pairs]) => {
        const { scores } = this.get(key, isSorted, () => ({ scores: new Map() })) as Sorted;
        const before = scores.size;
        for (let i = 0; i + 1 < pairs.length; i += 2) scores.set(pairs[i + 1], Number(pairs[i]));
        return int(scores.size - before);
      }],
      ZSCORE: [2, 2, ([key, member]) => {
        const score = this.get(key, isSorted)?.scores.get(member);
        return bulk(score === undefined ? null : String(score));
      }],
      ZCARD: [1, 1, ([key]) => int(this.get(key, isSorted)?.scores.size ?? 0)],
      ZRANGE: [3, 4, ([key, from, to, withScores]) => {
        const sorted = [...this.get(key, isSorted)?.scores ?? []]
          .sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
        const found = range(sorted, from, to);
        return array(
          found.flatMap(([member, score]) =>
            withScores === undefined ? [member] : [member, String(score)]
          ),
        );
      }],
    };
  }
}

type Sorted = { scores: Map<string, number> };
const isString = (v: Value): v is string => typeof v === "string";
const isList = (v: Value): v is string[] => Array.isArray(v);
const isHash = (v: Value): v is Map<string, string> => v instanceof Map;
const isSet = (v: Value): v is Set<string> => v instanceof Set;
const isSorted = (v: Value): v is Sorted => typeof v === "object" && "scores" in v;

function typeName(value: Value | undefined): string {
  if (value === undefined) return "none";
  if (isString(value)) return "string";
  if (isList(value)) return "list";
  if (isHash(value)) return "hash";
  return isSet(value) ? "set" : "zset";
}

function whole(text: string): number {
  if (!/^-?\d{1,15}$/.test(text)) throw new Refusal("ERR value is not an integer or out of range");
  return Number(text);
}

/** Items `from` to `to`, both included; negative ones count from the end. */
function range<T>(items: readonly T[], from: string, to: string): T[] {
  const at = (text: string): number => {
    const n = whole(text);
    return n < 0 ? Math.max(items.length + n, -1) : n;
  };
  return items.slice(Math.max(at(from), 0), at(to) + 1);
}

function glob(pattern: string): (key: string) => boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  const found = new RegExp(`^${source}$`, "s");
  return (key) => found.test(key);
}

/** The arguments of the next command; null if it is not all there. */
function readCommand(input: LineReader): string[] | "bad" | null {
  const first = input.line();
  if (first === null) return null;
  if (!first.startsWith("*")) return first.split(/\s+/).filter((word) => word !== "");
  const args: string[] = [];
  for (let n = Number(first.slice(1)); n > 0; n--) {
    const head = input.line();
    if (head === null) return null;
    const length = /^\$(\d{1,9})$/.exec(head)?.[1];
    if (length === undefined) return "bad";
    const arg = input.block(Number(length));
    if (arg === null) return null;
    args.push(arg);
  }
  return args;
}
