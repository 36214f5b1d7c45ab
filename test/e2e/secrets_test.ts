// Secrets of a running ringmux: read at start, at -t and at a reload, and never shown anywhere.
// Needs: redis-server memcached

import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  cmd,
  command,
  exchange,
  type ProxyProcess,
  run,
  type ServerProcess,
  startMemcached,
  startProxy,
  startRedis,
  tempPath,
  until,
  Wire,
} from "./harness.ts";

/** Words that occur nowhere else. */
const SECRETS = {
  server: "sesame-of-the-server",
  main: "sesame-of-the-pool",
  ann: "sesame-of-ann",
  bob: "sesame-of-bob",
  memcached: "sesame-of-memcached",
};

let proxy: ProxyProcess;
let redis: ServerProcess;

function secretFile(name: string, text: string, mode = 0o600): string {
  const file = tempPath(name);
  fs.writeFileSync(file, text);
  fs.chmodSync(file, mode);
  return file;
}

test.before(async () => {
  redis = await startRedis({ args: ["--requirepass", SECRETS.server] });
  const memcached = await startMemcached();
  const server = secretFile("server", `${SECRETS.server}\nnot this\n`);
  const ann = secretFile("ann", SECRETS.ann, 0o644);
  proxy = await startProxy({
    cache: {
      redis: true,
      redis_auth_file: server,
      auth:
        `{password_env: RINGMUX_TEST_MAIN, users: {ann: {password_file: ${path.basename(ann)}}, ` +
        `bob: {password: ${SECRETS.bob}, access: read-only}}}`,
      servers: [at(redis)],
    },
    // nutcracker's way: one password for both.
    old: { redis: true, redis_auth: SECRETS.server, servers: [at(redis)] },
    mc: { auth: `{users: {ann: {password: ${SECRETS.memcached}}}}`, servers: [at(memcached)] },
  }, { args: ["-v", "11"], env: { RINGMUX_TEST_MAIN: SECRETS.main } });
});

function isClean(text: string, where: string): void {
  for (const secret of [...Object.values(SECRETS), "sesame"]) {
    assert.not.ok(text.includes(secret), `${where} shows "${secret}":\n${text.slice(0, 2000)}`);
  }
}

test("passwords come from files beside the configuration, variables and the configuration", async () => {
  const known: [string, string][] = [["default", "main"], ["ann", "ann"], ["bob", "bob"]];
  for (const [user, secret] of known) {
    const password = SECRETS[secret as keyof typeof SECRETS];
    const got = await exchange(proxy.ports.cache, cmd("AUTH", user, password) + cmd("GET", "none"));
    assert.is(got, "+OK\r\n$-1\r\n", user);
  }
  assert.is(
    await exchange(proxy.ports.old, cmd("AUTH", SECRETS.server) + cmd("GET", "none")),
    "+OK\r\n$-1\r\n",
  );
});

test("no password is in any answer, in the stats or in the log", async () => {
  const port = proxy.ports.cache;
  const asks: string[][] = [
    ...[["INFO"], ["INFO", "everything"], ["CLIENT", "LIST"], ["CLIENT", "INFO"], ["ACL", "USERS"]],
    ...[["ACL", "LIST"], ["ACL", "GETUSER", "ann"], ["ACL", "WHOAMI"], ["CONFIG", "GET", "*"]],
    ...[["CONFIG", "GET", "requirepass"], ["CONFIG", "GET", "maxmemory", "[r]equirepass"]],
    ...[["CONFIG", "GET", "REQ*"], ["CONFIG", "GET", "master?uth"], ["SLOWLOG", "GET"], ["ROLE"]],
    ...[["HELLO", "3"], ["LOLWUT"], ["NOPE", "x"], ["AUTH", "ann", "wrong"], [
      "AUTH",
      "a",
      "b",
      "c",
    ]],
    ...[["COMMAND", "GETKEYS", "GET", "k"], ["MULTI"], ["CONFIG", "GET", "requirepass"], ["EXEC"]],
  ];
  const wire = await Wire.open(port);
  assert.is(await wire.ask("AUTH", SECRETS.main), "+OK\r\n");
  for (const words of asks) isClean(await wire.ask(...words), words.join(" "));
  wire.close();
  // Wrong attempts of all kinds, a password in the place of the name among them.
  const attempts = cmd("AUTH", SECRETS.ann, "ann") + cmd("AUTH", "ann", SECRETS.bob) +
    cmd("AUTH", SECRETS.server) + cmd("HELLO", "3", "AUTH", SECRETS.main, "x") +
    cmd("AUTH", "bob", SECRETS.bob) + cmd("SET", "a", "b");
  isClean(await exchange(port, attempts), "the answer to wrong attempts");
  isClean(await exchange(proxy.ports.old, cmd("AUTH", SECRETS.ann)), "redis_auth's answer");
  const set = `set a 0 0 ${4 + SECRETS.main.length}\r\nann ${SECRETS.main}\r\n`;
  isClean(await exchange(proxy.ports.mc, set), "memcached's answer");
  isClean(await proxy.statsText(), "the stats");
  await until("the failures to be logged", () => proxy.output().includes("authentication as"));
  isClean(proxy.output(), "the log");
});

test("CONFIG GET of what is no password works", async () => {
  const got = await exchange(
    proxy.ports.cache,
    cmd("AUTH", SECRETS.main) + cmd("CONFIG", "GET", "maxmemory-p*", "save"),
  );
  assert.match(got, /maxmemory-policy/);
});

test("a secret that everybody can read is warned of in the log", () => {
  assert.match(proxy.output(), /ringmux\.yml:\d+: pool "cache": auth\.users\.ann\.password_file: /);
  assert.match(proxy.output(), "can be read by everybody (mode 644)");
});

/** What `ringmux -t` (or a start) says of a pool with these lines. */
async function check(lines: string[], args: string[]): Promise<{ code: number; said: string }> {
  const conf = tempPath("conf.yml");
  const text = ["p:", "  listen: 127.0.0.1:1", "  redis: true", ...lines, "  servers:"];
  fs.writeFileSync(conf, `${text.join("\n")}\n   - 127.0.0.1:2:1\n`);
  const [program, first] = command();
  const { code, stdout, stderr } = await run(program, [...first, ...args, "-c", conf]);
  return { code, said: (stdout + stderr).replaceAll(conf, "conf.yml") };
}

test("-t and a start say what is wrong with a secret, and do not show one", async () => {
  const empty = path.basename(secretFile("empty", ""));
  const open = path.basename(secretFile("open", SECRETS.ann, 0o666));
  const wrong = [
    ...["  redis_auth_file: none", "  auth:", `    password_file: ${empty}`, "    users:"],
    ...["      a: {password_env: RINGMUX_TEST_NOT_SET}", `      b: {password: ${SECRETS.bob}}`],
  ];
  for (const args of [["-t"], []]) {
    const { code, said } = await check(wrong, args);
    assert.is(code, 1);
    assert.is(
      said,
      'conf.yml:4: pool "p": redis_auth_file: file "none" cannot be read: no such file or directory\n' +
        `conf.yml:6: pool "p": auth.password_file: file "${empty}" is empty; its first line has to ` +
        "be the secret\n" +
        'conf.yml:8: pool "p": auth.users.a.password_env: environment variable ' +
        '"RINGMUX_TEST_NOT_SET" is not set\n' +
        "ringmux: configuration file 'conf.yml' syntax is invalid\n",
    );
  }
  const fine = await check([`  redis_auth_file: ${open}`], ["-t"]);
  assert.is(fine.code, 0);
  assert.match(fine.said, "can be read by everybody (mode 666)");
  isClean(fine.said, "-t");
  const mistakes = await check([
    `  redis_auth: [${SECRETS.server}]`,
    `  auth: {password: {a: ${SECRETS.main}}, users: {a: {password: [${SECRETS.ann}]}}}`,
  ], ["-t"]);
  assert.is(mistakes.code, 1);
  isClean(mistakes.said, "-t");
});

test("a reload whose secret is gone is refused", async () => {
  const before = proxy.output().length;
  fs.writeFileSync(
    proxy.confPath,
    fs.readFileSync(proxy.confPath, "utf8").replace("_MAIN", "_GONE"),
  );
  proxy.kill("SIGUSR2");
  await until("the reload", () => proxy.output().includes("not reloaded"));
  assert.match(proxy.output().slice(before), 'environment variable "RINGMUX_TEST_GONE" is not set');
  isClean(proxy.output(), "the log");
  assert.is(await exchange(proxy.ports.cache, cmd("AUTH", SECRETS.main)), "+OK\r\n");
});

test.run();
