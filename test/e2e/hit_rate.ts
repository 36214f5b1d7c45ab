// Who reads the same keys of memcached again and again, of which some are there, and notes how many.

import { Wire } from "./harness/wire.ts";

/** Keys of one request. */
const AT_ONCE = 50;

export class HitRate {
  /** The part of the keys that were hits, of each round that is over. */
  readonly rounds: number[];
  wrong: string;
  private readonly ports: readonly number[];
  private readonly keys: readonly string[];
  private running: Promise<void>;
  private ends: boolean;

  /** Each request goes to another one of `ports`. */
  constructor(ports: readonly number[], keys: readonly string[]) {
    this.rounds = [];
    this.wrong = "";
    this.ports = ports;
    this.keys = keys;
    this.running = Promise.resolve();
    this.ends = false;
  }

  begin(): void {
    this.running = this.run().catch((error) => void (this.wrong = String(error)));
  }

  async stop(): Promise<void> {
    this.ends = true;
    await this.running;
  }

  private async run(): Promise<void> {
    const wires = await Promise.all(this.ports.map((port) => Wire.open(port)));
    for (let n = 0; !this.ends;) {
      let hits = 0;
      for (let i = 0; i < this.keys.length; i += AT_ONCE, n++) {
        const keys = this.keys.slice(i, i + AT_ONCE);
        const wire = wires[n % wires.length].send(`get ${keys.join(" ")}\r\n`);
        const said = await wire.readUntil("END\r\n");
        if (said.includes("ERROR")) throw new Error(said);
        hits += said.split("VALUE ").length - 1;
        // Not so fast that whoever else is on the machine waits.
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      this.rounds.push(hits / this.keys.length);
    }
    for (const wire of wires) wire.close();
  }
}
