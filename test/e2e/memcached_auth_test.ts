// Users of a memcached pool: the text protocol beside a real memcached -Y, the binary protocol by
// SASL with the statuses of memcached -S, and memjs with a user and a password.
// Needs: memcached

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import memjs from "memjs";
import {
  at,
  exchange,
  type ProxyProcess,
  sameBytes,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  tempPath,
  Wire,
} from "./harness.ts";
import { ask as asked, FLAGS, tell } from "../protocol/packets.ts";

let proxy: ProxyProcess;
let judge: ServerProcess;
let servers: ServerProcess[];

test.before(async () => {
  const file = tempPath("authfile");
  fs.writeFileSync(file, "alice:alice-secret\nbob:bob-secret\n", { mode: 0o600 });
  judge = await startMemcached({ args: ["-Y", file] });
  servers = await several(2, () => startMemcached());
  const users = "{alice: {password: alice-secret}, bob: {password: bob-secret}, " +
    "ro: {password: ro-secret, access: read-only}, part: {password: p, prefixes: ['a:']}}";
  proxy = await startProxy({
    mc: { auth: `{users: ${users}}`, servers: servers.map((server) => at(server)) },
    one: { auth: "{password: 'two words'}", servers: [at(servers[0])] },
  });
});

const token = (user: string, password: string, key = "any"): string =>
  `set ${key} 0 0 ${user.length + 1 + password.length}\r\n${user} ${password}\r\n`;
const ALICE = token("alice", "alice-secret");

/** The same requests go to both, one by one: memcached drops what comes with a refused one. */
async function same(what: string, ...requests: string[]): Promise<void> {
  const [expected, got] = await Promise.all([judge.port, proxy.port].map(async (port) => {
    const wire = await Wire.open(port);
    let answers = "";
    for (const request of requests) answers += await wire.send(request).line();
    wire.close();
    return answers;
  }));
  sameBytes(got, expected, what);
}

test("the text protocol answers as memcached -Y does", async () => {
  await same("before", "get a\r\n", "version\r\n", "mn\r\n", "nope\r\n", "gets a b\r\n", "\r\n");
  await same("the right password", ALICE, "get none\r\n");
  await same("another key, more blanks", "set  x-y 1 2 18\r\nalice alice-secret\r\n", "get z\r\n");
  await same("with noreply", "set a 0 0 18 noreply\r\nalice alice-secret\r\n", "get z\r\n");
  await same("a wrong password", token("alice", "no"), "get a\r\n");
  await same("a user that is not", token("eve", "alice-secret"), "get a\r\n");
  await same("wrong, then right", token("bob", "no"), token("bob", "bob-secret"), "get z\r\n");
  await same("no blank", "set a 0 0 8\r\naliceabc\r\n", "get a\r\n");
  await same("nothing", "set a 0 0 0\r\n\r\n", "get a\r\n");
  await same("a set afterwards is a set", ALICE, token("bob", "no", "k"), "get k\r\n");
});

test("the token may come in pieces", async () => {
  for (let cut = 1; cut < ALICE.length; cut += 5) {
    const wire = await Wire.open(proxy.port);
    wire.send(ALICE.slice(0, cut));
    await wire.flushed();
    wire.send(`${ALICE.slice(cut)}get none\r\n`);
    assert.is(await wire.line() + await wire.line(), "STORED\r\nEND\r\n", `cut at ${cut}`);
    wire.close();
  }
});

test("a password may have blanks, and the user default is auth.password's", async () => {
  const port = proxy.ports.one;
  assert.is(
    await exchange(port, `${token("default", "two words")}get none\r\n`),
    "STORED\r\nEND\r\n",
  );
  assert.is(
    await exchange(port, token("default", "two")),
    "CLIENT_ERROR authentication failure\r\n",
  );
});

test("before the password nothing large is taken in", async () => {
  const format = "CLIENT_ERROR bad authentication token format\r\n";
  assert.is(await exchange(proxy.port, "set a 0 0 100000\r\nxxx"), format);
  assert.is(await exchange(proxy.port, `get ${"k ".repeat(10000)}`), format);
  const big = asked(1, { key: "k", extras: FLAGS, value: "v".repeat(20000) });
  const answer = await exchange(proxy.port, big.slice(0, 100));
  assert.is(answer, tell(1, { status: 0x20, value: "Auth failure." }));
});

test("restrictions hold for the text protocol", async () => {
  const say = async (user: string, password: string, input: string): Promise<string> => {
    const got = await exchange(proxy.port, token(user, password) + input);
    assert.ok(got.startsWith("STORED\r\n"), got);
    return got.slice(8);
  };
  const command = (name: string) =>
    `CLIENT_ERROR this user has no permissions to run the '${name}' command\r\n`;
  const key = "CLIENT_ERROR this user has no permissions to access one of the keys\r\n";
  const READ_ONLY: [string, string][] = [
    ["get a\r\n", "END\r\n"],
    ["gets a b c\r\n", "END\r\n"],
    ["mg a v\r\n", "EN\r\n"],
    ["mg a v q\r\nmn\r\n", "MN\r\n"],
    ["mg a v T30\r\n", command("mg")],
    ["mg a q v N30\r\n", command("mg")],
    ["mg YQ== b q v R30\r\n", command("mg")],
    ["set a 0 0 1\r\nx\r\nget a\r\n", `${command("set")}END\r\n`],
    ["set a 0 0 1 noreply\r\nx\r\nget a\r\n", "END\r\n"],
    ["add a 0 0 1\r\nx\r\n", command("add")],
    ["ms a 1\r\nx\r\n", command("ms")],
    ["delete a\r\n", command("delete")],
    ["incr a 1\r\n", command("incr")],
    ["touch a 1\r\n", command("touch")],
    ["gat 1 a\r\n", command("gat")],
    ["gats 1 a b\r\n", command("gats")],
    ["md a\r\n", command("md")],
    ["flush_all\r\n", command("flush_all")],
    ["flush_all noreply\r\nmn\r\n", "MN\r\n"],
    ["verbosity 1\r\n", command("verbosity")],
    ["stats reset\r\n", command("reset")],
  ];
  for (const [input, expected] of READ_ONLY) {
    assert.is(await say("ro", "ro-secret", input), expected, input);
  }
  const PART: [string, string][] = [
    ["set a:1 0 0 1\r\nx\r\nget a:1\r\n", "STORED\r\nVALUE a:1 0 1\r\nx\r\nEND\r\n"],
    ["set b 0 0 1\r\nx\r\nget b\r\n", `${key}${key}`],
    ["get a:1 b\r\n", key],
    ["get a:1 a:2 a:3 a:4\r\n", "VALUE a:1 0 1\r\nx\r\nEND\r\n"],
    ["gat 100 b\r\n", key],
    ["gat 0 a:1\r\n", "VALUE a:1 0 1\r\nx\r\nEND\r\n"],
    ["mg YTox b v\r\n", "VA 1\r\nx\r\n"], // a:1
    ["mg Yg== b v\r\n", key], // b
    // memcached passes over what is no base64 ("!"), so this is a key outside: "a:" is not its start.
    ["ms !a:!Yg== 1 b\r\nx\r\n", key],
    ["ms a:Yg=== 1 b\r\nx\r\n", key],
    ["mg a:YWFh b v\r\n", key],
    ["ms b 1 q\r\nx\r\n", key],
    ["delete a:1\r\n", "DELETED\r\n"],
    ["flush_all\r\n", command("flush_all")],
    ["stats cachedump 1 10\r\n", command("cachedump")],
    ["stats conns\r\n", command("conns")],
  ];
  for (const [input, expected] of PART) assert.is(await say("part", "p", input), expected, input);
});

const plain = (user: string, password: string): string => `\0${user}\0${password}`;
const auth = (user: string, password: string, opcode = 0x21): string =>
  asked(opcode, { key: "PLAIN", value: plain(user, password) });
const failure = (opcode: number): string => tell(opcode, { status: 0x20, value: "Auth failure." });
const OK = tell(0x21, { value: "Authenticated" });

test("SASL PLAIN in the binary protocol, with memcached's statuses", async () => {
  // What memcached 1.6.18 -S said to each of these, but that it hangs up on what it refuses.
  const cases: [string, string, string][] = [
    ["mechanisms", asked(0x20, {}), tell(0x20, { value: "PLAIN" })],
    ["a get", asked(0x00, { key: "k" }), failure(0x00)],
    ["a quiet get", asked(0x09, { key: "k" }), failure(0x09)],
    ["a set", asked(0x01, { key: "k", extras: FLAGS, value: "v" }), failure(0x01)],
    ["a noop", asked(0x0a, {}), failure(0x0a)],
    ["stats", asked(0x10, {}), failure(0x10)],
    ["an opcode that is not", asked(0x99, {}), failure(0x99)],
    ["the password", auth("alice", "alice-secret"), OK],
    [
      "in the second step",
      auth("alice", "alice-secret", 0x22),
      tell(0x22, { value: "Authenticated" }),
    ],
    ["a wrong one", auth("alice", "no"), failure(0x21)],
    ["nobody", auth("eve", "no"), failure(0x21)],
    [
      "for another user",
      asked(0x21, { key: "PLAIN", value: "bob\0alice\0alice-secret" }),
      failure(0x21),
    ],
    ["no form", asked(0x21, { key: "PLAIN", value: "garbage" }), failure(0x21)],
    ["nothing yet", asked(0x21, { key: "PLAIN" }), tell(0x21, { status: 0x21 })],
    ["another mechanism", asked(0x21, { key: "CRAM-MD5" }), failure(0x21)],
  ];
  for (const [what, input, expected] of cases) {
    sameBytes(await exchange(proxy.port, input), expected, what);
  }
  const noop = asked(0x0a, {});
  sameBytes(
    await exchange(proxy.port, noop + auth("bob", "bob-secret") + noop + auth("bob", "x") + noop),
    failure(0x0a) + OK + tell(0x0a, {}) + failure(0x21) + failure(0x0a),
    "in and out again",
  );
});

test("restrictions hold for the binary protocol", async () => {
  const denied = (opcode: number) => tell(opcode, { status: 0x20, value: "No permission" });
  const set = (opcode: number, key: string) => asked(opcode, { key, extras: FLAGS, value: "v" });
  const missing = (opcode: number) => tell(opcode, { status: 1, value: "Not found" });
  const noop = asked(0x0a, {});
  const none = tell(0x0a, {});
  const cases: [string, string, string, string][] = [
    ["ro", "ro-secret", asked(0x00, { key: "none" }), missing(0x00)],
    ["ro", "ro-secret", asked(0x09, { key: "none" }) + noop, none],
    ["ro", "ro-secret", set(0x01, "k"), denied(0x01)],
    ["ro", "ro-secret", set(0x11, "k") + noop, denied(0x11) + none],
    ["ro", "ro-secret", asked(0x1d, { key: "k", extras: "\0\0\0\0" }), denied(0x1d)],
    ["ro", "ro-secret", asked(0x08, {}), denied(0x08)],
    ["ro", "ro-secret", asked(0x10, { key: "reset" }), denied(0x10)],
    ["part", "p", asked(0x00, { key: "a:none" }), missing(0x00)],
    ["part", "p", asked(0x00, { key: "b" }), denied(0x00)],
    ["part", "p", set(0x11, "b") + noop, denied(0x11) + none],
    ["part", "p", asked(0x10, { key: "cachedump 1 1" }), denied(0x10)],
    ["part", "p", asked(0x08, {}), denied(0x08)],
  ];
  for (const [user, password, input, expected] of cases) {
    const got = await exchange(proxy.port, auth(user, password) + input);
    sameBytes(got, OK + expected, `${user} ${JSON.stringify(input)}`);
  }
});

test("memjs with a user and a password", async () => {
  const options = { username: "alice", password: "alice-secret", retries: 1, timeout: 5 };
  const client = memjs.Client.create(`127.0.0.1:${proxy.port}`, options);
  for (let i = 0; i < 20; i++) assert.ok(await client.set(`m${i}`, `v${i}`, { expires: 60 }));
  const { value } = await client.get("m7");
  assert.is(String(value), "v7");
  client.close();
  const wrong = memjs.Client.create(`127.0.0.1:${proxy.port}`, { ...options, password: "no" });
  const said = await Promise.resolve(wrong.get("m7")).then(() => "a value", () => "an error");
  assert.is(said, "an error");
  wrong.close();
});

test.run();
