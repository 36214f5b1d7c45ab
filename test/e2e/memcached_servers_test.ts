// What several memcached behind one port have to do together: keys in base64 beside plain ones,
// quiet commands and their barrier, commands for all servers, statistics of all of them.
// Needs: memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../core/version.ts";
import {
  at,
  exchange,
  freePort,
  isNutcracker,
  ours,
  type ProxyProcess,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  until,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;
let wire: Wire;

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(3, startMemcached);
  const dead = await freePort();
  proxy = await startProxy({
    pool: { servers: servers.map((s, i) => at(s, 1, `m${i}`)) },
    tagged: { hash_tag: '"{}"', servers: servers.map((s, i) => at(s, 1, `m${i}`)) },
    lost: { servers: [at(dead)] },
    half: { servers: [at(servers[0], 1, "live"), at(dead, 1, "dead")] },
  });
});

test.before.each(async () => {
  if (isNutcracker) return;
  for (const server of servers) {
    assert.is(await exchange(server.port, "flush_all\r\nquit\r\n"), "OK\r\n");
  }
  wire = await Wire.open(proxy.port);
});

test.after.each(() => wire?.close());

/** Names that are spread over the servers: fnv1a_64 keeps those together that differ at the end. */
const names = (title: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${i * 7919}-${title}`);

async function check(request: string, expected: string, on = wire): Promise<void> {
  assert.is(await on.send(request).read(expected.length), expected, request.slice(0, 100));
}

/** What each server answers to it by itself. */
const everyServer = (request: string): Promise<string[]> =>
  Promise.all(servers.map((server) => exchange(server.port, `${request}quit\r\n`)));

/** The figure `name` in the answer of each server, and in the pool's. */
async function figures(stats: string, name: string): Promise<{ own: number[]; all: number }> {
  const find = (text: string): number =>
    Number(new RegExp(`^STAT ${name} (\\d+)\r$`, "m").exec(text)?.[1] ?? NaN);
  const all = find(await wire.send(`${stats}\r\n`).readUntil("END\r\n"));
  return { own: (await everyServer(`${stats}\r\n`)).map(find), all };
}

ours("a key in base64 is on the server of the key it stands for", async () => {
  const keys = names("plain-key", 60);
  for (const key of keys) await check(`set ${key} 0 0 2\r\nhi\r\n`, "STORED\r\n");
  for (const key of keys) {
    await check(`mg ${btoa(key)} b v\r\n`, "VA 2\r\nhi\r\n");
    await check(`mg ${btoa(key)} b q v O7\r\nmn\r\n`, "VA 2 O7\r\nhi\r\nMN\r\n");
  }
  // And the other way round: what base64 has stored, changed or deleted.
  for (const key of keys) {
    await check(`ms ${btoa(key)} 1 b T0\r\n5\r\n`, "HD\r\n");
    await check(`ma ${btoa(key)} b\r\n`, "HD\r\n");
    await check(`get ${key}\r\n`, `VALUE ${key} 0 1\r\n6\r\nEND\r\n`);
    assert.match(await wire.send(`me ${btoa(key)} b\r\n`).line(), /^ME \S+ exp=-1 /);
    await check(`md ${btoa(key)} b q\r\nmn\r\n`, "MN\r\n");
    await check(`get ${key}\r\n`, "END\r\n");
  }
  const sizes = (await everyServer("stats\r\n")).map((text) =>
    Number(/cmd_set (\d+)/.exec(text)?.[1])
  );
  assert.ok(sizes.every((size) => size > 5), sizes.join());
});

ours("a hash tag holds for the key that is meant, not for its base64", async () => {
  const tagged = await Wire.open(proxy.ports.tagged);
  for (const i of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
    const [a, b] = [`{tag${i}}a`, `{tag${i}}b`];
    await check(`set ${a} 0 0 1\r\nx\r\nms ${btoa(b)} 1 b\r\ny\r\n`, "STORED\r\nHD\r\n", tagged);
    const together = (await everyServer(`get ${a} ${b}\r\n`)).filter((text) => text !== "END\r\n");
    assert.equal(together, [`VALUE ${a} 0 1\r\nx\r\nVALUE ${b} 0 1\r\ny\r\nEND\r\n`]);
  }
  tagged.close();
});

ours("mn comes when all quiet commands before it are carried out, on all servers", async () => {
  for (let round = 0; round < 20; round++) {
    const keys = names(`quiet${round}`, 50);
    wire.send(keys.map((key) => `ms ${key} 1 q\r\nx\r\n`).join(""));
    wire.send(keys.map((key) => `mg none-${key} v q\r\n`).join(""));
    wire.send(`md ${keys[7]} q\r\nmg ${keys[3]} v q k O1\r\nmn\r\n`);
    const expected = `VA 1 k${keys[3]} O1\r\nx\r\nMN\r\n`;
    assert.is(await wire.read(expected.length), expected);
    const found = (await everyServer(`get ${keys.join(" ")}\r\n`)).join("").match(/^VALUE/gm);
    assert.is(found?.length, 49);
  }
});

ours("opaque, key and flags come back in the order of the request", async () => {
  await check("ms item 2 F5 T0 Oab k\r\nhi\r\n", "HD Oab kitem\r\n");
  await check("mg item s v O1 f k\r\n", "VA 2 s2 O1 f5 kitem\r\nhi\r\n");
  await check("mg item k O2\r\n", "HD kitem O2\r\n");
  await check("mg none k O3\r\nmd none O4 k\r\n", "EN knone O3\r\nNF O4 knone\r\n");
  await check("md item O4 k\r\n", "HD O4 kitem\r\n");
  await check("ma item N0 J10 v O5\r\n", "VA 2 O5\r\n10\r\n");
  await check("ma item D3 v k\r\n", "VA 2 kitem\r\n13\r\n");
});

ours("a data block that is too long or too short is told, and the stream goes on", async () => {
  const bad = "CLIENT_ERROR bad data chunk\r\n";
  await check("ms item 2\r\nabc\r", bad);
  await check("\nms item 2\r\nhi\r\n", "ERROR\r\nHD\r\n");
  await check("ms item 2 q\r\nabXXmg item v\r\n", `${bad}VA 2\r\nhi\r\n`);
  await check("set item 0 0 2\r\nabXXmg item v\r\n", `${bad}VA 2\r\nhi\r\n`);
});

ours("gat and gats over servers fetch every key and set the time of each", async () => {
  const keys = names("g", 40);
  for (const key of keys) await check(`set ${key} 3 0 ${key.length}\r\n${key}\r\n`, "STORED\r\n");
  const values = keys.map((key) => `VALUE ${key} 3 ${key.length}\r\n${key}\r\n`).join("");
  await check(`gat 100 ${keys.join(" ")} none\r\n`, `${values}END\r\n`);
  const gats = await wire.send(`gats 1000 ${keys.join(" ")}\r\n`).readUntil("\r\nEND\r\n");
  assert.is(gats.replace(/^(VALUE \S+ 3 \d+) \d+\r$/gm, "$1\r"), `${values}END\r\n`);
  for (const key of keys) {
    const left = /^HD t(\d+)\r\n$/.exec(await wire.send(`mg ${key} t\r\n`).line());
    assert.ok(Number(left?.[1]) > 900, key);
  }
  await check(`gat -1 ${keys.join(" ")}\r\n`, `${values}END\r\n`);
  await check(`get ${keys.join(" ")}\r\n`, "END\r\n");
});

ours("flush_all reaches every server: at once, later, and without an answer", async () => {
  const keys = names("f", 40);
  const fill = async () => {
    wire.send(keys.map((key) => `ms ${key} 1 q\r\nx\r\n`).join(""));
    await check("mn\r\n", "MN\r\n");
  };
  const none = async () =>
    await wire.send(`get ${keys.join(" ")}\r\n`).readUntil("END\r\n") === "END\r\n";
  await fill();
  await check("flush_all\r\n", "OK\r\n");
  assert.ok(await none());
  await fill();
  await check("flush_all noreply\r\nmn\r\n", "MN\r\n");
  assert.ok(await none());
  await fill();
  await check("flush_all 0 noreply\r\nmn\r\n", "MN\r\n");
  await until("no key to be left", none);
  await fill();
  await check("flush_all 2\r\n", "OK\r\n");
  await until("the time to come", none);
  await check("flush_all soon\r\n", "CLIENT_ERROR invalid exptime argument\r\n");
});

ours("cache_memlimit and verbosity are set on every server", async () => {
  await check("cache_memlimit 100\r\n", "OK\r\n");
  for (const own of await everyServer("stats\r\n")) assert.match(own, /limit_maxbytes 104857600\r/);
  assert.match(await wire.send("cache_memlimit 1\r\n").line(), /^MEMLIMIT_TOO_SMALL /);
  await check("verbosity 1\r\n", "OK\r\n");
  for (const own of await everyServer("stats settings\r\n")) assert.match(own, /verbosity 1\r/);
  await check("verbosity 0 noreply\r\nmn\r\n", "MN\r\n");
  for (const own of await everyServer("stats settings\r\n")) assert.match(own, /verbosity 0\r/);
  await check("verbosity\r\ncache_memlimit\r\n", "ERROR\r\nERROR\r\n");
});

ours(
  "stats: sums for items, slabs and sizes; one server's settings; the lists of all",
  async () => {
    const keys = names("s", 90);
    for (const key of keys) await check(`set ${key} 0 0 1\r\nx\r\n`, "STORED\r\n");
    assert.is(await wire.send("stats reset\r\n").line(), "RESET\r\n");
    for (const key of keys) await check(`get ${key}\r\n`, `VALUE ${key} 0 1\r\nx\r\nEND\r\n`);
    for (
      const [stats, name, sum] of [
        ["stats", "curr_items", -1],
        ["stats", "get_hits", 90],
        ["stats items", "items:1:number", -1],
        ["stats slabs", "1:used_chunks", -1],
        ["stats slabs", "1:get_hits", 90],
      ] as const
    ) {
      const { own, all } = await figures(stats, name);
      assert.is(own.filter((n) => n > 0).length, 3, `${stats}: ${name} of each server`);
      assert.is(all, own.reduce((a, b) => a + b, 0), `${stats}: ${name}`);
      if (sum > 0) assert.is(all, sum, `${stats}: ${name}`);
    }
    for (const [stats, name] of [["stats slabs", "1:chunk_size"], ["stats", "pointer_size"]]) {
      const { own, all } = await figures(stats, name);
      assert.is(all, own[0], `${stats}: ${name} is the same everywhere`);
    }
    const settings = await wire.send("stats settings\r\n").readUntil("END\r\n");
    assert.is((settings.match(/^STAT maxconns /gm) ?? []).length, 1);
    assert.match(
      await wire.send("stats sizes\r\n").readUntil("END\r\n"),
      /STAT sizes_status disabled/,
    );
    const conns = await wire.send("stats conns\r\n").readUntil("END\r\n");
    for (const { port } of servers) {
      assert.match(
        conns,
        new RegExp(`:addr tcp:127.0.0.1:${port}\r`),
      );
    }
    // memcached itself leaves some out, and others a moment later.
    const listed = (text: string): string => (text.match(/^ITEM (\S+)/gm) ?? []).sort().join();
    await until("cachedump to list what the servers list", async () => {
      const dump = await wire.send("stats cachedump 1 0\r\n").readUntil("END\r\n");
      const own = (await everyServer("stats cachedump 1 0\r\n")).join("");
      return listed(dump) === listed(own) && listed(own) !== "";
    });
    await check("stats detail on\r\n", "OK\r\n");
    await check("stats detail dump\r\n", "END\r\n");
    await check("stats detail off\r\n", "OK\r\n");
    await check("stats nonsense\r\n", "ERROR\r\n");
  },
);

ours("what concerns one server, or never ends, is refused with the reason", async () => {
  for (
    const request of [
      ...["watch fetchers", "lru_crawler metadump all", "lru_crawler enable", "shutdown"],
      ...["slabs automove 1", "lru tune 10 25 0.1 2.0", "debug", "extstore free_memchunks 1 1"],
      "refresh_certs",
    ]
  ) {
    const name = request.split(" ")[0];
    await check(`${request}\r\n`, `CLIENT_ERROR ${name} is not allowed through a proxy\r\n`);
  }
  await check("mn\r\n", "MN\r\n");
});

ours("version is answered also when no server is", async () => {
  const lost = await Wire.open(proxy.ports.lost);
  await check("version\r\n", `VERSION ${VERSION}\r\n`, lost);
  await check("get a\r\n", "SERVER_ERROR Connection refused\r\n", lost);
  await check("version\r\nmn\r\n", `VERSION ${VERSION}\r\nMN\r\n`, lost);
  lost.close();
  const own = await exchange(servers[0].port, "version\r\nquit\r\n");
  await check("version\r\n", own);
});

ours("with one of two servers lost, stats shows the other and flush_all tells of it", async () => {
  const half = await Wire.open(proxy.ports.half);
  assert.match(await half.send("stats\r\n").readUntil("END\r\n"), /STAT curr_items \d+\r\n/);
  await check("flush_all\r\n", "SERVER_ERROR Connection refused\r\n", half);
  await check("mn\r\n", "MN\r\n", half);
  half.close();
});

test.run();
