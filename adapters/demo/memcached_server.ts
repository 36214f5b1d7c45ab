// A small memcached in memory, for trying ringmux out only: the classic text commands, nothing is
// ever evicted. Knows nothing of sockets.
// The protocol: https://github.com/memcached/memcached/blob/master/doc/protocol.txt

import type { LineReader } from "./line_reader.ts";

interface Item {
  flags: string;
  data: string;
  unique: number;
  /** Milliseconds since 1970; Infinity for never. */
  expires: number;
}

const STORAGE = ["set", "add", "replace", "append", "prepend", "cas"];
/** Longer times than thirty days are points in time, not spans. */
const LONGEST_SPAN = 30 * 24 * 3600;

export class DemoMemcached {
  private readonly items: Map<string, Item>;
  private readonly started: number;
  private unique: number;

  constructor() {
    this.items = new Map();
    this.started = Date.now();
    this.unique = 0;
  }

  /** Answers every whole command that has arrived. */
  serve(input: LineReader): { reply: string; quit: boolean } {
    let reply = "";
    for (;;) {
      const mark = input.mark();
      const line = input.line();
      if (line === null) return { reply, quit: false };
      const [verb, ...args] = line.split(" ").filter((word) => word !== "");
      if (verb === "quit") return { reply, quit: true };
      const quiet = args.at(-1) === "noreply";
      let answer: string;
      if (STORAGE.includes(verb)) {
        if (!/^\d{1,9}$/.test(args[3] ?? "")) {
          reply += "CLIENT_ERROR bad command line format\r\n";
          continue;
        }
        const data = input.block(Number(args[3]));
        if (data === null) {
          input.back(mark);
          return { reply, quit: false };
        }
        answer = this.store(verb, args, data);
      } else {
        answer = this.run(verb, quiet ? args.slice(0, -1) : args);
      }
      if (!quiet) reply += answer;
    }
  }

  private item(key: string): Item | undefined {
    const item = this.items.get(key);
    if (item === undefined || item.expires > Date.now()) return item;
    this.items.delete(key);
    return undefined;
  }

  private store(verb: string, [key, flags, time, , unique]: string[], data: string): string {
    const old = this.item(key);
    if (verb === "cas" && old === undefined) return "NOT_FOUND\r\n";
    if (verb === "cas" && old?.unique !== Number(unique)) return "EXISTS\r\n";
    if (verb === "add" && old !== undefined) return "NOT_STORED\r\n";
    if (["replace", "append", "prepend"].includes(verb) && old === undefined) {
      return "NOT_STORED\r\n";
    }
    if (old !== undefined && (verb === "append" || verb === "prepend")) {
      old.data = verb === "append" ? old.data + data : data + old.data;
      old.unique = ++this.unique;
    } else {
      this.items.set(key, { flags, data, unique: ++this.unique, expires: expiry(time) });
    }
    return "STORED\r\n";
  }

  private run(verb: string, args: string[]): string {
    switch (verb) {
      case "get":
      case "gets":
        return args.length === 0 ? "ERROR\r\n" : this.values(args, verb === "gets");
      case "gat":
      case "gats":
        for (const key of args.slice(1)) this.touch(key, args[0]);
        return this.values(args.slice(1), verb === "gats");
      case "touch":
        return this.touch(args[0], args[1]) ? "TOUCHED\r\n" : "NOT_FOUND\r\n";
      case "delete":
        return this.item(args[0]) && this.items.delete(args[0]) ? "DELETED\r\n" : "NOT_FOUND\r\n";
      case "incr":
      case "decr":
        return this.count(args[0], args[1], verb === "incr");
      case "flush_all":
        this.items.clear();
        return "OK\r\n";
      case "verbosity":
        return "OK\r\n";
      case "version":
        return "VERSION 1.6.0-demo\r\n";
      case "mn":
        return "MN\r\n";
      case "stats":
        return this.stats(args.length > 0);
      default:
        return "ERROR\r\n";
    }
  }

  private values(keys: string[], withUnique: boolean): string {
    let reply = "";
    for (const key of keys) {
      const item = this.item(key);
      if (item === undefined) continue;
      const unique = withUnique ? ` ${item.unique}` : "";
      reply += `VALUE ${key} ${item.flags} ${item.data.length}${unique}\r\n${item.data}\r\n`;
    }
    return `${reply}END\r\n`;
  }

  private touch(key: string, time: string): boolean {
    const item = this.item(key);
    if (item === undefined) return false;
    item.expires = expiry(time);
    return true;
  }

  private count(key: string, by: string, up: boolean): string {
    const item = this.item(key);
    if (!/^\d+$/.test(by ?? "")) return "CLIENT_ERROR invalid numeric delta argument\r\n";
    if (item === undefined) return "NOT_FOUND\r\n";
    if (!/^\d+$/.test(item.data)) {
      return "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    }
    const old = BigInt(item.data);
    const delta = BigInt(by);
    const sum = up ? BigInt.asUintN(64, old + delta) : old > delta ? old - delta : 0n;
    item.data = String(sum);
    item.unique = ++this.unique;
    return `${item.data}\r\n`;
  }

  private stats(special: boolean): string {
    if (special) return "END\r\n";
    const uptime = Math.floor((Date.now() - this.started) / 1000);
    const lines = { uptime, version: "1.6.0-demo", curr_items: this.items.size };
    return `${
      Object.entries(lines).map(([name, value]) => `STAT ${name} ${value}\r\n`).join("")
    }END\r\n`;
  }
}

function expiry(time: string): number {
  const seconds = Number(time);
  if (seconds === 0) return Infinity;
  return seconds > LONGEST_SPAN ? seconds * 1000 : Date.now() + seconds * 1000;
}
