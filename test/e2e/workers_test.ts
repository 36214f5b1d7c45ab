// Reload, drain, several workers and takeover, with real servers and clients that check every reply.
// Needs: redis-server memcached

import * as fs from "node:fs";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  command,
  freePort,
  ours,
  type ProxyProcess,
  run,
  Running,
  runtime,
  type ServerProcess,
  several,
  startFake,
  startMemcached,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

let redis: ServerProcess[];
let memcached: ServerProcess[];

test.before(async () => {
  redis = await several(3, startRedis);
  memcached = await several(2, startMemcached);
});

/** A client that sets and gets, and looks at every reply, until it is told to stop. */
class Load {
  readonly done: Promise<void>;
  rounds = 0;
  private over = false;

  constructor(wires: Wire[], ask: (wire: Wire, n: number) => Promise<void>) {
    this.done = Promise.all(wires.map(async (wire) => {
      let n = 0;
      while (!this.over) {
        await ask(wire, n++);
        this.rounds++;
      }
      wire.close();
    })).then(() => {});
    this.done.catch(() => {}); // seen by `stop`
  }

  /** After that many more rounds. */
  async stop(more: number): Promise<void> {
    const enough = this.rounds + more;
    await Promise.race([this.done, until("more rounds", () => this.rounds >= enough, 30_000)]);
    this.over = true;
    await this.done;
  }
}

let serial = 0;

/** Pipelines over many keys, each of which is set and read in one go. */
async function redisRound(wire: Wire): Promise<void> {
  const keys = Array.from({ length: 20 }, () => `k${serial++ % 5000}:${wire.socket.localPort}`);
  wire.send(keys.map((key) => cmd("SET", key, key) + cmd("GET", key)).join(""));
  const expected = keys.flatMap((key) => ["+OK\r\n", bulk(key)]);
  assert.equal(await wire.replies(2 * keys.length), expected);
}

async function memcachedRound(wire: Wire, n: number): Promise<void> {
  const key = `m${n % 100}:${wire.socket.localPort}`;
  wire.send(`set ${key} 0 0 ${key.length}\r\n${key}\r\nget ${key}\r\n`);
  assert.is(await wire.line(), "STORED\r\n");
  assert.is(await wire.readUntil("END\r\n"), `VALUE ${key} 0 ${key.length}\r\n${key}\r\nEND\r\n`);
}

function edit(proxy: ProxyProcess, change: (text: string) => string): void {
  const text = fs.readFileSync(proxy.confPath, "utf8");
  // As editors do it.
  const next = `${proxy.confPath}.new`;
  fs.writeFileSync(next, change(text));
  fs.renameSync(next, proxy.confPath);
}

/** Reloads and waits until the log says so. */
async function reload(proxy: ProxyProcess, change: (text: string) => string): Promise<void> {
  const before = proxy.output().split("configuration reloaded from").length;
  edit(proxy, change);
  proxy.kill("SIGUSR2");
  await until(
    `the reload\n${proxy.output()}`,
    () => proxy.output().split("configuration reloaded from").length > before,
  );
}

ours("reloads under load: servers come and go, and every reply is right", async () => {
  const [one, two, three] = redis.map((server, i) => at(server, 1, `s${i}`));
  const proxy = await startProxy({
    r: { redis: true, servers: [one, two] },
    m: { servers: memcached.map((server, i) => at(server, 1, `m${i}`)) },
  });
  const wires = await several(4, () => Wire.open(proxy.ports.r));
  const load = new Load(wires, redisRound);
  const others = await several(2, () => Wire.open(proxy.ports.m));
  const memcachedLoad = new Load(others, memcachedRound);
  const third = `\n   - ${three}`;
  for (let i = 0; i < 3; i++) {
    await reload(proxy, (text) => text.replace(`- ${two}`, `- ${two}${third}`));
    await reload(proxy, (text) => text.replace("r:\n", "r:\n  timeout: 5000\n"));
    await reload(proxy, (text) => text.replace(third, "").replace("  timeout: 5000\n", ""));
  }
  await reload(proxy, (text) => text.replace("m:\n", "m:\n  server_connections: 3\n"));
  await load.stop(20);
  await memcachedLoad.stop(20);
  assert.match(proxy.output(), /pool "r": server "s2" \(127\.0\.0\.1:\d+\) added/);
  assert.match(proxy.output(), /pool "r": server "s2" \(127\.0\.0\.1:\d+\) removed/);
  const stats = await proxy.stats();
  assert.is(stats.r.forward_error + stats.m.forward_error, 0);
  assert.equal(Object.keys(stats.r).filter((name) => /^s\d$/.test(name)), ["s0", "s1"]);
});

ours(
  "a file with mistakes, and an address that is taken, change nothing and are told",
  async () => {
    const taken = await startFake(() => {});
    const proxy = await startProxy({ r: { redis: true, servers: [at(redis[0], 1, "s0")] } });
    const good = fs.readFileSync(proxy.confPath, "utf8");
    const wire = await Wire.open(proxy.port);
    const refused = async (text: string, why: RegExp) => {
      edit(proxy, () => text);
      proxy.kill("SIGUSR1");
      await until(`${why}\n${proxy.output()}`, () => why.test(proxy.output()));
      assert.is(await wire.ask("PING"), "+PONG\r\n");
      assert.is(await (await Wire.open(proxy.port)).ask("SET", "k", "1"), "+OK\r\n");
    };
    await refused(good.replace("servers", "severs"), /key "severs" is not known/);
    const more = good.replace("r:", "n:").replace(String(proxy.port), String(taken.port));
    await refused(
      good.replace(":1 s0", ":2 s0") + more,
      /pool "n": cannot listen on 127\.0\.0\.1:\d+: Address already in use/,
    );
    assert.not.match(proxy.output(), /weight 2/);
    await reload(proxy, () => good.replace(":1 s0", ":3 s0"));
    assert.match(proxy.output(), /server "s0" has weight 3 now, not 1/);
  },
);

ours("with watch: true a changed file is taken over by itself", async () => {
  const proxy = await startProxy({
    r: { redis: true, servers: [at(redis[0], 1, "s0")] },
  }, { global: { watch: true } });
  edit(proxy, (text) => text.replace(":1 s0", ":2 s0"));
  await until("the reload", () => /weight 2 now/.test(proxy.output()));
});

ours("SIGTERM: what is in flight is answered, then it ends; idle, it ends at once", async () => {
  const fake = await startFake((socket) => {
    socket.on("data", () => setTimeout(() => socket.write("+late\r\n"), 300));
  });
  const proxy = await startProxy({ r: { redis: true, servers: [at(fake.port)] } });
  const [busy, idle] = await several(2, () => Wire.open(proxy.port));
  assert.is(await idle.ask("PING"), "+PONG\r\n");
  busy.send(cmd("GET", "k"));
  await until("the request", () => fake.received() !== "");
  proxy.kill("SIGTERM");
  assert.is(await idle.rest(), "");
  assert.is(await busy.rest(), "+late\r\n");
  assert.is((await proxy.exited()).code, 0);
});

ours("the drain ends after drain_timeout; a second signal ends it at once", async () => {
  const fake = await startFake(() => {});
  for (const signals of [1, 2]) {
    const proxy = await startProxy({
      r: { redis: true, servers: [at(fake.port)] },
    }, { global: { drain_timeout: signals === 1 ? 300 : 60_000 } });
    const wire = await Wire.open(proxy.port);
    wire.send(cmd("GET", "k"));
    const before = fake.received().length;
    await until("the request", () => fake.received().length >= before && fake.accepted >= signals);
    proxy.kill("SIGINT");
    if (signals === 2) {
      await until("the first", () => /SIGINT\) received/.test(proxy.output()));
      proxy.kill("SIGINT");
    }
    assert.is((await proxy.exited()).code, signals - 1);
  }
});

const two = ["--workers", "2"];

async function workerPids(proxy: ProxyProcess): Promise<number[]> {
  // The line comes after the ports take connections.
  const pids = () => /2 workers: pids (\d+), (\d+)/.exec(proxy.output());
  return (await until("the workers' pids", pids))!.slice(1).map(Number);
}

ours("two workers: stats are summed, a killed one is replaced, and both end with it", async () => {
  const socket = tempPath("workers.sock");
  const proxy = await startProxy({
    r: { redis: true, servers: [at(redis[0], 1, "s0")] },
    u: { listen: socket, redis: true, servers: [at(redis[0], 1, "s0")] },
  }, { args: two });
  const wires = await several(16, () => Wire.open(proxy.ports.r));
  for (const wire of wires) assert.is(await wire.ask("SET", "k", "1"), "+OK\r\n");
  const unix = await Wire.open({ path: socket });
  assert.is(await unix.ask("GET", "k"), bulk("1"));
  const stats = await proxy.stats();
  assert.is(stats.r.client_connections, 16);
  assert.is(stats.r.s0.requests, 16);
  assert.is(stats.u.s0.requests, 1);
  const [, victim] = await workerPids(proxy);
  const environment = fs.readFileSync(`/proc/${victim}/environ`, "utf8").split("\0");
  const isTold = environment.includes("DENO_V8_FLAGS=--no-incremental-marking");
  assert.is(isTold, runtime === "deno", "how Deno's engine collects garbage");
  process.kill(victim, "SIGKILL");
  await until("another", () => /worker 2 started again, pid \d+/.test(proxy.output()), 30_000);
  let alive = 0;
  for (const wire of wires) {
    const reply = await wire.send(cmd("GET", "k")).reply().catch(() => "lost");
    if (reply === bulk("1")) alive++;
    else assert.is(reply, "lost");
  }
  assert.ok(alive > 0 && alive < 16, `${alive} of 16 are left`);
  const again = await Wire.open({ path: socket }); // the other one's worker may be the killed one
  assert.is(await again.ask("GET", "k"), bulk("1"));
  for (const wire of await several(8, () => Wire.open(proxy.ports.r))) {
    assert.is(await wire.ask("GET", "k"), bulk("1"));
  }
  await reload(proxy, (text) => text.replaceAll(":1 s0", ":2 s0"));
  const pids = await workerPids(proxy);
  assert.is((await proxy.stop()).code, 0);
  await until("the workers' end", () => pids.every((pid) => !isAlive(pid)));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

ours("workers end by themselves when their supervisor is killed", async () => {
  const proxy = await startProxy({ r: { redis: true, servers: [at(redis[0])] } }, { args: two });
  const pids = await workerPids(proxy);
  proxy.kill("SIGKILL");
  await until("their end", () => pids.every((pid) => !isAlive(pid)));
});

ours("a port that is taken ends the start of several workers with one message", async () => {
  const taken = await startFake(() => {});
  const path = tempPath("taken.yml");
  fs.writeFileSync(path, `p:\n  listen: 127.0.0.1:${taken.port}\n  servers:\n   - 127.0.0.1:1:1\n`);
  const [program, first] = command();
  const port = String(await freePort());
  const ran = await run(program, [...first, "-c", path, "-a", "127.0.0.1", "-s", port, ...two]);
  assert.is(ran.code, 1);
  const lines = ran.stderr.split("\n").filter((line) => /in use/.test(line));
  assert.is(lines.length, 1, ran.stderr);
});

/** Node 20 has no SO_REUSEPORT. */
const takeover = runtime === "node" && Number(process.versions.node.split(".")[0]) < 22
  ? test.skip
  : ours;

for (const workers of [1, 2]) {
  takeover(`takeover with ${workers} workers: nobody is refused`, async () => {
    const pidFile = tempPath("takeover.pid");
    const args = ["-p", pidFile, "--workers", String(workers)];
    const admin = `127.0.0.1:${await freePort()}`;
    const old = await startProxy({
      r: { redis: true, servers: [at(redis[0])] },
    }, { admin, args, global: { reuse_port: workers === 1 } });
    const long = await Wire.open(old.port);
    assert.is(await long.ask("SET", "k", "1"), "+OK\r\n");
    const errors: string[] = [];
    let asked = 0;
    let over = false;
    const looping = (async () => {
      while (!over) {
        try {
          const wire = await Wire.open(old.port);
          if (await wire.ask("GET", "k") !== bulk("1")) errors.push("wrong");
          wire.close();
          asked++;
        } catch (error) {
          errors.push(String((error as { code?: string }).code ?? error));
        }
      }
    })();
    const [program, first] = command();
    const next = new Running(runtime, program, [
      ...first,
      ...["-c", old.confPath, "-a", "127.0.0.1", "-s", String(old.statsPort)],
      ...[...args, "--admin", admin, "--takeover"],
    ]);
    assert.is((await old.exited()).code, 0, next.output());
    const counts = JSON.parse(await (await Wire.open(old.statsPort)).rest());
    assert.ok("r" in counts, JSON.stringify(counts));
    const status = await (await fetch(`http://${admin}/status`)).json();
    assert.is(status.workers, workers);
    // Sharing is for those who follow: another ringmux is refused the stats port.
    const other = tempPath("other.yml");
    fs.writeFileSync(
      other,
      `global: { reuse_port: true }\np:\n  listen: 127.0.0.1:${await freePort()}\n` +
        `  servers:\n    - 127.0.0.1:1:1\n`,
    );
    const stats = ["-a", "127.0.0.1", "-s", String(old.statsPort)];
    const refused = await run(program, [
      ...first,
      "-c",
      other,
      ...stats,
      "--workers",
      `${workers}`,
    ]);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, "stats: cannot listen on");
    const before = asked;
    await until("more requests", () => asked > before + 50);
    over = true;
    await looping;
    // What waits in the old one's accept queue at the moment that it closes is reset by the kernel
    // (docs/operations.md): rare, and never a refusal.
    assert.equal(errors.filter((error) => !error.includes("ECONNRESET")), []);
    assert.ok(errors.length <= 2, `${errors.length} of ${asked} connections were reset`);
    assert.is(fs.readFileSync(pidFile, "utf8"), String(next.pid));
    assert.is((await next.stop()).code, 0);
  });
}

test.run();
