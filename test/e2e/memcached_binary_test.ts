// memcached's binary protocol through the proxy: memjs, libmemcached's tools, and raw packets,
// compared with a memcached behind no proxy.
// Needs: memcached

import memjs from "memjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../core/version.ts";
import { ask, big, BY_ONE, FLAGS, type Packet, readPackets, SOON } from "../protocol/packets.ts";
import {
  at,
  exchange,
  freePort,
  needs,
  ours,
  type Pools,
  type ProxyProcess,
  random,
  run,
  runtime,
  type ServerProcess,
  several,
  startFake,
  startMemcached,
  startProxy,
  until,
  which,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  servers = await several(3, startMemcached);
  const pools: Pools = {
    pool: { servers: servers.map((s) => at(s)) },
    one: { servers: [at(servers[0])] },
    wide: { server_connections: 3, servers: servers.map((s) => at(s)) },
    lost: { servers: [at(await freePort())] },
  };
  proxy = await startProxy(pools);
});

test.before.each(async () => {
  for (const server of servers) {
    assert.is(await exchange(server.port, "flush_all\r\nquit\r\n"), "OK\r\n");
  }
});

const END = 0xeeeeeeee;
const NOOP = ask(0x0a, { opaque: END });

/** Packets up to the noop that is sent last, without it. */
async function upToNoop(wire: Wire): Promise<Packet[]> {
  let got = "";
  for (;;) {
    const head = await wire.read(24);
    const [empty] = readPackets(head.slice(0, 8) + "\0\0\0\0" + head.slice(12));
    const size = head.charCodeAt(8) * 2 ** 24 + head.charCodeAt(9) * 65536 +
      head.charCodeAt(10) * 256 + head.charCodeAt(11);
    if (empty.opcode === 0x0a && empty.opaque === END) return readPackets(got);
    got += head + await wire.read(size);
  }
}

/** What a request is answered with, when a noop follows it. */
async function replies(port: number, request: string): Promise<Packet[]> {
  const wire = await Wire.open(port);
  const packets = await upToNoop(wire.send(request + NOOP));
  wire.close();
  return packets;
}

const withoutCas = (packets: Packet[]) => packets.map((p) => ({ ...p, cas: p.cas > 0 }));
const store = (opcode: number, key: string, value: string, opaque = 1, cas = 0): string =>
  ask(opcode, { key, value, extras: FLAGS, opaque, cas });
const get = (key: string, opaque = 1, opcode = 0): string => ask(opcode, { key, opaque });
const count = (opcode: number, key: string): string => ask(opcode, { key, extras: BY_ONE });
const more = (opcode: number, key: string, value: string): string =>
  ask(opcode, { key, value, opaque: 5 });

const REQUESTS = [
  store(1, "a", "one") + get("a") + get("a", 0xffffffff, 0x0c) + get("nothing", 2),
  get("nothing", 3, 0x0c) + get("nothing", 4, 9) + get("nothing", 5, 0x0d) + get("a", 6, 9) +
  get("a", 7, 0x0d),
  store(2, "a", "x") + store(2, "b", "two") + store(3, "c", "x") + store(3, "b", "three"),
  store(0x12, "a", "x") + store(0x12, "d", "x") + store(0x13, "c", "x") + store(0x13, "d", "y"),
  store(0x11, "a", "again") + store(1, "a", "x", 9, 1) + store(0x11, "a", "x", 9, 1) + get("a"),
  more(0x0e, "a", " more") + more(0x0f, "a", "before ") + get("a") + more(0x0e, "nope", "x"),
  more(0x19, "a", "!") + more(0x1a, "a", "?") + more(0x19, "nope", "x") + get("a"),
  count(5, "n") + count(5, "n") + count(5, "n") + count(6, "n") + count(0x15, "n") + get("n"),
  count(0x16, "n") + count(5, "a") + count(0x15, "a") + get("n"),
  ask(5, { key: "none", extras: big(1, 8) + big(0, 8) + big(0xffffffff, 4) }),
  ask(0x1c, { key: "a", extras: SOON }) + ask(0x1c, { key: "none", extras: SOON }),
  ask(0x1d, { key: "a", extras: SOON }) + ask(0x1d, { key: "none", extras: SOON }),
  ask(0x1e, { key: "a", extras: SOON }) + ask(0x1e, { key: "none", extras: SOON }),
  ask(0x23, { key: "a", extras: SOON }) + ask(0x23, { key: "none", extras: SOON }),
  ask(0x24, { key: "a", extras: SOON }) + ask(0x24, { key: "none", extras: SOON }),
  get("a", 1) + ask(4, { key: "a" }) + ask(4, { key: "a" }) + ask(0x14, { key: "a", opaque: 8 }),
  store(1, "e", "") + get("e") + ask(0x14, { key: "e" }) + get("e"),
  ask(0x0b) + ask(0x20, { opaque: 3 }) + ask(0x21, { key: "PLAIN", value: "\0u\0p", opaque: 4 }),
  ask(0x77, { opaque: 5 }) + ask(0x10, { key: "nosuch" }) + ask(0x10, { key: "reset" }),
  store(1, "big", "x".repeat(1_048_577)) + get("big"),
  store(1, "long", "y".repeat(1_000_000)) + get("long") + get("long", 3, 9),
  store(1, "z", "1") + ask(8) + get("z") + store(1, "z", "1") + ask(0x18) + get("z"),
];

ours("every request is answered as by memcached itself", async () => {
  const replay = async (port: number) => {
    const all: unknown[] = [];
    for (const request of REQUESTS) all.push(withoutCas(await replies(port, request)));
    return all;
  };
  const expected = await replay(servers[0].port);
  for (const pool of ["one", "pool", "wide"]) {
    for (const server of servers) await exchange(server.port, "flush_all\r\nquit\r\n");
    const got = await replay(proxy.ports[pool]);
    REQUESTS.forEach((_, i) => assert.equal(got[i], expected[i], `${pool}: request ${i}`));
  }
});

ours("what memcached hangs up on is an error, and the connection stays", async () => {
  const requests = [
    ask(0, { key: "k".repeat(251), opaque: 1 }),
    ask(0, { opaque: 2 }),
    ask(0, { key: "k", extras: SOON, opaque: 3 }),
    ask(0x1b, { extras: SOON, opaque: 4 }),
    ask(0x1c, { key: "k", extras: SOON, value: "rest", opaque: 5 }),
  ];
  const got = await replies(proxy.port, requests.join("") + get("k", 6));
  assert.equal(got.map((p) => [p.opaque, p.status]), [
    [1, 4],
    [2, 4],
    [3, 4],
    [4, 0x81],
    [5, 4],
    [6, 1],
  ]);
});

ours("a broken stream is told and closed, and nobody else is harmed", async () => {
  const bystander = await Wire.open(proxy.port);
  const rand = random(5);
  const good = [store(1, "f", "value"), get("f"), count(5, "g"), get("f", 1, 9), NOOP].join("");
  for (let round = 0; round < 300; round++) {
    const wire = await Wire.open(proxy.port);
    const at = 1 + rand(good.length - 1);
    wire.send(
      good.slice(0, at) + String.fromCharCode(rand(256)) + good.slice(at + rand(2)) + "junk",
    );
    await wire.flushed().catch(() => {});
    if (round % 10 === 0) {
      const key = `safe${round}`;
      const [set, found] = await upToNoop(bystander.send(store(1, key, key) + get(key) + NOOP));
      assert.equal([set.status, found.value], [0, key]);
    }
    wire.close();
  }
  const wire = await Wire.open(proxy.port);
  const got = readPackets(await wire.send(get("none", 7) + "get k\r\n").rest());
  assert.equal(got.map((p) => [p.opaque, p.status]), [[7, 1], [0, 4]]);
  bystander.close();
});

ours("text and binary clients see each other's values", async () => {
  const text = await Wire.open(proxy.port);
  const binary = await Wire.open(proxy.port);
  for (let i = 0; i < 50; i++) {
    await text.send(`set t${i} 7 0 3\r\nt${i % 10}!\r\n`).readUntil("STORED\r\n");
    const asked = get(`t${i}`) + store(1, `b${i}`, `b${i}`);
    const [found] = await upToNoop(binary.send(asked + NOOP));
    assert.equal([found.value, found.extras], [`t${i % 10}!`, big(7, 4)]);
    const expected = `VALUE b${i} 7 ${`b${i}`.length}\r\nb${i}\r\nEND\r\n`;
    assert.is(await text.send(`get b${i}\r\n`).readUntil("END\r\n"), expected);
  }
  assert.is(
    await text.send("incr t0 1\r\n").readUntil("\r\n"),
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
  );
  text.close();
  binary.close();
});

ours("stat adds up over the servers and ends with an empty packet", async () => {
  const wire = await Wire.open(proxy.port);
  for (let i = 0; i < 90; i++) wire.send(store(0x11, `s${i}`, "x"));
  const packets = await upToNoop(wire.send(ask(0x10, { opaque: 77 }) + NOOP));
  const last = packets.pop() as Packet;
  assert.equal([last.opcode, last.key, last.value, last.opaque], [0x10, "", "", 77]);
  assert.ok(packets.every((p) => p.opcode === 0x10 && p.opaque === 77 && p.key !== ""));
  const stats = new Map(packets.map((p) => [p.key, p.value]));
  assert.is(stats.get("version"), (await replies(servers[0].port, ask(0x0b)))[0].value);
  let sets = 0;
  for (const server of servers) {
    const own = await replies(server.port, ask(0x10));
    sets += Number(own.find((p) => p.key === "cmd_set")?.value);
  }
  assert.ok(sets >= 90);
  assert.is(Number(stats.get("cmd_set")), sets);
  wire.close();
});

ours("200 clients with quiet pipelines at once: everyone gets their own, in order", async () => {
  const rand = random(11);
  const one = async (c: number): Promise<void> => {
    const wire = await Wire.open(c % 2 === 0 ? proxy.port : proxy.ports.wide);
    for (let round = 0; round < 5; round++) {
      let sent = "";
      const expected: [number, number, string][] = [];
      for (let i = 0; i < 40; i++) {
        const key = `c${c}.${round}.${i}`;
        const opaque = c * 10_000 + round * 100 + i;
        const value = `${key}:${"v".repeat(rand(300))}`;
        if (rand(3) > 0) {
          sent += store(0x11, key, value) + get(key, opaque, 9);
          expected.push([9, opaque, value]);
        } else if (rand(2) > 0) {
          sent += get(key, opaque, 0x0d); // a miss, and quiet
        } else {
          sent += get(key, opaque);
          expected.push([0, opaque, "Not found"]);
        }
      }
      sent += NOOP;
      for (let pos = 0; pos < sent.length;) {
        const next = pos + 1 + rand(5000);
        wire.send(sent.slice(pos, next));
        if (rand(4) === 0) await wire.flushed();
        pos = next;
      }
      const got = await upToNoop(wire);
      assert.equal(got.map((p) => [p.opcode, p.opaque, p.value]), expected);
    }
    wire.close();
  };
  await Promise.all(Array.from({ length: 200 }, (_, c) => one(c)));
});

ours("large values stream both ways", async () => {
  const big = await startMemcached({ args: ["-I", "16m"] });
  const own = await startProxy({ pool: { servers: [at(big)] } });
  const wire = await Wire.open(own.port);
  const value = Array.from({ length: 300_000 }, (_, i) => `${i}.`).join("");
  const sent = store(1, "big", value, 3) + get("big", 4) + store(0x11, "quiet", value) +
    get("quiet", 5, 9);
  const got = await upToNoop(wire.send(sent + NOOP));
  assert.equal(got.map((p) => [p.opcode, p.opaque, p.status]), [[1, 3, 0], [0, 4, 0], [9, 5, 0]]);
  assert.ok(got[1].value === value && got[2].value === value);
  wire.close();
  await own.stop();
  await big.stop();
});

ours("a server that is lost: every request has its error packet", async () => {
  const sent = get("k", 1) + get("k", 2, 9) + store(0x11, "k", "v", 3) + ask(8, { opaque: 4 }) +
    ask(0x10, { opaque: 5 }) + ask(0x0b, { opaque: 6 });
  const got = await replies(proxy.ports.lost, sent);
  const why = "Connection refused";
  assert.equal(got.map((p) => [p.opcode, p.opaque, p.status, p.value]), [
    [0, 1, 0x86, why],
    [9, 2, 0x86, why],
    [0x11, 3, 0x86, why],
    [8, 4, 0x86, why],
    [0x10, 5, 0x86, why],
    [0x0b, 6, 0, VERSION], // known without any server
  ]);

  const fake = await startFake((socket, f) => {
    socket.on("data", () => f.accepted === 1 && f.received().length >= 50 && socket.destroy());
  });
  const own = await startProxy({ pool: { timeout: 300, servers: [at(fake)] } });
  fake.accepted = 0;
  const cut = await replies(own.port, get("a", 1) + get("b", 2, 9));
  assert.equal(cut.map((p) => [p.opcode, p.opaque, p.status]), [[0, 1, 0x86], [9, 2, 0x86]]);
  const [late] = await replies(own.port, get("c", 3));
  assert.equal([late.status, late.value], [0x86, "Connection timed out"]);
  await own.stop();
  fake.close();
});

ours("quit is answered, quitq is not, and both close", async () => {
  const wire = await Wire.open(proxy.port);
  const got = readPackets(await wire.send(get("none", 1) + ask(7, { opaque: 2 })).rest());
  assert.equal(got.map((p) => [p.opcode, p.opaque]), [[0, 1], [7, 2]]);
  const quiet = await Wire.open(proxy.port);
  assert.is(readPackets(await quiet.send(get("none", 1) + ask(0x17)).rest()).length, 1);
});

ours("memjs works as it comes", async () => {
  const client = memjs.Client.create(`127.0.0.1:${proxy.port}`);
  try {
    for (let i = 0; i < 20; i++) assert.ok(await client.set(`m${i}`, `value ${i}`, {}));
    for (let i = 0; i < 20; i++) {
      assert.is(String((await client.get(`m${i}`)).value), `value ${i}`);
    }
    assert.is((await client.get("none")).value, null);
    assert.is(await client.add("m1", "x", {}), false);
    assert.is(await client.add("added", "x", {}), true);
    assert.is(await client.replace("none", "x", {}), false);
    assert.is(await client.replace("added", "y", { expires: 100 }), true);
    // Its prepend sends the opcode of append (memjs 1.3.2): nothing to be tested there.
    assert.is(await client.append("added", "z"), true);
    assert.is(String((await client.get("added")).value), "yz");
    assert.is((await client.increment("n", 5, { initial: 10 })).value, 10);
    assert.is((await client.increment("n", 5, {})).value, 15);
    assert.is((await client.decrement("n", 1, {})).value, 14);
    assert.is(await client.touch("added", 100), true);
    assert.is(await client.touch("none", 100), false);
    assert.is(await client.delete("added"), true);
    assert.is(await client.delete("added"), false);
    const stats = await new Promise<Record<string, string>>((resolve, reject) =>
      client.stats((error: Error | null, _server: string, found: Record<string, string> | null) =>
        error ? reject(error) : resolve(found ?? {})
      )
    );
    assert.match(stats.version, /^1\./);
    assert.ok(Number(stats.curr_items) >= 20);
    await new Promise((resolve) => client.flush(resolve));
    assert.is((await client.get("m1")).value, null);
    const text = await exchange(proxy.port, "set m1 0 0 4\r\ntext\r\nquit\r\n");
    assert.is(text, "STORED\r\n");
    assert.is(String((await client.get("m1")).value), "text");
  } finally {
    client.close();
  }
});

/** Takes long, and is about the protocol, which is the same code everywhere. */
const tools = runtime === "node" ? needs("memccapable") : test.skip;

tools("libmemcached finds the proxy as capable as memcached itself", async () => {
  const tool = which("memccapable") || which("memcapable");
  const capable = (port: number, dialect: string) =>
    run(tool, [dialect, "-h", "127.0.0.1", "-p", String(port)]);
  for (const dialect of ["-b", "-a"]) {
    const expected = await capable(servers[0].port, dialect);
    assert.match(expected.stdout, /All tests passed/);
    for (const pool of ["one", "pool", "wide"]) {
      assert.is((await capable(proxy.ports[pool], dialect)).stdout, expected.stdout);
    }
  }
});

tools("libmemcached's tools in binary mode", async () => {
  const servers = `--servers=127.0.0.1:${proxy.port}`;
  const tool = (name: string, ...args: string[]) =>
    run(which(name), ["--binary", servers, ...args]);
  const wire = await Wire.open(proxy.port);
  await wire.send("set tool 0 0 5\r\nhello\r\n").readUntil("STORED\r\n");
  assert.is((await tool("memccat", "tool")).stdout.trim(), "hello");
  assert.is((await tool("memcexist", "tool")).code, 0);
  assert.is((await tool("memctouch", "--expire=100", "tool")).code, 0);
  assert.match((await tool("memcstat")).stdout, /curr_items/);
  assert.is((await tool("memcrm", "tool")).code, 0);
  assert.is(await wire.send("get tool\r\n").readUntil("END\r\n"), "END\r\n");
  await wire.send("set tool 0 0 1\r\nx\r\n").readUntil("STORED\r\n");
  assert.is((await tool("memcflush")).code, 0);
  await until("the flush", async () => await wire.send("get tool\r\n").line() === "END\r\n");
  wire.close();
});

test.run();
