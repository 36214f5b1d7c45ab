// Users in the proxy's own workings: when the fast way is open, transactions, commands of modules,
// large requests, sizes before AUTH cut at every byte, and the log.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const USERS = [
  "auth:",
  "  password: main",
  "  users:",
  "    ann: {password: pw, access: read-only}",
  "    bob: {password: pw, prefixes: ['b:']}",
];
const NO_AUTH = "-NOAUTH Authentication required.\r\n";
const NO_KEY =
  "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";
const noCommand = (name: string) =>
  `-NOPERM this user has no permissions to run the '${name}' command\r\n`;

const start = (servers = ["a"], more: string[] = []) =>
  Fixture.start({ servers, config: [...USERS, ...more] });

test("nothing reaches a server before AUTH, everything after it", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, command("GET", "k") + command("SET", "k", "v") + command("NOPE"));
  assert.match(client.received(), `${NO_AUTH}${NO_AUTH}-ERR unknown command`);
  assert.is(f.attempts("a"), 0);
  f.say(client, command("AUTH", "main") + command("GET", "k"));
  assert.is(f.server("a").received(), command("GET", "k"));
  f.say(f.server("a"), bulk("v"));
  assert.is(client.received(), `+OK\r\n${bulk("v")}`);
  f.say(client, command("RESET") + command("GET", "k"));
  assert.is(client.received(), `+RESET\r\n${NO_AUTH}`);
  assert.is(f.watch.requests.size, 0);
});

test("replies of a restricted user stay in order, whoever gives them", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, command("AUTH", "bob", "pw") + command("GET", "b:1"));
  f.say(client, command("GET", "c") + command("MGET", "b:2", "c") + command("GET", "b:3"));
  assert.is(client.received(), "+OK\r\n");
  assert.is(f.server("a").received(), command("GET", "b:1") + command("GET", "b:3"));
  f.say(f.server("a"), bulk("1") + bulk("3"));
  assert.is(client.received(), bulk("1") + NO_KEY + NO_KEY + bulk("3"));
  assert.is(f.watch.requests.size, 0);
});

test("a refused command dooms a transaction, and the server is told to forget it", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, command("AUTH", "bob", "pw") + command("MULTI") + command("SET", "b:1", "x"));
  const server = f.server("a");
  assert.is(server.received(), command("MULTI") + command("SET", "b:1", "x"));
  f.say(server, "+OK\r\n+QUEUED\r\n");
  f.say(client, command("SET", "c", "x") + command("EXEC"));
  assert.is(server.received(), command("DISCARD"));
  f.say(server, "+OK\r\n");
  assert.is(
    client.received(),
    `+OK\r\n+OK\r\n+QUEUED\r\n${NO_KEY}` +
      "-EXECABORT Transaction discarded because of previous errors.\r\n",
  );
});

test("the user of a connection may change, and its rights with it", async () => {
  const f = await start();
  const client = f.client();
  const set = command("SET", "k", "v");
  f.say(client, command("AUTH", "ann", "pw") + set + command("AUTH", "main") + set);
  assert.is(f.server("a").received(), set);
  f.say(f.server("a"), "+OK\r\n");
  assert.is(client.received(), `+OK\r\n${noCommand("set")}+OK\r\n+OK\r\n`);
  f.say(client, command("AUTH", "bob", "pw") + set + command("AUTH", "nope") + set);
  const wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  assert.is(client.received(), `+OK\r\n${NO_KEY}${wrong}${NO_KEY}`);
});

/** What COMMAND INFO says of a command with one key, or none. */
const info = (name: string, flags: string[], key: number): string =>
  `*1\r\n*6\r\n${bulk(name)}:-2\r\n*${flags.length}\r\n${
    flags.map((flag) => `+${flag}\r\n`).join("")
  }` +
  `:${key}\r\n:${key}\r\n:${key}\r\n`;

test("commands of modules go by the flags their server tells", async () => {
  const cases: [string, string[], number, string[], string][] = [
    ["ann", ["readonly"], 1, ["x.read", "k"], ""],
    ["ann", ["write"], 1, ["x.write", "k"], noCommand("x.write")],
    ["ann", ["fast"], 1, ["x.fast", "k"], noCommand("x.fast")],
    ["bob", ["write"], 1, ["x.write", "b:k"], ""],
    ["bob", ["write"], 1, ["x.write", "k"], NO_KEY],
    ["bob", ["readonly"], 0, ["x.all", "b:"], noCommand("x.all")],
  ];
  for (const [user, flags, key, words, error] of cases) {
    const f = await start();
    const client = f.client();
    const request = command(...words);
    f.say(client, command("AUTH", user, "pw") + request);
    assert.is(f.server("a").received(), command("COMMAND", "INFO", words[0]));
    f.say(f.server("a"), info(words[0], flags, key));
    assert.is(f.server("a").received(), error === "" ? request : "", words[0]);
    assert.is(client.received(), `+OK\r\n${error}`);
  }
});

test("a command by another name is judged by its own", async () => {
  const f = await start(["a"], ["commands: {rename: {look: get, wipe: flushdb, put: set}}"]);
  const client = f.client();
  f.say(client, command("AUTH", "ann", "pw") + command("wipe") + command("look", "k"));
  assert.is(f.server("a").received(), command("get", "k"));
  f.say(f.server("a"), bulk("v"));
  assert.is(client.received(), `+OK\r\n${noCommand("flushdb")}${bulk("v")}`);
  f.say(
    client,
    command("AUTH", "bob", "pw") + command("put", "c", "1") + command("put", "b:", "1"),
  );
  assert.is(f.server("a").received(), command("set", "b:", "1"));
  assert.is(client.received(), `+OK\r\n${NO_KEY}`);
});

test("a large value of a restricted user is judged before a byte of it is sent", async () => {
  const f = await start();
  const client = f.client();
  const large = "x".repeat(300_000);
  f.say(client, command("AUTH", "bob", "pw") + command("SET", "c", large).slice(0, 200_000));
  assert.is(f.attempts("a"), 0);
  f.say(client, command("SET", "c", large).slice(200_000));
  assert.is(client.received(), `+OK\r\n${NO_KEY}`);
  f.say(client, command("SET", "b:", large));
  assert.is(f.server("a").received(), command("SET", "b:", large));
});

test("before AUTH sizes are bounded, wherever a request is cut", async () => {
  const f = await start();
  const cases: [string, string][] = [
    ["*11\r\n$3\r\nGET\r\n", "unauthenticated multibulk length"],
    ["*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16385\r\nx", "unauthenticated bulk length"],
    ["*1000\r\n", "unauthenticated multibulk length"],
  ];
  for (const [input, error] of cases) {
    for (let cut = 1; cut < input.length; cut++) {
      const client = f.client();
      f.say(client, input.slice(0, cut));
      f.say(client, input.slice(cut));
      assert.is(client.received(), `-ERR Protocol error: ${error}\r\n`, `cut at ${cut}`);
    }
  }
  const client = f.client();
  const large = command("SET", "k", "v".repeat(20_000));
  f.say(client, command("AUTH", "main") + large);
  assert.is(f.server("a").received(), large);
  assert.is(client.received(), "+OK\r\n");
});

test("inline commands are bounded before AUTH as others are, wherever they are cut", async () => {
  const f = await start();
  const cases: [string, string][] = [
    [`GET${" k".repeat(10)}\r\n`, "unauthenticated multibulk length"],
    [`GET ${"k".repeat(16_400)}\r\n`, "too big inline request"],
    ["GET ".padEnd(16_385, "k"), "too big inline request"],
  ];
  for (const [input, error] of cases) {
    for (let cut = 1; cut < input.length; cut += 1 + Math.floor(input.length / 50)) {
      const client = f.client();
      f.say(client, input.slice(0, cut));
      f.say(client, input.slice(cut));
      assert.is(client.received(), `-ERR Protocol error: ${error}\r\n`, `cut at ${cut}`);
    }
  }
  const client = f.client();
  f.say(client, `GET${" k".repeat(9)}\r\nAUTH main\r\nDEL${" k".repeat(20)}\r\n`);
  assert.match(client.received(), /^-.*\r\n\+OK\r\n$/);
  assert.is(f.server("a").received(), command("DEL", ...Array(20).fill("k")));
});

test("sizes are bounded with redis_auth too", async () => {
  const f = await Fixture.start({ config: ["redis_auth: secret"] });
  const client = f.client();
  f.say(client, "*2\r\n$4\r\nAUTH\r\n$100000\r\n");
  assert.is(client.received(), "-ERR Protocol error: unauthenticated bulk length\r\n");
});

test("an unauthenticated memcached client is not listened to for long", async () => {
  const f = await Fixture.start({ memcached: true, config: USERS });
  const client = f.client();
  f.say(client, `set k 0 0 20000\r\n${"x".repeat(100)}`);
  assert.is(client.received(), "CLIENT_ERROR bad authentication token format\r\n");
  const other = f.client();
  f.say(other, "add k 0 0 5\r\nhello\r\nset k 0 0 12\r\ndefault main\r\nget k\r\n");
  assert.is(other.received(), "CLIENT_ERROR unauthenticated\r\nSTORED\r\n");
  assert.is(f.server("a").received(), "get k\r\n");
});

test("failed attempts are logged once a second, with their number", async () => {
  const f = await start();
  const lines = () => f.logged.filter((line) => line.includes("authentication"));
  const client = f.client();
  for (let i = 0; i < 5; i++) f.say(client, command("AUTH", "ann", "guess"));
  assert.is(lines().length, 1);
  assert.match(lines()[0], /^warn pool "p": client .*: authentication as user "ann" failed$/);
  f.host.pass(2000);
  f.say(client, command("AUTH", "guess", "ann"));
  assert.match(
    lines()[1],
    /as a user that does not exist failed; 4 more since the last such line$/,
  );
  assert.not.match(lines().join(), "guess");
});

test.run();
