// Each child of `all` (each `wait`), of a failover, and mirrors: stopped, killed, silent, late, answering
// garbage, before Redis and memcached, under clients that know what they have written. What a policy
// promises to keep is there afterwards, whatever the clients were told.
// Needs: redis-server memcached

import * as net from "node:net";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
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
  until,
  Wire,
} from "./harness.ts";

// What the core does no runtime can do in its own way.
const once = runtime === "node" && !isNutcracker ? test : test.skip;
const CLIENTS = 3;
const ROUNDS = Number(process.env.RINGMUX_ROUNDS ?? 20);
/** Where each round takes as long as a server may take. */
const FEW = 2;
const TIMEOUT = 300;
const WAITS = ["all", "majority", "fastest", "first", "none"] as const;
type Wait = typeof WAITS[number];
type Kind = "redis" | "mc";
const KINDS: Kind[] = ["redis", "mc"];
/** Children in trouble: number 2 is a server, which a test stops or kills. */
const TROUBLES = { sick: 2, garbage: 3, silent: 4, late: 5 } as const;

/** Of each kind: two that are well, one that has trouble. */
const servers = {} as Record<Kind, ServerProcess[]>;
const start = { redis: startRedis, mc: startMemcached };
let proxy: ProxyProcess;

interface Answered {
  key: string;
  value: string;
  got: string[];
}

/** What a client says to write a key and read it, and what it is answered if all is well. */
const talk = {
  redis: {
    words: (key: string, value: string) => cmd("SET", key, value) + cmd("GET", key),
    good: (value: string) => ["+OK\r\n", bulk(value)],
    /** Errors, and "not there". */
    bad: /^-/,
    nothing: ["$-1\r\n", "$-1\r\n"],
    read: async (wire: Wire) => await wire.replies(2),
    /** Which of them are there. */
    have: async (wire: Wire, keys: string[]) => {
      wire.send(keys.map((key) => cmd("EXISTS", key)).join(""));
      return (await wire.replies(keys.length)).map((reply) => reply === ":1\r\n");
    },
    set: async (wire: Wire, key: string) => await wire.ask("SET", key, "old"),
    remove: async (wire: Wire, key: string) => await wire.ask("DEL", key),
    removed: ":1\r\n",
  },
  mc: {
    words: (key: string, value: string) =>
      `set ${key} 0 0 ${value.length}\r\n${value}\r\nmg ${key} v\r\n`,
    good: (value: string) => ["STORED\r\n", `VA ${value.length}\r\n${value}\r\n`],
    bad: /^SERVER_ERROR/,
    nothing: ["NOT_STORED\r\n", "EN\r\n"],
    read: async (wire: Wire) => {
      const first = await wire.line();
      const second = await wire.line();
      return [first, second.startsWith("VA ") ? second + await wire.line() : second];
    },
    have: async (wire: Wire, keys: string[]) => {
      wire.send(keys.map((key) => `mg ${key}\r\n`).join(""));
      const there: boolean[] = [];
      for (const _ of keys) there.push((await wire.line()).startsWith("HD"));
      return there;
    },
    set: async (wire: Wire, key: string) => await wire.send(`set ${key} 0 0 3\r\nold\r\n`).line(),
    remove: async (wire: Wire, key: string) => await wire.send(`delete ${key}\r\n`).line(),
    removed: "DELETED\r\n",
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
  const garbage = await each((socket) => socket.write("?!\r\n"));
  const silent = await each(() => {}); // takes all and says nothing
  const pools: Record<string, PoolSpec> = {};
  for (const kind of KINDS) {
    // Whatever it passes on comes a while later.
    const late = await startFake((socket) => {
      const inner = net.connect(servers[kind][2].port, "127.0.0.1");
      inner.on("error", () => {});
      const later = (to: net.Socket) => (chunk: Uint8Array) =>
        setTimeout(() => to.write(chunk), TIMEOUT / 6);
      socket.on("data", later(inner));
      inner.on("data", later(socket));
      socket.on("close", () => inner.destroy());
    });
    const own: PoolSpec = kind === "redis" ? { redis: true } : {};
    for (const [i, server] of [...servers[kind], garbage, silent, late].entries()) {
      pools[`${kind}${i}`] = { ...own, timeout: TIMEOUT, servers: [at(server.port)] };
    }
    const front = (routes: string) => ({ ...own, routes });
    const [a, b] = [`${kind}0`, `${kind}1`];
    for (const [trouble, i] of Object.entries(TROUBLES)) {
      const c = `${kind}${i}`;
      for (const wait of WAITS) {
        pools[`${kind}_${wait}_${trouble}`] = front(
          `{default: {all: [${a}, ${b}, ${c}], wait: ${wait}}}`,
        );
      }
      pools[`${kind}_lead_${trouble}`] = front(`{default: {all: [${c}, ${a}, ${b}], wait: first}}`);
      pools[`${kind}_mirror_${trouble}`] = front(`{default: ${a}, mirror: [{pool: ${c}}]}`);
      pools[`${kind}_failover_${trouble}`] = front(`{default: {failover: [${c}, ${a}]}}`);
      pools[`${kind}_spare_${trouble}`] = front(`{default: {failover: [${a}, ${c}]}}`);
    }
  }
  proxy = await startProxy(pools);
});

/** Each client writes and reads `rounds` keys of its own; what they were answered. */
async function load(
  kind: Kind,
  front: string,
  during = () => {},
  rounds = ROUNDS,
): Promise<Answered[]> {
  const { words, read } = talk[kind];
  const answered: Answered[] = [];
  let begun = 0;
  const run = async (n: number): Promise<void> => {
    const wire = await Wire.open(proxy.ports[front]);
    for (let i = 0; i < rounds; i++) {
      if (++begun === Math.ceil(CLIENTS * rounds / 2)) during();
      const [key, value] = [`${front}:${loads}:${n}:${i}`, `v${i}`];
      wire.send(words(key, value));
      answered.push({ key, value, got: await read(wire) });
    }
    wire.close();
  };
  loads++;
  await Promise.all(Array.from({ length: CLIENTS }, (_, n) => run(n)));
  return answered;
}

let loads = 0;

/** What is not answered as if all were well. */
function oddOf(kind: Kind, answered: readonly Answered[]): string[][] {
  const { good } = talk[kind];
  return answered.filter(({ value, got }) => JSON.stringify(got) !== JSON.stringify(good(value)))
    .map(({ got }) => got);
}

/** Those whose write was acknowledged. */
function acknowledged(kind: Kind, answered: readonly Answered[]): Answered[] {
  return answered.filter(({ value, got }) => got[0] === talk[kind].good(value)[0]);
}

/** Those that a server does not have. */
async function missing(
  { port }: { port: number },
  kind: Kind,
  answered: readonly Answered[],
): Promise<string[]> {
  const wire = await Wire.open(port);
  const keys = answered.map(({ key }) => key);
  const there = await talk[kind].have(wire, keys);
  wire.close();
  return keys.filter((_, i) => !there[i]);
}

/** What a policy promises while the last of three children has trouble. */
async function keeps(
  kind: Kind,
  wait: Wait,
  front: string,
  during?: () => void,
  rounds?: number,
): Promise<Answered[]> {
  const answered = await load(kind, front, during, rounds);
  const odd = oddOf(kind, answered);
  const { bad, nothing } = talk[kind];
  if (wait === "all") { for (const [first] of odd) assert.match(first, bad, front); }
  else if (wait === "none") { for (const got of odd) assert.equal(got, nothing, front); }
  else assert.equal(odd, [], front);
  await othersHave(kind, answered, front);
  return answered;
}

/** All of it is at both that are well, whatever was said. */
async function othersHave(kind: Kind, answered: Answered[], front: string): Promise<void> {
  for (const server of servers[kind].slice(0, 2)) {
    await until(
      `${front}: all to be there`,
      async () => (await missing(server, kind, answered)).length === 0,
    );
  }
}

/** The sick one is there again; what it had is lost. */
async function revive(kind: Kind): Promise<void> {
  const [, , sick] = servers[kind];
  await sick.exited();
  servers[kind][2] = await start[kind]({ port: sick.port });
}

for (const kind of KINDS) {
  for (const wait of WAITS) {
    once(`${kind}, all, wait: ${wait}: a child that answers garbage`, async () => {
      await keeps(kind, wait, `${kind}_${wait}_garbage`);
    });

    once(
      `${kind}, all, wait: ${wait}: a child that is stopped, and one that is silent`,
      async () => {
        const sick = servers[kind][2];
        const rounds = wait === "all" ? FEW : ROUNDS;
        const front = `${kind}_${wait}_sick`;
        const answered = await keeps(kind, wait, front, () => void sick.kill("SIGSTOP"), rounds);
        sick.kill("SIGCONT");
        // `all` acknowledges what every child has.
        if (wait === "all") {
          assert.equal(await missing(sick, kind, acknowledged(kind, answered)), []);
        }
        await keeps(kind, wait, `${kind}_${wait}_silent`, undefined, rounds);
      },
    );

    once(`${kind}, all, wait: ${wait}: a child that is late does no harm`, async () => {
      const front = `${kind}_${wait}_late`;
      const answered = await keeps(kind, wait, front, undefined, FEW);
      if (wait !== "none") assert.equal(oddOf(kind, answered), []);
      if (wait === "all") assert.equal(await missing(servers[kind][2], kind, answered), []);
    });

    once(`${kind}, all, wait: ${wait}: a child that is killed under load`, async () => {
      const sick = servers[kind][2];
      await keeps(kind, wait, `${kind}_${wait}_sick`, () => void sick.kill("SIGKILL"));
      await revive(kind);
    });
  }

  once(`${kind}, all, wait: first: the first child is in trouble: clients hear of it`, async () => {
    const { bad } = talk[kind];
    const sick = servers[kind][2];
    const hears = async (trouble: string, during?: () => void, rounds = FEW): Promise<void> => {
      const front = `${kind}_lead_${trouble}`;
      const answered = await load(kind, front, during, rounds);
      for (const [first] of oddOf(kind, answered)) assert.match(first, bad, front);
      await othersHave(kind, answered, front);
    };
    await hears("garbage");
    await hears("silent");
    await hears("late");
    await hears("sick", () => void sick.kill("SIGSTOP"));
    sick.kill("SIGCONT");
    await hears("sick", () => void sick.kill("SIGKILL"), ROUNDS);
    await revive(kind);
  });

  once(`${kind}: a mirror in whatever trouble changes nothing`, async () => {
    const sick = servers[kind][2];
    const same = async (trouble: string, during?: () => void): Promise<void> => {
      const answered = await load(kind, `${kind}_mirror_${trouble}`, during);
      assert.equal(oddOf(kind, answered), [], trouble);
    };
    for (const trouble of ["garbage", "silent", "late"]) await same(trouble);
    await same("sick", () => void sick.kill("SIGSTOP"));
    sick.kill("SIGCONT");
    await same("sick", () => void sick.kill("SIGKILL"));
    await revive(kind);
  });

  once(`${kind}, failover: reads go on, writes that may be done do not, none is lost`, async () => {
    const { bad } = talk[kind];
    const [spare, , sick] = servers[kind];
    const goesOn = async (trouble: string, during?: () => void, rounds = FEW): Promise<void> => {
      const answered = await load(kind, `${kind}_failover_${trouble}`, during, rounds);
      for (const [first, second] of oddOf(kind, answered)) {
        if (bad.test(first)) assert.match(first, /may have been carried out/, trouble);
        assert.not.match(second, bad, `${trouble}: ${first} ${second}`);
      }
      if (trouble !== "sick") return;
      sick.kill("SIGCONT");
      const elsewhere = await missing(sick, kind, acknowledged(kind, answered));
      const left = answered.filter(({ key }) => elsewhere.includes(key));
      assert.equal(await missing(spare, kind, left), []);
    };
    await goesOn("garbage");
    await goesOn("silent");
    await goesOn("sick", () => void sick.kill("SIGSTOP"));
    assert.equal(oddOf(kind, await load(kind, `${kind}_failover_late`, undefined, FEW)), []);
    for (const trouble of Object.keys(TROUBLES)) {
      assert.equal(oddOf(kind, await load(kind, `${kind}_spare_${trouble}`)), [], "never asked");
    }
  });

  once(`${kind}, failover: a child that is killed under load, and stays away`, async () => {
    const { bad } = talk[kind];
    const [spare, , sick] = servers[kind];
    const front = `${kind}_failover_sick`;
    const answered = await load(kind, front, () => void sick.kill("SIGKILL"));
    for (const [first, second] of oddOf(kind, answered)) {
      if (bad.test(first)) assert.match(first, /may have been carried out/);
      assert.not.match(second, bad);
    }
    await sick.exited();
    // Nobody listens there: surely nothing was carried out.
    const after = await load(kind, front);
    assert.equal(oddOf(kind, after), []);
    assert.equal(await missing(spare, kind, after), []);
  });

  once(`${kind}, all: a delete that a child has missed reaches it when it is back`, async () => {
    const { set, have, remove, removed } = talk[kind];
    const front = `${kind}_first_sick`;
    const wire = await Wire.open(proxy.ports[front]);
    await set(wire, "gone");
    assert.is(await remove(wire, "gone"), removed);
    await until("it to be kept", async () => (await proxy.stats())[front].deletes_queued > 0);
    servers[kind][2] = await start[kind]({ port: servers[kind][2].port });
    const direct = await Wire.open(servers[kind][2].port);
    // An old value, as if it had slept meanwhile.
    await set(direct, "gone");
    await until("it to be deleted there", async () => !(await have(direct, ["gone"]))[0]);
    for (const one of [wire, direct]) one.close();
  });
}

test.run();
