// A real Redis Cluster: three primaries, each with a replica, on free ports of this machine.

import { freePort } from "./ports.ts";
import { run, until, which } from "./processes.ts";
import { Wire } from "./wire.ts";
import { type ServerProcess, several, startRedis } from "./servers.ts";

/** Longest time (ms) that a cluster may take to agree on anything. */
const AGREEMENT = 30_000;

/** A line of CLUSTER NODES. */
export interface ClusterNode {
  id: string;
  port: number;
  primary: boolean;
  failed: boolean;
  /** Of a replica: the primary's id; "-" for none. */
  of: string;
  slots: string[];
}

/** How its nodes are reached. */
export interface ClusterOptions {
  /** Where they are: 127.0.0.1, unless told. */
  host?: string;
  /** Starts one, and tells where the one on a port is. */
  start?: (args: string[]) => Promise<ServerProcess>;
  hostOf?: (port: number) => string;
  /** More arguments of a node. */
  args?: (port: number) => string[];
  /** What redis-cli has to be told. */
  cli?: string[];
}

export class Cluster {
  readonly servers: ServerProcess[];
  readonly host: string;
  private readonly options: ClusterOptions;
  private readonly wires: Map<number, Wire>;

  constructor(servers: ServerProcess[], options: ClusterOptions = {}) {
    this.servers = servers;
    this.host = options.host ?? "127.0.0.1";
    this.options = options;
    this.wires = new Map();
  }

  hostOf(port: number): string {
    return this.options.hostOf?.(port) ?? this.host;
  }

  private cli(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return run(which("redis-cli"), [...(this.options.cli ?? []), ...words]);
  }

  get ports(): number[] {
    return this.servers.map(({ port }) => port);
  }

  /** Runs a command at one node, as redis-cli prints its reply. */
  async at(port: number, ...words: string[]): Promise<string> {
    const place = ["-h", this.hostOf(port), "-p", String(port)];
    const { code, stdout, stderr } = await this.cli(...place, ...words);
    if (code !== 0) throw new Error(`redis-cli ${words.join(" ")}: ${stdout}${stderr}`);
    return stdout.trimEnd();
  }

  /** Says something to one node, over a connection that stays; the reply as it comes. */
  async say(port: number, ...words: string[]): Promise<string> {
    let wire = this.wires.get(port);
    if (wire === undefined || wire.ended) {
      wire = await Wire.open({ host: this.hostOf(port), port });
      this.wires.set(port, wire);
    }
    return await wire.ask(...words);
  }

  private async agree(port: number, ...words: string[]): Promise<void> {
    const reply = await this.say(port, ...words);
    if (!/^\+(OK|NOKEY)/.test(reply)) throw new Error(`${words.join(" ")}: ${reply}`);
  }

  /** A slot begins to go from one node to another; `keys` of it are there already. */
  async beginMove(slot: number, from: ClusterNode, to: ClusterNode, keys: string[]): Promise<void> {
    await this.agree(to.port, "CLUSTER", "SETSLOT", String(slot), "IMPORTING", from.id);
    await this.agree(from.port, "CLUSTER", "SETSLOT", String(slot), "MIGRATING", to.id);
    await this.moveKeys(from, to, keys);
  }

  async moveKeys(from: ClusterNode, to: ClusterNode, keys: string[]): Promise<void> {
    const place = [this.hostOf(to.port), String(to.port)];
    for (const key of keys) await this.agree(from.port, "MIGRATE", ...place, key, "0", "5000");
  }

  /** It is the other's, whole. */
  async endMove(slot: number, from: ClusterNode, to: ClusterNode): Promise<void> {
    const left = await this.say(from.port, "CLUSTER", "GETKEYSINSLOT", String(slot), "10000");
    const keys = left.split("\r\n").filter((line) => line !== "" && !/^[*$]/.test(line));
    await this.moveKeys(from, to, keys);
    await this.agree(to.port, "CLUSTER", "SETSLOT", String(slot), "NODE", to.id);
    // One that has given its last slot away is a replica now, and does not like to be told.
    await this.say(from.port, "CLUSTER", "SETSLOT", String(slot), "NODE", to.id);
  }

  /** The slot of a key, and its owner. */
  async whose(key: string): Promise<{ slot: number; owner: ClusterNode; others: ClusterNode[] }> {
    const primaries = (await this.nodes()).filter(({ primary, failed }) => primary && !failed);
    const reply = await this.say(primaries[0].port, "CLUSTER", "KEYSLOT", key);
    const slot = Number(reply.slice(1));
    const has = ({ slots }: ClusterNode) =>
      slots.some((range) => {
        const [first, last = first] = range.split("-").map(Number);
        return slot >= first && slot <= last;
      });
    const owner = primaries.find(has) as ClusterNode;
    // One that has given its last slot away becomes a replica, in some nodes' view a while later.
    const others = primaries.filter((node) => node !== owner && node.slots.length > 0);
    return { slot, owner, others };
  }

  /** redis-cli --cluster ... */
  async manage(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli("--cluster", ...words);
    if (code !== 0) throw new Error(`redis-cli --cluster ${words.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /** What the node on `port` (the first that lives) knows of all. */
  async nodes(port?: number): Promise<ClusterNode[]> {
    const alive = this.servers.find((server) => !server.gone) as ServerProcess;
    const lines = (await this.at(port ?? alive.port, "CLUSTER", "NODES")).split("\n");
    return lines.map((line) => {
      const [id, place, flags, of, , , , , ...slots] = line.split(" ");
      return {
        ...{ id, of, slots },
        port: Number(/:(\d+)@/.exec(place)?.[1]),
        primary: flags.split(",").includes("master"),
        failed: flags.split(",").includes("fail"),
      };
    });
  }

  /** One more primary, without slots. */
  async add(): Promise<ClusterNode> {
    const server = await startNode(this.options);
    const [first] = this.servers.filter((one) => !one.gone);
    const places = [server, first].map(({ port }) => `${this.hostOf(port)}:${port}`);
    await this.manage("add-node", ...places);
    this.servers.push(server);
    const known = async (port: number) => (await this.nodes(port)).length;
    await until("all to know the new node", async () => {
      const counts = await Promise.all(
        this.servers.filter((one) => !one.gone).map(({ port }) => known(port)),
      );
      return counts.every((count) => count === Math.max(...counts));
    }, AGREEMENT);
    await this.agreed();
    return (await this.nodes()).find(({ port }) => port === server.port) as ClusterNode;
  }

  /** All living nodes agree that all is well. */
  async agreed(): Promise<void> {
    const living = this.servers.filter((server) => !server.gone);
    await until("the cluster to agree", async () => {
      const infos = await Promise.all(living.map(({ port }) => this.at(port, "CLUSTER", "INFO")));
      return infos.every((info) =>
        info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:`)
      );
    }, AGREEMENT);
  }
}

/** A page of SCAN: the next cursor, and the keys. */
export function readPage(reply: string): { cursor: string; keys: string[] } {
  if (!reply.startsWith("*2\r\n$")) throw new Error(`no page: ${reply}`);
  const [cursor, ...keys] = reply.split("\r\n").filter((line) =>
    line !== "" && !/^[*$]/.test(line)
  );
  return { cursor, keys };
}

/** Every key that SCAN gives, `more` being the rest of its arguments. */
export async function scanAll(wire: Wire, ...more: string[]): Promise<string[]> {
  const all: string[] = [];
  let cursor = "0";
  do {
    const page = readPage(await wire.ask("SCAN", cursor, ...more));
    cursor = page.cursor;
    all.push(...page.keys);
  } while (cursor !== "0");
  return all;
}

/** One node, of no cluster yet. */
export async function startNode({ args, start }: ClusterOptions = {}): Promise<ServerProcess> {
  const bus = await freePort(); // the usual one, 10,000 higher, may be in use
  const name = Math.random().toString(36).slice(2);
  const common = [
    ...["--cluster-port", String(bus)],
    ...["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"],
    // A replica writes down what it gets; another node would read it.
    ...["--cluster-config-file", `nodes-${name}.conf`, "--dbfilename", `${name}.rdb`],
    ...["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"],
  ];
  if (start !== undefined) return await start(common);
  if (args === undefined) return await startRedis({ args: common });
  const port = await freePort();
  return await startRedis({ port, args: [...common, ...args(port)] });
}

/** `primaries` with one replica each, which have agreed. */
export async function startCluster(
  primaries = 3,
  replicas = 1,
  how: ClusterOptions = {},
): Promise<Cluster> {
  const servers = await several(primaries * (1 + replicas), () => startNode(how));
  const cluster = new Cluster(servers, how);
  const places = servers.map(({ port }) => `${cluster.hostOf(port)}:${port}`);
  const options = ["--cluster-replicas", String(replicas), "--cluster-yes"];
  await cluster.manage("create", ...places, ...options);
  await cluster.agreed();
  await until("the replicas to follow", async () => {
    const nodes = await cluster.nodes();
    if (nodes.filter(({ primary }) => !primary).length !== primaries * replicas) return false;
    const infos = await Promise.all(
      nodes.filter(({ primary }) => !primary).map(({ port }) =>
        cluster.at(port, "INFO", "replication")
      ),
    );
    return infos.every((info) => info.includes("master_link_status:up"));
  }, AGREEMENT);
  return cluster;
}
