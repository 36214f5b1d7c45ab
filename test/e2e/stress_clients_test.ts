// Clients that ask for too much, read nothing, do nothing or vanish: everybody else is served as
// before, every byte is the right one, and memory stays within fixed bounds (docs/limits.md).
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import { figure, Load, mark, residentMB } from "./load.ts";
import {
  at,
  bulk,
  cmd,
  ours,
  type ProxyProcess,
  random,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

const MB = 1 << 20;

let servers: { redis: ServerProcess[]; memcached: ServerProcess };
let proxy: ProxyProcess;

test.before(async () => {
  servers = {
    redis: await several(2, () => startRedis()),
    memcached: await startMemcached({ args: ["-I", "128m", "-m", "1024"] }),
  };
});

// A fresh process each time: what an earlier test has made it keep would hide what it takes.
test.before.each(async () => {
  proxy = await startProxy({
    redis: {
      redis: true,
      hash: "fnv1a_64",
      backlog: 8192,
      servers: servers.redis.map((server, i) => at(server, 1, `server${i}`)),
    },
    memcached: { servers: [at(servers.memcached)] },
  });
  const load = new Load(proxy.ports.redis, 8);
  await load.served();
  await load.stop();
});

test.after.each(async () => {
  await proxy.stop("SIGKILL");
});

/** The highest memory use seen while something goes on, above what it was before. */
async function growth(what: string, mayGrow: number, body: () => Promise<void>): Promise<void> {
  const before = residentMB(proxy.pid);
  let highest = before;
  const timer = setInterval(() => highest = Math.max(highest, residentMB(proxy.pid)), 20);
  try {
    await body();
  } finally {
    clearInterval(timer);
  }
  const grown = Math.max(highest, residentMB(proxy.pid)) - before;
  figure(what, grown, "MB");
  assert.ok(grown < mayGrow, `${what}: memory has grown by ${grown.toFixed(0)} MB`);
  assert.not.ok(proxy.gone, proxy.output());
}

const PIPELINED = 100_000;
/** Value of key i, about 1 KB. */
const kilo = (i: number) => `${i}:${"v".repeat(1000 + i % 50)}`;

/** Sends GETs for keys 0..999 over and over, 100,000 in all, without waiting for anything. */
async function pipeline(wire: Wire): Promise<void> {
  const setter = await Wire.open(proxy.ports.redis);
  for (let i = 0; i < 1000; i++) setter.send(cmd("SET", `kilo:${i}`, kilo(i)));
  assert.equal(new Set(await setter.replies(1000)), new Set(["+OK\r\n"]));
  setter.close();
  let all = "";
  for (let i = 0; i < 1000; i++) all += cmd("GET", `kilo:${i}`);
  const bytes = Buffer.from(all, "latin1");
  for (let i = 0; i < PIPELINED / 1000; i++) wire.send(bytes);
}

ours("a client that pipelines 100,000 commands and never reads", async () => {
  await growth("100,000 commands pipelined, 100 MB of replies not read", 150, async () => {
    const deaf = await Wire.open(proxy.ports.redis);
    deaf.socket.pause();
    const load = new Load(proxy.ports.redis, 8);
    await pipeline(deaf);
    // By then it has been given all that it will be given.
    for (let i = 0; i < 3; i++) await load.served();
    await load.stop();
    assert.is(load.errorCount, 0);
    deaf.socket.resetAndDestroy();
  });
});

ours("a client that pipelines 100,000 commands and reads later gets all, in order", async () => {
  await growth("100,000 commands pipelined, replies read late", 150, async () => {
    const late = await Wire.open(proxy.ports.redis);
    late.socket.pause();
    await pipeline(late);
    const load = new Load(proxy.ports.redis, 4);
    await load.served();
    late.socket.resume();
    const expected = Array.from({ length: 1000 }, (_, i) => bulk(kilo(i))).join("");
    for (let i = 0; i < PIPELINED / 1000; i++) {
      assert.ok(await late.read(expected.length) === expected, `replies from ${i * 1000} on`);
    }
    assert.is(await late.half().rest(), "");
    await load.stop();
    assert.is(load.errorCount, 0);
  });
});

ours("5,000 idle clients", async () => {
  const clients = 5000;
  let wires: Wire[] = [];
  await growth(`${clients} idle clients`, 200, async () => {
    for (let i = 0; i < clients; i += 250) {
      wires.push(...await several(250, () => Wire.open(proxy.ports.redis)));
    }
    // Each has been served once.
    for (const [i, wire] of wires.entries()) wire.send(cmd("SET", `idle:${i}`, mark(i, 1)));
    for (const wire of wires) assert.is(await wire.reply(), "+OK\r\n");
    const load = new Load(proxy.ports.redis, 8);
    await load.served();
    await load.stop();
    await until("only these to be there", async () => {
      return (await proxy.stats()).redis.client_connections === clients;
    });
  });
  // None of them was forgotten or mistaken for another.
  for (const [i, wire] of wires.entries()) wire.send(cmd("GET", `idle:${i}`));
  for (const [i, wire] of wires.entries()) assert.is(await wire.reply(), bulk(mark(i, 1)));
  wires.forEach((wire, i) => i % 2 === 0 ? wire.close() : wire.socket.resetAndDestroy());
  wires = [];
  await until("all to be gone", async () => (await proxy.stats()).redis.client_connections === 0);
});

ours(
  "thousands of clients that vanish in mid-command, by FIN and by reset, under load",
  async () => {
    await growth("2,000 clients that vanish in mid-command", 150, async () => {
      const rand = random(11);
      const load = new Load(proxy.ports.redis, 8);
      const memcachedLoad = new Load(proxy.ports.memcached, 8, { memcached: true });
      const redisWhole = cmd("SET", "vanished", "x".repeat(30_000));
      const memcachedWhole = `set vanished 0 0 30000\r\n${"x".repeat(30_000)}\r\n`;
      for (let round = 0; round < 20; round++) {
        const wires = await several(100, () => {
          return Wire.open(rand(2) === 0 ? proxy.ports.redis : proxy.ports.memcached);
        });
        await Promise.all(wires.map((wire) => {
          const redis = wire.socket.remotePort === proxy.ports.redis;
          const whole = redis ? redisWhole : memcachedWhole;
          const before = redis ? cmd("GET", "kilo:1") : "get kilo\r\n";
          const cut = 1 + rand(rand(2) === 0 ? 40 : whole.length - 1);
          return wire.send(before.repeat(rand(20)) + whole.slice(0, cut)).flushed();
        }));
        for (const wire of wires) {
          if (rand(3) === 0) wire.half();
          else if (rand(2) === 0) wire.close();
          else wire.socket.resetAndDestroy();
        }
      }
      await load.served();
      await memcachedLoad.served();
      await load.stop();
      await memcachedLoad.stop();
      assert.is(load.errorCount + memcachedLoad.errorCount, 0);
    });
    const wire = await Wire.open(proxy.ports.redis);
    assert.is(await wire.ask("GET", "vanished"), "$-1\r\n");
    const other = await Wire.open(proxy.ports.memcached);
    assert.is(await other.send("get vanished\r\n").line(), "END\r\n");
    await until("all to be gone", async () => (await proxy.stats()).redis.client_connections === 1);
  },
);

/** 64 MB in which every line says whose it is and where it stands. */
function large(client: number): string {
  let text = "";
  const line = `client ${client} ${"-".repeat(2000)} `;
  for (let i = 0; text.length < 64 * MB; i++) text += `${line}${i}\n`;
  return text.slice(0, 64 * MB);
}

/** Reads so many bytes in pieces, so that it is the silence that is timed and not the whole. */
async function sameAs(wire: Wire, expected: string, what: string): Promise<void> {
  for (let pos = 0; pos < expected.length; pos += 2 * MB) {
    const piece = expected.slice(pos, pos + 2 * MB);
    await until(what, () => wire.ended || wire.peek().length >= piece.length, 60_000);
    assert.ok(await wire.read(piece.length) === piece, `${what} from ${pos} on`);
  }
}

ours("values of 64 MB, two clients at once, while others are served", async () => {
  const values = [0, 1].map(large);
  await growth("64 MB set and got by 2 clients at once, Redis", 450, async () => {
    const load = new Load(proxy.ports.redis, 4);
    await Promise.all(values.map(async (value, client) => {
      const wire = await Wire.open(proxy.ports.redis);
      wire.send(cmd("SET", `large:${client}`, value) + cmd("PING", `after ${client}`));
      await until("the large SET to be answered", () => wire.peek().length > 0, 60_000);
      assert.is(await wire.line(), "+OK\r\n");
      assert.is(await wire.reply(), bulk(`after ${client}`));
      wire.send(cmd("GET", `large:${client}`) + cmd("PING", `got ${client}`));
      await sameAs(wire, bulk(value), `value of ${client}`);
      assert.is(await wire.reply(), bulk(`got ${client}`));
      await wire.ask("DEL", `large:${client}`);
      wire.close();
    }));
    await load.served();
    await load.stop();
    assert.is(load.errorCount, 0);
  });
  await growth("64 MB set and got by one client, memcached", 450, async () => {
    const [value] = values;
    const wire = await Wire.open(proxy.ports.memcached);
    wire.send(`set large 7 0 ${value.length}\r\n${value}\r\n`);
    await until("the large set to be answered", () => wire.peek().length > 0, 60_000);
    assert.is(await wire.line(), "STORED\r\n");
    const expected = `VALUE large 7 ${value.length}\r\n${value}\r\nEND\r\n`;
    wire.send("get large\r\n");
    await sameAs(wire, expected, "the value");
    wire.close();
  });
});

test.run();
