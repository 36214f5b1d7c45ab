// A tour of memcached's clients with their own default settings over three servers: memcache-client,
// memcached and memjs of npm, and libmemcached's tools in text and binary mode.
// Needs: memcached

import * as fs from "node:fs";
import * as path from "node:path";
import { MemcacheClient } from "memcache-client";
import Memcached from "memcached";
import memjs from "memjs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  behindProxy,
  exchange,
  isNutcracker,
  needs,
  ours,
  type ProxyProcess,
  run,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  tempPath,
  which,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  ({ servers, proxy } = await behindProxy("memcached"));
});

test.before.each(async () => {
  if (isNutcracker) return;
  for (const server of servers) await exchange(server.port, "flush_all\r\nquit\r\n");
});

const names = (title: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => `${i * 7919}-${title}`);

/** Keys are on all servers: the tour has not stayed at one. */
async function everywhere(keys: string[]): Promise<void> {
  for (const server of servers) {
    const got = await exchange(server.port, `get ${keys.join(" ")}\r\nquit\r\n`);
    assert.match(got, /^VALUE /, `server ${server.port} has some of them`);
  }
}

ours("memcache-client: every method", async () => {
  const client = new MemcacheClient({ server: `127.0.0.1:${proxy.port}` });
  try {
    const keys = names("mc", 60);
    const stored = await Promise.all(keys.map((key) => client.set(key, `v ${key}`)));
    assert.equal(stored, keys.map(() => ["STORED"]));
    await everywhere(keys);
    // deno-lint-ignore no-explicit-any
    const many: any = await client.get([...keys, "none"]);
    assert.is(Object.keys(many).length, 60);
    for (const key of keys) assert.is(many[key].value, `v ${key}`);
    // deno-lint-ignore no-explicit-any
    const one: any = await client.get(keys[7]);
    assert.is(one.value, `v ${keys[7]}`);
    assert.is(await client.get("none"), undefined);
    await client.set("json", { a: [1, { b: "c" }] });
    // deno-lint-ignore no-explicit-any
    assert.equal((await client.get("json") as any).value, { a: [1, { b: "c" }] });
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    await client.set("bytes", bytes);
    // deno-lint-ignore no-explicit-any
    assert.ok(bytes.equals((await client.get("bytes") as any).value));
    assert.equal(await client.add("new", "x"), ["STORED"]);
    const refused = await client.add("new", "x").then(() => "", (e: Error) => e.message);
    assert.match(refused, /NOT_STORED/);
    assert.equal(await client.replace("new", "b"), ["STORED"]);
    assert.equal(await client.append("new", "c"), ["STORED"]);
    assert.equal(await client.prepend("new", "a"), ["STORED"]);
    // deno-lint-ignore no-explicit-any
    const versioned: any = await client.gets("new");
    assert.is(versioned.value, "abc");
    assert.equal(await client.cas("new", "d", { casUniq: versioned.casUniq }), ["STORED"]);
    const late = await client.cas("new", "e", { casUniq: versioned.casUniq })
      .then(() => "", (e: Error) => e.message);
    assert.match(late, /EXISTS/);
    await client.set("n", "10");
    assert.is(String(await client.incr("n", 5)), "15");
    assert.is(String(await client.decr("n", 1)), "14");
    assert.equal(await client.touch("n", 100), ["TOUCHED"]);
    assert.equal(await client.delete("n"), ["DELETED"]);
    await client.set("silent", "x", { noreply: true });
    // deno-lint-ignore no-explicit-any
    assert.is((await client.get("silent") as any).value, "x");
    // deno-lint-ignore no-explicit-any
    const stats: any = await client.cmd("stats");
    const items = stats.STAT.find(([name]: [string]) => name === "curr_items");
    assert.ok(Number(items[1]) >= 60, JSON.stringify(items));
    assert.match(String(await client.version()), /1\.\d/);
    assert.equal(await client.cmd("flush_all"), ["OK"]);
    assert.is(await client.get(keys[0]), undefined);
  } finally {
    client.shutdown();
  }
});

ours("memcached of npm: many keys at once, and what it asks of servers", async () => {
  const client = new Memcached(`127.0.0.1:${proxy.port}`);
  // deno-lint-ignore no-explicit-any
  const call = (method: string, ...args: unknown[]): Promise<any> =>
    new Promise((resolve, reject) =>
      // deno-lint-ignore no-explicit-any
      (client as any)[method](...args, (error: unknown, result: unknown) =>
        error ? reject(error) : resolve(result))
    );
  try {
    const keys = names("npm", 200);
    await Promise.all(keys.map((key) => call("set", key, key, 0)));
    await everywhere(keys);
    const found = await call("getMulti", keys);
    assert.equal({ ...found }, Object.fromEntries(keys.map((key) => [key, key])));
    const big = "x".repeat(900_000);
    await call("set", "big", big, 0);
    assert.is(await call("get", "big"), big);
    assert.is(
      await call("add", "big", "x", 0).catch((e: Error) => e.message),
      "Item is not stored",
    );
    assert.is(await call("replace", "big", "small", 0), true);
    assert.is(await call("prepend", "big", "very "), true);
    assert.is(await call("get", "big"), "very small");
    const [stats] = await call("stats");
    assert.ok(stats.curr_items >= 200);
    const [settings] = await call("settings");
    assert.is(settings.maxconns, 1024);
    assert.ok((await call("slabs"))[0]);
    const [items] = await call("items");
    assert.ok(items);
    assert.ok((await call("flush"))[0]);
    assert.is(await call("get", keys[0]), undefined);
  } finally {
    client.end();
  }
});

ours("memjs: many keys at once over all servers", async () => {
  const client = memjs.Client.create(`127.0.0.1:${proxy.port}`);
  try {
    const keys = names("memjs", 200);
    await Promise.all(keys.map((key) => client.set(key, key, { expires: 600 })));
    await everywhere(keys);
    const got = await Promise.all(keys.map((key) => client.get(key)));
    assert.equal(got.map(({ value }) => String(value)), keys);
    const counts = await Promise.all(
      keys.map((key, i) => client.increment(`n-${key}`, i, { initial: 1 })),
    );
    assert.ok(counts.every(({ value, success }) => success && value === 1));
    const deleted = await Promise.all(keys.map((key) => client.delete(key)));
    assert.ok(deleted.every((yes) => yes));
    const again = await Promise.all(keys.map((key) => client.get(key)));
    assert.ok(again.every(({ value }) => value === null));
    const big = Buffer.alloc(900_000, "y");
    await client.set("big", big, {});
    assert.ok(big.equals((await client.get("big")).value as Buffer));
  } finally {
    client.close();
  }
});

for (const [mode, more] of [["text", []], ["binary", ["--binary"]]] as [string, string[]][]) {
  const tool = (name: string, ...args: string[]) =>
    run(which(name), [...more, `--servers=127.0.0.1:${proxy.port}`, ...args]);

  needs("memccapable")(`libmemcached's tools, ${mode}`, async () => {
    if (isNutcracker) return;
    const folder = tempPath("files");
    fs.mkdirSync(folder);
    const files = names("file", 12);
    for (const file of files) fs.writeFileSync(path.join(folder, file), `content of ${file}`);
    const copied = await tool("memccp", ...files.map((file) => path.join(folder, file)));
    assert.is(copied.code, 0, copied.stderr);
    for (const file of files) {
      assert.is((await tool("memccat", file)).stdout.trim(), `content of ${file}`);
      assert.is((await tool("memcexist", file)).code, 0);
    }
    const many = (await tool("memccat", ...files)).stdout;
    for (const file of files) assert.ok(many.includes(`content of ${file}`));
    assert.is((await tool("memctouch", "--expire=100", files[0])).code, 0);
    assert.is((await tool("memcrm", files[0])).code, 0);
    assert.is.not((await tool("memcexist", files[0])).code, 0);
    if (mode === "text") assert.is((await tool("memcping")).code, 0); // it knows no --binary
    const stats = (await tool("memcstat")).stdout;
    assert.match(stats, /curr_items: \d+/);
    assert.is((await tool("memcflush")).code, 0);
    assert.is.not((await tool("memcexist", files[1])).code, 0);
    for (const what of ["set", "get", "mget"]) {
      const load = await tool("memcslap", `--test=${what}`, "-c", "2", "-e", "200");
      assert.is(load.code, 0, load.stderr);
      assert.match(load.stdout, new RegExp(`Time to ${what} +400 keys by +2 threads`));
    }
  });
}

needs("memccapable")("libmemcached's memcdump lists the keys of all servers", async () => {
  if (isNutcracker) return;
  // A server lists the cold part of its LRU: without the maintainer every key is there at once.
  const args = ["-o", "no_lru_maintainer"];
  const own = await several(2, () => startMemcached({ args }));
  const dumped = await startProxy({ pool: { servers: own.map((s, i) => at(s, 1, `d${i}`)) } });
  const wire = await Wire.open(dumped.port);
  const keys = names("dump", 40);
  wire.send(keys.map((key) => `ms ${key} 1 q\r\nx\r\n`).join(""));
  assert.is(await wire.send("mn\r\n").line(), "MN\r\n");
  wire.close();
  const { stdout } = await run(which("memcdump"), [`--servers=127.0.0.1:${dumped.port}`]);
  assert.equal(stdout.trim().split(/\s+/).sort(), [...keys].sort());
});

test.run();
