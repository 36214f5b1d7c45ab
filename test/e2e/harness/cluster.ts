// A real Redis Cluster: three primaries, each with a replica, on free ports of this machine.

import { freePort } from "./ports.ts";
import { run, until, which } from "./processes.ts";
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

export class Cluster {
  readonly servers: ServerProcess[];

  constructor(servers: ServerProcess[]) {
    this.servers = servers;
  }

  get ports(): number[] {
    return this.servers.map(({ port }) => port);
  }

  /** Runs a command at one node, as redis-cli prints its reply. */
  async at(port: number, ...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(which("redis-cli"), ["-p", String(port), ...words]);
    if (code !== 0) throw new Error(`redis-cli ${words.join(" ")}: ${stdout}${stderr}`);
    return stdout.trimEnd();
  }

  /** redis-cli --cluster ... */
  async manage(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(which("redis-cli"), ["--cluster", ...words]);
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

/** A node's second port is so much above its first. */
const BUS = 10_000;

/** A node that knows no other. */
async function startNode(): Promise<ServerProcess> {
  for (let tries = 0; tries < 5; tries++) {
    const server = await startRedis({
      port: await freePort(BUS),
      args: [
        ...["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"],
        ...["--cluster-config-file", `nodes-${Math.random().toString(36).slice(2)}.conf`],
        ...["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"],
      ],
    }).catch(() => null);
    // It listens on the first port before it tries the second, and ends if that is taken.
    const ping = ["-p", String(server?.port), "PING"];
    if (server !== null && (await run(which("redis-cli"), ping)).code === 0) return server;
  }
  throw new Error("no node of a cluster starts");
}

/** `primaries` with one replica each, which have agreed. */
export async function startCluster(primaries = 3, replicas = 1): Promise<Cluster> {
  const servers = await several(primaries * (1 + replicas), startNode);
  const cluster = new Cluster(servers);
  const places = servers.map(({ port }) => `127.0.0.1:${port}`);
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
