// Clients of every kind for migrate_test.ts: each knows what it has to be told, whatever moves.

import { array, bulk, cmd, until, Wire } from "./harness.ts";

const SCANNED = 300;

/** One kind of client: does one thing again and again; what was wrong. */
export abstract class Actor {
  readonly wrong: string[];
  rounds: number;
  protected readonly port: number;
  protected stopping: boolean;
  private done: Promise<void>;

  constructor(port: number) {
    this.port = port;
    this.wrong = [];
    this.rounds = 0;
    this.stopping = false;
    this.done = Promise.resolve();
  }

  abstract open(): Promise<void>;
  abstract round(): Promise<void>;

  begin(): void {
    this.done = this.run();
  }

  private async run(): Promise<void> {
    try {
      while (!this.stopping) {
        await this.round();
        this.rounds++;
      }
    } catch (error) {
      this.wrong.push(`${this.constructor.name}, round ${this.rounds}: ${error}`);
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
  }

  protected same(what: string, got: string, expected: string): void {
    if (got !== expected) this.wrong.push(`${what}: ${JSON.stringify(got)}, not ${expected}`);
  }
}

abstract class WireActor extends Actor {
  protected wire!: Wire;

  override async open(): Promise<void> {
    this.wire = await Wire.open(this.port);
  }

  protected async told(expected: string, ...args: (string | number)[]): Promise<void> {
    this.same(args.join(" "), await this.wire.ask(...args), expected);
  }
}

/** Lists, sets, hashes, sorted sets, streams with a group, in a database of its own. */
class Structures extends WireActor {
  private readonly db: number;

  constructor(port: number, db: number) {
    super(port);
    this.db = db;
  }

  override async open(): Promise<void> {
    await super.open();
    await this.told("+OK\r\n", "SELECT", this.db);
    for (let i = 0; i < 8; i++) {
      await this.told("+OK\r\n", "XGROUP", "CREATE", `x${this.db}.${i}`, "g", "0", "MKSTREAM");
    }
  }

  override async round(): Promise<void> {
    const n = this.rounds + 1;
    for (let i = 0; i < 8 && !this.stopping || i === 0; i++) {
      const of = `${this.db}.${i}`;
      if (this.stopping) return;
      await this.told(`:${n}\r\n`, "RPUSH", `l${of}`, n);
      await this.told(`:1\r\n`, "SADD", `s${of}`, n);
      await this.told(`:${n}\r\n`, "SCARD", `s${of}`);
      await this.told(`:${n}\r\n`, "HINCRBY", `h${of}`, "f", 1);
      await this.told(bulk(String(n)), "ZINCRBY", `z${of}`, 1, "m");
      await this.told(bulk(`${n}-1`), "XADD", `x${of}`, `${n}-1`, "f", n);
      const read = await this.wire.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", `x${of}`, ">");
      if (!read.includes(`${n}-1`)) this.wrong.push(`XREADGROUP x${of}: ${read}, not ${n}-1`);
      if (n % 2 === 0) await this.told(":1\r\n", "XACK", `x${of}`, "g", `${n}-1`);
      await this.told(`:${n}\r\n`, "EVAL", "return redis.call('INCR', KEYS[1])", 1, `e${of}`);
      await this.told(array(String(n)), "LRANGE", `l${of}`, -1, -1);
    }
  }
}

/** Pipelined transactions on keys of one tag; now and then with WATCH. */
class Transactions extends WireActor {
  private watched = 0;

  override async round(): Promise<void> {
    const n = this.rounds + 1;
    const tag = `{t${n % 30}}`;
    const times = Math.ceil(n / 30);
    const expected = n % 30 === 0 ? times : Math.floor(n / 30) + 1;
    this.wire.send(
      cmd("MULTI") + cmd("INCR", `${tag}a`) + cmd("RPUSH", `${tag}b`, n) + cmd("EXEC"),
    );
    const replies = await this.wire.replies(4);
    this.same(
      `transaction ${n}`,
      replies.join(""),
      `+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:${expected}\r\n:${expected}\r\n`,
    );
    if (n % 5 === 0) await this.watch();
  }

  private async watch(): Promise<void> {
    const key = `{w${this.watched % 10}}`;
    for (;;) {
      await this.told("+OK\r\n", "WATCH", key);
      const value = await this.wire.ask("GET", key);
      const now = Number(/\r\n(\d+)/.exec(value)?.[1] ?? 0);
      if (now !== Math.floor(this.watched / 10)) this.wrong.push(`GET ${key}: ${value}`);
      await this.told("+OK\r\n", "MULTI");
      await this.told("+QUEUED\r\n", "SET", key, now + 1);
      const done = await this.wire.ask("EXEC");
      if (done === "*1\r\n+OK\r\n") break;
      // As if somebody had changed it: the client reads it again.
      if (done !== "*-1\r\n") this.wrong.push(`EXEC: ${done}`);
    }
    this.watched++;
  }
}

/** One pushes, another waits for it: each number once, in their order. */
class Queues extends WireActor {
  private consumer!: Wire;

  override async open(): Promise<void> {
    await super.open();
    this.consumer = await Wire.open(this.port);
  }

  override async round(): Promise<void> {
    const key = `q${this.rounds % 7}`;
    const taken = this.consumer.ask("BLPOP", key, this.rounds % 2 === 0 ? 0 : 30);
    await new Promise((resolve) => setTimeout(resolve, this.rounds % 3 === 0 ? 40 : 1));
    const pushed = await this.wire.ask("RPUSH", key, this.rounds);
    if (!pushed.startsWith(":")) this.wrong.push(`RPUSH ${key}: ${pushed}`);
    this.same(`BLPOP ${key}`, await taken, array(key, String(this.rounds)));
  }
}

/** Walks over all keys: those that are there throughout are seen each time. */
class Walks extends WireActor {
  override async open(): Promise<void> {
    await super.open();
    for (let i = 0; i < SCANNED; i++) await this.told("+OK\r\n", "SET", `scan:${i}`, i);
  }

  override async round(): Promise<void> {
    const seen = new Set<string>();
    let cursor = "0";
    do {
      const page = await this.wire.ask("SCAN", cursor, "MATCH", "*", "COUNT", 50);
      if (!page.startsWith("*2\r\n")) {
        this.wrong.push(`SCAN: ${page}`);
        return;
      }
      const words = page.split("\r\n");
      cursor = words[2];
      for (let i = 5; i < words.length; i += 2) seen.add(words[i]);
    } while (cursor !== "0");
    for (let i = 0; i < SCANNED; i++) {
      if (!seen.has(`scan:${i}`)) this.wrong.push(`SCAN ${this.rounds} has not seen scan:${i}`);
    }
    for (const key of seen) if (key.startsWith("ringmux")) this.wrong.push(`SCAN shows ${key}`);
  }
}

/** Messages on some channels: each comes once, in their order. */
class Messages extends WireActor {
  private listener!: Wire;

  override async open(): Promise<void> {
    await super.open();
    this.listener = await Wire.open(this.port);
    for (let i = 0; i < 10; i++) {
      const reply = await this.listener.ask("SUBSCRIBE", `ch${i}`);
      if (!reply.includes("subscribe")) this.wrong.push(reply);
    }
  }

  override async round(): Promise<void> {
    const channel = `ch${this.rounds % 10}`;
    await this.told(":1\r\n", "PUBLISH", channel, this.rounds);
    const message = await this.listener.reply();
    this.same("message", message, array("message", channel, String(this.rounds)));
  }
}

/** Keys with times to live, which have to be exactly the same in the end. */
export class Expiring extends WireActor {
  private readonly at: number;

  constructor(port: number) {
    super(port);
    this.at = Date.now() + 600_000;
  }

  override async open(): Promise<void> {
    await super.open();
    for (let i = 0; i < 60; i++) {
      await this.told("+OK\r\n", "SET", `ttl:${i}`, i, "PXAT", this.at + i);
    }
  }

  override async round(): Promise<void> {
    const i = this.rounds % 60;
    await this.told(`:${this.at + i}\r\n`, "PEXPIRETIME", `ttl:${i}`);
    // One that goes while all this happens.
    await this.told("+OK\r\n", "SET", `soon:${i}`, i, "PX", 30);
    await new Promise((resolve) => setTimeout(resolve, 35));
    await this.told("$-1\r\n", "GET", `soon:${i}`);
  }
}

/** One of each kind, and one that uses another database. */
export async function actors(port: number, db: number): Promise<Actor[]> {
  const all = [
    ...(db === 0 ? [] : [new Structures(port, db)]),
    ...[new Structures(port, 0), new Transactions(port)],
    ...[new Queues(port), new Walks(port), new Messages(port), new Expiring(port)],
  ];
  for (const one of all) await one.open();
  return all;
}

export async function goOn(all: readonly Actor[], rounds: number): Promise<void> {
  const before = all.map((one) => one.rounds);
  await until(
    "all clients to go on",
    () => all.every((one, i) => one.rounds >= before[i] + rounds || one.wrong.length > 0),
    60_000,
  );
}

/**
 * Counters whose server or proxy may be killed: after an error nobody knows whether it counted, and
 * nothing else may be in doubt. Keys that were deleted stay so.
 */
export class Counters {
  readonly wrong: string[];
  errors: number;
  answered: number;
  private port: number;
  private readonly name: string;
  private readonly low: number[];
  private readonly high: number[];
  private stopping: boolean;
  private done: Promise<void>;

  constructor(port: number, name: string) {
    this.port = port;
    this.name = name;
    this.wrong = [];
    this.errors = 0;
    this.answered = 0;
    this.low = Array(60).fill(0);
    this.high = Array(60).fill(0);
    this.stopping = false;
    this.done = Promise.resolve();
  }

  begin(): void {
    this.done = this.run();
  }

  /** Another proxy from now on. */
  go(port: number): void {
    this.port = port;
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      let wire: Wire | null = null;
      const { port } = this;
      try {
        wire = await Wire.open(port);
        while (!this.stopping && port === this.port) await this.round(wire);
      } catch {
        this.errors++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      wire?.close();
    }
  }

  private async round(wire: Wire): Promise<void> {
    const i = Math.floor(Math.random() * 60);
    const key = `${this.name}:${i}`;
    const isDelete = Math.random() < 0.1;
    const [low, high] = [this.low[i], this.high[i]];
    // Until it is answered both may be.
    if (isDelete) this.low[i] = 0;
    else this.high[i]++;
    const reply = await wire.ask(isDelete ? "DEL" : "INCR", key);
    if (reply.startsWith("-")) {
      this.errors++;
      // Refused before anything was done.
      if (reply.startsWith("-TRYAGAIN")) [this.low[i], this.high[i]] = [low, high];
      return;
    }
    this.answered++;
    const n = Number(reply.slice(1));
    if (isDelete) {
      if (n === 0 && low > 0) this.wrong.push(`DEL ${key}: nothing, not ${low} to ${high}`);
      this.high[i] = 0;
    } else {
      if (n < low + 1 || n > high + 1) {
        this.wrong.push(`INCR ${key}: ${n}, not ${low + 1} to ${high + 1}`);
      }
      this.low[i] = n;
      this.high[i] = n;
    }
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
  }

  /** Looks at all values at the end. */
  async check(port: number): Promise<void> {
    const wire = await Wire.open(port);
    for (let i = 0; i < 60; i++) {
      const reply = await wire.ask("GET", `${this.name}:${i}`);
      const n = Number(/\r\n(\d+)/.exec(reply)?.[1] ?? 0);
      if (n < this.low[i] || n > this.high[i]) {
        this.wrong.push(
          `in the end ${this.name}:${i}: ${n}, not ${this.low[i]} to ${this.high[i]}`,
        );
      }
    }
    wire.close();
  }
}
