// Commands that ringmux does not know but the servers do, as those of modules: a server is asked
// once, the client waits, and the command goes where its keys are.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

interface Info {
  arity?: number;
  keys?: [first: number, last: number, step: number];
  flags?: string[];
  subcommands?: string;
}

/** What COMMAND INFO says of a command. */
function info(name: string, { arity = -2, keys = [1, 1, 1], flags = [], subcommands = "" }: Info) {
  const set = flags.map((flag) => `+${flag}\r\n`).join("");
  const numbers = keys.map((n) => `:${n}\r\n`).join("");
  return `*1\r\n*10\r\n${bulk(name)}:${arity}\r\n*${flags.length}\r\n${set}${numbers}` +
    `*1\r\n+@slow\r\n*0\r\n*1\r\n*2\r\n${bulk("flags")}*1\r\n+RW\r\n` +
    `*${subcommands === "" ? 0 : 1}\r\n${subcommands}`;
}

const ask = (name: string): string => command("COMMAND", "INFO", name);
const UNKNOWN = /^-ERR unknown command 'mod\.do', with args beginning with: .*\r\n$/;

async function started(config: string[] = []): Promise<Fixture> {
  return await Fixture.start({ servers: ["a", "b", "c"], config });
}

test("a command of a module goes to the server of its key, and is asked about once", async () => {
  const f = await started();
  const client = f.client();
  const request = command("Mod.Do", f.key("b"), "x");
  f.say(client, request + command("GET", f.key("c")));
  assert.is(f.server("a").received(), ask("mod.do"));
  assert.is(f.attempts("b") + f.attempts("c"), 0);
  f.say(f.server("a"), info("mod.do", { flags: ["write", "denyoom"] }));
  assert.is(client.received(), "");
  assert.is(f.server("b").received(), request);
  f.say(f.server("c"), bulk("second"));
  f.say(f.server("b"), bulk("first"));
  assert.is(client.received(), bulk("first") + bulk("second"));
  const other = f.client();
  f.say(other, request);
  assert.is(f.server("b").received(), request);
  assert.is(f.server("a").received(), "");
  f.say(f.server("b"), bulk("again"));
  assert.is(other.received(), bulk("again"));
  assert.is(f.watch.requests.size, 0);
});

test("earlier replies come first, and the rest of a read waits", async () => {
  const f = await started();
  const client = f.client();
  f.say(client, command("GET", f.key("b")) + command("mod.do", f.key("a")) + "PING\r\n");
  f.say(f.server("a"), info("mod.do", {}));
  assert.is(f.server("a").received(), ask("mod.do"));
  f.say(f.server("b"), bulk("v"));
  assert.is(client.received(), bulk("v"));
  assert.is(f.server("a").received(), command("mod.do", f.key("a")));
  f.say(f.server("a"), ":1\r\n");
  assert.is(client.received(), ":1\r\n+PONG\r\n");
});

test("an inline command of a module works, cut anywhere", async () => {
  const f = await started();
  const client = f.client();
  const line = `mod.do ${f.key("c")}\r\n`;
  for (let cut = 1; cut < line.length; cut++) {
    f.say(client, line.slice(0, cut));
    f.say(client, line.slice(cut));
    if (cut === 1) f.say(f.server("a"), info("mod.do", {}));
    assert.is(f.server("c").received(), command("mod.do", f.key("c")));
    f.say(f.server("c"), "+OK\r\n");
    assert.is(client.received(), "+OK\r\n");
  }
});

test("lists of categories hold for commands of modules too", async () => {
  for (
    const [config, category, isOff] of [
      ['commands: {deny: ["@slow"]}', "deny", true],
      ['commands: {allow: ["@fast"]}', "allow", true],
      ['commands: {allow: ["@slow"]}', "", false],
      ['commands: {deny: ["@fast"]}', "", false],
    ] as const
  ) {
    const f = await started([config]);
    const client = f.client();
    f.say(client, command("mod.do", f.key("b")));
    f.say(f.server("a"), info("mod.do", {}));
    assert.is(f.attempts("b"), isOff ? 0 : 1, config);
    if (isOff) {
      assert.match(
        client.received(),
        `'mod.do' is switched off by this proxy's configuration (commands.${category})`,
      );
    }
  }
});

test("several keys have to be on one server", async () => {
  const f = await started();
  const client = f.client();
  const [one, two, other] = [f.key("b"), f.key("b", 1), f.key("c")];
  f.say(client, command("mod.do", one, "1", two, "2"));
  f.say(f.server("a"), info("mod.do", { keys: [1, -1, 2], arity: -3 }));
  assert.is(f.server("b").received(), command("mod.do", one, "1", two, "2"));
  f.say(f.server("b"), "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
  f.say(client, command("mod.do", one, "1", other, "2"));
  assert.match(client.received(), /^-CROSSSLOT .*'mod\.do' cannot be split.*\r\n$/);
});

test("without a key any server answers, and says what is wrong with the arguments", async () => {
  const f = await started();
  const client = f.client();
  f.say(client, command("mod.do", "x"));
  f.server("a").received();
  f.say(f.server("a"), info("mod.do", { keys: [0, 0, 0], flags: ["readonly"] }));
  assert.is(f.server("a").received(), command("mod.do", "x"));
  f.say(f.server("a"), "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
});

test("what the server does not know stays unknown", async () => {
  const answers = [
    "*1\r\n*-1\r\n",
    "*1\r\n$-1\r\n",
    "*1\r\n_\r\n",
    "-ERR what\r\n",
    "*0\r\n",
    "+OK\r\n",
    info("mod.do", { arity: 0 }),
    info("mod.do", { keys: [1, 1, 0] }),
  ];
  for (const answer of answers) {
    const f = await started();
    const client = f.client();
    f.say(client, command("mod.do", "k"));
    f.server("a").received();
    f.say(f.server("a"), answer);
    assert.match(client.received(), UNKNOWN, answer);
    f.say(client, command("mod.do", "k"));
    assert.match(client.received(), UNKNOWN, answer);
    assert.is(f.server("a").received(), "");
    assert.is(f.watch.requests.size, 0);
  }
});

test("what is not fit for shared connections is refused with the reason", async () => {
  const answers: [Info, string][] = [
    [{ flags: ["blocking"] }, "has the flag 'blocking'"],
    [{ flags: ["readonly", "movablekeys"] }, "has the flag 'movablekeys'"],
    [{ flags: ["write"], keys: [0, 0, 0] }, "writes without a key"],
    [{ subcommands: bulk("mod.do|x") }, "has subcommands"],
  ];
  for (const [answer, why] of answers) {
    const f = await started();
    const client = f.client();
    const refused = "-ERR 'mod.do' is not supported by ringmux: it is not in its command table, " +
      `and the server says that it ${why}\r\n`;
    f.say(client, command("mod.do", "k"));
    f.server("a").received();
    f.say(f.server("a"), info("mod.do", answer));
    assert.is(client.received(), refused);
    f.say(client, command("MOD.DO", "k"));
    assert.is(client.received(), refused);
    assert.is(f.server("a").received(), "");
    assert.is(f.watch.requests.size, 0);
  }
});

test("commands of newer servers that are in no table go where their key is", async () => {
  // Arrays of Redis 8.8 (ARSET key index value), and a command that says how many keys follow.
  for (const [name, flags] of [["arset", ["write", "denyoom"]], ["arget", ["readonly"]]]) {
    const f = await started();
    const client = f.client();
    const request = command(name as string, f.key("c"), "1", "e");
    f.say(client, request);
    assert.is(f.server("a").received(), ask(name as string));
    f.say(f.server("a"), info(name as string, { arity: -1, flags: flags as string[] }));
    assert.is(f.server("c").received(), request);
    f.say(f.server("c"), ":1\r\n");
    assert.is(client.received(), ":1\r\n");
  }
  const f = await started();
  const client = f.client();
  f.say(client, command("mod.many", "1", "k", "v"));
  f.say(f.server("a"), info("mod.many", { arity: -4, flags: ["write", "movablekeys"] }));
  assert.match(
    client.received(),
    /^-ERR 'mod\.many' is not supported by ringmux: .*'movablekeys'\r\n$/,
  );
});

test("an unknown command is asked about again after a while", async () => {
  const f = await started();
  const client = f.client();
  f.say(client, command("mod.do", "k"));
  f.say(f.server("a"), "*1\r\n*-1\r\n");
  client.received();
  f.server("a").received();
  f.host.pass(11_000);
  f.say(client, command("mod.do", f.key("a")));
  assert.is(f.server("a").received(), ask("mod.do"));
  f.say(f.server("a"), info("mod.do", {}));
  assert.is(f.server("a").received(), command("mod.do", f.key("a")));
});

test("a server lost while it is asked leaves the command unknown", async () => {
  const f = await started();
  const client = f.client();
  f.say(client, command("mod.do", "k") + "PING\r\n");
  f.server("a").close();
  f.settle();
  assert.match(client.received(), /^-ERR unknown command 'mod\.do'.*\r\n\+PONG\r\n$/);
  assert.is(f.watch.requests.size, 0);
});

test("a client that leaves while a server is asked leaves nothing behind", async () => {
  const f = await started();
  const client = f.client();
  f.say(client, command("mod.do", "k"));
  client.close();
  f.settle();
  f.say(f.server("a"), info("mod.do", {}));
  assert.is(f.watch.requests.size, 0);
});

test("nothing is asked for a client without its password, or with a list of allowed commands", async () => {
  const locked = await started(["redis_auth: secret"]);
  const client = locked.client();
  locked.say(client, command("mod.do", "k"));
  assert.match(client.received(), UNKNOWN);
  assert.is(locked.attempts("a"), 0);
  const closed = await started(["commands: {allow: [get]}"]);
  const other = closed.client();
  closed.say(other, command("mod.do", "k"));
  assert.match(other.received(), UNKNOWN);
  assert.is(closed.attempts("a"), 0);
});

test.run();
