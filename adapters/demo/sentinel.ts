// `--demo sentinel`: two shards with a replica each and three Sentinels, real ones on this machine, and
// what to try with them.

import { type Demo, freePorts, type Launcher, output, programFor, until } from "./launcher.ts";

const SHARDS = ["shard1", "shard2"];
const SENTINELS = 3;

export async function sentinelDemo(launcher: Launcher): Promise<Demo> {
  const server = programFor("--demo sentinel", "redis-server");
  const cli = programFor("--demo sentinel", "redis-cli");
  const ports = await freePorts(2 * SHARDS.length + SENTINELS);
  const sentinels = ports.slice(2 * SHARDS.length);
  const at = (port: number, ...words: string[]) => output(cli, "-p", String(port), ...words);
  const shards = SHARDS.map((name, i) => ({
    name,
    primary: ports[2 * i],
    replica: ports[2 * i + 1],
  }));
  const pids = new Map<number, number>();
  for (const { name, primary, replica } of shards) {
    for (const port of [primary, replica]) {
      const config = launcher.file(`redis-${port}.conf`, [
        ...[`port ${port}`, "bind 127.0.0.1", 'save ""', `dir ${launcher.folder}`],
        `dbfilename dump-${port}.rdb`,
        ...(port === replica ? [`replicaof 127.0.0.1 ${primary}`] : []),
      ]);
      pids.set(port, await launcher.start(`${name} on ${port}`, port, server, [config]));
    }
  }
  for (const port of sentinels) {
    const config = launcher.file(`sentinel-${port}.conf`, [
      ...[`port ${port}`, "bind 127.0.0.1", `dir ${launcher.folder}`],
      ...shards.flatMap(({ name, primary }) => [
        `sentinel monitor ${name} 127.0.0.1 ${primary} 2`,
        `sentinel down-after-milliseconds ${name} 2000`,
        `sentinel failover-timeout ${name} 10000`,
      ]),
    ]);
    await launcher.start(`Sentinel on ${port}`, port, server, [config, "--sentinel"]);
  }
  await until("the Sentinels to know the replicas, and each other", async () => {
    const all = await Promise.all(sentinels.map((port) => at(port, "INFO", "sentinel")));
    return all.every((info) =>
      SHARDS.every((name) =>
        new RegExp(`name=${name},status=ok,.*slaves=1,sentinels=${SENTINELS}`).test(info)
      )
    );
  });
  const config = [
    "# The pool of `npm start -- --demo sentinel`.",
    "sessions:",
    "  listen: 127.0.0.1:22121",
    "  redis: true",
    "  sentinels: # one to ask: the others are learned",
    `    - 127.0.0.1:${sentinels[0]}:1`,
    "  servers: # the names are the Sentinels', the addresses a first guess",
    ...shards.map(({ name, primary }) => `    - 127.0.0.1:${primary}:1 ${name}`),
  ];
  const [first, second] = shards;
  const text = `
ringmux is running before two shards of Redis, shard1 (primary on port ${first.primary}, replica on
${first.replica}) and shard2 (${second.primary}, ${second.replica}), watched over by Sentinels on ports
${sentinels.join(", ")}. Clients see one Redis:

  some keys      redis-cli -p 22121 mset a 1 b 2 c 3
                 redis-cli -p 22121 mget a b c
  load           redis-cli -p 22121 -r -1 -i 0.01 incr hits

and notice nothing, while you try in another terminal:

  a failover     redis-cli -p ${sentinels[0]} sentinel failover ${first.name}
  a crash        kill -9 ${pids.get(second.primary)}
  who is it now  redis-cli -p ${sentinels[0]} sentinel get-master-addr-by-name ${first.name}

  what it sees   http://127.0.0.1:22223/         curl http://127.0.0.1:22223/ring
  stats          nc 127.0.0.1 22222

Ctrl-C stops everything and removes its files.
`;
  return { config, listen: 22121, text };
}
