// Real Sentinels over real primaries and replicas, on free ports of this machine.

import * as fs from "node:fs";
import { connect } from "node:tls";
import { canConnect, freePort } from "./ports.ts";
import { Running, tempPath, until, which } from "./processes.ts";
import { type ServerProcess, several, startRedis } from "./servers.ts";
import { Wire } from "./wire.ts";

/** By port. */
const FILES = new Map<number, string>();

/** Longest time (ms) that Sentinels may take to agree on anything. */
const AGREEMENT = 30_000;

export interface SentinelOptions {
  shards?: string[];
  replicas?: number;
  sentinels?: number;
  /** `down-after-milliseconds` and `failover-timeout`. */
  downAfter?: number;
  /** More lines of the Sentinels' files. */
  lines?: string[];
  /** Of the Sentinels. */
  password?: string;
  quorum?: number;
  /** What the servers are called. */
  host?: string;
  /** Of the servers, and more of their arguments. */
  serverPassword?: string;
  serverArgs?: string[];
  /** All of them speak TLS and nothing else: this certificate is theirs. */
  tls?: { cert: string; key: string };
}

/** What makes redis-server speak TLS only, also to others. */
function tlsSettings(
  port: number,
  { cert, key }: { cert: string; key: string },
): [string, string][] {
  return [
    ["port", "0"],
    ["tls-port", String(port)],
    ["tls-replication", "yes"],
    ["tls-cert-file", cert],
    ["tls-key-file", key],
    ["tls-ca-cert-file", cert],
    ["tls-auth-clients", "no"],
  ];
}

function open(port: number, { tls }: SentinelOptions): Promise<Wire> {
  if (tls === undefined) return Wire.open(port);
  return new Promise((resolve, reject) => {
    const ca = fs.readFileSync(tls.cert);
    const socket = connect({ host: "127.0.0.1", port, ca, checkServerIdentity: () => undefined });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      socket.off("error", reject);
      resolve(new Wire(socket));
    });
  });
}

export interface WatchedShard {
  name: string;
  servers: ServerProcess[];
}

export class SentinelSet {
  readonly shards: WatchedShard[];
  sentinels: ServerProcess[];
  private readonly options: SentinelOptions;

  constructor(shards: WatchedShard[], sentinels: ServerProcess[], options: SentinelOptions) {
    this.shards = shards;
    this.sentinels = sentinels;
    this.options = options;
  }

  get ports(): number[] {
    return this.sentinels.map(({ port }) => port);
  }

  /**
   * Says something to one server over a connection of its own; again if it is cut: Sentinels close all
   * connections of one that they make a replica.
   */
  async say(port: number, ...words: string[]): Promise<string> {
    return await this.sayOnce(port, words).catch(() => this.sayOnce(port, words));
  }

  private async sayOnce(port: number, words: string[]): Promise<string> {
    const wire = await open(port, this.options);
    try {
      const { password, serverPassword } = this.options;
      const secret = this.ports.includes(port) ? password : serverPassword;
      if (secret !== undefined) await wire.ask("AUTH", secret);
      return await wire.ask(...words);
    } finally {
      wire.close();
    }
  }

  /** The port of the primary, as a Sentinel says. */
  async primary(name: string, at?: number): Promise<number> {
    const living = this.sentinels.find((one) => !one.gone) as ServerProcess;
    const reply = await this.say(at ?? living.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name);
    return Number(reply.split("\r\n")[4]);
  }

  async server(name: string): Promise<ServerProcess> {
    const port = await this.primary(name);
    return this.shardOf(name).servers.find((one) => one.port === port) as ServerProcess;
  }

  private shardOf(name: string): WatchedShard {
    return this.shards.find((one) => one.name === name) as WatchedShard;
  }

  /** By hand; resolves when all Sentinels say who it is now. */
  async failover(name: string): Promise<void> {
    const before = await this.primary(name);
    await until("a failover to begin", async () => {
      const reply = await this.say(this.ports[0], "SENTINEL", "FAILOVER", name);
      return reply.startsWith("+OK");
    }, AGREEMENT);
    await this.switched(name, before);
  }

  async switched(name: string, before: number): Promise<void> {
    const living = this.sentinels.filter((one) => !one.gone);
    await until("the Sentinels to name another primary", async () => {
      const all = await Promise.all(living.map(({ port }) => this.primary(name, port)));
      return all.every((port) => port === all[0] && port !== before);
    }, AGREEMENT);
  }

  /** Every server of a shard but one follows that one. */
  async settled(name: string): Promise<void> {
    await until("the replicas to follow", async () => {
      const primary = await this.primary(name);
      const { servers } = this.shardOf(name);
      const living = servers.filter((one) => !one.gone);
      const infos = await Promise.all(
        living.map(({ port }) => this.say(port, "INFO", "replication")),
      );
      return infos.every((info, i) =>
        living[i].port === primary
          ? info.includes("role:master")
          : info.includes(`master_port:${primary}\r`) && info.includes("master_link_status:up")
      );
    }, AGREEMENT);
    await until("the Sentinels to know the replicas", async () => {
      const seen = await Promise.all(
        this.sentinels.filter((one) => !one.gone).map(({ port }) =>
          this.say(port, "SENTINEL", "SLAVES", name)
        ),
      );
      const living = this.shardOf(name).servers.filter((one) => !one.gone).length - 1;
      return seen.every((text) => text.split("\r\nok\r\n").length - 1 >= living);
    }, AGREEMENT);
  }

  /** One more Sentinel, or one that comes back on its port. */
  async startSentinel(port?: number, file?: string): Promise<ServerProcess> {
    return await startSentinel(this.shards, this.options, port, file);
  }

  /** What each Sentinel knows is in its file. */
  get files(): string[] {
    return this.sentinels.map((one) => FILES.get(one.port) as string);
  }
}

async function startSentinel(
  shards: readonly WatchedShard[],
  options: SentinelOptions,
  port?: number,
  known?: string,
): Promise<ServerProcess> {
  const { downAfter = 1000, quorum = 2, lines = [], password, serverPassword, tls } = options;
  const { host = "127.0.0.1" } = options;
  const at = port ?? await freePort();
  const file = known ?? tempPath("sentinel.conf");
  FILES.set(at, file);
  if (known === undefined) {
    fs.writeFileSync(
      file,
      [
        ...(tls === undefined
          ? [`port ${at}`]
          : tlsSettings(at, tls).map(([name, value]) => `${name} ${value}`)),
        "bind 127.0.0.1 ::1",
        ...(password === undefined
          ? []
          : [`requirepass ${password}`, `sentinel sentinel-pass ${password}`]),
        // Names are known only to those that are told to resolve them, before they are told of any.
        ...lines,
        ...shards.flatMap(({ name, servers: [primary] }) => [
          `sentinel monitor ${name} ${host} ${primary.port} ${quorum}`,
          ...(serverPassword === undefined ? [] : [`sentinel auth-pass ${name} ${serverPassword}`]),
          `sentinel down-after-milliseconds ${name} ${downAfter}`,
          `sentinel failover-timeout ${name} 4000`,
        ]),
      ].map((line) => `${line}\n`).join(""),
    );
  }
  const running = new Running("sentinel", which("redis-server"), [file, "--sentinel"]);
  const server = running as ServerProcess;
  server.port = at;
  await until("a Sentinel to listen", async () => server.gone || await canConnect(at));
  if (server.gone) throw new Error(`a Sentinel does not start: ${server.output()}`);
  return server;
}

/** Shards with replicas, and Sentinels that know each other. */
export async function startSentinels(options: SentinelOptions = {}): Promise<SentinelSet> {
  const { shards: names = ["shard1", "shard2"], replicas = 1, sentinels = 3 } = options;
  const { host = "127.0.0.1", serverPassword, tls } = options;
  const start = async (args: string[]): Promise<ServerProcess> => {
    if (tls === undefined) return await startRedis({ args });
    const port = await freePort();
    const secure = tlsSettings(port, tls).flatMap(([name, value]) => [`--${name}`, value]);
    return await startRedis({ port, args: [...secure, ...args] });
  };
  const shards: WatchedShard[] = [];
  for (const name of names) {
    const args = ["--repl-diskless-sync-delay", "0", ...(options.serverArgs ?? [])];
    if (serverPassword !== undefined) {
      args.push("--requirepass", serverPassword, "--masterauth", serverPassword);
    }
    const primary = await start(args);
    const followers = await several(
      replicas,
      () => start([...args, "--replicaof", host, String(primary.port)]),
    );
    shards.push({ name, servers: [primary, ...followers] });
  }
  const processes = await several(sentinels, () => startSentinel(shards, options));
  const set = new SentinelSet(shards, processes, options);
  for (const { name } of shards) await set.settled(name);
  await until("the Sentinels to know each other", async () => {
    const all = await Promise.all(
      set.ports.flatMap((port) =>
        names.map((name) => set.say(port, "SENTINEL", "SENTINELS", name))
      ),
    );
    return all.every((reply) => reply.startsWith(`*${sentinels - 1}\r\n`));
  }, AGREEMENT);
  return set;
}
