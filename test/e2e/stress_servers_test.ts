// Servers that are killed, stopped, babble or dawdle while many clients ask without pause: nobody
// ever gets a reply that is not his, the proxy lives, and all is served again afterwards.
// Needs: redis-server memcached

import type * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Load, mark, residentMB } from "./load.ts";
import {
  at,
  bulk,
  cmd,
  type Fake,
  ours,
  type PoolSpec,
  type ProxyProcess,
  random,
  several,
  startFake,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

const CLIENTS = 24;

let started: ProxyProcess[] = [];
test.after.each(async () => {
  for (const proxy of started) await proxy.stop("SIGKILL");
  started = [];
});

async function proxyOver(
  servers: { port: number }[],
  more: PoolSpec = {},
): Promise<ProxyProcess> {
  const names = servers.map((server, i) => at(server, 1, `server${i}`));
  const proxy = await startProxy({
    pool: { redis: true, hash: "fnv1a_64", timeout: 400, ...more, servers: names },
  });
  started.push(proxy);
  return proxy;
}

/** The proxy lives, and memory has not run away. */
function sound(proxy: ProxyProcess, before: number): void {
  assert.not.ok(proxy.gone, proxy.output());
  const grown = residentMB(proxy.pid) - before;
  assert.ok(grown < 150, `memory has grown by ${grown.toFixed(0)} MB`);
}

const EJECTING = { auto_eject_hosts: true, server_retry_timeout: 200, server_failure_limit: 1 };

for (const [what, more] of [["", {}], [", with ejection", EJECTING]] as const) {
  ours(`a Redis server killed and started again under load${what}`, async () => {
    const servers = await several(3, () => startRedis());
    const proxy = await proxyOver(servers, { server_connections: 2, ...more });
    const before = residentMB(proxy.pid);
    const load = new Load(proxy.port, CLIENTS);
    await load.served();
    for (let i = 0; i < 4; i++) {
      const victim = servers[i % 3];
      const errors = load.errorCount;
      const rounds = [...load.rounds];
      await victim.stop("SIGKILL");
      await load.until("the loss to be noticed", () => load.errorCount > errors);
      await load.until(
        "all clients to go on without the server",
        () => rounds.every((n, client) => load.rounds[client] > n + 2),
      );
      servers[i % 3] = await startRedis({ port: victim.port });
      await load.served();
    }
    await load.stop();
    sound(proxy, before);
  });
}

ours("a memcached server killed and started again under load", async () => {
  const servers = await several(2, () => startMemcached());
  const proxy = await proxyOver(servers, { redis: false });
  const before = residentMB(proxy.pid);
  const load = new Load(proxy.port, CLIENTS, { memcached: true });
  await load.served();
  for (let i = 0; i < 3; i++) {
    const errors = load.errorCount;
    await servers[0].stop("SIGKILL");
    await load.until("the loss to be noticed", () => load.errorCount > errors);
    servers[0] = await startMemcached({ port: servers[0].port });
    await load.served();
  }
  await load.stop();
  sound(proxy, before);
});

ours("a server stopped for longer than the timeout, again and again", async () => {
  const servers = await several(3, () => startRedis());
  const proxy = await proxyOver(servers, { timeout: 250 });
  const before = residentMB(proxy.pid);
  const load = new Load(proxy.port, CLIENTS);
  await load.served();
  for (let i = 0; i < 3; i++) {
    const timeouts = () => load.errors.get("-ERR Connection timed out\r\n") ?? 0;
    const soFar = timeouts();
    servers[1].kill("SIGSTOP");
    // Two timeouts of everybody's: what the server says later was meant for connections long gone.
    const rounds = [...load.rounds];
    await load.until("timeouts", () => timeouts() > soFar + CLIENTS);
    await load.until(
      "all clients to go on without the server",
      () => rounds.every((n, client) => load.rounds[client] > n + 1),
    );
    servers[1].kill("SIGCONT");
    await load.served();
  }
  await load.stop();
  sound(proxy, before);
});

/** A fake Redis that knows the value of every key: GET c:n is answered by `answer`. */
function fakeRedis(
  answer: (socket: net.Socket, value: string, connection: number) => void | Promise<void>,
): Promise<Fake> {
  return startFake((socket, fake) => {
    const connection = fake.accepted;
    let text = "";
    let busy = false;
    const work = async () => {
      if (busy) return;
      busy = true;
      for (;;) {
        const m = /^\*2\r\n\$3\r\nGET\r\n\$\d+\r\n(\d+):(\d+)\r\n/.exec(text);
        if (m === null) break;
        text = text.slice(m[0].length);
        await answer(socket, bulk(mark(Number(m[1]), Number(m[2]))), connection);
      }
      busy = false;
    };
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      work();
    });
  });
}

/** Ten GETs whose values the fake makes up, and a PING between them. */
function getsOnly(client: number, first: number) {
  return Array.from({ length: 10 }, (_, i) => [
    {
      request: cmd("GET", `${client}:${first + i}`),
      right: [bulk(mark(client, first + i))],
    },
    { request: cmd("PING", `${client}:${first + i}`), right: [bulk(`${client}:${first + i}`)] },
  ]).flat();
}

const say = (socket: net.Socket, bytes: string) => socket.write(Buffer.from(bytes, "latin1"));
const turn = () => new Promise((resolve) => setImmediate(resolve));

ours("a server that answers one byte at a time", async () => {
  const fake = await fakeRedis(async (socket, value) => {
    socket.setNoDelay(true);
    // The long ones in pieces, or this would be a test of this test's patience.
    const piece = value.length > 1000 ? 700 : 1;
    for (let at = 0; at < value.length && !socket.destroyed; at += piece) {
      say(socket, value.slice(at, at + piece));
      await turn();
    }
  });
  const proxy = await proxyOver([fake], { timeout: 20_000 });
  const before = residentMB(proxy.pid);
  const load = new Load(proxy.port, 8, { asked: getsOnly });
  await load.served();
  await load.served();
  await load.stop();
  assert.is(load.errorCount, 0);
  sound(proxy, before);
});

ours(
  "a server that now and then answers garbage, breaks off, falls silent or hangs up",
  async () => {
    const rand = random(7);
    let mischief = true;
    const fake = await fakeRedis(async (socket, value) => {
      const what = mischief ? rand(60) : 99;
      if (what === 0) say(socket, "HTTP/1.1 400 Bad Request\r\n\r\n");
      else if (what === 1) say(socket, "\0\xff\x80*$".repeat(rand(2000) + 1) + "\r\n");
      else if (what === 2) socket.end(Buffer.from(value.slice(0, rand(value.length)), "latin1"));
      else if (what === 3) {
        say(socket, value.slice(0, rand(value.length)));
        await turn();
        socket.resetAndDestroy();
      } else if (what === 4) socket.destroy();
      else if (what === 5) await new Promise(() => {}); // never again on this connection
      else say(socket, value);
    });
    const proxy = await proxyOver([fake], { timeout: 150 });
    const before = residentMB(proxy.pid);
    // A client that has had a part of a long reply is cut off when the rest is lost.
    const load = new Load(proxy.port, CLIENTS, { asked: getsOnly, mayClose: true });
    await load.until("much mischief", () => fake.accepted > 60, 30_000);
    mischief = false;
    await load.served();
    await load.stop();
    assert.ok(load.errorCount > 0);
    sound(proxy, before);
  },
);

ours("a server that sends replies without end, asked or not", async () => {
  const flood = Buffer.from(bulk("not for you").repeat(4000));
  const fake = await startFake((socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(flood));
    };
    socket.on("drain", pour);
    socket.on("data", pour);
  });
  const good = await startRedis();
  const proxy = await startProxy({
    flood: { redis: true, timeout: 300, servers: [at(fake)] },
    good: { redis: true, servers: [at(good)] },
  });
  started.push(proxy);
  const before = residentMB(proxy.pid);
  const load = new Load(proxy.ports.good, 4);
  const wires = await several(10, () => Wire.open(proxy.ports.flood));
  for (let i = 0; i < 50; i++) {
    // The first reply is taken for the answer: nobody can tell. All others must go nowhere.
    for (const wire of wires) wire.send(cmd("GET", "k"));
    for (const wire of wires) assert.match(await wire.reply(), /^(\$11|-ERR)/);
  }
  for (const wire of wires) assert.is(await wire.half().rest(), "");
  assert.ok(fake.accepted > 1, "its connection was not closed");
  await load.served();
  await load.stop();
  sound(proxy, before);
});

for (
  const [what, endless] of [
    ["a line", "+" + "x".repeat(65_535)],
    ["an array of arrays", "*1\r\n".repeat(16_384)],
    ["lengths that are none", "$".repeat(65_536)],
  ]
) {
  ours(`a server whose reply is ${what} without end`, async () => {
    let poured = 0;
    const fake = await startFake((socket) => {
      const piece = Buffer.from(endless);
      const pour = () => {
        while (!socket.destroyed && poured < 400 << 20) {
          poured += piece.length;
          if (!socket.write(piece)) return;
        }
      };
      socket.on("drain", pour);
      socket.once("data", pour);
    });
    const good = await startRedis();
    const proxy = await startProxy({
      endless: { redis: true, timeout: 1000, servers: [at(fake)] },
      good: { redis: true, servers: [at(good)] },
    });
    started.push(proxy);
    const before = residentMB(proxy.pid);
    const load = new Load(proxy.ports.good, 4);
    const wire = await Wire.open(proxy.ports.endless);
    wire.socket.pause(); // it never reads, so the proxy has to keep what it wants to give
    wire.send(cmd("GET", "k"));
    await load.served();
    await load.until("an end", () => poured > 0);
    let highest = 0;
    const watched = until("the connection to be given up", async () => {
      highest = Math.max(highest, residentMB(proxy.pid));
      return (await proxy.stats()).endless[`127.0.0.1:${fake.port}`].server_connections === 0;
    }, 15_000);
    await watched;
    await load.served();
    await load.stop();
    assert.ok(highest - before < 600, `memory grew by ${(highest - before).toFixed(0)} MB`);
    assert.not.ok(proxy.gone, proxy.output());
  });
}

test.run();
