// One long argument, wherever in whatever command, costs no more than copies of its bytes: strings
// are made of its beginning only. What is made into characters is counted, not timed.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { COMMANDS } from "../../core/protocol/redis/commands.ts";
import { COMMANDS as TEXT_COMMANDS } from "../../core/protocol/memcached/commands.ts";
import { ask, FLAGS } from "../protocol/packets.ts";
import { command, Fixture, type Setting } from "../fake/fixture.ts";

const LONG = 60_000;
/** More than is made of all there is to a request that has nothing long in it, and far less than LONG. */
const MOST = 40_000;
/** Longest error, and line of the log, that one request may cause. */
const LONGEST_LINE = 1000;

/** How many characters are made of bytes while something is done. */
function charactersOf(deed: () => void): number {
  const real = String.fromCharCode;
  let made = 0;
  String.fromCharCode = (...codes: number[]) => {
    made += codes.length;
    return real(...codes);
  };
  try {
    deed();
  } finally {
    String.fromCharCode = real;
  }
  return made;
}

/** One request of a client that is `prepared`; its servers say nothing. */
function check(f: Fixture, prepared: string, request: string, what: string): void {
  const client = f.client();
  if (prepared !== "") f.say(client, prepared);
  client.received();
  const logged = f.logged.length;
  const data = bytes(request);
  const made = charactersOf(() => {
    client.send(data);
    f.settle();
  });
  assert.ok(made < MOST, `${what}: ${made} characters of ${request.length} bytes`);
  for (const line of f.logged.slice(logged)) assert.ok(line.length < LONGEST_LINE, what);
  const reply = client.received();
  if (/^(-|CLIENT_ERROR|SERVER_ERROR|ERROR)/.test(reply)) {
    assert.ok(reply.length < LONGEST_LINE, `${what}: an error of ${reply.length} bytes`);
  }
  client.fail("");
  f.settle();
  for (const socket of f.host.outgoing) socket.receivedBytes();
}

const USERS = ["auth: {users: {all: {password: p}, ro: {password: p, access: read-only},"];
const SETTINGS: [string, Setting, string][] = [
  ["a plain pool", { config: ["slowlog_ms: 1"] }, ""],
  ["three servers", { servers: ["a", "b", "c"] }, ""],
  [
    "rules for commands",
    { config: ["redis_db: 3", 'commands: {allow: ["@all", debug], rename: {gett: get}}'] },
    "",
  ],
  ["a transaction", { servers: ["a", "b"] }, command("MULTI")],
];
for (const user of ["all", "ro", "part"]) {
  const config = [`${USERS[0]} part: {password: p, prefixes: [x], scripts: true}}}`];
  SETTINGS.push([`user ${user}`, { config }, command("AUTH", user, "p")]);
}

for (const [where, setting, prepared] of SETTINGS) {
  test(`no command of Redis makes a string of a long argument: ${where}`, async () => {
    const f = await Fixture.start(setting);
    const names = COMMANDS.map(({ name }) => name.split("|"));
    for (
      const name of [...names, ["nosuch"], ["gett"], ["client", "setname"], ["client", "kill"]]
    ) {
      for (let at = 0; at < 4; at++) {
        for (const byte of prepared === "" ? ["x", "0"] : ["x"]) {
          const words = [...name, "1", "1", "1", "1"].slice(
            0,
            Math.max(at + 1, name.length + at % 3),
          );
          words[at] = byte.repeat(LONG);
          check(f, prepared, command(...words), `${name.join(" ")}, argument ${at}`);
        }
      }
    }
  });
}

test("a subscribed client, a client's name, options of HELLO and of CLIENT", async () => {
  const f = await Fixture.start();
  const long = "x".repeat(LONG);
  const rows = [
    ["HELLO", "2", long],
    ["HELLO", "2", "AUTH", long, long],
    ["HELLO", "2", "SETNAME", long],
    ["CLIENT", "SETINFO", long, "v"],
    ["CLIENT", "SETINFO", "lib-name", long],
    ["CLIENT", "KILL", "USER", long],
    ["CLIENT", "KILL", "TYPE", long],
    ["CLIENT", "LIST", "TYPE", long],
    ["CLIENT", "LIST", "ID", "1", long],
    ["BLPOP", "k", long],
    ["XREAD", "BLOCK", "9".repeat(LONG), "STREAMS", "k", "0"],
    ["EVAL", "s", "0".repeat(LONG), "k"],
    ["SORT", "k", "BY", long],
    ["SUBSCRIBE", "ok", long],
    ["PSUBSCRIBE", long],
  ];
  for (const words of rows) {
    const name = words.slice(0, 3).join(" ").slice(0, 30);
    check(f, "", command(...words), name);
    check(f, command("SUBSCRIBE", "c"), command(...words), `${name}, subscribed`);
  }
  for (const words of [["PING", long], ["ECHO", long]]) {
    const client = f.client();
    const request = bytes(command(...words));
    assert.ok(charactersOf(() => f.say(client, request)) < MOST);
    assert.is(client.received(), `$${LONG}\r\n${long}\r\n`);
  }
});

test("no command of memcached makes a string of a long argument", async () => {
  const users = "auth: {users: {part: {password: p, prefixes: [x]}, all: {password: p}}}";
  const login = (user: string) => `set a 0 0 ${user.length + 2}\r\n${user} p\r\n`;
  for (
    const [config, prepared] of [[[], ""], [[users], ""], [[users], login("part")], [
      [users],
      login("all"),
    ]] as [string[], string][]
  ) {
    const f = await Fixture.start({ memcached: true, config });
    for (const name of [...new Set(TEXT_COMMANDS.map((c) => c.name)), "nosuch"]) {
      for (let at = 0; at < 4; at++) {
        const words = [name, "k", "1", "1", "1"].slice(0, Math.max(at + 1, 3));
        words[at] = "x".repeat(LONG);
        check(f, prepared, `${words.join(" ")}\r\n`, `${name}, word ${at}`);
      }
    }
    check(f, prepared, `set a 0 0 ${LONG}\r\n${"x".repeat(LONG)}\r\n`, "a long value");
    for (let opcode = 0; opcode < 0x28; opcode++) {
      const value = "x".repeat(LONG);
      check(f, "", ask(opcode, { key: "k", value, extras: FLAGS }), `opcode ${opcode}`);
      check(f, "", ask(opcode, { key: "PLAIN", value }), `opcode ${opcode}`);
      check(
        f,
        prepared === "" ? "" : ask(0x21, { key: "PLAIN", value: "\0all\0p" }),
        ask(opcode, { key: "PLAIN", value }),
        `opcode ${opcode}`,
      );
    }
  }
});

test.run();
