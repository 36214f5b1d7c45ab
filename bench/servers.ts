// The redis and memcached servers behind the proxies: started once per protocol and number, every
// key on every server, so that it makes no difference how a contestant spreads them.

import { ask, type Child, freePort, LOAD_CORES, start, untilAnswers } from "./child.ts";
import { BenchCluster } from "./cluster.ts";
import type { Loader } from "./loader.ts";
import { executable } from "./packages.ts";
import type { Protocol, Shape } from "./requests.ts";

interface Kind {
  readonly program: string;
  command(port: number): string[];
  readonly question: string;
  readonly answer: string;
  /** Empties a server. */
  readonly flush: string;
}

const KINDS: Readonly<Record<Protocol, Kind>> = {
  redis: {
    program: "redis-server",
    command: (port) => [
      ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      ...["--maxclients", "15000", "--tcp-backlog", "1024", "--daemonize", "no"],
    ],
    question: "PING\r\n",
    answer: "+PONG",
    flush: "FLUSHALL\r\n",
  },
  memcached: {
    program: "memcached",
    command: (port) => [
      ...["-p", String(port), "-U", "0", "-l", "127.0.0.1", "-t", "1", "-m", "256"],
      ...["-c", "15000", ...(process.getuid?.() === 0 ? ["-u", "root"] : [])],
    ],
    question: "version\r\n",
    answer: "VERSION",
    flush: "flush_all\r\n",
  },
};

export class Servers {
  /** For the rows that want a Redis Cluster. */
  readonly cluster: BenchCluster;
  private readonly loader: Loader;
  private readonly children: Child[];
  private readonly ports: Record<Protocol, number[]>;
  private readonly filled: Map<number, string>;

  constructor(loader: Loader, folder: string) {
    this.cluster = new BenchCluster(folder);
    this.loader = loader;
    this.children = [];
    this.ports = { redis: [], memcached: [] };
    this.filled = new Map();
  }

  /** Ports of `count` servers that hold the keys of `shape`. Throws when they do not start. */
  async provide(shape: Shape, count: number): Promise<number[]> {
    const kind = KINDS[shape.protocol];
    const ports = this.ports[shape.protocol];
    while (ports.length < count) {
      const program = executable(kind.program);
      if (program === "") throw new Error(`${kind.program} is not installed`);
      const port = await freePort();
      const child = start([program, ...kind.command(port)], LOAD_CORES);
      this.children.push(child);
      const why = await untilAnswers(child, port, kind.question, kind.answer, 5000);
      if (why !== "") throw new Error(`${kind.program} does not start: ${why}`);
      ports.push(port);
    }
    const chosen = ports.slice(0, count);
    for (const port of chosen) await this.fill(port, shape);
    return chosen;
  }

  private async fill(port: number, shape: Shape): Promise<void> {
    const content = `${shape.size} ${shape.keyspace}`;
    if (this.filled.get(port) === content) return;
    await ask(port, KINDS[shape.protocol].flush, 10000);
    // Not much more than 64 KB in one go.
    const pipeline = Math.max(1, Math.floor(65536 / (shape.size + 64)));
    const outcome = await this.loader.run({
      port,
      shape: { ...shape, op: "set", keys: 1, pipeline },
      clients: 1,
      idle: 0,
      rampMs: 0,
      windowMs: 0,
      batches: 0,
      rate: 0,
      churn: false,
      tls: false,
      fill: true,
      pids: [],
    });
    if (outcome.error !== undefined) throw new Error(`filling a server: ${outcome.error}`);
    this.filled.set(port, content);
  }

  async stop(): Promise<void> {
    await Promise.all([this.cluster.stop(), ...this.children.map((child) => child.stop())]);
  }
}
