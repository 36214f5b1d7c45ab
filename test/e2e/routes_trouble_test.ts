// Children of `all` (each `wait`), of a failover, and mirrors that are stopped, killed, slow, or answer
// garbage, before Redis and memcached, under clients that know what they have written.
// Needs: redis-server memcached

import type * as net from "node:net";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  type Fake,
  isNutcracker,
  type PoolSpec,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  several,
  startFake,
  startMemcached,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

// What the core does no runtime can do in its own way.
const once = runtime === "node" && !isNutcracker ? test : test.skip;
const CLIENTS = 3;
const ROUNDS = Number(process.env.RINGMUX_ROUNDS ?? 30);
const WAITS = ["all", "majority", "fastest", "first", "none"] as const;
type Wait = typeof WAITS[number];
type Kind = "redis" | "mc";
const KINDS: Kind[] = ["redis", "mc"];

/** Of each kind: two that are well, one that has trouble. */
const servers = {} as Record<Kind, ServerProcess[]>;
let garbage: Fake;
let slow: Fake;
let proxy: ProxyProcess;

/** What a client says to write a key and read it, and what it is answered if all is well. */
const talk = {
  redis: {
    words: (key: string, value: string) => cmd("SET", key, value) + cmd("GET", key),
    good: (_key: string, value: string) => ["+OK\r\n", bulk(value)],
    /** Errors, and "not there". */
    bad: /^-/,
    nothing: ["$-1\r\n", "$-1\r\n"],
    read: async (wire: Wire) => await wire.replies(2),
  },
  mc: {
    words: (key: string, value: string) =>
      `set ${key} 0 0 ${value.length}\r\n${value}\r\nmg ${key} v\r\n`,
    good: (_key: string, value: string) => ["STORED\r\n", `VA ${value.length}\r\n${value}\r\n`],
    bad: /^SERVER_ERROR/,
    nothing: ["NOT_STORED\r\n", "EN\r\n"],
    read: async (wire: Wire) => {
      const first = await wire.line();
      const second = await wire.line();
      return [first, second.startsWith("VA ") ? second + await wire.line() : second];
    },
  },
};

test.before(async () => {
  if (runtime !== "node") return;
  servers.redis = await several(3, startRedis);
  servers.mc = await several(3, startMemcached);
  const each = (then: (socket: net.Socket) => void) =>
    startFake((socket) => {
      socket.on("data", () => then(socket));
      socket.on("error", () => {});
    });
  garbage = await each((socket) => socket.write("?!\r\n"));
  slow = await each(() => {}); // takes all and says nothing
  const pools: Record<string, PoolSpec> = {};
  for (const kind of KINDS) {
    const own: PoolSpec = kind === "redis" ? { redis: true } : {};
    const children = [...servers[kind], garbage, slow];
    for (const [i, server] of children.entries()) {
      pools[`${kind}${i}`] = { ...own, timeout: 300, servers: [at(server.port)] };
    }
    const front = (routes: string) => ({ ...own, routes });
    const [a, b] = [`${kind}0`, `${kind}1`];
    for (const [trouble, i] of [["sick", 2], ["garbage", 3], ["slow", 4]] as const) {
      const c = `${kind}${i}`;
      for (const wait of WAITS) {
        pools[`${kind}_${wait}_${trouble}`] = front(
          `{default: {all: [${a}, ${b}, ${c}], wait: ${wait}}}`,
        );
      }
      pools[`${kind}_mirror_${trouble}`] = front(`{default: ${a}, mirror: [{pool: ${c}}]}`);
      pools[`${kind}_failover_${trouble}`] = front(`{default: {failover: [${c}, ${a}]}}`);
    }
  }
  proxy = await startProxy(pools);
});

/** What each client was answered that is not as if all were well. */
async function load(kind: Kind, front: string, during = () => {}): Promise<string[][]> {
  const { words, good, read } = talk[kind];
  const odd: string[][] = [];
  let begun = 0;
  const run = async (n: number): Promise<void> => {
    const wire = await Wire.open(proxy.ports[front]);
    for (let i = 0; i < ROUNDS; i++) {
      if (++begun === CLIENTS * ROUNDS / 2) during();
      const key = `${front}:${n}:${i}`;
      wire.send(words(key, `v${i}`));
      const got = await read(wire);
      if (JSON.stringify(got) !== JSON.stringify(good(key, `v${i}`))) odd.push(got);
    }
    wire.close();
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => run(n)));
  return odd;
}

/** How many of a front's keys a server has. */
async function count({ port }: ServerProcess, kind: Kind, front: string): Promise<number> {
  const wire = await Wire.open(port);
  let found = 0;
  for (let n = 0; n < CLIENTS; n++) {
    for (let i = 0; i < ROUNDS; i++) {
      const key = `${front}:${n}:${i}`;
      if (kind === "redis") found += await wire.ask("EXISTS", key) === ":1\r\n" ? 1 : 0;
      else found += (await wire.send(`mg ${key}\r\n`).line()).startsWith("HD") ? 1 : 0;
    }
  }
  wire.close();
  return found;
}

/** What a policy promises while the last of three children has trouble. */
async function keeps(kind: Kind, wait: Wait, front: string, during?: () => void): Promise<void> {
  const odd = await load(kind, front, during);
  const { bad, nothing } = talk[kind];
  if (wait === "all") { for (const [first] of odd) assert.match(first, bad, front); }
  else if (wait === "none") { for (const got of odd) assert.equal(got, nothing, front); }
  else assert.equal(odd, [], front);
  // All of it is at both others, whatever was said.
  for (const server of servers[kind].slice(0, 2)) {
    assert.is(await count(server, kind, front), CLIENTS * ROUNDS, front);
  }
}

for (const kind of KINDS) {
  for (const wait of WAITS) {
    once(`${kind}, all, wait: ${wait}: a child that answers garbage`, async () => {
      await keeps(kind, wait, `${kind}_${wait}_garbage`);
    });
  }
  for (const wait of ["majority", "fastest", "first", "none"] as const) {
    once(`${kind}, all, wait: ${wait}: a child that is stopped, and one that is slow`, async () => {
      const sick = servers[kind][2];
      await keeps(kind, wait, `${kind}_${wait}_sick`, () => void sick.kill("SIGSTOP"));
      sick.kill("SIGCONT");
      await keeps(kind, wait, `${kind}_${wait}_slow`);
    });
  }

  once(`${kind}: a mirror in whatever trouble changes nothing`, async () => {
    const sick = servers[kind][2];
    assert.equal(await load(kind, `${kind}_mirror_sick`, () => void sick.kill("SIGSTOP")), []);
    sick.kill("SIGCONT");
    for (const trouble of ["garbage", "slow"]) {
      assert.equal(await load(kind, `${kind}_mirror_${trouble}`), [], trouble);
    }
  });

  once(
    `${kind}, failover: reads go on before garbage; writes that may be done do not`,
    async () => {
      const { bad } = talk[kind];
      for (const [first, second] of await load(kind, `${kind}_failover_garbage`)) {
        assert.match(first, bad);
        assert.match(first, /may have been carried out/);
        assert.not.match(second, bad);
      }
    },
  );
}

// The last ones: those do not come back.
for (const kind of KINDS) {
  once(`${kind}: a child and a mirror that are killed`, async () => {
    const sick = servers[kind][2];
    assert.equal(await load(kind, `${kind}_mirror_sick`, () => void sick.kill("SIGKILL")), []);
    await sick.exited();
    for (const wait of WAITS) await keeps(kind, wait, `${kind}_${wait}_sick`);
    // Nobody listens there: surely nothing was carried out.
    assert.equal(await load(kind, `${kind}_failover_sick`), []);
  });
}

test.run();
