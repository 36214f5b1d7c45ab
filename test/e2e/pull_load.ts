// Clients of memcached that know each value they may see: one writer to a key, over several proxies by
// turns, each command answered before the next one is sent.

import { ask as packet, FLAGS, number } from "../protocol/packets.ts";
import { random } from "./harness/bytes.ts";
import { Wire } from "./harness/wire.ts";

interface Item {
  value: string;
  flags: number;
}

const KEYS = 60;

/** Text and meta commands, or (`binary`) packets. */
export class Knowing {
  readonly wrong: string[] = [];
  answered = 0;
  /** Errors that were told; only where a server is dead. */
  errors = 0;
  lastError = "";
  misses = 0;
  hits = 0;
  private readonly ports: () => number[];
  private readonly name: string;
  private readonly binary: boolean;
  private readonly below: (n: number) => number;
  private readonly items: Map<string, Item | null>;
  /** May be anything: the answer to a command was an error, or a server has lost its memory. */
  private readonly unknown: Set<string>;
  private wires: Map<number, Wire>;
  private running: Promise<void> | null = null;
  private ends = false;
  /** A proxy or a server is being killed: errors are allowed. */
  lenient = false;
  /** What was at a server is being lost: nothing is known. */
  doubts = false;
  /** Longest pause (ms) between two commands: not so fast that whoever else is on the machine waits. */
  pause = 2;

  constructor(ports: () => number[], name: string, binary: boolean) {
    this.ports = ports;
    this.name = name;
    this.binary = binary;
    this.below = random(name.length * 1000 + name.charCodeAt(name.length - 1));
    this.items = new Map();
    this.unknown = new Set();
    this.wires = new Map();
  }

  begin(): void {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.ends = true;
    await this.running;
    for (const wire of this.wires.values()) wire.close();
  }

  /** What differs comes first: FNV would send keys that differ in their last letter to one server. */
  private anyKey(): string {
    return `${this.below(KEYS)}:${this.name}`;
  }

  private forgetAll(): void {
    for (const key of this.items.keys()) this.unknown.add(key);
  }

  private async run(): Promise<void> {
    while (!this.ends) {
      const key = this.anyKey();
      await new Promise((resolve) => setTimeout(resolve, this.below(this.pause + 1)));
      const before = this.wrong.length;
      const doubted = this.doubts;
      try {
        if (this.binary) await this.packets(key);
        else await this.commands(key);
        this.answered++;
      } catch (error) {
        if (!this.lenient) {
          this.wrong.push(String(error));
          return;
        }
        this.unknown.add(key);
        this.errors++;
        this.lastError = String(error);
        for (const wire of this.wires.values()) wire.close();
        this.wires.clear();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      if (!doubted && !this.doubts) continue;
      this.wrong.length = before;
      this.forgetAll();
    }
  }

  private async wire(): Promise<Wire> {
    const ports = this.ports();
    const port = ports[this.below(ports.length)];
    let wire = this.wires.get(port);
    if (wire === undefined || wire.ended) {
      wire = await Wire.open(port);
      this.wires.set(port, wire);
    }
    return wire;
  }

  private async line(request: string): Promise<string> {
    const line = await (await this.wire()).send(`${request}\r\n`).line();
    if (line.includes("ERROR")) throw new Error(`${request}: ${line}`);
    return line.trimEnd();
  }

  /** What `get`, `gets`, `gat` or `mg` has to say of a key; null: it is not there. */
  private async fetch(request: string): Promise<{ item: Item; more: string } | null> {
    const wire = await this.wire();
    const line = (await wire.send(`${request}\r\n`).line()).trimEnd();
    if (line === "END" || line === "EN") return null;
    if (line.includes("ERROR")) throw new Error(`${request}: ${line}`);
    const words = line.split(" ");
    const isMeta = words[0] === "VA";
    const size = Number(isMeta ? words[1] : words[3]);
    const value = (await wire.read(size + 2)).slice(0, -2);
    if (!isMeta) await wire.line();
    const flags = isMeta ? words.find((one) => one[0] === "f")?.slice(1) : words[2];
    return { item: { value, flags: Number(flags) }, more: words[4] ?? "" };
  }

  private see(what: string, key: string, item: Item | null): void {
    if (item === null) this.misses++;
    else this.hits++;
    const known = this.items.get(key) ?? null;
    if (this.unknown.delete(key)) {
      this.items.set(key, item);
      return;
    }
    const [a, b] = [JSON.stringify(item), JSON.stringify(known)];
    if (a !== b) this.wrong.push(`${what} ${key}: ${a} instead of ${b}`);
  }

  private expect(what: string, got: string, ...wanted: string[]): void {
    if (!wanted.includes(got)) this.wrong.push(`${what}: "${got}" instead of "${wanted}"`);
  }

  private async commands(key: string): Promise<void> {
    const { below, items } = this;
    const kinds = ["get", "gets", "gat 1000", "mg"];
    const fetch = async (): Promise<{ item: Item; more: string } | null> => {
      const kind = kinds[below(4)];
      const found = await this.fetch(kind === "mg" ? `mg ${key} v f` : `${kind} ${key}`);
      this.see(kind, key, found?.item ?? null);
      return found;
    };
    if (this.unknown.has(key)) return void await fetch();
    const item = items.get(key) ?? null;
    const flags = below(1000);
    const value = below(3) === 0 ? String(below(1000)) : `v${below(1e6)}${"x".repeat(below(300))}`;
    const store = (verb: string): Promise<string> =>
      this.line(`${verb} ${key} ${flags} 1000 ${value.length}\r\n${value}`);
    const isNumber = item !== null && /^\d+$/.test(item.value);
    switch (below(16)) {
      case 0:
      case 1: {
        this.expect(`set ${key}`, await store("set"), "STORED");
        items.set(key, { value, flags });
        return;
      }
      case 2: {
        const got = await this.line(`ms ${key} ${value.length} F${flags} T1000\r\n${value}`);
        this.expect(`ms ${key}`, got, "HD");
        items.set(key, { value, flags });
        return;
      }
      case 3: {
        const got = await store("add");
        this.expect(`add ${key}`, got, item === null ? "STORED" : "NOT_STORED");
        if (item === null) items.set(key, { value, flags });
        return;
      }
      case 4: {
        const got = await store("replace");
        this.expect(`replace ${key}`, got, item === null ? "NOT_STORED" : "STORED");
        if (item !== null) items.set(key, { value, flags });
        return;
      }
      case 5: {
        const verb = below(2) === 0 ? "append" : "prepend";
        const got = await store(verb);
        this.expect(`${verb} ${key}`, got, item === null ? "NOT_STORED" : "STORED");
        if (item === null) return;
        const joined = verb === "append" ? item.value + value : value + item.value;
        items.set(key, { value: joined, flags: item.flags });
        if (joined.length > 5000) await this.remove(key);
        return;
      }
      case 6: {
        if (!isNumber) return;
        const got = await this.line(`incr ${key} 7`);
        const sum = String(Number(item.value) + 7);
        this.expect(`incr ${key}`, got.trimEnd(), sum);
        items.set(key, { value: sum, flags: item.flags });
        return;
      }
      case 7:
      case 8:
        return await this.remove(key);
      case 9: {
        const got = await this.line(`touch ${key} 2000`);
        return this.expect(`touch ${key}`, got, item === null ? "NOT_FOUND" : "TOUCHED");
      }
      case 10: {
        const found = await this.fetch(`gets ${key}`);
        this.see("gets", key, found?.item ?? null);
        if (found === null || item === null) return;
        const request = `cas ${key} ${flags} 1000 ${value.length} ${found.more}\r\n${value}`;
        const got = await this.line(request);
        // It may have moved in between: its number is another one then.
        this.expect(`cas ${key}`, got, "STORED", "EXISTS");
        if (got === "STORED") items.set(key, { value, flags });
        return;
      }
      case 11:
        return await this.many(key);
      default:
        await fetch();
    }
  }

  private async remove(key: string): Promise<void> {
    const there = this.items.get(key) !== null && this.items.get(key) !== undefined;
    const meta = this.below(2) === 0;
    const got = await this.line(meta ? `md ${key}` : `delete ${key}`);
    const wanted = meta ? (there ? "HD" : "NF") : there ? "DELETED" : "NOT_FOUND";
    this.expect(`${meta ? "md" : "delete"} ${key}`, got, wanted);
    this.items.set(key, null);
  }

  private async many(key: string): Promise<void> {
    const keys = [key];
    for (let i = 0; i < 5; i++) {
      const other = this.anyKey();
      if (!keys.includes(other) && !this.unknown.has(other)) keys.push(other);
    }
    const wire = await this.wire();
    wire.send(`get ${keys.join(" ")}\r\n`);
    const found = new Map<string, Item>();
    for (;;) {
      const line = (await wire.line()).trimEnd();
      if (line === "END") break;
      if (line.includes("ERROR")) throw new Error(`get ${keys.length} keys: ${line}`);
      const [, name, flags, size] = line.split(" ");
      const value = (await wire.read(Number(size) + 2)).slice(0, -2);
      found.set(name, { value, flags: Number(flags) });
    }
    for (const one of keys) this.see("get of several", one, found.get(one) ?? null);
  }

  private async exchange(opcode: number, parts: Parameters<typeof packet>[1]): Promise<{
    status: number;
    value: string;
    extras: string;
  }> {
    const wire = await this.wire();
    wire.send(packet(opcode, parts));
    const head = await wire.read(24);
    const body = await wire.read(number(head, 8, 4));
    const extras = number(head, 4, 1);
    const status = number(head, 6, 2);
    const from = extras + number(head, 2, 2);
    if (status >= 0x81) throw new Error(`opcode ${opcode} ${parts?.key}: ${body}`);
    return { status, value: body.slice(from), extras: body.slice(0, extras) };
  }

  private async packets(key: string): Promise<void> {
    const { below, items } = this;
    const get = async (): Promise<void> => {
      const { status, value, extras } = await this.exchange(0, { key });
      const item = status === 0 ? { value, flags: number(extras, 0, 4) } : null;
      this.see("get", key, item);
    };
    if (this.unknown.has(key)) return await get();
    const item = items.get(key) ?? null;
    const value = `v${below(1e6)}`;
    const extras = FLAGS;
    const flags = number(FLAGS, 0, 4);
    const status = (wanted: number, got: { status: number }, what: string): void =>
      this.expect(`${what} ${key}`, String(got.status), String(wanted));
    switch (below(8)) {
      case 0:
        status(0, await this.exchange(1, { key, value, extras }), "set");
        return void items.set(key, { value, flags });
      case 1:
        status(item === null ? 0 : 2, await this.exchange(2, { key, value, extras }), "add");
        return void (item === null && items.set(key, { value, flags }));
      case 2:
        status(item === null ? 1 : 0, await this.exchange(3, { key, value, extras }), "replace");
        return void (item !== null && items.set(key, { value, flags }));
      case 3:
        status(item === null ? 1 : 0, await this.exchange(4, { key }), "delete");
        return void items.set(key, null);
      case 4:
        status(item === null ? 5 : 0, await this.exchange(0x0e, { key, value }), "append");
        if (item !== null) items.set(key, { value: item.value + value, flags: item.flags });
        return;
      default:
        return await get();
    }
  }
}
