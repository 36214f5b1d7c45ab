// Clients that know every value they may see: each has keys of its own, and each reply is compared
// with what it has to be. Whatever was lost, doubled, or came out of order shows.

import { array, bulk, cmd, Wire } from "./harness.ts";

const KEYS = 60;
const PIPELINE = 50;

/** What a client has been told that it must not have been. */
export interface Wrong {
  command: string;
  expected: string;
  got: string;
}

export class KnowingClient {
  readonly wrong: Wrong[];
  /** Commands answered. */
  answered: number;
  private wire: Wire;
  private readonly values: (string | null)[];
  private readonly name: string;
  private serial: number;
  private stopping: boolean;
  private done: Promise<void>;

  private constructor(wire: Wire, name: string) {
    this.wire = wire;
    this.name = name;
    this.wrong = [];
    this.answered = 0;
    this.values = Array.from({ length: KEYS }, () => null);
    this.serial = 0;
    this.stopping = false;
    this.done = Promise.resolve();
  }

  static async open(port: number, name: string): Promise<KnowingClient> {
    return new KnowingClient(await Wire.open(port), name);
  }

  key(n: number): string {
    return `${this.name}:${n}`;
  }

  /** Goes on at another port. */
  async goTo(port: number): Promise<void> {
    this.wire.close();
    this.wire = await Wire.open(port);
  }

  begin(): void {
    this.done = this.run();
  }

  /** Ends after the pipeline that is on its way. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.done;
    this.wire.close();
  }

  private async run(): Promise<void> {
    while (!this.stopping) await this.pipeline();
  }

  async pipeline(): Promise<void> {
    const commands: string[] = [];
    const expected: string[] = [];
    for (let i = 0; i < PIPELINE; i++) {
      const [command, reply] = this.next();
      commands.push(command);
      expected.push(reply);
    }
    this.wire.send(commands.join(""));
    const replies = await this.wire.replies(PIPELINE);
    for (const [i, got] of replies.entries()) {
      if (got !== expected[i]) {
        this.wrong.push({ command: commands[i], expected: expected[i], got });
      }
    }
    this.answered += PIPELINE;
  }

  private pick(n: number): number[] {
    const picked = new Set<number>();
    while (picked.size < n) picked.add(Math.floor(Math.random() * KEYS));
    return [...picked];
  }

  /** A command and the reply to it, all earlier ones having been carried out. */
  private next(): [string, string] {
    const { values } = this;
    const [one] = this.pick(1);
    const value = `${this.name}=${++this.serial}`;
    switch (Math.floor(Math.random() * 7)) {
      case 0:
        values[one] = value;
        return [cmd("SET", this.key(one), value), "+OK\r\n"];
      case 1: {
        const many = this.pick(5);
        return [
          cmd("MGET", ...many.map((n) => this.key(n))),
          array(...many.map((n) => values[n])),
        ];
      }
      case 2: {
        const many = this.pick(5);
        for (const n of many) values[n] = `${value}.${n}`;
        return [
          cmd("MSET", ...many.flatMap((n) => [this.key(n), `${value}.${n}`])),
          "+OK\r\n",
        ];
      }
      case 3: {
        const many = this.pick(3);
        const there = many.filter((n) => values[n] !== null).length;
        for (const n of many) values[n] = null;
        return [cmd("DEL", ...many.map((n) => this.key(n))), `:${there}\r\n`];
      }
      case 4: {
        values[one] = (values[one] ?? "") + "+";
        return [
          cmd("APPEND", this.key(one), "+"),
          `:${(values[one] as string).length}\r\n`,
        ];
      }
      default:
        return [cmd("GET", this.key(one)), bulk(values[one])];
    }
  }
}

let families = 0;

/** `n` clients, with keys that no others have had. */
export async function knowingClients(port: number, n: number): Promise<KnowingClient[]> {
  const family = `f${++families}c`;
  return await Promise.all(
    Array.from({ length: n }, (_, i) => KnowingClient.open(port, family + i)),
  );
}
