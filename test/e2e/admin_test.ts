// The admin address of a running proxy: every path over HTTP, a real Prometheus that scrapes it,
// and StatsD. The proxy's own words on the stats port are what its answers are held against.
// Needs: redis-server memcached prometheus promtool

import * as dgram from "node:dgram";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  cmd,
  command,
  freePort,
  ours,
  type ProxyProcess,
  root,
  run,
  Running,
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

// deno-lint-ignore no-explicit-any
type Json = any;

let proxy: ProxyProcess;
let admin = 0;
let dead = 0;

test.before(async () => {
  const [one, two, mc] = await Promise.all([startRedis(), startRedis(), startMemcached()]);
  admin = await freePort();
  dead = await freePort();
  proxy = await startProxy({
    cache: { redis: true, servers: [at(one, 1, "one"), at(two, 3, "two")], hash_tag: '"{}"' },
    pages: { servers: [at(mc, 1, "mc")] },
    broken: {
      redis: true,
      auto_eject_hosts: true,
      server_failure_limit: 1,
      server_retry_timeout: 600_000,
      servers: [at(dead, 1, "gone"), at(one, 1, "here")],
    },
    dice: { redis: true, distribution: "random", servers: [at(one, 1, "x"), at(two, 9, "y")] },
  }, { admin: `127.0.0.1:${admin}` });
  await until("the admin address", () => request("/healthz").then(() => true, () => false));
});

interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

function request(
  url: string,
  options: http.RequestOptions = {},
  port = admin,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = http.request({ host: "127.0.0.1", port, path: url, ...options }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on("data", (chunk) => chunks.push(chunk));
      reply.on("end", () =>
        resolve({
          status: reply.statusCode ?? 0,
          headers: reply.headers,
          text: Buffer.concat(chunks).toString("utf8"),
        }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

async function json(url: string): Promise<Json> {
  return JSON.parse((await request(url)).text);
}

ours("the page, its script and its style come from the program itself", async () => {
  const page = await request("/");
  assert.is(page.status, 200);
  assert.match(page.headers["content-type"] ?? "", "text/html");
  for (const [, to] of page.text.matchAll(/(?:href|src)="([^"]+)"/g)) {
    assert.is((await request(`/${to}`)).status, 200, to);
  }
  const head = await request("/", { method: "HEAD" });
  assert.equal([head.status, head.text], [200, ""]);
});

ours("/healthz and /readyz answer, and the latter tells the live servers", async () => {
  assert.is((await request("/healthz")).status, 200);
  const ready = await request("/readyz");
  assert.is(ready.status, 200);
  const { pools } = JSON.parse(ready.text);
  assert.equal(pools.find(({ name }: Json) => name === "cache"), {
    name: "cache",
    servers: 2,
    live: 2,
  });
});

ours("/stats is what the stats port sends", async () => {
  const plain = (text: string) => JSON.stringify({ ...JSON.parse(text), uptime: 0, timestamp: 0 });
  assert.is(plain((await request("/stats")).text), plain(await proxy.statsText()));
});

ours("/ring tells where a key really goes, hash tags and UTF-8 included", async () => {
  const wire = await Wire.open(proxy.ports.cache);
  const keys = ["user:42", "a b+c&d=e", "{tag}one", "ключ", "🍊", "x".repeat(300)];
  for (const key of keys) {
    const [ring] = await json(`/ring?${new URLSearchParams({ pool: "cache", key })}`);
    const bytes = Buffer.from(key, "utf8").toString("latin1");
    const before = (await proxy.stats()).cache;
    assert.is(await wire.ask("SET", bytes, "1"), "+OK\r\n");
    const after = (await proxy.stats()).cache;
    const served = ["one", "two"].filter((name) => after[name].requests > before[name].requests);
    assert.equal([ring.owner], served, key);
  }
  const unknown = await request("/ring?pool=nowhere");
  assert.is(unknown.status, 404);
  assert.match(unknown.text, 'pool \\"nowhere\\" is not known');
  wire.close();
});

ours("/ring tells each server's share of the keys", async () => {
  const rings = await json("/ring");
  assert.is(rings.length, 4);
  const cache = rings.find(({ pool }: Json) => pool === "cache");
  const [one, two] = cache.servers;
  assert.equal([one.name, one.weight, two.name, two.weight], ["one", 1, "two", 3]);
  assert.ok(Math.abs(one.share + two.share - 1) < 1e-9);
  assert.ok(two.share > 0.6 && two.share < 0.9, String(two.share));
  const [dice] = await json("/ring?pool=dice&key=a");
  assert.equal(dice.servers.map(({ share }: Json) => share), [0.5, 0.5]);
  assert.is(dice.owner, null, "no key has a server");
});

ours("an ejected server shows everywhere", async () => {
  const wire = await Wire.open(proxy.ports.broken);
  for (let i = 0; (await json("/ring?pool=broken"))[0].servers[0].live; i++) {
    await wire.ask("GET", `key${i}`);
    assert.ok(i < 1000, "keys reach the dead server");
  }
  const [ring] = await json("/ring?pool=broken&key=any");
  assert.equal(ring.servers.map(({ share }: Json) => share), [0, 1]);
  assert.is(ring.owner, "here");
  const { text } = await request("/metrics");
  assert.match(text, 'ringmux_server_live{pool="broken",server="gone"} 0\n');
  assert.match(text, 'ringmux_pool_live_servers{pool="broken"} 1\n');
  assert.match(text, 'ringmux_pool_server_ejections_total{pool="broken"} 1\n');
  const ready = JSON.parse((await request("/readyz")).text);
  assert.is(ready.pools.find(({ name }: Json) => name === "broken").live, 1);
  wire.close();
});

ours("metrics are clean to promtool, and agree with the stats port", async () => {
  const wire = await Wire.open(proxy.ports.cache);
  // Keys unlike enough to come to both servers: fnv1a hardly tells k1 from k2.
  const key = (i: number) => `${Math.imul(i, 0x9e3779b1) >>> 0}:key`;
  wire.send(Array.from({ length: 100 }, (_, i) => cmd("SET", key(i), "v")).join(""));
  await wire.replies(100);
  wire.send(Array.from({ length: 200 }, (_, i) => cmd("GET", key(i))).join(""));
  await wire.replies(200);
  wire.close();
  const { text, headers } = await request("/metrics");
  assert.match(headers["content-type"] ?? "", "text/plain; version=0.0.4");
  const checked = await run("promtool", ["check", "metrics"], text);
  assert.equal([checked.code, checked.stdout + checked.stderr], [0, ""]);
  const stats = await proxy.stats();
  const value = (name: string) =>
    Number(text.split("\n").find((line) => line.startsWith(`${name} `))?.split(" ").pop());
  for (const server of ["one", "two"]) {
    const labels = `{pool="cache",server="${server}"}`;
    const { requests, response_bytes } = stats.cache[server];
    assert.is(value(`ringmux_server_requests_total${labels}`), requests);
    assert.is(value(`ringmux_server_response_bytes_total${labels}`), response_bytes);
    const timed = ["read", "write", "other"].map((cls) =>
      value(
        `ringmux_request_duration_seconds_count{pool="cache",server="${server}",class="${cls}"}`,
      )
    );
    assert.ok(timed[0] > 0 && timed[1] > 0, `${server}: ${timed}`);
    assert.ok(timed[0] + timed[1] + timed[2] <= requests, `${server}: ${timed} of ${requests}`);
  }
  assert.ok(value("ringmux_process_resident_memory_bytes") > 1e6);
  assert.ok(value("ringmux_process_cpu_seconds_total") > 0);
});

ours("the alerts are right to promtool", async () => {
  const rules = path.join(root, "deploy/prometheus/ringmux.rules.yml");
  const { code, stdout, stderr } = await run("promtool", ["check", "rules", rules]);
  assert.is(code, 0, stdout + stderr);
});

ours("a Prometheus server scrapes it, and computes quantiles and alerts", async () => {
  const port = await freePort();
  const file = tempPath("prometheus.yml");
  fs.writeFileSync(
    file,
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["${path.join(root, "deploy/prometheus/ringmux.rules.yml")}"]
scrape_configs:
  - job_name: ringmux
    static_configs: [{ targets: ["127.0.0.1:${admin}"] }]
`,
  );
  const prometheus = new Running("prometheus", which("prometheus"), [
    `--config.file=${file}`,
    `--storage.tsdb.path=${tempPath("tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const api = async (url: string): Promise<Json> => {
    assert.not.ok(prometheus.gone, prometheus.output());
    const reply = await request(`/api/v1/${url}`, {}, port).catch(() => null);
    return reply === null || reply.status !== 200 ? null : JSON.parse(reply.text).data;
  };
  const query = async (expression: string) =>
    (await api(`query?query=${encodeURIComponent(expression)}`))?.result ?? [];
  const series = 'ringmux_server_requests_total{pool="cache",server="one"}';
  const [found] = await until("the series", async () => {
    const result = await query(series);
    return result.length > 0 ? result : null;
  }, 60_000);
  assert.is(Number(found.value[1]), (await proxy.stats()).cache.one.requests);
  const quantile = await query(
    "histogram_quantile(0.5, sum by (le) (ringmux_request_duration_seconds_bucket))",
  );
  assert.ok(Number(quantile[0].value[1]) > 0, JSON.stringify(quantile));
  const alert = await until("the alert for the ejected server", async () => {
    const alerts: Json[] = (await api("alerts"))?.alerts ?? [];
    return alerts.find(({ labels }) => labels.alertname === "RingmuxServerEjected");
  }, 60_000);
  assert.equal([alert.labels.pool, alert.labels.server], ["broken", "gone"]);
  const [target] = (await api("targets")).activeTargets;
  assert.equal([target.health, target.lastError], ["up", ""]);
  await prometheus.stop();
});

ours("the history holds a sample a second", async () => {
  const first = await until("two samples", async () => {
    const history = await json("/history");
    return history.times.length >= 2 ? history : null;
  });
  const last = first.times[first.times.length - 1];
  assert.equal((await json(`/history?since=${last - 1}`)).times[0], last);
  const cache = first.pools.find(({ name }: Json) => name === "cache");
  assert.is(cache.series.requests.length, first.times.length);
});

ours("a page from elsewhere gets nothing, and no page may reload", async () => {
  const foreign = { host: `evil.example:${admin}` };
  assert.is((await request("/stats", { headers: foreign })).status, 403);
  for (
    const headers of [
      foreign,
      { origin: "http://evil.example" },
      { origin: `http://127.0.0.1:${admin}` },
      { "sec-fetch-site": "cross-site" },
    ]
  ) {
    const reply = await request("/reload", { method: "POST", headers });
    assert.is(reply.status, 403, JSON.stringify(headers));
  }
  assert.is((await request("/reload")).status, 404, "a GET");
});

// ------------------------------------------------------------------------------------- the address

ours("a default address that is taken is a warning, one that was asked for an error", async () => {
  const pools = { p: { redis: true, servers: [at(dead)] } };
  // The port is this test's, or already somebody's on this machine, who may give it back meanwhile.
  const holder = net.createServer();
  const ownsIt = await new Promise<boolean>((resolve) => {
    holder.once("error", () => resolve(false));
    holder.listen(22223, "127.0.0.1", () => resolve(true));
  });
  const first = await startProxy(pools, { admin: "" });
  await until("a word on it", () => /admin/.test(first.output()));
  const warned = /admin: not served: cannot listen on 127\.0\.0\.1:22223: Address already in use/
    .test(first.output());
  assert.ok(warned || !ownsIt, first.output());
  assert.not.ok(first.gone);
  await first.stop();
  holder.close();

  const file = tempPath("taken.yml");
  const listen = await freePort();
  fs.writeFileSync(
    file,
    `global:\n  admin: 127.0.0.1:${admin}\n` +
      `p:\n  listen: 127.0.0.1:${listen}\n  servers:\n    - 127.0.0.1:${dead}:1\n`,
  );
  const [program, args] = command();
  const stats = String(await freePort());
  const failed = await run(program, [...args, "-c", file, "-a", "127.0.0.1", "-s", stats]);
  assert.is(failed.code, 1);
  assert.match(
    failed.stderr,
    `ringmux: admin: cannot listen on 127.0.0.1:${admin}: Address already in use`,
  );
});

ours("the configuration's address is used, and --admin goes before it", async () => {
  const [configured, asked] = [await freePort(), await freePort()];
  const pools = { p: { redis: true, servers: [at(dead)] } };
  const global = { admin: `127.0.0.1:${configured}` };
  const one = await startProxy(pools, { admin: "", global });
  const answers = (port: number) =>
    request("/healthz", {}, port).then(({ status }) => status === 200, () => false);
  await until("the configured address", () => answers(configured));
  await one.stop();
  const two = await startProxy(pools, { admin: `127.0.0.1:${asked}`, global });
  await until("the asked address", () => answers(asked));
  assert.not.ok(await answers(configured));
  await two.stop();
});

// ----------------------------------------------------------------------- reloads, ends and workers

ours("POST /reload takes the file over, or tells what is wrong with it", async () => {
  const port = await freePort();
  const own = await startProxy({ p: { redis: true, servers: [at(dead, 1, "first")] } }, {
    admin: `127.0.0.1:${port}`,
  });
  const reload = () => request("/reload", { method: "POST" }, port);
  const before = fs.readFileSync(own.confPath, "utf8");
  fs.writeFileSync(own.confPath, before.replace("first", "second"));
  const good = await reload();
  assert.is(good.status, 200, good.text);
  assert.equal(JSON.parse(good.text), { reloaded: true, mistakes: [] });
  const [ring] = JSON.parse((await request("/ring", {}, port)).text);
  assert.equal(ring.servers.map(({ name }: Json) => name), ["second"]);
  fs.writeFileSync(own.confPath, before.replace("redis: true", "redis: perhaps"));
  const bad = await reload();
  assert.is(bad.status, 422);
  const { reloaded, mistakes } = JSON.parse(bad.text);
  assert.is(reloaded, false);
  assert.match(mistakes[0], 'redis "perhaps" has to be true or false');
  await own.stop();
});

ours("while it drains it lives and is not ready", async () => {
  const port = await freePort();
  const silent = await startFake((socket) => socket.resume());
  const own = await startProxy({ p: { redis: true, servers: [at(silent)] } }, {
    admin: `127.0.0.1:${port}`,
  });
  const wire = await Wire.open(own.port);
  wire.send(cmd("GET", "a"));
  await until("the request to be in flight", () => silent.received().includes("GET"));
  own.kill("SIGTERM");
  await until("not ready", async () => (await request("/readyz", {}, port)).status === 503);
  assert.is((await request("/healthz", {}, port)).status, 200);
  assert.match((await request("/metrics", {}, port)).text, "ringmux_ready 0\n");
  await own.stop();
});

ours("several workers are one to the admin address", async () => {
  const port = await freePort();
  const redis = await startRedis();
  const own = await startProxy({ p: { redis: true, servers: [at(redis, 1, "a")] } }, {
    admin: `127.0.0.1:${port}`,
    args: ["--workers", "2"],
  });
  const wires = await Promise.all(Array.from({ length: 16 }, () => Wire.open(own.port)));
  await Promise.all(wires.map((wire) => wire.ask("GET", "a")));
  const { text } = await request("/metrics", {}, port);
  for (
    const line of [
      "ringmux_workers 2",
      'ringmux_pool_client_connections{pool="p"} 16',
      'ringmux_server_requests_total{pool="p",server="a"} 16',
      'ringmux_request_duration_seconds_count{pool="p",server="a",class="read"} 16',
    ]
  ) assert.match(text, `${line}\n`);
  const [ring] = JSON.parse((await request("/ring?key=x", {}, port)).text);
  assert.equal([ring.owner, ring.servers[0].share], ["a", 1]);
  const status = JSON.parse((await request("/status", {}, port)).text);
  assert.is(status.workers, 2);
  assert.ok(status.memory > 3 * 10e6, `three processes: ${status.memory}`);
  assert.is((await request("/reload", { method: "POST" }, port)).status, 200);
  for (const wire of wires) wire.close();
  await own.stop();
});

/** Node 20 has no SO_REUSEPORT. */
const takeover = runtime === "node" && Number(process.versions.node.split(".")[0]) < 22
  ? test.skip
  : ours;

takeover("who takes over takes the admin address over too", async () => {
  const port = await freePort();
  const pidFile = tempPath("takeover.pid");
  const args = ["-p", pidFile];
  const admin = `127.0.0.1:${port}`;
  const pools = { p: { redis: true, servers: [at(dead)] } };
  const old = await startProxy(pools, { admin, args, global: { reuse_port: true } });
  const [program, first] = command();
  const next = new Running("next", program, [
    ...[...first, "-c", old.confPath, "-a", "127.0.0.1", "-s", String(await freePort())],
    ...[...args, "--admin", admin, "--takeover"],
  ]);
  assert.is((await old.exited()).code, 0, next.output());
  assert.is((await request("/readyz", {}, port)).status, 200, next.output());
  // With shared ports another ringmux, which follows nobody, is refused all the same.
  const file = tempPath("other.yml");
  fs.writeFileSync(
    file,
    `global: { reuse_port: true }\np:\n  listen: 127.0.0.1:${await freePort()}\n` +
      `  servers:\n    - 127.0.0.1:${dead}:1\n`,
  );
  const stats = ["-a", "127.0.0.1", "-s", String(await freePort())];
  const other = await run(program, [...first, "-c", file, ...stats, "--admin", admin]);
  assert.is(other.code, 1);
  assert.match(other.stderr, `admin: cannot listen on ${admin}: Address already in use`);
  assert.is((await next.stop()).code, 0);
});

// ------------------------------------------------------------------------------------------ StatsD

ours("StatsD gets the counts, the last of them when the proxy stops", async () => {
  const socket = dgram.createSocket("udp4");
  const got: string[] = [];
  socket.on("message", (message) => got.push(...String(message).split("\n")));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", () => resolve()));
  const redis = await startRedis();
  const own = await startProxy({
    "my.pool": { redis: true, servers: [at(redis)] },
  }, { global: { statsd: `127.0.0.1:${socket.address().port}` } });
  await until("the first lines", () => got.includes("ringmux.workers:1|g"));
  const wire = await Wire.open(own.port);
  wire.send(cmd("GET", "a").repeat(7));
  await wire.replies(7);
  await own.stop();
  const name = `ringmux.my_pool.127_0_0_1_${redis.port}`;
  const sum = () =>
    got.filter((line) => line.startsWith(`${name}.requests:`))
      .reduce((total, line) => total + Number(/:(\d+)\|c$/.exec(line)?.[1]), 0);
  await until("all requests", () => sum() === 7);
  socket.close();
});

ours("a connection to the admin address that sends nothing is closed", async () => {
  if (runtime === "deno") return; // Deno.serve has no such bound
  const silent = net.connect(admin, "127.0.0.1");
  silent.on("error", () => {});
  await new Promise((resolve) => silent.once("close", resolve).resume());
});

ours('--admin "*:port" is the loopback addresses, as for pools', async () => {
  const port = await freePort();
  const own = await startProxy({ p: { servers: [at(dead)] } }, { admin: `*:${port}` });
  await until(
    "the admin address",
    () => request("/healthz", {}, port).then(() => true, () => false),
  );
  await own.stop();
});

test.run();
