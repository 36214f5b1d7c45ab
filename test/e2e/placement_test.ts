// Drop-in means that every key is looked for on the server where nutcracker put it. Keys are
// written through one proxy and read through the other, both ways, for every hash and
// distribution, both protocols, with weights, names and hash tags. Both get the same
// configuration but for the ports they listen on.
// Needs: redis-server memcached nutcracker

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  type Pools,
  type PoolSpec,
  type ProxyProcess,
  random,
  type ServerProcess,
  several,
  startMemcached,
  startNutcracker,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";

const HASHES = [
  ...["one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64", "fnv1a_64", "fnv1_32"],
  ...["fnv1a_32", "hsieh", "murmur", "jenkins"],
];
const KEYS = 450;

let redis: ServerProcess[];
let memcached: ServerProcess[];

test.before(async () => {
  redis = await several(5, startRedis);
  memcached = await several(5, startMemcached);
});

/** Pools for every hash and distribution, and those with something special. */
function poolsOver(servers: ServerProcess[], isRedis: boolean): Pools {
  const pools: Pools = {};
  const common: PoolSpec = isRedis ? { redis: true } : {};
  const plain = servers.map((server) => at(server));
  const weighted = servers.map((server, i) => at(server, [1, 2, 3, 1, 10][i]));
  const named = servers.map((server, i) => at(server, i + 1, ["b", "a", "server10", "c9", "d"][i]));
  for (const distribution of ["ketama", "modula"]) {
    for (const hash of HASHES) {
      const list = [plain, weighted, named][(HASHES.indexOf(hash) + distribution.length) % 3];
      pools[`${distribution}_${hash}`] = { ...common, hash, distribution, servers: list };
    }
    pools[`${distribution}_weights`] = { ...common, distribution, servers: weighted };
    pools[`${distribution}_names`] = { ...common, distribution, servers: named };
    pools[`${distribution}_tag`] = {
      ...common,
      distribution,
      hash: "fnv1a_64",
      hash_tag: '"{}"',
      servers: plain,
    };
    pools[`${distribution}_dollar`] = {
      ...common,
      distribution,
      hash: "murmur",
      hash_tag: '"$$"',
      servers: named,
    };
    // Names stand for the servers in the ring, so a few processes can play many servers. With
    // 25 and 47 of them the 32-bit floats of nutcracker's arithmetic matter.
    for (const n of [25, 47]) {
      const many = Array.from({ length: n }, (_, i) => at(servers[i % 5], 1, `node-${i}`));
      pools[`${distribution}_${n}`] = { ...common, distribution, servers: many };
    }
    const light = servers.map((server, i) => at(server, i === 0 ? 100_000 : 1));
    if (distribution === "ketama") {
      pools[`${distribution}_light`] = { ...common, distribution, servers: light };
    }
  }
  pools.defaults = { ...common, servers: plain };
  pools.alone = { ...common, hash: "crc32", servers: [plain[2]] };
  // Only the first address of localhost counts, and the ring sees the name, not the address.
  pools.host_names = {
    ...common,
    servers: servers.map((server) => `localhost:${server.port}:1`),
  };
  return pools;
}

/** Keys of all lengths and bytes, many with hash tags; none that memcached would refuse. */
function makeKeys(isRedis: boolean): string[] {
  const rand = random(42);
  const keys = new Set<string>();
  const shapes = ["user:#", "#", "{#}x", "x{#}y{z}", "{}#", "{#", "#}{", "$#$tail", "$$#", "a$#"];
  while (keys.size < KEYS) {
    const shape = shapes[rand(shapes.length)];
    if (rand(3) > 0) {
      keys.add(shape.replaceAll("#", String(rand(100_000))));
      continue;
    }
    let key = "";
    const length = 1 + rand(rand(4) === 0 ? 200 : 24);
    while (key.length < length) {
      const byte = isRedis ? rand(256) : 33 + rand(223);
      if (byte !== 127) key += String.fromCharCode(byte);
    }
    keys.add(key);
  }
  return [...keys];
}

async function writeAll(port: number, keys: string[], tag: string, isRedis: boolean) {
  const wire = await Wire.open(port);
  for (const key of keys) {
    const value = `${tag}:${key}`;
    wire.send(
      isRedis ? cmd("SET", key, value) : `set ${key} 0 0 ${value.length}\r\n${value}\r\n`,
    );
  }
  const expected = (isRedis ? "+OK\r\n" : "STORED\r\n").repeat(keys.length);
  assert.is(await wire.read(expected.length), expected, `writing ${tag}`);
  wire.close();
}

/** How many keys are not found with the value that was written last. */
async function misplaced(port: number, keys: string[], tag: string, isRedis: boolean) {
  const wire = await Wire.open(port);
  wire.send(keys.map((key) => isRedis ? cmd("GET", key) : `get ${key}\r\n`).join(""));
  const wrong: string[] = [];
  for (const key of keys) {
    const value = `${tag}:${key}`;
    const expected = isRedis
      ? bulk(value)
      : `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`;
    if (isRedis) {
      if (await wire.reply() !== expected) wrong.push(key);
    } else {
      let got = await wire.line();
      if (got !== "END\r\n") got += await wire.read(value.length) + await wire.readUntil("END\r\n");
      if (got !== expected) wrong.push(key);
    }
  }
  wire.close();
  return wrong;
}

for (const isRedis of [true, false]) {
  const protocol = isRedis ? "Redis" : "memcached";
  let pools: Pools;
  let proxy: ProxyProcess;
  let oracle: ProxyProcess;
  const keys = makeKeys(isRedis);

  test(`both proxies start with the same ${protocol} configuration`, async () => {
    pools = poolsOver(isRedis ? redis : memcached, isRedis);
    proxy = await startProxy(pools);
    oracle = await startNutcracker(pools);
  });

  // A value names the pool and the direction of writing, so that what another pool left on the
  // wrong server is not taken for a hit.
  test(`${protocol} keys written through nutcracker are found through the proxy`, async () => {
    for (const name of Object.keys(pools)) {
      await writeAll(oracle.ports[name], keys, `n:${name}`, isRedis);
      const wrong = await misplaced(proxy.ports[name], keys, `n:${name}`, isRedis);
      assert.equal(wrong, [], `pool ${name}: ${wrong.length} of ${keys.length} keys`);
    }
  });

  test(`${protocol} keys written through the proxy are found through nutcracker`, async () => {
    for (const name of Object.keys(pools)) {
      await writeAll(proxy.ports[name], keys, `p:${name}`, isRedis);
      const wrong = await misplaced(oracle.ports[name], keys, `p:${name}`, isRedis);
      assert.equal(wrong, [], `pool ${name}: ${wrong.length} of ${keys.length} keys`);
    }
  });

  test(`${protocol} keys of one multi-key read are all found`, async () => {
    for (const name of ["ketama_fnv1a_64", "modula_md5", "ketama_tag", "ketama_47"]) {
      await writeAll(oracle.ports[name], keys, `m:${name}`, isRedis);
      const some = keys.slice(0, 100);
      const wire = await Wire.open(proxy.ports[name]);
      if (isRedis) {
        const expected = `*100\r\n${some.map((key) => bulk(`m:${name}:${key}`)).join("")}`;
        assert.is(await wire.ask("MGET", ...some), expected);
      } else {
        const values = some.map((key) => {
          const value = `m:${name}:${key}`;
          return `VALUE ${key} 0 ${value.length}\r\n${value}\r\n`;
        });
        const expected = `${values.join("")}END\r\n`;
        assert.is(await wire.send(`get ${some.join(" ")}\r\n`).read(expected.length), expected);
      }
      wire.close();
    }
  });
}

test("the light server of a lopsided ring gets no key, and nobody stumbles over it", async () => {
  const pools: Pools = {
    pool: { distribution: "ketama", redis: true, servers: [at(redis[0], 100_000), at(redis[1])] },
  };
  const proxy = await startProxy(pools);
  const clean = await Wire.open(redis[1].port);
  await clean.ask("FLUSHALL");
  await writeAll(proxy.port, makeKeys(true), "light", true);
  assert.is(await clean.ask("DBSIZE"), ":0\r\n");
});

test("random distribution uses every server", async () => {
  const proxy = await startProxy({
    pool: { distribution: "random", redis: true, servers: redis.map((server) => at(server)) },
  });
  const wires = await Promise.all(redis.map((server) => Wire.open(server.port)));
  for (const wire of wires) await wire.ask("FLUSHALL");
  await writeAll(proxy.port, makeKeys(true), "random", true);
  for (const wire of wires) {
    const size = Number((await wire.ask("DBSIZE")).slice(1));
    assert.ok(size > KEYS / 5 / 2 && size < KEYS / 5 * 2, `${size} of ${KEYS} keys`);
  }
});

test.run();
