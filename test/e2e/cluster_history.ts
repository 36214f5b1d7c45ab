// Clients whose every write can be told from all others: each appends numbers to a list that is its
// own, and nobody else's. In the end the list has each number that was acknowledged, none that was
// refused, none twice, and all in order; those whose fate was unknown ("it may have been carried
// out", a lost connection) may be there or not. What Redis itself loses when a primary is killed
// (asynchronous replication: the last writes, end to end) is told apart from all else.

import { cmd, Wire } from "./harness.ts";

type Fate = "done" | "refused" | "unknown";

export class Historian {
  readonly key: string;
  /** Replies that nobody may get, and that are counted as such. */
  readonly leaks: string[];
  /** By number. */
  readonly fates: Fate[];
  private readonly port: number;
  private wire: Wire;
  private isOver: boolean;
  private done: Promise<void>;

  private constructor(port: number, wire: Wire, key: string) {
    this.port = port;
    this.wire = wire;
    this.key = key;
    this.leaks = [];
    this.fates = [];
    this.isOver = false;
    this.done = Promise.resolve();
  }

  static async begin(port: number, key: string): Promise<Historian> {
    const historian = new Historian(port, await Wire.open(port), key);
    historian.done = historian.run();
    return historian;
  }

  /** The numbers that are there for sure. */
  known(): number[] {
    return this.fates.flatMap((fate, n) => fate === "done" ? [n] : []);
  }

  get acknowledged(): number {
    return this.fates.filter((fate) => fate === "done").length;
  }

  private async run(): Promise<void> {
    for (let turn = 0; !this.isOver; turn++) {
      const first = this.fates.length;
      const count = 1 + turn % 5;
      const requests: string[] = [];
      for (let n = first; n < first + count; n++) {
        const push = cmd("RPUSH", this.key, String(n));
        requests.push(turn % 3 === 0 ? cmd("MULTI") + push + cmd("EXEC") : push);
        this.fates.push("unknown");
      }
      try {
        this.wire.send(requests.join(""));
        for (let n = first; n < first + count; n++) {
          const replies = await this.wire.replies(turn % 3 === 0 ? 3 : 1);
          this.fates[n] = this.judge(replies[replies.length - 1]);
        }
      } catch {
        this.wire.close();
        this.wire = await Wire.open(this.port);
      }
    }
  }

  private judge(reply: string): Fate {
    if (/^(\*1\r\n)?:\d+\r\n$/.test(reply)) return "done";
    if (/MOVED|^-ASK|TRYAGAIN|NOSCRIPT/.test(reply)) this.leaks.push(reply);
    return reply.includes("may have been carried out") ? "unknown" : "refused";
  }

  /** Ends with what is on its way. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.done;
    this.wire.close();
  }

  /** What is wrong with the list as it is now; the numbers that Redis has lost are not. */
  judgeList(list: readonly number[], mayLose: boolean): string[] {
    const wrong = this.leaks.map((reply) => `${this.key}: leaked ${reply}`);
    const seen = new Set<number>();
    let last = -1;
    for (const n of list) {
      if (seen.has(n)) wrong.push(`${this.key}: ${n} is there twice`);
      if (n < last) wrong.push(`${this.key}: ${n} is behind ${last}`);
      if (this.fates[n] === "refused") wrong.push(`${this.key}: ${n} was refused and is there`);
      seen.add(n);
      last = Math.max(last, n);
    }
    const lost = this.fates.flatMap((fate, n) => fate === "done" && !seen.has(n) ? [n] : []);
    if (!mayLose && lost.length > 0) wrong.push(`${this.key}: ${lost.length} lost: ${lost[0]} ...`);
    return wrong;
  }
}
