// The load generator as seen from the benchmark: a process that takes jobs one after another.

import { createInterface } from "node:readline";
import { type Child, LOAD_CORES, start } from "./child.ts";
import type { Job, Outcome } from "./load.ts";
import { executable } from "./packages.ts";

export type { Job, Outcome };

export class Loader {
  private readonly child: Child;
  private answer: ((line: string) => void) | null;

  constructor() {
    this.child = start([executable("bun"), "run", "bench/load.ts"], LOAD_CORES, true);
    this.answer = null;
    const { stdout } = this.child.process;
    if (stdout === null) throw new Error("the load generator has no stdout");
    createInterface({ input: stdout }).on("line", (line) => this.answer?.(line));
    this.child.process.once("exit", () => this.answer?.(""));
  }

  async run(job: Job): Promise<Outcome> {
    const line = await new Promise<string>((resolve) => {
      this.answer = resolve;
      this.child.process.stdin?.write(`${JSON.stringify(job)}\n`);
    });
    this.answer = null;
    if (line === "") throw new Error(`the load generator ended: ${this.child.said()}`);
    return JSON.parse(line);
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }
}
