// Sentinels and servers that want users and passwords, and call the servers by names; those that speak
// TLS only; and what `-t --ask-servers` says of them. Core does it; sockets differ by runtime, and have
// tests of their own.
// Needs: redis-server openssl
// Runtimes: node

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  bulk,
  command,
  freePort,
  type PoolSpec,
  run,
  type SentinelSet,
  startProxy,
  startSentinels,
  tempPath,
  toYaml,
  until,
  Wire,
} from "./harness.ts";

const [NAME] = ["shard1"];
let set: SentinelSet;
let secure: SentinelSet;
let certificate: string;

/** Issued to a name only: an address would be refused. */
function issue(): { cert: string; key: string } {
  const folder = tempPath("certificate");
  fs.mkdirSync(folder);
  const [cert, key] = [`${folder}/server.pem`, `${folder}/server.key`];
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=servers"],
    ...["-addext", "subjectAltName=DNS:localhost"],
  ], { stdio: "ignore" });
  return { cert, key };
}

async function begin(): Promise<void> {
  const tls = issue();
  certificate = tls.cert;
  const open = startSentinels({
    ...{ shards: [NAME], sentinels: 2, host: "localhost" },
    ...{ password: "of-sentinels", serverPassword: "of-servers" },
    lines: [
      "sentinel resolve-hostnames yes",
      "sentinel announce-hostnames yes",
      "user watcher on >watching ~* &* -@all +auth +ping +info +subscribe +sentinel",
    ],
    serverArgs: [
      ...["--replica-announce-ip", "localhost"],
      ...["--user", "proxy", "on", ">proxying", "~*", "&*", "+@all", "-@dangerous", "+role"],
    ],
  });
  const closed = startSentinels({
    ...{ shards: [NAME], sentinels: 2, host: "localhost", tls },
    lines: [
      "sentinel resolve-hostnames yes",
      "sentinel announce-hostnames yes",
      "sentinel announce-ip localhost",
    ],
    serverArgs: ["--replica-announce-ip", "localhost"],
  });
  [set, secure] = await Promise.all([open, closed]);
}

test.before(() =>
  begin().catch((error) => {
    console.log(error); // uvu keeps it to itself
    throw error;
  })
);

function poolOf(changes: PoolSpec = {}): PoolSpec {
  return {
    redis: true,
    ...{ redis_user: "proxy", redis_auth: "proxying" },
    sentinel: "{user: watcher, auth: watching}",
    sentinels: [`127.0.0.1:${set.ports[0]}:1`, `127.0.0.1:${set.ports[1]}:1`],
    // A replica's: a guess that is wrong.
    servers: [`localhost:${set.shards[0].servers[1].port}:1 ${NAME}`],
    ...changes,
  };
}

/** The one that speaks TLS. */
function securePool(changes: PoolSpec = {}): PoolSpec {
  return {
    redis: true,
    server_tls: `{ca: ${certificate}}`,
    sentinel: `{tls: {ca: ${certificate}}}`,
    sentinels: secure.ports.slice(0, 1).map((port) => `localhost:${port}:1`),
    servers: [`localhost:${secure.shards[0].servers[1].port}:1 ${NAME}`],
    wait: 15_000,
    ...changes,
  };
}

/** `ringmux -t --ask-servers`. */
async function check(changes: PoolSpec = {}, pool = poolOf) {
  const [program, first] = command();
  const file = tempPath("conf.yml");
  fs.writeFileSync(file, toYaml({ pool: { listen: "127.0.0.1:1", ...pool(changes) } }));
  return await run(program, [...first, "-t", "--ask-servers", "-c", file]);
}

test("--ask-servers tells the primaries, and what is wrong", async () => {
  const primary = await set.primary(NAME);
  const nobody = await freePort();
  const [good, unknown, silent, none] = await Promise.all([
    check(),
    check({ servers: [`localhost:${primary}:1 shard7`] }),
    check({ sentinels: [`127.0.0.1:${set.ports[0]}:1`, `127.0.0.1:${nobody}:1`] }),
    check({ sentinels: [`127.0.0.1:${nobody}:1`] }),
  ]);
  assert.is(good.code, 0, good.stderr);
  const all =
    `1 of 1 servers have a primary, as 2 Sentinels say: "${NAME}" by localhost:${primary}`;
  assert.match(good.stderr, `pool "pool": ${all}`);
  assert.is(unknown.code, 1, unknown.stderr);
  assert.match(unknown.stderr, /pool "pool": server "shard7": Sentinel 127.*No such master/);
  assert.match(unknown.stderr, /0 of 1 servers have a primary, as 2 Sentinels say\n/);
  assert.is(silent.code, 1, silent.stderr);
  assert.match(
    silent.stderr,
    new RegExp(`Sentinel 127.0.0.1:${nobody} does not answer: .*refused`),
  );
  assert.match(silent.stderr, /1 of 1 servers have a primary, as 2 Sentinels say/);
  assert.is(none.code, 1, none.stderr);
  assert.match(none.stderr, /no Sentinel tells who the primaries are/);
});

test("a wrong password, of the Sentinels or the servers, is told as such", async () => {
  const [sentinels, servers] = await Promise.all([
    check({ sentinel: "{user: watcher, auth: wrong}" }),
    check({ redis_auth: "wrong" }),
  ]);
  assert.is(sentinels.code, 1, sentinels.stderr);
  assert.match(sentinels.stderr, /Sentinel 127[^ ]* does not answer: .*WRONGPASS/);
  assert.is(servers.code, 1, servers.stderr);
  assert.match(servers.stderr, /server "shard1" has no primary: localhost:\d+: .*WRONGPASS/);
});

test("a wrong password of the Sentinels is one line of the log for each", async () => {
  const sentinels = [`127.0.0.1:${set.ports[0]}:1`];
  const proxy = await startProxy({
    pool: { ...poolOf({ sentinels, sentinel: "{user: watcher, auth: wrong}" }), wait: 1000 },
  });
  const told = () => proxy.output().split("\n").filter((line) => line.includes("WRONGPASS"));
  await until("it to be told", () => told().length > 0);
  // The guess is a replica, so nobody is asked anything but the Sentinel, four times a second.
  const wire = await Wire.open(proxy.port);
  await wire.ask("AUTH", "proxying");
  assert.match(await wire.ask("GET", "key"), /no primary for "shard1" within 1000 ms/);
  assert.is(told().length, 1, told().join("\n"));
  assert.match(told()[0], `pool "pool": Sentinel 127.0.0.1:${set.ports[0]}: `);
  wire.close();
  await proxy.stop();
});

test("a wrong password of the servers is one line of the log for each", async () => {
  const proxy = await startProxy({ pool: { ...poolOf({ redis_auth: "wrong" }), wait: 1000 } });
  const wire = await Wire.open(proxy.port);
  await wire.ask("AUTH", "wrong");
  assert.match(await wire.ask("GET", "key"), /no primary for "shard1" within 1000 ms/);
  const told = proxy.output().split("\n").filter((line) => line.includes("WRONGPASS"));
  const places = told.map((line) => /: (\S+) is not the primary of "shard1": /.exec(line)?.[1]);
  assert.ok(places.length > 0 && new Set(places).size === places.length, proxy.output());
  wire.close();
  await proxy.stop();
});

test("users at both, servers by names: found, and followed over a failover", async () => {
  const proxy = await startProxy({ pool: { ...poolOf(), wait: 15_000 } });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("AUTH", "proxying"), "+OK\r\n");
  assert.is(await wire.ask("SET", "key", "before"), "+OK\r\n");
  const before = await set.primary(NAME);
  assert.match(proxy.output(), `the primary of "${NAME}" is localhost:${before}`);
  await set.failover(NAME);
  assert.is(await wire.ask("SET", "key", "after"), "+OK\r\n");
  const after = await set.primary(NAME);
  assert.is(await set.say(after, "GET", "key"), bulk("after"));
  await until("the failover to be told", () => proxy.output().includes("has taken over"));
  assert.match(proxy.output(), `failover: localhost:${after} has taken over shard "${NAME}"`);
  wire.close();
  await proxy.stop();
});

test("a reload names other Sentinels: what they say counts at once, whatever its epoch", async () => {
  const admin = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy({ pool: { ...poolOf(), wait: 15_000 } }, { admin });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("AUTH", "proxying"), "+OK\r\n");
  assert.is(await wire.ask("SET", "whose", "of the first"), "+OK\r\n");
  const listen = `127.0.0.1:${proxy.port}`;
  fs.writeFileSync(proxy.confPath, toYaml({ pool: { listen, ...securePool() } }));
  const reply = await fetch(`http://${admin}/reload`, { method: "POST" });
  assert.equal(await reply.json(), { reloaded: true, mistakes: [] });
  assert.is(await wire.ask("SET", "whose", "of the second"), "+OK\r\n");
  const { sentinel: { shards: [shard] } } = (await (await fetch(`http://${admin}/ring`)).json())[0];
  assert.is(shard.primary, `localhost:${await secure.primary(NAME)}`);
  const theirs = await secure.say(await secure.primary(NAME), "GET", "whose");
  assert.is(theirs, bulk("of the second"));
  wire.close();
  await proxy.stop();
});

test("TLS towards Sentinels, primaries and replicas, by the names they are called", async () => {
  const admin = `127.0.0.1:${await freePort()}`;
  const pool = securePool({ reads: "{from: prefer_replica, max_lag: 1000}" });
  const proxy = await startProxy({ pool }, { admin });
  const ring = async () => (await (await fetch(`http://${admin}/ring`)).json())[0];
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SET", "key", "before"), "+OK\r\n");
  await until("both Sentinels to be heard, and the replica to be fit", async () => {
    const { sentinel: { sentinels }, replicas } = await ring();
    return sentinels.length === 2 &&
      sentinels.every(({ subscribed }: { subscribed: boolean }) => subscribed) &&
      replicas.length === 1 && replicas[0].fit;
  }, 20_000);
  const names = (await ring()).sentinel.sentinels.map(({ name }: { name: string }) => name);
  assert.equal(names.sort(), secure.ports.map((port) => `localhost:${port}`).sort());
  assert.is(await wire.ask("GET", "key"), bulk("before"));
  assert.is((await ring()).replicas[0].reads, 1);
  await secure.failover(NAME);
  assert.is(await wire.ask("SET", "key", "after"), "+OK\r\n");
  const after = await secure.primary(NAME);
  assert.is(await secure.say(after, "GET", "key"), bulk("after"));
  assert.is((await ring()).sentinel.shards[0].primary, `localhost:${after}`);
  wire.close();
  await proxy.stop();
});

test("TLS that does not work is told as such", async () => {
  const [good, plain, address, unsure] = await Promise.all([
    check({}, securePool),
    check({ sentinel: "{auth: secret}" }, securePool),
    check({ sentinels: [`127.0.0.1:${secure.ports[0]}:1`] }, securePool),
    check({ sentinel: "{tls: {}}" }, securePool),
  ]);
  assert.is(good.code, 0, good.stderr);
  for (const { code, stderr } of [plain, address, unsure]) {
    assert.is(code, 1, stderr);
    assert.match(stderr, /Sentinel [^ ]*:\d+ does not answer: \w+/);
  }
  assert.match(address.stderr, /certificate|127.0.0.1/i);
  assert.match(unsure.stderr, /self-?signed|certificate|issuer/i);
});

test.run();
