// Load whose every reply can be checked: keys and values carry the client's number and a sequence
// number, so a reply for somebody else, or out of its place, is seen at once. And what a process
// costs, by /proc. Knows nothing of how the proxy works.

import * as fs from "node:fs";
import process from "node:process";
import { bulk, cmd, runtime, type Target, until, Wire } from "./harness.ts";

/** Memory the process holds, in MB. */
export function residentMB(pid: number): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

/** CPU time the process has used, user and system, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100; // USER_HZ
}

/** Adds a figure of this run to the file RINGMUX_FIGURES: docs/limits.md is made of them. */
export function figure(what: string, value: number, unit: string): void {
  const file = process.env.RINGMUX_FIGURES;
  if (file === undefined) return;
  fs.appendFileSync(file, `${what}: ${runtime}: ${value.toFixed(1)} ${unit}\n`);
}

/** What one request may be answered with. */
interface Asked {
  request: string;
  /** The only replies that are right; an error that names a lost server is let through too. */
  right: string[];
}

/** Errors that lost servers cause ("unknown": it hung up); anything else is a wrong reply. */
const LOST = new RegExp(
  "^(-ERR|SERVER_ERROR) (unknown|Invalid argument|Broken pipe|" +
    "Connection (refused|timed out|reset by peer))\r\n$",
);

/** Clients that ask without pause until they are stopped. */
export class Load {
  readonly target: Target;
  /** Rounds completed, by client. */
  readonly rounds: number[];
  readonly errors: Map<string, number>;
  /** Times a client lost its connection, which `mayClose` allows. */
  closes: number;
  private stopping: boolean;
  private readonly mayClose: boolean;
  private readonly asked: (client: number, sequence: number) => Asked[];
  private readonly readReply: (wire: Wire) => Promise<string>;
  private readonly clients: Promise<void>[];
  private failed: Error | null;
  /** Number of the last round, by client, in which a reply was an error. */
  private readonly troubled: number[];

  constructor(
    target: Target,
    clients: number,
    options: { memcached?: boolean; mayClose?: boolean; asked?: Load["asked"] } = {},
  ) {
    this.target = target;
    this.rounds = Array(clients).fill(0);
    this.troubled = Array(clients).fill(-1);
    this.errors = new Map();
    this.closes = 0;
    this.stopping = false;
    this.mayClose = options.mayClose ?? false;
    this.asked = options.asked ?? (options.memcached ? memcachedRound : redisRound);
    this.readReply = options.memcached ? memcachedReply : (wire) => wire.reply();
    this.failed = null;
    this.clients = this.rounds.map((_, client) =>
      this.converse(client).catch((error) => {
        this.failed ??= error;
      })
    );
  }

  get errorCount(): number {
    return [...this.errors.values()].reduce((sum, n) => sum + n, 0);
  }

  /** Waits for something to become true, or for a client to find something wrong. */
  async until(what: string, check: () => boolean, patience?: number): Promise<void> {
    await until(what, () => {
      if (this.failed !== null) throw this.failed;
      return check();
    }, patience);
  }

  /** Waits until every client has completed a round, from now on, without any error. */
  async served(patience = 30_000): Promise<void> {
    const since = [...this.rounds];
    await this.until(
      "all clients to be served without errors",
      () => since.every((n, i) => this.rounds[i] > n + 1 && this.troubled[i] < this.rounds[i] - 1),
      patience,
    );
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.clients);
    if (this.failed !== null) throw this.failed;
  }

  private async converse(client: number): Promise<void> {
    let wire = await Wire.open(this.target);
    for (let round = 0; !this.stopping; round++) {
      const all = this.asked(client, round * 100);
      wire.send(all.map((one) => one.request).join(""));
      for (const [i, { right }] of all.entries()) {
        let reply: string;
        try {
          reply = await this.readReply(wire);
        } catch (error) {
          if (!this.mayClose || !wire.ended) throw error;
          this.closes++;
          this.troubled[client] = this.rounds[client];
          wire.close();
          wire = await Wire.open(this.target);
          break;
        }
        if (right.includes(reply)) continue;
        const shown = JSON.stringify(reply.slice(0, 200));
        if (!LOST.test(reply)) {
          const wanted = JSON.stringify(right).slice(0, 300);
          throw new Error(`client ${client}, round ${round}, reply ${i}: ${shown}, not ${wanted}`);
        }
        this.errors.set(reply, (this.errors.get(reply) ?? 0) + 1);
        this.troubled[client] = this.rounds[client];
      }
      this.rounds[client]++;
    }
    wire.close();
  }
}

/** A name that nobody else and no other request has; of some length now and then. */
export function mark(client: number, sequence: number): string {
  return `client ${client} request ${sequence} ${"#".repeat(sequence % 7 === 0 ? 5000 : 20)}`;
}

/** A value may be gone with its server; it may never be another one. */
function redisRound(client: number, first: number): Asked[] {
  const asked: Asked[] = [];
  const keys: string[] = [];
  const bulks = (key: string) => [bulk(mark(client, Number(key.split(":")[1]))), "$-1\r\n"];
  for (let i = 0; i < 6; i++) {
    const key = `${client}:${first + i}`;
    keys.push(key);
    asked.push({ request: cmd("SET", key, mark(client, first + i)), right: ["+OK\r\n"] });
    asked.push({ request: cmd("PING", key), right: [bulk(key)] });
    asked.push({ request: cmd("GET", key), right: bulks(key) });
  }
  const pairs = bulks(keys[0]).flatMap((a) => bulks(keys[1]).map((b) => `*2\r\n${a}${b}`));
  asked.push({ request: cmd("MGET", keys[0], keys[1]), right: pairs });
  asked.push({ request: cmd("DEL", keys[0]), right: [":1\r\n", ":0\r\n"] });
  return asked;
}

function memcachedRound(client: number, first: number): Asked[] {
  const asked: Asked[] = [];
  for (let i = 0; i < 6; i++) {
    const key = `${client}:${first + i}`;
    const value = mark(client, first + i);
    asked.push({
      request: `set ${key} ${client} 0 ${value.length}\r\n${value}\r\n`,
      right: ["STORED\r\n"],
    });
    asked.push({
      request: `get ${key}\r\n`,
      right: [`VALUE ${key} ${client} ${value.length}\r\n${value}\r\nEND\r\n`, "END\r\n"],
    });
  }
  return asked;
}

/** A reply to get or to a command that is answered by a line. */
async function memcachedReply(wire: Wire): Promise<string> {
  let reply = await wire.line();
  const length = /^VALUE \S+ \d+ (\d+)\r\n$/.exec(reply);
  if (length !== null) reply += await wire.read(Number(length[1]) + 2) + await wire.line();
  return reply;
}
