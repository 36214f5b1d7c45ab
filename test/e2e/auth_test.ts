// Users of a Redis pool: who may come in and what they may do, byte by byte beside a real
// redis-server with the same users, and with the client libraries people use.
// Needs: redis-server redis-cli

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Redis } from "ioredis";
import { createClient } from "redis";
import {
  array,
  at,
  cmd,
  exchange,
  type ProxyProcess,
  random,
  run,
  sameBytes,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";
import { bytes } from "../../core/bytes.ts";
import { type User, Users } from "../../core/protocol/access.ts";
import { DONE, type Facts, REFUSE, Scan } from "../../core/protocol/codec.ts";
import { RedisCodec } from "../../core/protocol/redis/codec.ts";
import { COMMANDS, SUB } from "../../core/protocol/redis/commands.ts";

let proxy: ProxyProcess;
/** The server with ACL users of its own. */
let judge: ServerProcess;
let servers: ServerProcess[];
let guarded: ServerProcess;

/** What a user with `access: read-only` is to an ACL: all that redis flags as changing nothing. */
const READER = "-@all +@read +@connection +multi +exec +discard +watch +unwatch +info +command " +
  "+time +role +lastsave +acl|whoami +acl|cat +script|exists +function|list +eval_ro +evalsha_ro " +
  "+fcall_ro -getex -xreadgroup +acl|genpass +lolwut +acl|help +config|help +function|help " +
  "+latency|help +memory|help +module|help +script|help +slowlog|help +xgroup|help " +
  "+xinfo|help +object|help +@pubsub +pubsub|help -publish " +
  "-spublish";
const ACL = [
  "user default on >main-secret ~* &* +@all",
  "user alice on >alice-secret ~a:* ~shared* &a:* &shared* +@all -eval -evalsha -fcall",
  `user ro on >ro-secret ~* &* ${READER}`,
  "user free on >free-secret ~* &* +@all",
];
const USERS = "{free: {password: free-secret}, ro: {password: ro-secret, access: read-only}, " +
  "alice: {password: alice-secret, prefixes: ['a:', shared]}, " +
  "scripts: {password: scripts-secret, prefixes: ['a:'], scripts: true}}";

test.before(async () => {
  const conf = tempPath("acl.conf");
  fs.writeFileSync(conf, `${ACL.join("\n")}\n`);
  const aclfile = tempPath("users.acl");
  fs.writeFileSync(aclfile, `${ACL.join("\n")}\n`);
  judge = await startRedis({ args: ["--aclfile", aclfile] });
  servers = await several(2, () => startRedis());
  const file = tempPath("guard.acl");
  fs.writeFileSync(file, "user default off\nuser proxy on >server-secret ~* &* +@all\n");
  guarded = await startRedis({ args: ["--aclfile", file] });
  const lines = servers.map((server) => at(server));
  proxy = await startProxy({
    main: { redis: true, auth: `{password: main-secret, users: ${USERS}}`, servers: [lines[0]] },
    named: { redis: true, auth: `{users: ${USERS}}`, servers: [lines[0]] },
    two: { redis: true, auth: `{password: main-secret, users: ${USERS}}`, servers: lines },
    behind: {
      redis: true,
      redis_user: "proxy",
      redis_auth: "server-secret",
      auth: "{users: {ann: {password: ann-secret}}}",
      servers: [at(guarded)],
    },
    wrong: {
      redis: true,
      redis_user: "nobody",
      redis_auth: "server-secret",
      auth: "{users: {ann: {password: ann-secret}}}",
      servers: [at(guarded)],
    },
  });
});

const userOf = (name: string, settings: Partial<User>): User => ({
  ...{ name, password: "p", readOnly: false, prefixes: [], scripts: false },
  ...settings,
});
const log = (user: string): string => cmd("AUTH", user, `${user}-secret`);
const lines = (...commands: string[]): string =>
  commands.map((line) => cmd(...line.split(" "))).join("");

/** The same bytes go to the proxy's pool and to the server: so have the answers to be. */
async function same(what: string, input: string): Promise<void> {
  const quit = input + cmd("QUIT");
  const expected = await exchange(judge.port, quit);
  sameBytes(await exchange(proxy.port, quit), expected, what);
}

test("AUTH and HELLO answer as redis-server does", async () => {
  await same("before anything", lines("GET a", "PING", "NOPE", "GET", "AUTH", "RESET", "GET a"));
  await same("passwords", lines("AUTH x", "AUTH default x", "AUTH nobody x", "AUTH a b c"));
  await same(
    "the default user",
    lines("AUTH main-secret", "ACL WHOAMI", "GET a", "AUTH no", "GET a"),
  );
  await same(
    "from one user to another",
    log("ro") + cmd("ACL", "WHOAMI") + cmd("AUTH", "alice", "no") + cmd("ACL", "WHOAMI") +
      log("alice") + cmd("ACL", "WHOAMI") + lines("RESET", "GET a", "PING"),
  );
  await same(
    "HELLO before AUTH",
    lines("HELLO", "HELLO 2", "HELLO 3", "HELLO 4", "HELLO x", "HELLO 3 AUTH alice no"),
  );
  await same(
    "a name that cannot be",
    cmd("HELLO", "3", "AUTH", "alice", "alice-secret", "SETNAME", "a b") + cmd("ACL", "WHOAMI"),
  );
});

test("HELLO 2 and 3 authenticate and name the client", async () => {
  for (const version of ["2", "3"]) {
    const wire = await Wire.open(proxy.port);
    const auth = ["AUTH", "ro", "ro-secret", "SETNAME", "me"];
    assert.match(
      await wire.ask("HELLO", version, ...auth),
      new RegExp(`proto\\r\\n:${version}\r\n`),
    );
    assert.is(await wire.ask("CLIENT", "GETNAME"), "$2\r\nme\r\n");
    assert.match(await wire.ask("CLIENT", "INFO"), / user=ro /);
    wire.close();
  }
});

test("without a password of its own the default user is off", async () => {
  const wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  const got = await exchange(
    proxy.ports.named,
    lines("AUTH main-secret", "AUTH default main-secret", "GET a") + log("free") + lines("PING"),
  );
  assert.is(got, `${wrong}${wrong}-NOAUTH Authentication required.\r\n+OK\r\n+PONG\r\n`);
});

test("before AUTH a request may not be large, as in Redis", async () => {
  const cases: [string, string][] = [
    ["eleven arguments", "*11\r\n$4\r\nMGET\r\n"],
    ["ten", lines("MGET a b c d e f g h i")],
    ["a bulk too long", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$16385\r\n"],
    ["a long AUTH", "*2\r\n$4\r\nAUTH\r\n$16385\r\n"],
    ["a bulk just right", cmd("SET", "a", "x".repeat(16384))],
    ["a whole one too long", cmd("SET", "a", "x".repeat(20000))],
    ["after AUTH", lines("AUTH main-secret", "MGET a b c d e f g h i j k l m n o")],
    ["a huge count", "*99999999999\r\n"],
  ];
  for (const [what, input] of cases) {
    const expected = await exchange(judge.port, input);
    sameBytes(await exchange(proxy.port, input), expected, what);
  }
});

const WRITES = [
  ...["SET a 1", "DEL a", "MSET a 1 b 2", "INCR a", "LPUSH l 1", "BLPOP l 1", "SORT a", "GETEX a"],
  ...["EVAL x 0", "EVALSHA x 0", "FCALL f 0", "FLUSHALL", "FLUSHDB", "XGROUP CREATE a b c"],
  ...["XREADGROUP GROUP g c STREAMS s >", "SCRIPT FLUSH", "SCRIPT LOAD x", "FUNCTION FLUSH"],
  ...["PUBLISH a b", "CONFIG GET x", "CONFIG RESETSTAT", "SLOWLOG GET", "MEMORY PURGE", "COPY a b"],
  ...["BITFIELD a GET u8 0", "GEORADIUS a 1 1 1 km", "RENAME a b", "SMOVE a b c", "RESTORE a 0 x"],
];
const READS = [
  ...["GET a", "MGET a b", "EXISTS a b", "STRLEN a", "LRANGE l 0 1", "SORT_RO a", "DBSIZE"],
  ...["XREAD STREAMS s 0", "OBJECT ENCODING a", "TTL a", "WATCH a", "UNWATCH", "PING", "ECHO x"],
  ...["EVAL_RO x 0", "TOUCH a", "PFCOUNT a", "SINTER a b", "KEYS zzz*", "RANDOMKEY", "SCAN 0"],
  ...["SET", "GET", "NOPE a"],
];

test("a read-only user changes nothing, in redis-server's words", async () => {
  for (const line of WRITES) {
    const got = await exchange(proxy.port, log("ro") + lines(line));
    // What ringmux carries out for nobody is refused for that reason.
    if (/^\+OK\r\n-ERR '.*' is not supported by ringmux/.test(got)) continue;
    assert.match(got, /^\+OK\r\n-NOPERM/, line);
    await same(line, log("ro") + lines(line));
  }
  for (const line of READS) await same(line, log("ro") + lines(line));
});

test("a refused command dooms the transaction of a read-only user", async () => {
  await same("doomed", log("ro") + lines("MULTI", "GET a", "SET a 1", "GET a", "EXEC", "GET a"));
  await same("all right", log("ro") + lines("MULTI", "GET a", "MGET a b", "EXEC", "GET a"));
  await same("given up", log("ro") + lines("MULTI", "SET a 1", "DISCARD", "GET a"));
});

const OUTSIDE = [
  ...[
    "GET b",
    "SET b 1",
    "MGET a:1 b",
    "MSET a:1 1 b 2",
    "DEL a:1 b a:2",
    "EXISTS b",
    "GETSET b 1",
  ],
  ...["SORT a:1 BY w*", "SORT a:1 GET a:*", "SORT a:1 GET #", "SORT a:1 STORE b", "SORT b"],
  ...[
    "SORT_RO a:1 BY w_*",
    "SORT a:1 LIMIT 0 1 GET a:*",
    "XREAD STREAMS a:1 b 0 0",
    "XADD b * k v",
  ],
  ...["COPY a:1 b", "RENAME a:1 b", "ZUNIONSTORE a:d 1 b", "ZUNIONSTORE b 1 a:x", "BLPOP a:1 b 1"],
  ...["GEORADIUS a:1 1 1 1 km STORE b", "OBJECT ENCODING b", "MEMORY USAGE b", "WATCH a:1 b"],
  ...[
    "BITOP AND a:d b",
    "LMPOP 2 a:1 b LEFT",
    "PFMERGE a:1 b",
    "SINTERCARD 2 a:1 b",
    "A:1",
    "GET a",
  ],
  ...[
    "XREADGROUP GROUP g c STREAMS b >",
    "SMOVE a:1 b c",
    "TOUCH shared b",
    "LCS a:1 b",
    "UNLINK b",
  ],
];
const INSIDE = [
  ...["GET a:1", "SET a:1 1", "MGET a:1 shared shared2", "DEL a:1", "SORT a:1 BY nosort", "PING"],
  ...[
    "SORT a:1 ALPHA",
    "SORT a:1 STORE a:2",
    "XREAD STREAMS a:s 0",
    "KEYS a:zz*",
    "BLPOP a:l 0.01",
  ],
  ...["SCAN 0 MATCH a:zz*", "SCAN 0 COUNT 100 MATCH a:zz*", "ECHO b", "ACL WHOAMI", "SET a:1"],
];

test("a user with prefixes keeps to them, in redis-server's words", async () => {
  for (const line of [...OUTSIDE, ...INSIDE]) await same(line, log("alice") + lines(line));
  await same("doomed", log("alice") + lines("MULTI", "SET b 1", "SET a:1 1", "EXEC", "GET a:1"));
  await same("carried out", log("alice") + lines("MULTI", "SET a:1 1", "GET a:1", "EXEC"));
  await same("scripts", log("alice") + lines("EVAL x 0", "EVAL x 1 a:1", "FCALL f 1 a:1"));
});

test("several servers change nothing about it", async () => {
  const denied =
    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";
  const ok = "+OK\r\n";
  const keys = Array.from({ length: 8 }, (_, i) => `a:${i}`);
  const port = proxy.ports.two;
  const got = await exchange(
    port,
    log("alice") + cmd("MSET", ...keys.flatMap((key) => [key, "1"])) + cmd("MGET", ...keys) +
      cmd("MGET", ...keys, "b") + cmd("DEL", ...keys, "b") + cmd("DEL", ...keys),
  );
  assert.is(got, ok + ok + array(...keys.map(() => "1")) + denied + denied + ":8\r\n");
});

test("what shows or touches everybody's keys is refused to a user with prefixes", async () => {
  const command = (name: string) =>
    `-NOPERM this user has no permissions to run the '${name}' command\r\n`;
  const keys =
    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";
  const cases: [string, string][] = [
    ["KEYS *", keys],
    ["KEYS [a]:*", keys],
    ["KEYS a*", keys],
    ["SCAN 0", keys],
    ["SCAN 0 MATCH *", keys],
    ["SCAN 0 MATCH a:* MATCH *", keys],
    ["SCAN 0 COUNT 10", keys],
    ["RANDOMKEY", command("randomkey")],
    ["DBSIZE", command("dbsize")],
    ["FLUSHALL", command("flushall")],
    ["FLUSHDB", command("flushdb")],
    ["CONFIG GET requirepass", command("config|get")],
    ["SLOWLOG GET", command("slowlog|get")],
    ["FUNCTION LIST", command("function|list")],
    ["ACL USERS", command("acl|users")],
    ["CLIENT KILL 1.2.3.4:5", command("client|kill")],
  ];
  for (const [line, expected] of cases) {
    assert.is(await exchange(proxy.port, log("alice") + lines(line)), `+OK\r\n${expected}`, line);
  }
});

test("CLIENT LIST names users, and shows a user with prefixes its own clients only", async () => {
  const wires = await Promise.all([1, 2, 3].map(() => Wire.open(proxy.port)));
  const [alice, ro, free] = wires;
  await alice.send(log("alice")).reply();
  await ro.send(log("ro")).reply();
  await free.send(log("free")).reply();
  const all = await free.ask("CLIENT", "LIST");
  for (const name of ["alice", "ro", "free"]) assert.match(all, ` user=${name} `);
  const own = await alice.ask("CLIENT", "LIST");
  assert.match(own, " user=alice ");
  assert.not.match(own, " user=free ");
  assert.not.match(own, " user=ro ");
  assert.is(
    await free.ask("ACL", "USERS"),
    array("alice", "default", "free", "ro", "scripts"),
  );
  for (const wire of wires) wire.close();
});

test("scripts of a user with prefixes are an option, and their declared keys are checked", async () => {
  const denied =
    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";
  const got = await exchange(
    proxy.port,
    log("scripts") + cmd("EVAL", "return KEYS[1]", "1", "a:k") +
      cmd("EVAL", "return 1", "1", "b") + cmd("EVAL", "return 1", "0"),
  );
  assert.is(got, `+OK\r\n$3\r\na:k\r\n${denied}:1\r\n`);
});

test("redis_user and redis_auth go to the servers only", async () => {
  const port = proxy.ports.behind;
  const wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  const got = await exchange(
    port,
    cmd("AUTH", "proxy", "server-secret") + cmd("AUTH", "server-secret") +
      cmd("AUTH", "ann", "ann-secret") + lines("SET k v", "GET k"),
  );
  assert.is(got, `${wrong}${wrong}+OK\r\n+OK\r\n$1\r\nv\r\n`);
  assert.match(
    await exchange(proxy.ports.wrong, cmd("AUTH", "ann", "ann-secret") + lines("GET k")),
    /^\+OK\r\n-ERR server refused redis_auth or redis_db: WRONGPASS /,
  );
});

/** The words random requests are made of: keys inside and outside, options, numbers, patterns. */
const WORDS = "a:1 a:2 shared b c a 0 1 2 3 -1 store storedist by get limit match count streams " +
  "group block noack left desc alpha a:* * w_* x > $ db replace km type";

test("random requests: what redis-server's ACL denies is denied", async () => {
  const rand = random(7);
  const words = WORDS.split(" ");
  const names = COMMANDS.filter(({ action }) => action !== REFUSE && action !== SUB);
  const users = new Users([
    userOf("alice", { prefixes: ["a:", "shared"].map((text) => bytes(text)) }),
    userOf("ro", { readOnly: true }),
  ], () => {});
  const options = { auth: "", db: 0, maxRequest: 1 << 20, users };
  const codec = new RedisCodec(options, { wallClock: () => 0 } as unknown as Facts);
  const wire = await Wire.open(judge.port);
  await wire.ask("AUTH", "main-secret");
  let denials = 0;
  for (const user of ["alice", "ro"]) {
    const session = codec.newSession(1, "", 0);
    users.enter(session, user, "p");
    const asked: { line: string; action: number }[] = [];
    let dryRuns = "";
    for (let n = 0; n < 3000; n++) {
      const { name, arity } = names[rand(names.length)];
      const request = name.split("|");
      const least = Math.abs(arity) + (arity < 0 ? rand(5) : 0);
      while (request.length < least) request.push(words[rand(words.length)]);
      const input = bytes(cmd(...request));
      const scan = new Scan();
      assert.is(codec.parseRequest(scan, input, 0, input.length), DONE);
      if (scan.action === REFUSE) continue;
      codec.guard(scan, input, 0, session);
      asked.push({ line: request.join(" "), action: scan.action });
      dryRuns += cmd("ACL", "DRYRUN", user, ...request);
    }
    const verdicts = await wire.send(dryRuns).replies(asked.length);
    for (const [i, { line, action }] of asked.entries()) {
      if (!verdicts[i].includes("permissions")) continue;
      denials++;
      assert.is(action, REFUSE, `${user}: ${line}: ${verdicts[i]}`);
    }
  }
  assert.ok(denials > 1000, `${denials} denials`);
  wire.close();
});

test("ioredis and node-redis with user and password", async () => {
  for (const [username, write] of [["free", true], ["ro", false]] as const) {
    const options = { username, password: `${username}-secret` };
    const redis = new Redis({ port: proxy.ports.two, host: "127.0.0.1", ...options });
    const result = await redis.set("io", "1").catch((error: Error) => error.message);
    assert.is(result, write ? "OK" : NO_SET);
    assert.is(await redis.get("none"), null);
    redis.disconnect();
    for (const RESP of [2, 3] as const) {
      const client = createClient({
        url: `redis://127.0.0.1:${proxy.ports.two}`,
        RESP,
        ...options,
      });
      client.on("error", () => {});
      await client.connect();
      const set = await client.set("nr", "1").catch((error: Error) => error.message);
      assert.is(set, write ? "OK" : NO_SET);
      assert.is(await client.get("none"), null);
      client.destroy();
    }
  }
  const wrong = new Redis({
    port: proxy.port,
    host: "127.0.0.1",
    username: "free",
    password: "no",
    lazyConnect: true,
    retryStrategy: null,
  });
  const said: string[] = [];
  wrong.on("error", (error: Error) => said.push(error.message));
  await wrong.get("a").catch((error: Error) => said.push(error.message));
  await until("ioredis to hear of it", () => said.some((text) => text.includes("WRONGPASS")));
  wrong.disconnect();
});

const NO_SET = "NOPERM this user has no permissions to run the 'set' command";

test("redis-cli with --user and --pass", async () => {
  const cli = (...args: string[]) =>
    run(which("redis-cli"), ["-p", String(proxy.port), "--no-auth-warning", ...args]);
  const alice = ["--user", "alice", "--pass", "alice-secret"];
  assert.is((await cli(...alice, "set", "a:cli", "1")).stdout, "OK\n");
  assert.match((await cli(...alice, "get", "b")).stdout, "NOPERM");
  assert.is((await cli("-a", "main-secret", "acl", "whoami")).stdout, "default\n");
  assert.match((await cli("get", "b")).stdout, "NOAUTH");
});

test("failed attempts are logged with address and user, and without passwords", async () => {
  await exchange(proxy.port, cmd("AUTH", "alice", "guessed-word") + cmd("AUTH", "made-up", "x"));
  await until("a line", () => /client 127\.0\.0\.1:\d+: authentication/.test(proxy.output()));
  assert.not.match(proxy.output(), "guessed-word");
  assert.not.match(proxy.output(), "made-up");
});

test.run();
