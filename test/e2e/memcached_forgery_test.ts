// Keys with line breaks in them, whoever has put them there: no reply that shows a key can be made
// to end early, so that what follows would reach other clients as theirs.
// Needs: memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import { ask, FLAGS, readPackets } from "../protocol/packets.ts";
import {
  at,
  exchange,
  ours,
  type ProxyProcess,
  random,
  type ServerProcess,
  startMemcached,
  startProxy,
  Wire,
} from "./harness.ts";

let server: ServerProcess;
let proxy: ProxyProcess;

const FORGED = "VALUE ali:secret 0 5\r\nFORGE\r\nEND\r\nHD";
const EVIL = `mal:\r\n${FORGED}`;
const base64 = (key: string): string => Buffer.from(key, "latin1").toString("base64");
const token = (user: string): string => `set a 0 0 ${user.length + 2}\r\n${user} p\r\n`;
const sasl = (user: string): string => ask(0x21, { key: "PLAIN", value: `\0${user}\0p` });
const KEY_WITH_LF =
  "CLIENT_ERROR the key is no base64, or has a line break: no text reply can have it " +
  "(leave out k)\r\n";

test.before(async () => {
  server = await startMemcached({ args: ["-o", "no_lru_maintainer"] });
  const users =
    "{mal: {password: p, prefixes: ['mal:']}, ali: {password: p, prefixes: ['ali:']}, " +
    "root: {password: p}}";
  proxy = await startProxy({
    mc: { auth: `{users: ${users}}`, servers: [at(server)], server_connections: 1 },
  });
});

async function login(user: string): Promise<Wire> {
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.send(token(user)).line(), "STORED\r\n");
  return wire;
}

/** Stores a key by the binary protocol, on the server itself. */
async function plant(key: string, value: string): Promise<void> {
  const reply = await exchange(server.port, ask(1, { key, value, extras: FLAGS }));
  assert.is(readPackets(reply)[0].status, 0);
}

ours("the binary protocol takes no key that text could not have", async () => {
  const wire = await Wire.open(proxy.port);
  const status = async (request: string): Promise<number> => {
    const head = await wire.send(request).read(24);
    const [{ status }] = readPackets(head.slice(0, 8) + "\0\0\0\0" + head.slice(12));
    await wire.read((head.charCodeAt(10) << 8) + head.charCodeAt(11));
    return status;
  };
  assert.is(await status(sasl("mal")), 0);
  for (const bad of ["\r\n", " ", "\0", "\t", "\n", "\r", "\x7f"]) {
    const key = `mal:${bad}x`;
    for (const opcode of [0, 4, 0x0c]) assert.is(await status(ask(opcode, { key })), 4);
    assert.is(await status(ask(1, { key, value: "v", extras: FLAGS })), 4, JSON.stringify(bad));
  }
  assert.is(await status(ask(1, { key: "", value: "v", extras: FLAGS })), 4);
  const long = "mal:" + "k".repeat(247);
  assert.is(await status(ask(1, { key: long, value: "v", extras: FLAGS })), 4);
  assert.is(await status(ask(1, { key: "mal:\xe9", value: "v", extras: FLAGS })), 0);
  wire.close();
});

ours("a key with a line break is in no text reply, so nothing can be forged with it", async () => {
  await exchange(
    server.port,
    "set ali:secret 0 0 4\r\nreal\r\nset ali:other 0 0 5\r\nother\r\nquit\r\n",
  );
  await plant(EVIL, "x");
  const [mal, ali] = [await login("mal"), await login("ali")];
  const key = base64(EVIL);
  for (
    const request of [
      ...[`mg ${key} b k\r\n`, `mg ${key} k b v\r\n`, `mg ${key} b kx\r\n`, `me ${key} b\r\n`],
      ...[`ms ${key} 1 b k\r\nx\r\n`, `md ${key} b k\r\n`, `ma ${key} b k N0\r\n`],
      // memcached makes something even of what is no base64
      `mg !${key} b k\r\n`,
    ]
  ) {
    mal.send(request);
    ali.send("get ali:secret\r\nget ali:other\r\n");
    // Whose prefixes matter is not sure of what is no base64.
    const answer = await mal.line();
    if (request.includes("!")) assert.match(answer, /^CLIENT_ERROR/);
    else assert.is(answer, KEY_WITH_LF, request);
    assert.is(await ali.readUntil("END\r\n"), "VALUE ali:secret 0 4\r\nreal\r\nEND\r\n");
    assert.is(await ali.readUntil("END\r\n"), "VALUE ali:other 0 5\r\nother\r\nEND\r\n");
  }
  // Without the key in the reply there is no danger, and what can be shown is shown.
  assert.is(await mal.send(`mg ${key} b v\r\n`).line() + await mal.line(), "VA 1\r\nx\r\n");
  const plain = base64("mal: é\t");
  assert.is(await mal.send(`ms ${plain} 1 b\r\ny\r\n`).line(), "HD\r\n");
  assert.is(await mal.send(`mg ${plain} b k\r\n`).line(), `HD k${plain} b\r\n`);
  // A carriage return alone ends nothing.
  assert.is(await mal.send("ms mal:a\rb 1\r\nz\r\n").line(), "HD\r\n");
  const whole = await mal.send("mg mal:a\rb k v O\rc\r\n").readUntil("z\r\n");
  assert.is(whole, "VA 1 kmal:a\rb O\rc\r\nz\r\n");
  mal.close();
  ali.close();
});

ours("lists of keys show the keys, and end where they end", async () => {
  await exchange(server.port, "flush_all\r\nset ali:secret 0 0 4\r\nreal\r\nquit\r\n");
  const [root, ali] = [await login("root"), await login("ali")];
  assert.is(await root.send("stats detail on\r\n").line(), "OK\r\n");
  await plant("a\r\nHD\r\nEND\r\n:x", "x");
  await plant(EVIL, "x");
  await plant("big\r\nVALUE k 0 99999999", "x");
  for (let n = 0; n < 50; n++) {
    for (
      const request of [
        "stats cachedump 2 0\r\n",
        "stats cachedump 1 0\r\n",
        "stats detail dump\r\n",
      ]
    ) {
      root.send(request);
      ali.send("get ali:secret\r\n");
      const dump = await root.readUntil("END\r\n");
      for (const line of dump.split("\r\n").slice(0, -2)) {
        assert.match(line, /^(ITEM .*\]|PREFIX .* del \d+)$/);
      }
      assert.is(await ali.readUntil("END\r\n"), "VALUE ali:secret 0 4\r\nreal\r\nEND\r\n");
    }
  }
  assert.is(
    await root.send("stats detail off\r\nmn\r\n").line() + await root.line(),
    "OK\r\nMN\r\n",
  );
  root.close();
  ali.close();
});

ours("whatever an attacker asks for, others get what is theirs", async () => {
  await exchange(server.port, "flush_all\r\nquit\r\n");
  const rand = random(7);
  const one = <T>(items: readonly T[]): T => items[rand(items.length)];
  const evil = [
    "END\r\n",
    "HD\r\n",
    FORGED,
    "VA 3\r\nabc\r\n",
    "STORED\r\n",
    "\r\n",
    "\n",
    "EN\r\nEN",
  ];
  const keys = Array.from({ length: 12 }, () => `mal:${rand(9)}\r\n${one(evil)}${rand(9)}`);
  const ali = await login("ali");
  for (let i = 0; i < 20; i++) {
    assert.is(await ali.send(`set ali:${i} 0 0 5\r\nali${10 + i}\r\n`).line(), "STORED\r\n");
  }
  const flags = (): string =>
    Array.from({ length: rand(5) }, () => one([..."bkvcfhlOqstN", "O\r1", "N9", "T9", "k"])).join(
      " ",
    );
  const attack = (): string => {
    const key = rand(3) > 0
      ? base64(one(keys))
      : one(["mal:a\rb", "mal:x", "=", "bWFs", `${base64(one(keys))}=`]);
    switch (rand(6)) {
      case 0:
        return `ms ${key} 1 ${flags()}\r\nx\r\n`;
      case 1:
        return `gat 0 ${key}\r\n`;
      case 2:
        return `me ${key} ${one(["b", "", "b b", "k b"])}\r\n`;
      default:
        return `${one(["mg", "mg", "md", "ma"])} ${key} b ${flags()}\r\n`;
    }
  };
  const [mal, root] = [await login("mal"), await login("root")];
  const packets = await Wire.open(proxy.port);
  packets.send(sasl("mal"));
  for (let round = 0; round < 60; round++) {
    for (const key of keys) if (rand(4) === 0) await plant(key, "5");
    for (let n = 0; n < 20; n++) {
      mal.send(attack());
      if (rand(4) === 0) packets.send(ask(rand(2), { key: one(keys), value: "", extras: "" }));
      if (rand(4) === 0) {
        root.send(one(["stats cachedump 2 0\r\n", `me ${base64(one(keys))} b\r\n`]));
      }
      const i = rand(20);
      const got = await ali.send(`get ali:${i}\r\n`).readUntil("END\r\n");
      assert.is(got, `VALUE ali:${i} 0 5\r\nali${10 + i}\r\nEND\r\n`, `round ${round}`);
    }
  }
  // Nobody was cut off for what another has done.
  assert.is(await ali.send("mn\r\n").line(), "MN\r\n");
  const stats = await exchange(proxy.statsPort, "");
  assert.is(JSON.parse(stats).mc[at(server).split(":").slice(0, 2).join(":")].server_err, 0);
  for (const wire of [mal, root, packets, ali]) wire.close();
});

test.run();
