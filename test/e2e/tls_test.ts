// TLS towards clients and servers, with real certificates: who gets in, who does not and what is
// said of it, large values, certificates that change while it runs.
// Needs: redis-server redis-cli memcached openssl

import { execFileSync, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import * as tls from "node:tls";
import { Redis } from "iovalkey";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  freePort,
  ours,
  type Pools,
  type ProxyProcess,
  run,
  runtime,
  startFake,
  startMemcached,
  startProxy,
  startRedis,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";

// ------------------------------------------------------------------------------- certificates

/** It has one reason for two faults. */
const isDeno = runtime === "deno";

let folder = "";

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
}

/** Makes NAME.pem and NAME.key, signed by an authority ("" = by itself). */
function issue(
  name: string,
  by: string,
  san = "DNS:localhost,IP:127.0.0.1",
  expired = false,
): void {
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const own = ["-keyout", `${name}.key`, "-subj", `/CN=${name}`];
  if (by === "") return openssl("req", "-x509", ...ec, ...own, "-out", `${name}.pem`, "-days", "2");
  openssl("req", "-new", ...ec, ...own, "-out", `${name}.csr`);
  const [from, to] = expired
    ? ["20200101000000Z", "20200102000000Z"]
    : ["20200101000000Z", "20490101000000Z"];
  fs.writeFileSync(path.join(folder, "index.txt"), "");
  fs.writeFileSync(
    path.join(folder, "ca.cnf"),
    "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n" +
      "default_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n" +
      `[x]\nsubjectAltName=${san}\n`,
  );
  openssl(
    ...["ca", "-batch", "-config", "ca.cnf", "-cert", `${by}.pem`, "-keyfile", `${by}.key`],
    ...["-in", `${name}.csr`, "-out", `${name}.pem`, "-notext", "-startdate", from, "-enddate", to],
  );
}

const file = (name: string): string => path.join(folder, name);
const pem = (name: string): string => fs.readFileSync(file(name), "utf8");

test.before(() => {
  folder = tempPath("certificates");
  fs.mkdirSync(folder);
  issue("ca", "");
  issue("other-ca", "");
  issue("server", "ca");
  issue("renewed", "ca");
  issue("client", "ca");
  issue("stranger", "other-ca");
  issue("expired", "ca", undefined, true);
  issue("elsewhere", "ca", "DNS:elsewhere.example");
});

const group = (entries: Record<string, string | boolean>): string =>
  `{ ${Object.entries(entries).map(([key, value]) => `${key}: ${value}`).join(", ")} }`;

/** `tls` of a pool. */
const shows = (name: string, more: Record<string, string | boolean> = {}): string =>
  group({ cert: file(`${name}.pem`), key: file(`${name}.key`), ...more });

const trusts = (more: Record<string, string | boolean> = {}): string =>
  group({ ca: file("ca.pem"), ...more });

// ------------------------------------------------------------------------------------ clients

/** A TLS connection as a Wire. Rejects when the handshake fails. */
function secure(port: number, options: tls.ConnectionOptions = {}): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      ...{ port, host: "127.0.0.1", ca: pem("ca.pem"), allowHalfOpen: true },
      ...options,
    });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      socket.off("error", reject);
      resolve(new Wire(socket));
    });
  });
}

async function asks(wire: Wire, request: string, reply: string): Promise<void> {
  assert.is(await wire.send(request).read(reply.length), reply);
}

/** Large values take their time on a machine that is busy. */
function arrived(wire: Wire, n: number): Promise<boolean> {
  return until(`${n} bytes`, () => wire.ended || wire.peek().length >= n, 120_000);
}

function logs(proxy: ProxyProcess, what: RegExp): Promise<boolean> {
  return until(`${what} in the log:\n${proxy.output()}`, () => what.test(proxy.output()));
}

function startTlsRedis(name: string, args: string[] = []) {
  return freePort().then(async (tlsPort) => {
    const redis = await startRedis({
      args: [
        ...["--tls-port", String(tlsPort), "--tls-cert-file", file(`${name}.pem`)],
        ...["--tls-key-file", file(`${name}.key`), "--tls-ca-cert-file", file("ca.pem")],
        ...["--tls-auth-clients", "no", ...args],
      ],
    });
    return { plain: redis.port, port: tlsPort, redis };
  });
}

/** A pool whose server is nobody's. */
async function start(pool: Pools[string], args: string[] = []): Promise<ProxyProcess> {
  return await startProxy({ cache: { redis: true, ...pool } }, { args: ["-v", "6", ...args] });
}

// -------------------------------------------------------------------------------------- tests

ours("TLS on both sides: values up to 64 MB both ways, and many small requests", async () => {
  const server = await startTlsRedis("server");
  const proxy = await start({
    tls: shows("server"),
    server_tls: trusts(),
    servers: [at(server)],
  });
  const wire = await secure(proxy.port);
  await asks(wire, "SET a 1\r\n", "+OK\r\n");
  const n = 2000;
  const many = Array.from({ length: n }, (_, i) => `SET k${i} v${i}\r\nGET k${i}\r\n`).join("");
  const replies = Array.from({ length: n }, (_, i) => {
    const value = `v${i}`;
    return `+OK\r\n$${value.length}\r\n${value}\r\n`;
  }).join("");
  await asks(wire, many, replies);
  for (const size of [100_000, 64 << 20]) {
    const value = Buffer.alloc(size);
    for (let i = 0; i < size; i++) value[i] = (i * 31 + (i >> 11)) & 255;
    wire.send(`*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$${size}\r\n`).send(value).send("\r\n");
    await arrived(wire, 5);
    assert.is(await wire.read(5), "+OK\r\n");
    const head = `$${size}\r\n`;
    wire.send("GET big\r\n");
    await arrived(wire, head.length + size + 2);
    assert.is(await wire.read(head.length), head);
    const got = Buffer.from(await wire.read(size + 2), "latin1");
    assert.ok(got.subarray(0, size).equals(value), `${size} bytes come back as they went`);
  }
  // Half-close: what was asked is answered.
  wire.send("GET a\r\n").socket.end();
  assert.is(await wire.rest(), "$1\r\n1\r\n");
  await proxy.stop();
  await server.redis.stop();
});

ours("redis-cli and iovalkey over TLS, a client certificate where one is wanted", async () => {
  const redis = await startRedis();
  const proxy = await start({
    tls: shows("server", { ca: file("ca.pem"), require_client_cert: true }),
    servers: [at(redis)],
  });
  const cli = [
    ...["-p", String(proxy.port), "--tls", "--cacert", file("ca.pem")],
    ...["--cert", file("client.pem"), "--key", file("client.key")],
  ];
  assert.is((await run(which("redis-cli"), [...cli, "SET", "a", "b"])).stdout, "OK\n");
  const client = new Redis({
    ...{ port: proxy.port, host: "127.0.0.1" },
    tls: { ca: pem("ca.pem"), cert: pem("client.pem"), key: pem("client.key") },
  });
  assert.is(await client.get("a"), "b");
  client.disconnect();

  const let_in = (options: tls.ConnectionOptions) =>
    secure(proxy.port, options).then((wire) => wire.send("PING\r\n").rest(), () => "");
  assert.is(await let_in({}), "", "no certificate");
  await logs(proxy, /pool "cache": client 127\.0\.0\.1:\d+ refused: TLS: no client certificate/);
  assert.is(await let_in({ cert: pem("stranger.pem"), key: pem("stranger.key") }), "", "stranger");
  await logs(proxy, /client 127\.0\.0\.1:\d+ refused: TLS: certificate is not signed by a known/);
  assert.is(await let_in({ cert: pem("expired.pem"), key: pem("expired.key") }), "", "expired");
  await logs(proxy, /client 127\.0\.0\.1:\d+ refused: TLS: certificate .*has expired/);
  assert.is((await run(which("redis-cli"), [...cli, "GET", "a"])).stdout, "b\n");
  await proxy.stop();
  await redis.stop();
});

ours("memcached behind TLS", async () => {
  const memcached = await startMemcached({
    args: ["-Z", "-o", `ssl_chain_cert=${file("server.pem")},ssl_key=${file("server.key")}`],
  });
  const proxy = await startProxy({
    cache: { tls: shows("server"), server_tls: trusts(), servers: [at(memcached)] },
  });
  const wire = await secure(proxy.port);
  await asks(wire, "set a 0 0 5\r\nhello\r\n", "STORED\r\n");
  await asks(wire, "get a\r\n", "VALUE a 0 5\r\nhello\r\nEND\r\n");
  await proxy.stop();
  await memcached.stop();
});

ours("clients that fail at TLS are told of in the log and disturb nobody", async () => {
  const redis = await startRedis();
  const proxy = await startProxy({
    cache: { redis: true, tls: shows("server"), servers: [at(redis)] },
    plain: { redis: true, servers: [at(redis)] },
  });
  const good = await secure(proxy.port);
  await asks(good, "SET a 1\r\n", "+OK\r\n");

  const plain = await Wire.open(proxy.port);
  await plain.send("*1\r\n$4\r\nPING\r\n").rest();
  await logs(proxy, /pool "cache": client 127\.0\.0\.1:\d+ refused: TLS: it does not speak TLS/);

  const failed = await secure(proxy.ports.plain).then(() => false, () => true);
  assert.ok(failed, "TLS on a plain port");
  await logs(proxy, /pool "plain": client 127\.0\.0\.1:\d+ refused: TLS: it speaks TLS/);

  const wrong = await secure(proxy.port, { ca: pem("other-ca.pem") }).then(() => "", (e) => e.code);
  assert.is(wrong, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");

  const silent = await Wire.open(proxy.port);
  await asks(good, "GET a\r\n", "$1\r\n1\r\n");
  await until("the silent client to be closed", () => silent.ended, 20_000);
  await logs(proxy, /refused: TLS: the handshake was not completed in 3 s/);

  const before = proxy.output().split("refused").length;
  for (let i = 0; i < 40; i++) {
    const one = await Wire.open(proxy.port);
    await one.send("PING\r\n").rest();
  }
  const lines = proxy.output().split("refused").length - before;
  assert.ok(lines >= 1 && lines < 40, `${lines} lines for 40 clients`);
  await asks(good, "GET a\r\n", "$1\r\n1\r\n");
  await proxy.stop();
  await redis.stop();
});

ours("servers that fail at TLS: the client is told why, and so is the log", async () => {
  const [good, expired, elsewhere, strict] = await Promise.all([
    startTlsRedis("server"),
    startTlsRedis("expired"),
    startTlsRedis("elsewhere"),
    startTlsRedis("server", ["--tls-auth-clients", "yes"]),
  ]);
  const answers = await startFake((socket) =>
    void socket.on("data", () => socket.write("-ERR\r\n"))
  );
  const pool = (server: { port: number } | number, server_tls: string) => ({
    ...{ redis: true, server_tls, servers: [at(server)] },
  });
  const withCert = { cert: file("client.pem"), key: file("client.key") };
  const proxy = await startProxy({
    good: pool(good, trusts()),
    wrong_ca: pool(good, group({ ca: file("other-ca.pem") })),
    expired: pool(expired, trusts()),
    elsewhere: pool(elsewhere, trusts()),
    named: pool(elsewhere, trusts({ server_name: "elsewhere.example" })),
    insecure: pool(expired, group({ insecure: true })),
    mute: pool(good.plain, trusts()),
    plain: pool(answers, trusts()),
    no_cert: pool(strict, trusts()),
    with_cert: pool(strict, trusts(withCert)),
  });
  const ask = async (name: string): Promise<string> => {
    const wire = await Wire.open(proxy.ports[name]);
    const line = await wire.send("SET a 1\r\n").readUntil("\r\n");
    wire.socket.destroy();
    return line;
  };
  for (const name of ["good", "named", "insecure", "with_cert"]) {
    assert.is(await ask(name), "+OK\r\n", name);
  }
  const faults: Record<string, string> = {
    wrong_ca: "TLS: certificate is not signed by a known authority",
    expired: isDeno
      ? "TLS: certificate is not signed by a known authority, or has expired"
      : "TLS: certificate has expired",
    elsewhere: "TLS: certificate is for another host",
    plain: "TLS: it does not speak TLS",
    mute: "TLS: no handshake within 5 s; does it speak TLS\\?",
    no_cert: "TLS: it wants a client certificate",
  };
  for (const [name, why] of Object.entries(faults)) {
    assert.match(await ask(name), new RegExp(`^-ERR ${why}`), name);
    await logs(proxy, new RegExp(`pool "${name}": server .* closed: ${why}`));
  }
  assert.is(await ask("good"), "+OK\r\n");
  await proxy.stop();
  for (const { redis } of [good, expired, elsewhere, strict]) await redis.stop();
});

ours("new certificates are used after a reload; old connections live on", async () => {
  const server = await startTlsRedis("server");
  for (const ending of ["pem", "key"]) {
    fs.copyFileSync(file(`server.${ending}`), file(`live.${ending}`));
  }
  const proxy = await start({ tls: shows("live"), server_tls: trusts(), servers: [at(server)] });
  const serial = (wire: Wire) => (wire.socket as tls.TLSSocket).getPeerCertificate().serialNumber;
  const serialOf = (name: string) => new X509Certificate(pem(`${name}.pem`)).serialNumber;
  const old = await secure(proxy.port);
  assert.is(serial(old), serialOf("server"));
  await asks(old, "SET a 1\r\n", "+OK\r\n");

  const reload = async (): Promise<void> => {
    const told = () => proxy.output().split(/configuration (?:not )?reloaded/).length;
    const before = told();
    proxy.kill("SIGUSR2");
    await until("the reload", () => told() > before);
  };
  // A key that is another certificate's changes nothing.
  fs.copyFileSync(file("renewed.key"), file("live.key"));
  await reload();
  await logs(
    proxy,
    /ringmux\.yml:\d+: pool "cache": tls\.key: ".*" holds a key that is not the cert/,
  );
  assert.is(serial(await secure(proxy.port)), serialOf("server"));

  fs.copyFileSync(file("renewed.pem"), file("live.pem"));
  await reload();
  const next = await secure(proxy.port);
  assert.is(serial(next), serialOf("renewed"));
  await asks(next, "GET a\r\n", "$1\r\n1\r\n");
  await asks(old, "GET a\r\n", "$1\r\n1\r\n");
  assert.not.match(proxy.output(), "PRIVATE KEY");

  // TLS cannot be turned off on an address that is listened on.
  const text = fs.readFileSync(proxy.confPath, "utf8");
  fs.writeFileSync(proxy.confPath, text.replace(/^ {2}tls:.*\n/m, ""));
  await reload();
  await logs(proxy, /pool "cache": tls cannot be turned off while ringmux listens on/);
  await asks(old, "GET a\r\n", "$1\r\n1\r\n");

  // Towards the servers: connections are made anew.
  fs.writeFileSync(
    proxy.confPath,
    text.replace(/server_tls:.*/, `server_tls: ${trusts({ server_name: "localhost" })}`),
  );
  await reload();
  await asks(old, "GET a\r\n", "$1\r\n1\r\n");
  await proxy.stop();
  await server.redis.stop();
});

/** What openssl's client says of its connection once it has a reply; it keeps its session in `file`. */
function visit(port: number, ...args: string[]): Promise<string> {
  const child = spawn("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${port}`, "-cert", file("client.pem")],
    ...["-key", file("client.key"), "-tls1_3", "-sess_out", file("session"), ...args],
  ]);
  let said = "";
  child.stdout.on("data", (text) => {
    said += text;
    if (said.includes("+PONG")) child.stdin.end();
  });
  child.stderr.on("data", (text) => said += text);
  child.stdin.on("error", () => {});
  child.stdin.write("PING\r\n");
  return new Promise((resolve) => child.once("close", () => resolve(said)));
}

ours("sessions are resumed, but only where their certificate is trusted now", async () => {
  for (const name of ["ca", "other-ca"]) {
    fs.copyFileSync(file(`${name}.pem`), file(`t-${name}.pem`));
  }
  const redis = await startRedis();
  const wants = (ca: string) => shows("server", { ca: file(ca), require_client_cert: true });
  const other = await freePort();
  const open = await freePort();
  const proxy = await startProxy({
    cache: { redis: true, tls: wants("t-ca.pem"), servers: [at(redis)] },
    other: {
      listen: `127.0.0.1:${other}`,
      redis: true,
      tls: wants("other-ca.pem"),
      servers: [at(redis)],
    },
    open: { listen: `127.0.0.1:${open}`, redis: true, tls: shows("server"), servers: [at(redis)] },
  }, { args: ["-v", "6"] });
  const again = ["-sess_in", file("session")];
  assert.match(await visit(open), /^New, TLSv1\.3[^]*\+PONG/m);
  assert.match(await visit(open, ...again), /^Reused, TLSv1\.3[^]*\+PONG/m, "without certificates");
  assert.not.match(await visit(other, ...again), "+PONG", "a session of nobody");
  assert.match(await visit(proxy.port), /^New, TLSv1\.3[^]*\+PONG/m);
  assert.match(await visit(proxy.port, ...again), /^Reused, TLSv1\.3[^]*\+PONG/m);
  assert.not.match(await visit(other, ...again), "+PONG", "another pool's authority");
  assert.match(await visit(proxy.port), /^New, TLSv1\.3[^]*\+PONG/m);
  fs.copyFileSync(file("other-ca.pem"), file("t-ca.pem"));
  proxy.kill("SIGUSR2");
  await logs(proxy, /configuration reloaded/);
  assert.not.match(await visit(proxy.port, ...again), "+PONG", "after a reload");
  await proxy.stop();
  await redis.stop();
});

ours("clients at their handshake count as clients, and have handshake_timeout for it", async () => {
  const redis = await startRedis();
  const proxy = await startProxy({
    p: {
      redis: true,
      client_connections: 3,
      tls: shows("server", { handshake_timeout: "1500" }),
      servers: [at(redis)],
    },
  });
  await logs(proxy, /listening/);
  // The harness has tried the port: those have to be gone.
  await until("room", () => secure(proxy.port).then((wire) => (wire.close(), true), () => false));
  const first = await until("the first", () => secure(proxy.port).catch(() => null));
  const held = [1, 2].map(() => net.connect(proxy.port, "127.0.0.1").on("error", () => {}));
  await until("them to be connected", () => held.every(({ connecting }) => !connecting));
  const before = proxy.output().length;
  const refused = await secure(proxy.port).then(() => "let in", () => "refused");
  assert.is(refused, "refused", proxy.output());
  assert.match(proxy.output().slice(before), /refused: 3 are connected/);
  await until(
    "them to be cut",
    () => held.every(({ readableEnded, closed }) => readableEnded || closed),
  );
  await logs(proxy, /the handshake was not completed in 1\.5 s/);
  const second = await until("room again", () => secure(proxy.port).catch(() => null));
  assert.is(await second?.ask("PING"), "+PONG\r\n");
  assert.is(await first?.ask("PING"), "+PONG\r\n");
  for (const one of held) one.destroy();
  assert.is((await proxy.stop()).code, 0);
});

ours("a server that never answers the handshake is given up", async () => {
  const silent = await startFake(() => {});
  const proxy = await start({ server_tls: trusts(), timeout: 300, servers: [at(silent)] });
  const wire = await Wire.open(proxy.port);
  assert.match(await wire.send("GET a\r\n").readUntil("\r\n"), "-ERR Connection timed out");
  await proxy.stop();
  silent.close();
});

ours("several workers share a TLS port", async () => {
  const redis = await startRedis();
  const proxy = await startProxy(
    { cache: { redis: true, tls: shows("server"), servers: [at(redis)] } },
    { global: { workers: 2 } },
  );
  for (let i = 0; i < 20; i++) {
    const wire = await secure(proxy.port);
    await asks(wire, `SET a${i} 1\r\n`, "+OK\r\n");
    wire.socket.destroy();
  }
  await proxy.stop();
  await redis.stop();
});

ours("files that cannot be used are told of with their line", async () => {
  const check = async (entry: string): Promise<string> => {
    const conf = tempPath("conf.yml");
    fs.writeFileSync(
      conf,
      `cache:\n  listen: 127.0.0.1:1\n  ${entry}\n  servers:\n   - 127.0.0.1:1:1\n`,
    );
    const { command } = await import("./harness.ts");
    const [program, first] = command();
    const { stderr } = await run(program, [...first, "-t", "-c", conf]);
    return stderr.replace(/^.*conf\.yml:/m, "conf.yml:");
  };
  assert.match(
    await check(`tls: { cert: none.pem, key: none.key }`),
    `conf.yml:3: pool "cache": tls.cert: "none.pem" cannot be read: no such file or directory`,
  );
  assert.match(
    await check(`tls: { cert: ${file("server.pem")}, key: ${file("client.key")} }`),
    "holds a key that is not the certificate's",
  );
  assert.match(
    await check(`server_tls: { ca: ${file("server.key")} }`),
    `holds no certificate (a block`,
  );
  const expired = await check(`tls: ${shows("expired")}`);
  assert.match(expired, `expired.pem" has expired (`);
  assert.match(expired, "syntax is ok");
});

test.run();
