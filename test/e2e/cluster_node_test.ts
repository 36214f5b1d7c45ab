// act_as_node: the proxy is the only node of a cluster for its clients. What it says of itself has the
// shape of what a real cluster of one node says, byte for byte. What a runtime has to do with it, the
// address that a client has found, is in its contract (test/runtimes).
// Needs: redis-server redis-tools
// Runtimes: node

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  freePort,
  isNutcracker,
  needs,
  type ProxyProcess,
  run,
  type ServerProcess,
  startProxy,
  startRedis,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";

const nodeTest = isNutcracker ? test.skip : needs("redis", "redisCli");

let node: ServerProcess;
let proxy: ProxyProcess;

const SETTINGS = { redis: true, distribution: "cluster", cluster: "{act_as_node: true}" };

test.before(async () => {
  if (isNutcracker) return;
  await begin().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  });
});

async function begin(): Promise<void> {
  node = await startRedis({
    args: [
      ...["--cluster-port", String(await freePort())],
      ...["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"],
      ...["--cluster-config-file", tempPath("nodes.conf")],
    ],
  });
  const cli = (...words: string[]) => run(which("redis-cli"), ["-p", String(node.port), ...words]);
  await cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until(
    "the cluster",
    async () => (await cli("CLUSTER", "INFO")).stdout.includes("state:ok"),
  );
  proxy = await startProxy({ pool: { ...SETTINGS, servers: [at(node)] } });
}

/** Replies without what is each node's own: its name, its port and that of its bus. */
async function shape(port: number, commands: readonly string[][]): Promise<string[]> {
  const wire = await Wire.open(port);
  const replies: string[] = [];
  for (const words of commands) {
    const reply = await wire.ask(...words);
    replies.push(
      reply.replace(/[0-9a-f]{40}/g, "ID").replace(/@\d+/g, "@BUS")
        .replaceAll(String(port), "PORT").replace(/\$\d+|=\d+/g, "LENGTH")
        .replace(/id\r\n:\d+/, "id\r\n:N"),
    );
  }
  wire.close();
  return replies;
}

const QUESTIONS = [
  ...[
    "SLOTS",
    "SHARDS",
    "NODES",
    "INFO",
    "LINKS",
    "MYID",
    "KEYSLOT foo",
    "KEYSLOT {a}b",
    "KEYSLOT",
  ],
  ...["COUNTKEYSINSLOT 12182", "COUNTKEYSINSLOT 1", "COUNTKEYSINSLOT 16384", "COUNTKEYSINSLOT x"],
  ...["GETKEYSINSLOT 12182 10", "GETKEYSINSLOT 1 10", "GETKEYSINSLOT 16384 1", "REPLICAS abc"],
  ...["SLAVES abc", "COUNT-FAILURE-REPORTS abc", "NOSUCH"],
].map((words) => ["CLUSTER", ...words.split(" ")]);

nodeTest("what it says has the shape of what a real cluster of one node says", async () => {
  const writer = await Wire.open(proxy.port);
  assert.is(await writer.ask("SET", "foo", "1"), "+OK\r\n");
  const commands = [
    ...QUESTIONS,
    ...[["ASKING"], ["READONLY"], ["READWRITE"], ["SELECT", "1"], ["CLUSTER"], ["HELLO", "2"]],
    ...[["HELLO", "3"], ...QUESTIONS],
  ];
  const [ours, theirs] = await Promise.all([node.port, proxy.port].map((p) => shape(p, commands)));
  for (const [i, words] of commands.entries()) {
    assert.is(ours[i], theirs[i], words.join(" "));
  }
  const info = await writer.ask("INFO");
  assert.match(info, "\r\ncluster_enabled:1\r\n");
  assert.match(info, "\r\nredis_mode:cluster\r\n");
});

nodeTest("it is one node: its name stays, and its replicas are none", async () => {
  const wire = await Wire.open(proxy.port);
  const id = /[0-9a-f]{40}/.exec(await wire.ask("CLUSTER", "MYID"))?.[0] as string;
  assert.match(await wire.ask("CLUSTER", "NODES"), id);
  assert.is(await wire.ask("CLUSTER", "REPLICAS", id), "*0\r\n");
  assert.is(await wire.ask("CLUSTER", "COUNT-FAILURE-REPORTS", id.toUpperCase()), ":0\r\n");
  const other = await startProxy({ pool: { ...SETTINGS, servers: [at(node)] } });
  const there = await Wire.open(other.port);
  assert.is(await there.ask("CLUSTER", "MYID"), bulk(id));
});

nodeTest("what changes a cluster is refused, and why is said", async () => {
  const wire = await Wire.open(proxy.port);
  for (const words of ["FAILOVER", "MEET 127.0.0.1 1", "SETSLOT 1 STABLE", "RESET"]) {
    assert.match(
      await wire.ask("CLUSTER", ...words.split(" ")),
      /^-ERR 'cluster \w+' is not supported by ringmux, which acts as the only node of a cluster/,
    );
  }
  assert.is(await wire.ask("MULTI"), "+OK\r\n");
  assert.match(await wire.ask("CLUSTER", "SLOTS"), /^-ERR 'cluster slots' is not supported/);
});

nodeTest(
  "clients are told the address they have found, or what address_map makes of it",
  async () => {
    const port = await freePort();
    await startProxy({
      pool: {
        ...SETTINGS,
        listen: `0.0.0.0:${port}`,
        cluster: `{act_as_node: true, address_map: {"127.0.0.3:${port}": "10.0.0.1:7000"}}`,
        servers: [at(node)],
      },
    });
    const told = async (target: Parameters<typeof Wire.open>[0]) => {
      const wire = await Wire.open(target);
      const reply = await wire.ask("CLUSTER", "SLOTS");
      wire.close();
      const [, , , , , , host, port] = reply.split("\r\n");
      return `${host}${port}`;
    };
    assert.is(await told(port), `127.0.0.1:${port}`);
    assert.is(await told({ host: "127.0.0.2", port }), `127.0.0.2:${port}`);
    assert.is(await told({ host: "127.0.0.3", port }), "10.0.0.1:7000");
  },
);

nodeTest("with commands that are renamed or denied, and for users with prefixes", async () => {
  const limited = await startProxy({
    pool: {
      ...SETTINGS,
      servers: [at(node)],
      commands: "{deny: [cluster|nodes]}",
      auth: "{users: {ann: {password: secret, prefixes: ['ann:']}}}",
    },
  });
  const wire = await Wire.open(limited.port);
  assert.match(await wire.ask("CLUSTER", "SLOTS"), /^-NOAUTH/);
  assert.is(await wire.ask("AUTH", "ann", "secret"), "+OK\r\n");
  assert.match(await wire.ask("CLUSTER", "SLOTS"), /^\*1\r\n\*3\r\n/);
  assert.match(await wire.ask("CLUSTER", "NODES"), /^-ERR command 'cluster nodes' is switched off/);
  assert.match(await wire.ask("CLUSTER", "GETKEYSINSLOT", "1", "1"), /^-NOPERM/);
  assert.is(await wire.ask("SET", "ann:1", "x"), "+OK\r\n");
  assert.is(await wire.ask("MGET", "ann:1", "ann:2"), array("x", null));
});

nodeTest("without it the proxy is a server, and a reload changes that", async () => {
  const plain = await startProxy({
    pool: { redis: true, distribution: "cluster", servers: [at(node)] },
  });
  const wire = await Wire.open(plain.port);
  const off = "-ERR This instance has cluster support disabled\r\n";
  assert.is(await wire.ask("CLUSTER", "SLOTS"), off);
  assert.is(await wire.ask("ASKING"), off);
  assert.match(await wire.ask("HELLO"), "standalone");
  const text = fs.readFileSync(plain.confPath, "utf8");
  fs.writeFileSync(plain.confPath, `${text}  cluster: {act_as_node: true}\n`);
  plain.kill("SIGUSR1");
  await until("the reload", async () => {
    if (/mistake|invalid/.test(plain.output())) throw new Error(plain.output());
    return (await wire.ask("HELLO")).includes("cluster");
  });
  assert.match(await wire.ask("CLUSTER", "SLOTS"), "127.0.0.1");
});

test.run();
