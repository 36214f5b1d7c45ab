// The command: options, checks of a configuration, signals, pid file, log file, and where it
// listens. Exit statuses and last lines are nutcracker's unless a test says otherwise.
// Needs: redis-server redis-cli memcached

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  command,
  freePort,
  isNutcracker,
  ours,
  type ProxyProcess,
  type Ran,
  run,
  type ServerProcess,
  startFake,
  startMemcached,
  startProxy,
  startRedis,
  tempPath,
  toYaml,
  until,
  which,
  Wire,
} from "./harness.ts";

const NAME = isNutcracker ? "nutcracker" : "ringmux";
let redis: ServerProcess;
let memcached: ServerProcess;

test.before(async () => {
  redis = await startRedis();
  memcached = await startMemcached();
});

/** Runs the command to its end. */
function call(...args: string[]): Promise<Ran> {
  const [program, first] = command();
  return run(program, [...first, ...args]);
}

function file(name: string, text: string): string {
  const path = tempPath(name);
  fs.writeFileSync(path, text);
  return path;
}

const good = () => `pool:\n  listen: 127.0.0.1:22121\n  servers:\n   - 127.0.0.1:6379:1\n`;

test("-V says name and version and exits with 0", async () => {
  const { code, stderr } = await call("-V");
  assert.is(code, 0);
  assert.match(stderr, new RegExp(`^This is ${NAME}-\\d+\\.\\d+\\.\\d+\nasync event backend: `));
  assert.is((await call("--version")).stderr, stderr);
});

test("-h lists every option and exits with 0", async () => {
  const { code, stderr } = await call("-h");
  assert.is(code, 0);
  assert.match(stderr, new RegExp(`^This is ${NAME}-`));
  for (
    const option of [
      ...["-h, --help", "-V, --version", "-t, --test-conf", "-d, --daemonize"],
      ...["-D, --describe-stats", "-v, --verbose=N", "-o, --output=S", "-c, --conf-file=S"],
      ...["-s, --stats-port=N", "-a, --stats-addr=S", "-i, --stats-interval=N", "-p, --pid-file=S"],
      "-m, --mbuf-size=N",
    ]
  ) {
    assert.ok(stderr.includes(option), option);
  }
});

test("-D describes every counter and exits with 0", async () => {
  const { code, stderr } = await call("-D");
  assert.is(code, 0);
  for (
    const field of [
      ...["client_eof", "client_err", "client_connections", "server_ejects", "forward_error"],
      ...["fragments", "server_eof", "server_err", "server_timedout", "server_connections"],
      ...["requests", "request_bytes", "responses", "response_bytes", "in_queue"],
      ...["in_queue_bytes", "out_queue", "out_queue_bytes"],
    ]
  ) {
    assert.match(stderr, new RegExp(`^ +${field} +"`, "m"), field);
  }
});

test("-t accepts a good file with nutcracker's line and status 0", async () => {
  const path = file("good.yml", good());
  const { code, stderr } = await call("-t", "-c", path);
  assert.is(stderr, `${NAME}: configuration file '${path}' syntax is ok\n`);
  assert.is(code, 0);
});

test("-t accepts the files that come with ringmux", async () => {
  for (const path of ["conf/nutcracker.yml", "conf/demo.yml"]) {
    const { code, stderr } = await call("-t", "-c", path);
    assert.is(code, 0, stderr);
  }
});

const BAD: [string, string, RegExp][] = [
  ["a distribution that is none", "distribution: ketma", /ketma.*did you mean ketama/],
  ["a hash that is none", "hash: fnv1b_64", /fnv1b_64/],
  ["an unknown key", "timeot: 400", /timeot/],
  ["a number that is none", "timeout: soon", /soon/],
  ["a truth that is none", "redis: yes", /yes/],
];

for (const [title, line, reason] of BAD) {
  test(`-t refuses ${title} with status 1`, async () => {
    const path = file("bad.yml", good().replace("  servers", `  ${line}\n  servers`));
    const { code, stderr } = await call("-t", "-c", path);
    assert.is(code, 1);
    const last = `${NAME}: configuration file '${path}' syntax is invalid`;
    assert.is(stderr.trimEnd().split("\n").at(-1), last);
    // nutcracker does not say why; ringmux names file, line and reason.
    if (!isNutcracker) {
      assert.match(stderr, reason);
      assert.ok(stderr.startsWith(`${path}:3: `), stderr);
    }
  });
}

test("-t refuses what is no pool, no YAML, or not there", async () => {
  const broken = ["", "pool:\n", "pool:\n  listen: 127.0.0.1:22121\n", "a: [1, 2\n", "\t- x\n"];
  for (const text of broken) {
    const path = file("broken.yml", text);
    const { code, stderr } = await call("-t", "-c", path);
    assert.is(code, 1, text);
    assert.ok(stderr.endsWith(`configuration file '${path}' syntax is invalid\n`), stderr);
  }
  const { code, stderr } = await call("-t", "-c", tempPath("nowhere.yml"));
  assert.is(code, 1);
  assert.match(stderr, /syntax is invalid\n$/);
});

test("options that are wrong are named, with status 1", async () => {
  const rows: [string[], RegExp][] = [
    [["-x"], /^(ringmux|nutcracker): invalid option -- 'x'$/m],
    [["-s"], /^(ringmux|nutcracker): option -s requires a number$/m],
    [["-s", "0"], /^(ringmux|nutcracker): option -s value 0 is not a valid port$/m],
    [["-s", "x"], /^(ringmux|nutcracker): option -s requires a number$/m],
    [["-c"], /^(ringmux|nutcracker): option -c requires a file name$/m],
    [["-m", "0"], /^(ringmux|nutcracker): option -m requires a non-zero number$/m],
    [["-m", "5"], /mbuf chunk size must be between 512 and 16777216 bytes$/m],
  ];
  for (const [args, expected] of rows) {
    const { code, stderr } = await call(...args);
    assert.is(code, 1, args.join(" "));
    assert.match(stderr, expected);
  }
});

/** A proxy over the one redis-server. */
function proxyWith(args: string[] = [], more: Record<string, string> = {}): Promise<ProxyProcess> {
  return startProxy({ pool: { redis: true, ...more, servers: [at(redis)] } }, { args });
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} ends it, and nobody listens any more`, async () => {
    const proxy = await proxyWith();
    const idle = await Wire.open(proxy.port);
    assert.is(await idle.ask("PING"), "+PONG\r\n");
    const { code, signal: by } = await proxy.stop(signal);
    if (!isNutcracker) assert.equal([code, by], [0, null], proxy.output());
    else assert.ok(code === 1 || by === signal);
    assert.is(await Wire.open(proxy.port).then(() => "open", () => "refused"), "refused");
    await until("the client to be told", () => idle.ended);
  });
}

ours("the pid file holds the pid while it runs, and goes when it ends", async () => {
  const path = tempPath("ringmux.pid");
  const proxy = await proxyWith(["-p", path]);
  await until("the pid file", () => fs.existsSync(path) && fs.readFileSync(path, "utf8") !== "");
  assert.is(fs.readFileSync(path, "utf8"), String(proxy.pid));
  await proxy.stop();
  assert.not.ok(fs.existsSync(path), "the pid file is removed");
});

test("the log goes to the file of -o, and SIGHUP opens it anew", async () => {
  const path = tempPath("proxy.log");
  const proxy = await proxyWith(["-o", path]);
  await until("the first line", () => /started on pid/.test(fs.readFileSync(path, "utf8")));
  assert.match(fs.readFileSync(path, "utf8"), /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] /);
  fs.renameSync(path, `${path}.1`);
  proxy.kill("SIGHUP");
  await until("the new file", () => fs.existsSync(path));
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("PING"), "+PONG\r\n");
});

test("a port that is taken ends the start with status 1 and a reason", async () => {
  const fake = await startFake(() => {});
  const path = file(
    "taken.yml",
    good().replace("22121", String(fake.port)),
  );
  const statsPort = String(await freePort());
  const { code, stderr } = await call(
    "-c",
    path,
    "-a",
    "127.0.0.1",
    "-s",
    statsPort,
    "-p",
    tempPath("x"),
  );
  assert.is(code, 1);
  if (!isNutcracker) {
    assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${fake.port}`));
    assert.match(stderr, /in use/i);
  }
});

test("it does not start with a bad configuration", async () => {
  const path = file("bad.yml", good().replace("servers", "severs"));
  const { code } = await call("-c", path, "-s", String(await freePort()), "-p", tempPath("x"));
  assert.is(code, 1);
});

ours("the configuration file may be named without -c", async () => {
  const path = file("good.yml", good());
  assert.is((await call("-t", path)).code, 0);
});

test("it listens on a unix socket with the mode it is told", async () => {
  const path = tempPath("listen.sock");
  const proxy = await proxyWith([], { listen: `${path} 0620` });
  const wire = await Wire.open({ path });
  assert.is(await wire.ask("SET", "unix", "yes"), "+OK\r\n");
  assert.is(await wire.ask("GET", "unix"), bulk("yes"));
  assert.is(fs.statSync(path).mode & 0o777, 0o620);
  const ran = await run(which("redis-cli"), ["-s", path, "get", "unix"]);
  assert.is(ran.stdout, "yes\n");
  await proxy.stop("SIGKILL");
  // A socket left behind by a proxy that was killed is in nobody's way.
  assert.ok(fs.lstatSync(path).isSocket());
  await proxyWith([], { listen: `${path} 0600` });
  assert.is(await (await Wire.open({ path })).ask("GET", "unix"), bulk("yes"));
  assert.is(fs.statSync(path).mode & 0o777, 0o600);
});

for (const workers of ["1", "2"]) {
  ours(
    `what is somebody else's is left alone where a unix socket is to be, --workers ${workers}`,
    async () => {
      const redis = await startRedis();
      const pool = (listen: string) => ({ p: { listen, redis: true, servers: [at(redis)] } });
      const more = { args: ["--workers", workers] };
      const path = tempPath("taken.sock");
      const owner = await startProxy(pool(path), more);
      const file = tempPath("file.sock");
      fs.writeFileSync(file, "precious");
      const folder = tempPath("folder.sock");
      fs.mkdirSync(folder);
      const link = tempPath("link.sock");
      fs.symlinkSync(file, link);
      const [program, first] = command();
      for (
        const [listen, why] of [
          [path, "Address already in use"],
          ...[file, folder, link].map((one) => [one, "a file is there that is no socket"]),
        ]
      ) {
        const conf = tempPath("second.yml");
        fs.writeFileSync(conf, toYaml(pool(listen)));
        const stats = ["-a", "127.0.0.1", "-s", String(await freePort()), "--admin", "off"];
        const ran = await run(program, [...first, "-c", conf, ...stats, ...more.args]);
        assert.is(ran.code, 1, listen);
        assert.match(ran.stderr, `pool "p": cannot listen on ${listen}: ${why}`);
      }
      assert.is(fs.readFileSync(file, "utf8"), "precious");
      assert.ok(fs.statSync(folder).isDirectory());
      assert.ok(fs.lstatSync(link).isSymbolicLink());
      assert.is(await (await Wire.open({ path })).ask("SET", "a", "b"), "+OK\r\n");
      assert.is((await owner.stop()).code, 0);
    },
  );
}

test("a server may be behind a unix socket", async () => {
  const path = tempPath("server.sock");
  await startRedis({ args: ["--unixsocket", path] });
  const proxy = await startProxy({ pool: { redis: true, servers: [`${path}:1 behind`] } });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("SET", "a", "1"), "+OK\r\n");
  assert.is(await wire.ask("GET", "a"), bulk("1"));
});

test("it listens on IPv6 and connects to IPv6", async () => {
  const port = await freePort();
  const proxy = await startProxy({
    pool: { listen: `::1:${port}`, redis: true, servers: [`::1:${redis.port}:1 six`] },
  });
  const wire = await Wire.open({ host: "::1", port: proxy.port });
  assert.is(await wire.ask("SET", "six", "6"), "+OK\r\n");
  assert.is(await wire.ask("GET", "six"), bulk("6"));
});

test("several pools of both protocols live in one process and share nothing", async () => {
  const proxy = await startProxy({
    one: { redis: true, redis_db: 1, servers: [at(redis)] },
    two: { redis: true, redis_db: 2, servers: [at(redis)] },
    mc: { servers: [at(memcached)] },
  });
  const [one, two, mc] = await Promise.all(
    ["one", "two", "mc"].map((name) => Wire.open(proxy.ports[name])),
  );
  assert.is(await one.ask("SET", "k", "1"), "+OK\r\n");
  assert.is(await two.ask("GET", "k"), "$-1\r\n");
  assert.is(await two.ask("SET", "k", "2"), "+OK\r\n");
  assert.is(await one.ask("GET", "k"), bulk("1"));
  assert.is(await mc.send("get k\r\n").line(), "END\r\n");
  const stats = await proxy.stats();
  for (const name of ["one", "two", "mc"]) assert.type(stats[name].client_eof, "number");
});

test("each client gets its answer when a hundred connect at once", async () => {
  const proxy = await proxyWith([], { backlog: "128" });
  const wires = await Promise.all(Array.from({ length: 100 }, () => Wire.open(proxy.port)));
  wires.forEach((wire, i) => wire.send(cmd("SET", `many:${i}`, i) + cmd("GET", `many:${i}`)));
  for (const [i, wire] of wires.entries()) {
    assert.equal(await wire.replies(2), ["+OK\r\n", bulk(String(i))]);
  }
});

test.run();
