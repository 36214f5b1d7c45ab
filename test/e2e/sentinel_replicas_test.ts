// Reads from replicas that real Sentinels tell of: they come and go, are promoted, and die.

import * as assert from "uvu/assert";
import { test } from "uvu";
import {
  at,
  bulk,
  freePort,
  needs,
  type ProxyProcess,
  runtime,
  type SentinelSet,
  startProxy,
  startSentinels,
  until,
  Wire,
} from "./harness.ts";

/** What cannot differ by runtime. */
const ours = runtime === "node" ? needs("redis") : test.skip;

let set: SentinelSet;
let proxy: ProxyProcess;
let adminPort = 0;

const NAME = "shard1";

interface Seen {
  name: string;
  fit: boolean;
}

async function replicas(): Promise<Seen[]> {
  const ring = await (await fetch(`http://127.0.0.1:${adminPort}/ring`)).json();
  return ring[0].replicas;
}

/** The pool reads from these and no others. */
async function fit(...ports: number[]): Promise<void> {
  const names = ports.map((port) => `127.0.0.1:${port}`).sort().join();
  let seen = "";
  await until(`${names} to be read from`, async () => {
    seen = (await replicas()).filter(({ fit }) => fit).map(({ name }) => name).sort().join();
    return seen === names;
  }, 30_000);
}

if (runtime === "node") {
  test.before(async () => {
    set = await startSentinels({ shards: [NAME], replicas: 2, sentinels: 1, quorum: 1 })
      .catch((error) => {
        console.log(error); // uvu keeps it to itself
        throw error;
      });
    proxy = await startProxy({
      pool: {
        redis: true,
        sentinels: set.ports.map((port) => `127.0.0.1:${port}:1`),
        servers: set.shards.map(({ name, servers }) => at(servers[0], 1, name)),
        reads: "{from: prefer_replica, max_lag: 1000}",
        timeout: 1000,
        wait: 15000,
      },
      strict: {
        redis: true,
        sentinels: set.ports.map((port) => `127.0.0.1:${port}:1`),
        servers: set.shards.map(({ name, servers }) => at(servers[0], 1, name)),
        reads: "{from: replica, max_lag: 1000}",
        timeout: 1000,
      },
    }, { admin: `127.0.0.1:${adminPort = await freePort()}` });
  });
}

/** The ports of a shard's servers but the primary's. */
function others(primary: number): number[] {
  return set.shards[0].servers.filter(({ gone }) => !gone).map(({ port }) => port)
    .filter((port) => port !== primary);
}

ours("replicas that Sentinels tell of are read from; a promoted one is none", async () => {
  const first = await set.primary(NAME);
  await fit(...others(first));
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SET", "k", "v"), "+OK\r\n");
  await set.say(first, "WAIT", "2", "5000");
  await until("the write to be there", async () => await wire.ask("GET", "k") === bulk("v"));
  await set.failover(NAME);
  const second = await set.primary(NAME);
  assert.is(await wire.ask("GET", "k"), bulk("v"));
  assert.is(await wire.ask("SET", "k", "w"), "+OK\r\n");
  assert.is(await set.say(second, "GET", "k"), bulk("w"));
  await fit(...others(second));
  assert.ok(others(second).includes(first), "the old primary is a replica");
  wire.close();
});

ours("replicas that hang lose their reads to others, and get them back", async () => {
  const primary = await set.primary(NAME);
  await set.settled(NAME);
  await fit(...others(primary));
  const [wire, strict] = await Promise.all([Wire.open(proxy.port), Wire.open(proxy.ports.strict)]);
  const none = `-ERR no replica of "${NAME}" within max_lag\r\n`;
  await until("both to read", async () => await strict.ask("GET", "k") === bulk("w"));
  const [one, other] = set.shards[0].servers.filter(({ port }) => port !== primary);
  const read = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) assert.is(await wire.ask("GET", "k"), bulk("w"));
  };
  one.kill("SIGSTOP");
  await read();
  assert.is(await strict.ask("GET", "k"), bulk("w"));
  await fit(other.port);
  other.kill("SIGSTOP");
  await read();
  await until("no replica to be fit", async () => await strict.ask("GET", "k") === none);
  await fit();
  await read();
  assert.is(await strict.ask("SET", "k", "w"), "+OK\r\n", "writes go on");
  for (const server of [one, other]) server.kill("SIGCONT");
  await fit(one.port, other.port);
  await until("them to be read from", async () => await strict.ask("GET", "k") === bulk("w"));
  await read();
  for (const each of [wire, strict]) each.close();
});

ours("one that dies is left out, and reads never fail", async () => {
  const primary = await set.primary(NAME);
  const wire = await Wire.open(proxy.port);
  const dead = set.shards[0].servers.find(({ port }) => port !== primary);
  dead?.kill("SIGKILL");
  for (let i = 0; i < 20; i++) assert.is(await wire.ask("GET", "k"), bulk("w"));
  await fit(...others(primary));
  await until(
    "it to leave the list",
    async () => (await replicas()).every(({ name }) => name !== `127.0.0.1:${dead?.port}`),
    20_000,
  );
  wire.close();
});

ours("while there is no primary replicas are read from, and writes wait for one", async () => {
  const before = await set.primary(NAME);
  await set.settled(NAME);
  await fit(...others(before));
  const [reader, writer] = await Promise.all([Wire.open(proxy.port), Wire.open(proxy.port)]);
  await until("all to be there", async () => await reader.ask("GET", "k") === bulk("w"));
  const old = await set.server(NAME);
  old.kill("SIGKILL");
  await old.exited();
  writer.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nx\r\n");
  assert.is(await reader.ask("GET", "k"), bulk("w"));
  assert.is(await writer.reply(), "+OK\r\n");
  await set.switched(NAME, before);
  assert.is(await reader.ask("GET", "k"), bulk("x"), "nobody but the primary is left");
  for (const wire of [reader, writer]) wire.close();
});

test.run();
