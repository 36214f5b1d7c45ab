// Servers that are found: in DNS (a real dnsmasq), in etcd, in a file; and what becomes of the set
// when they change, vanish, or whoever tells of them is gone.
// Needs: memcached dnsmasq etcd openssl

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  canConnect,
  freePort,
  ours,
  type ProxyProcess,
  Running,
  runtime,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";
import { srvProvider } from "../../adapters/discovery/dns.ts";

const [dnsmasq, etcd] = ["dnsmasq", "etcd"].map(which);
const given = (program: string, name: string) =>
  program !== "" ? ours : (what: string) => test.skip(`${what} (no ${name} here)`, () => {});

let servers: ServerProcess[];
let adminPort = 0;
let proxy: ProxyProcess;
const [list, flips] = ["servers.yml", "flips.yml"].map(tempPath);
let dnsPort = 0;
let dns: Running;
const etcdData = tempPath("etcd");

const line = (i: number, name: string) => `- 127.0.0.1:${servers[i].port}:1 ${name}\n`;

/** dnsmasq whose SRV records are these servers; `more`: lines of its configuration. */
async function startDns(which_: number[], more: string[], ttl = 1): Promise<void> {
  if (dnsmasq === "") return;
  const conf = tempPath("dnsmasq.conf");
  const records = which_.map((i) =>
    `srv-host=_mc._tcp.cache.test,pod${i}.cache.test,${servers[i].port}\n` +
    `host-record=pod${i}.cache.test,127.0.0.1\n`
  );
  fs.writeFileSync(
    conf,
    `port=${dnsPort}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nlocal-ttl=${ttl}\n` +
      `user=\nauth-ttl=${ttl}\nlocal=/test/\n${records.join("")}` +
      more.map((line) => `${line}\n`).join(""),
  );
  dns = new Running("dnsmasq", dnsmasq, ["--keep-in-foreground", "--conf-file=" + conf]);
  await until(`dnsmasq to listen: ${dns.output()}`, () => dns.gone || canConnect(dnsPort));
  assert.not(dns.gone, dns.output());
}

async function anotherDns(which_: number[], more: string[]): Promise<void> {
  await dns.stop("SIGKILL");
  await startDns(which_, more);
}

const GONE = "host-record=gone.test,127.0.0.1";

/** Of a name, all at the first server's port. */
const address = (...all: string[]): string[] => all.map((one) => `host-record=plain.test,${one}`);

// ------------------------------------------------------------------------------------ etcd

const certificates = tempPath("certificates");
const pem = (name: string): string => `${certificates}/${name}`;
let etcdPorts: number[] = [];
let running: Running;
/** Who puts keys; "" for nobody. */
let token = "";

/** An authority, and a certificate for this machine. */
function issue(): void {
  fs.mkdirSync(certificates);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: certificates, stdio: ["ignore", "ignore", "pipe"] });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const own = (name: string): string[] => ["-keyout", `${name}.key`, "-subj", `/CN=${name}`];
  openssl("req", "-x509", ...key, ...own("ca"), "-out", "ca.pem");
  openssl("req", "-new", ...key, ...own("etcd"), "-out", "etcd.csr");
  fs.writeFileSync(pem("san"), "subjectAltName=IP:127.0.0.1\n");
  openssl(
    ...["x509", "-req", "-in", "etcd.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
    ...["-extfile", "san", "-days", "2", "-out", "etcd.pem"],
  );
}

/** With the data that it had, if it has run before. */
async function startEtcd(): Promise<void> {
  const [plain, secure, peer] = etcdPorts;
  const urls = `http://127.0.0.1:${plain},https://127.0.0.1:${secure}`;
  running = new Running("etcd", etcd, [
    ...["--data-dir", etcdData, "--log-level", "error", "--unsafe-no-fsync"],
    ...["--listen-client-urls", urls, "--advertise-client-urls", urls],
    ...["--listen-peer-urls", `http://127.0.0.1:${peer}`],
    ...["--cert-file", pem("etcd.pem"), "--key-file", pem("etcd.key")],
  ]);
  await until(`etcd: ${running.output()}`, () => running.gone || canConnect(plain));
  const health = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${plain}/health`).then((reply) => reply.ok, () => false);
  await until("etcd to serve", health);
}

/** A request to etcd, whose answer it is. */
async function tell(path: string, body: unknown): Promise<Record<string, unknown>> {
  const headers: Record<string, string> = token === "" ? {} : { authorization: token };
  const url = `http://127.0.0.1:${etcdPorts[0]}/v3/${path}`;
  const reply = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await reply.json();
  if (!reply.ok) throw new Error(`${path}: ${JSON.stringify(said)}`);
  return said as Record<string, unknown>;
}

async function put(key: string, value: string | null): Promise<void> {
  if (value === null) await tell("kv/deleterange", { key: btoa(key) });
  else await tell("kv/put", { key: btoa(key), value: btoa(value) });
}

/** Only users get in from now on: root, and one who may read. */
async function lock(): Promise<void> {
  for (const [name, password] of [["root", "of-root"], ["reader", "of-reader"]]) {
    await tell("auth/user/add", { name, password });
    await tell("auth/role/add", { name });
    await tell("auth/user/grant", { user: name, role: name });
  }
  const perm = { permType: "READ", key: btoa("/caches/"), range_end: btoa("/caches0") };
  await tell("auth/role/grant", { name: "reader", perm });
  await tell("auth/enable", {});
}

async function enter(): Promise<void> {
  token = "";
  token = String((await tell("auth/authenticate", { name: "root", password: "of-root" })).token);
}

interface Ring {
  servers: { name: string }[];
  discovery: { size: number; refused: number; failures: number; error: string };
}

async function ring(pool: string): Promise<Ring> {
  const url = `http://127.0.0.1:${adminPort}/ring?pool=${pool}`;
  const all = await (await fetch(url)).json() as { rings?: Ring[] } | Ring[];
  return (Array.isArray(all) ? all : all.rings as Ring[])[0];
}

async function names(pool: string): Promise<string> {
  return (await ring(pool)).servers.map(({ name }) => name).join(" ");
}

function becomes(pool: string, expected: string): Promise<boolean> {
  return until(
    `${pool} to have ${expected}\n${proxy.output()}`,
    async () => await names(pool) === expected,
  );
}

/** Keys go to the servers that the pool has. */
async function served(pool: string): Promise<void> {
  const wire = await Wire.open(proxy.ports[pool]);
  for (let i = 0; i < 20; i++) {
    assert.is(await wire.send(`set k${i} 0 0 1\r\nx\r\n`).read(8), "STORED\r\n");
  }
  wire.close();
}

test.before(async () => {
  servers = await several(3, startMemcached);
  dnsPort = await freePort();
  adminPort = await freePort();
  fs.writeFileSync(list, line(0, "a") + line(1, "b"));
  fs.writeFileSync(flips, line(0, "x"));
  await startDns([0, 1, 2], [...address("127.0.0.1"), GONE]);
  if (etcd !== "") {
    issue();
    etcdPorts = await several(3, freePort);
    await startEtcd();
    await put("/caches/a", `127.0.0.1:${servers[0].port}`);
    await put("/caches/b", `127.0.0.1:${servers[1].port}:1`);
  }
  const more = "min: 100, max_loss: 0.5";
  const asked = `port: ${servers[0].port}, resolver: "127.0.0.1:${dnsPort}", ${more}`;
  const [plain, secure] = etcdPorts.map((port) => `127.0.0.1:${port}`);
  const https = `etcd: ["https://${secure}"], prefix: /caches/`;
  proxy = await startProxy({
    list: { discovery: `{file: ${list}, ${more}}` },
    flips: { discovery: `{file: ${flips}, min: 100, max_loss: 1}` },
    ...(dnsmasq !== "" && {
      srv: { discovery: `{srv: _mc._tcp.cache.test, resolver: "127.0.0.1:${dnsPort}", ${more}}` },
      plain: { discovery: `{dns: plain.test, ${asked}}` },
      gone: { discovery: `{dns: gone.test, ${asked}}` },
    }),
    ...(etcd !== "" && {
      etcd: { discovery: `{etcd: ["http://${plain}"], prefix: /caches/, ${more}}` },
      user: {
        discovery: `{${https}, tls: {ca: ${
          pem("ca.pem")
        }}, user: reader, auth: of-reader, ${more}}`,
      },
      stranger: { discovery: `{${https}, ${more}}` },
    }),
  }, { admin: `127.0.0.1:${adminPort}` });
});

ours("a file: servers come and go; a broken or an empty one changes nothing", async () => {
  assert.is(await names("list"), "a b");
  await served("list");
  fs.writeFileSync(list, line(0, "a") + line(1, "b") + line(2, "c"));
  await becomes("list", "a b c");
  await served("list");
  for (const text of ["- nonsense\n", "[]\n"]) {
    const before = (await ring("list")).discovery.failures;
    fs.writeFileSync(list, text);
    await until("it to be read", async () => (await ring("list")).discovery.failures > before);
    assert.is(await names("list"), "a b c");
  }
  assert.match(proxy.output(), /servers\.yml:1: server "nonsense" has to be/);
  fs.writeFileSync(list, line(0, "a")); // two of three: it takes three answers
  await becomes("list", "a");
  assert.is((await ring("list")).discovery.refused, 2);
  await served("list");
});

/** It does not depend on the runtime. */
const once = runtime === "node" ? test : test.skip;

once(
  "servers change their names under load: a client's commands on a key keep their order",
  async () => {
    const wire = await Wire.open(proxy.ports.flips);
    const number = (n: number): string => String(10_000_000 + n);
    let sent = 0;
    let ends = false;
    const writing = (async () => {
      for (; !ends; await new Promise((resolve) => setTimeout(resolve, 1))) {
        for (let i = 0; i < 50; i++, sent++) {
          wire.send(
            `set k 0 0 8\r\n${number(sent)}\r\nget k\r\n`,
          );
        }
      }
    })();
    const reading = (async () => {
      for (let n = 0; !ends || n < sent; n++) {
        while (n === sent && !ends) await new Promise((resolve) => setTimeout(resolve, 1));
        if (n === sent) break;
        assert.is(await wire.line(), "STORED\r\n");
        assert.is(await wire.readUntil("END\r\n"), `VALUE k 0 8\r\n${number(n)}\r\nEND\r\n`);
      }
    })();
    for (const name of ["y", "x", "y", "x", "y"]) {
      fs.writeFileSync(flips, line(0, name));
      await becomes("flips", name);
    }
    ends = true;
    await Promise.all([writing, reading]);
    assert.ok(sent > 500, `${sent} requests`);
    wire.close();
  },
);

given(dnsmasq, "dnsmasq")(
  "DNS: SRV targets are the names; what is lost is kept at first",
  async () => {
    assert.is(await names("srv"), "pod0.cache.test pod1.cache.test pod2.cache.test");
    assert.match(await names("plain"), /^127\.0\.0\.1:\d+$/);
    assert.match(
      proxy.output(),
      /discovery \(dns plain\.test\): servers are named by their addresses/,
    );
    await served("srv");
    // Addresses that change are servers that change.
    await anotherDns([0, 1, 2], [...address("127.0.0.1", "127.0.0.3"), GONE]);
    const { port } = servers[0];
    await becomes("plain", `127.0.0.1:${port} 127.0.0.3:${port}`);
    // A name without addresses, and one that there is not any more.
    await anotherDns([1], ["txt-record=plain.test,x"]);
    await becomes("srv", "pod1.cache.test");
    assert.is((await ring("srv")).discovery.refused, 2);
    await served("srv");
    const fails = (pool: string, why: string): Promise<boolean> =>
      until(why, async () => (await ring(pool)).discovery.error.includes(why));
    await fails("plain", "it has no records");
    await fails("gone", "there is no such name");
    assert.is((await ring("plain")).servers.length, 2);
    assert.is((await ring("gone")).servers.length, 1);
    // Nobody answers.
    await dns.stop("SIGKILL");
    await fails("srv", "ECONNREFUSED");
    assert.is(await names("srv"), "pod1.cache.test");
    await served("srv");
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    assert.match(metrics, /ringmux_pool_discovered_servers\{pool="srv"\} 1\n/);
    assert.match(metrics, /ringmux_pool_discovery_refused_losses_total\{pool="srv"\} 2\n/);
  },
);

given(dnsmasq, "dnsmasq")(
  "DNS: a TTL is how long an answer holds; of priorities the lowest, weights where they differ",
  async () => {
    await startDns([], [
      ...["host-record=x.test,127.0.0.1", "host-record=y.test,127.0.0.2"],
      ...["srv-host=_w._tcp.test,x.test,1,10,3", "srv-host=_w._tcp.test,y.test,2,10,5"],
      "srv-host=_w._tcp.test,z.test,3,20,9",
    ], 7);
    const answer = await srvProvider("_w._tcp.test", `127.0.0.1:${dnsPort}`).ask();
    assert.is(answer.ttl, 7000);
    assert.equal(answer.servers.map(({ name, text, weight }) => [name, text, weight]), [
      ["x.test", "127.0.0.1:1", 3],
      ["y.test", "127.0.0.2:2", 5],
    ]);
  },
);

given(etcd, "etcd")("etcd: changes are seen at once, also after a compaction", async () => {
  assert.is(await names("etcd"), "a b");
  await served("etcd");
  await put("/caches/c", `127.0.0.1:${servers[2].port}`);
  await becomes("etcd", "a b c");
  const { header } = await tell("kv/range", { key: btoa("/caches/a") }) as {
    header: { revision: string };
  };
  await tell("kv/compaction", { revision: header.revision });
  await put("/caches/b", null);
  await becomes("etcd", "a c");
  await served("etcd");
  const before = (await ring("etcd")).discovery.failures;
  await put("/caches/d", "nonsense");
  await until("the mistake", async () => (await ring("etcd")).discovery.failures > before);
  assert.is(await names("etcd"), "a c");
  await put("/caches/d", null);
});

given(etcd, "etcd")(
  "etcd over TLS, and with users: tokens are asked for when they are over",
  async () => {
    await becomes("user", "a c");
    const { discovery: { error } } = await ring("stranger");
    assert.match(
      error,
      /https:\/\/127\.0\.0\.1:\d+: .*(SELF_SIGNED|UNABLE_TO|issuer|certificate)/i,
    );
    await lock();
    await enter();
    await put("/caches/b", `127.0.0.1:${servers[1].port}`);
    await becomes("user", "a b c");
    assert.is(await names("etcd"), "a c", "it has no user, and keeps what it has");
    // Started anew it knows no tokens of before.
    await running.stop("SIGKILL");
    await startEtcd();
    await enter();
    await put("/caches/c", null);
    await becomes("user", "a b");
    await until("nobody to be refused", async () => (await ring("etcd")).discovery.error !== "");
    assert.match((await ring("etcd")).discovery.error, /user name is empty|HTTP 400/);
    assert.not.match(proxy.output(), "of-reader");
  },
);

ours("a reload keeps what was found", async () => {
  const text = fs.readFileSync(proxy.confPath, "utf8");
  fs.writeFileSync(proxy.confPath, text.replace("list:\n", "list:\n  backlog: 100\n"));
  proxy.kill("SIGUSR2");
  await until("the reload", () => /configuration reloaded/.test(proxy.output()));
  assert.is(await names("list"), "a");
  fs.writeFileSync(list, line(0, "a") + line(2, "c"));
  await becomes("list", "a c");
});

test.run();
