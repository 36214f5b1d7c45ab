// `--demo cluster`: a Redis Cluster of six real nodes on this machine, and what to try with it.

import { type Demo, freePorts, type Launcher, output, programFor, until } from "./launcher.ts";

const PRIMARIES = 3;
/** A node's second port, for its talk with the others, is so much higher. */
const BUS = 10_000;

interface ClusterNode {
  id: string;
  port: number;
  primary: boolean;
  /** Of a replica: its primary's id. */
  of: string;
}

export async function clusterDemo(launcher: Launcher): Promise<Demo> {
  const server = programFor("--demo cluster", "redis-server");
  const cli = programFor("--demo cluster", "redis-cli");
  const ports = await freePorts(2 * PRIMARIES, [BUS]);
  const pids = await Promise.all(ports.map((port) => {
    const config = launcher.file(`node-${port}.conf`, [
      ...[`port ${port}`, "bind 127.0.0.1", 'save ""', `dir ${launcher.folder}`],
      ...["cluster-enabled yes", `cluster-config-file nodes-${port}.conf`],
      ...["cluster-node-timeout 2000", `dbfilename dump-${port}.rdb`],
    ]);
    return launcher.start(`node ${port}`, port, server, [config]);
  }));
  const at = (port: number, ...words: string[]) => output(cli, "-p", String(port), ...words);
  const places = ports.map((port) => `127.0.0.1:${port}`);
  await output(cli, "--cluster", "create", ...places, "--cluster-replicas", "1", "--cluster-yes");
  await until("the cluster to agree", async () => {
    const infos = await Promise.all(ports.map((port) => at(port, "CLUSTER", "INFO")));
    return infos.every((info) => info.includes("cluster_state:ok"));
  });
  await until("the replicas to follow", async () => {
    const replicas = read(await at(ports[0], "CLUSTER", "NODES")).filter((node) => !node.primary);
    const infos = await Promise.all(replicas.map(({ port }) => at(port, "INFO", "replication")));
    return replicas.length === PRIMARIES &&
      infos.every((info) => info.includes("master_link_status:up"));
  });
  const nodes = read(await at(ports[0], "CLUSTER", "NODES"));
  const pidOf = (port: number): number => pids[ports.indexOf(port)];
  return { config: configOf(places), listen: 22121, text: textOf(nodes, pidOf) };
}

/** The lines of CLUSTER NODES. */
function read(text: string): ClusterNode[] {
  return text.split("\n").map((line) => {
    const [id, place, flags, of] = line.split(" ");
    return {
      ...{ id, of },
      port: Number(/:(\d+)@/.exec(place)?.[1]),
      primary: flags.split(",").includes("master"),
    };
  });
}

function configOf(places: readonly string[]): string[] {
  return [
    "# The pool of `npm start -- --demo cluster`.",
    "sessions:",
    "  listen: 127.0.0.1:22121",
    "  redis: true",
    "  distribution: cluster",
    "  servers: # two to ask: the others are learned",
    ...places.slice(0, 2).map((place) => `    - ${place}:1`),
  ];
}

function textOf(nodes: readonly ClusterNode[], pidOf: (port: number) => number): string {
  const primaries = nodes.filter(({ primary }) => primary).sort((a, b) => a.port - b.port);
  // One of each: whatever was tried before, the next still works.
  const [first, from, to] = primaries;
  const replica = nodes.find(({ of }) => of === first.id) as ClusterNode;
  const ports = (list: readonly ClusterNode[]) => list.map(({ port }) => port).sort().join(", ");
  return `
ringmux is running before a Redis Cluster of six nodes: primaries on ports ${ports(primaries)},
replicas on ${ports(nodes.filter(({ primary }) => !primary))}. Clients see one Redis:

  some keys      redis-cli -p 22121 mset a 1 b 2 c 3
                 redis-cli -p 22121 mget a b c
  load           redis-cli -p 22121 -r -1 -i 0.01 incr hits

and notice nothing, while you try in another terminal:

  a failover     redis-cli -p ${replica.port} cluster failover
  a resharding   redis-cli --cluster reshard 127.0.0.1:${from.port} \\
                   --cluster-from ${from.id} \\
                   --cluster-to ${to.id} \\
                   --cluster-slots 500 --cluster-yes
  a crash        kill -9 ${pidOf(to.port)}

  what it sees   http://127.0.0.1:22223/         curl http://127.0.0.1:22223/ring
  stats          nc 127.0.0.1 22222

Ctrl-C stops everything and removes its files.
`;
}
