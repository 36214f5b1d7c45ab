// Servers that are found: in DNS (a real dnsmasq), in etcd, in a file; and what becomes of the set
// when they change, vanish, or whoever tells of them is gone.
// Needs: memcached dnsmasq etcd

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  canConnect,
  freePort,
  ours,
  type ProxyProcess,
  Running,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";

const [dnsmasq, etcd] = ["dnsmasq", "etcd"].map(which);
const given = (program: string, name: string) =>
  program !== "" ? ours : (what: string) => test.skip(`${what} (no ${name} here)`, () => {});

let servers: ServerProcess[];
let adminPort = 0;
let proxy: ProxyProcess;
const list = tempPath("servers.yml");
let dnsPort = 0;
let etcdUrl = "";
let dns: Running;

const line = (i: number, name: string) => `- 127.0.0.1:${servers[i].port}:1 ${name}\n`;

/** dnsmasq whose SRV records are these servers. */
async function startDns(which_: number[], addresses: string[]): Promise<void> {
  if (dnsmasq === "") return;
  const conf = tempPath("dnsmasq.conf");
  const records = which_.map((i) =>
    `srv-host=_mc._tcp.cache.test,pod${i}.cache.test,${servers[i].port}\n` +
    `host-record=pod${i}.cache.test,127.0.0.1\n`
  );
  fs.writeFileSync(
    conf,
    `port=${dnsPort}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nlocal-ttl=1\n` +
      `user=\nauth-ttl=1\nlocal=/test/\n${records.join("")}` +
      addresses.map((address) => `host-record=plain.test,${address}\n`).join(""),
  );
  dns = new Running("dnsmasq", dnsmasq, ["--keep-in-foreground", "--conf-file=" + conf]);
  await until(`dnsmasq to listen: ${dns.output()}`, () => dns.gone || canConnect(dnsPort));
  assert.not(dns.gone, dns.output());
}

async function put(key: string, value: string | null): Promise<void> {
  const body = { key: btoa(key), ...(value !== null && { value: btoa(value) }) };
  const what = value === null ? "deleterange" : "put";
  const options = { method: "POST", body: JSON.stringify(body) };
  assert.ok((await fetch(`${etcdUrl}/v3/kv/${what}`, options)).ok);
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
  await startDns([0, 1, 2], ["127.0.0.1"]);
  if (etcd !== "") {
    const [client, peer] = [await freePort(), await freePort()];
    etcdUrl = `http://127.0.0.1:${client}`;
    const args = ["--data-dir", tempPath("etcd"), "--log-level", "error"];
    args.push("--listen-client-urls", etcdUrl, "--advertise-client-urls", etcdUrl);
    args.push("--listen-peer-urls", `http://127.0.0.1:${peer}`);
    const running = new Running("etcd", etcd, [...args, "--unsafe-no-fsync"]);
    await until(`etcd: ${running.output()}`, () => running.gone || canConnect(client));
    await until("etcd to serve", () => put("/other", "x").then(() => true, () => false));
    await put("/caches/a", `127.0.0.1:${servers[0].port}`);
    await put("/caches/b", `127.0.0.1:${servers[1].port}:1`);
  }
  const more = "min: 100, max_loss: 0.5";
  proxy = await startProxy({
    list: { discovery: `{file: ${list}, ${more}}` },
    ...(dnsmasq !== "" && {
      srv: { discovery: `{srv: _mc._tcp.cache.test, resolver: "127.0.0.1:${dnsPort}", ${more}}` },
      plain: {
        discovery: `{dns: plain.test, port: ${
          servers[0].port
        }, resolver: "127.0.0.1:${dnsPort}", ${more}}`,
      },
    }),
    ...(etcd !== "" && {
      etcd: { discovery: `{etcd: ["${etcdUrl}"], prefix: /caches/, ${more}}` },
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
    await dns.stop("SIGKILL");
    await until("it to be missed", async () => (await ring("srv")).discovery.error !== "");
    assert.is((await ring("srv")).servers.length, 3);
    await served("srv");
    await startDns([1], []); // and plain.test is NXDOMAIN
    await becomes("srv", "pod1.cache.test");
    assert.is((await ring("srv")).discovery.refused, 2);
    await served("srv");
    await until(
      "NXDOMAIN",
      async () => (await ring("plain")).discovery.error.includes("no such name"),
    );
    assert.is((await ring("plain")).servers.length, 1);
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    assert.match(metrics, /ringmux_pool_discovered_servers\{pool="srv"\} 1\n/);
    assert.match(metrics, /ringmux_pool_discovery_refused_losses_total\{pool="srv"\} 2\n/);
  },
);

given(etcd, "etcd")("etcd: changes are seen at once, also after a compaction", async () => {
  assert.is(await names("etcd"), "a b");
  await served("etcd");
  await put("/caches/c", `127.0.0.1:${servers[2].port}`);
  await becomes("etcd", "a b c");
  const { header } = await (await fetch(`${etcdUrl}/v3/kv/range`, {
    method: "POST",
    body: JSON.stringify({ key: btoa("/caches/a") }),
  })).json() as { header: { revision: string } };
  const compact = { method: "POST", body: JSON.stringify({ revision: header.revision }) };
  assert.ok((await fetch(`${etcdUrl}/v3/kv/compaction`, compact)).ok);
  await put("/caches/b", null);
  await becomes("etcd", "a c");
  await served("etcd");
  const before = (await ring("etcd")).discovery.failures;
  await put("/caches/d", "nonsense");
  await until("the mistake", async () => (await ring("etcd")).discovery.failures > before);
  assert.is(await names("etcd"), "a c");
  await put("/caches/d", null);
});

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
