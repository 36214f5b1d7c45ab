// Hot and big keys of real servers, as /hot and `ringmux hot` tell them; with two workers, added up.
// Needs: redis-server memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  command,
  freePort,
  ours,
  type ProxyProcess,
  run,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

// deno-lint-ignore no-explicit-any
type Json = any;

let proxy: ProxyProcess;
let admin = "";

async function hot(query = ""): Promise<Json> {
  return await (await fetch(`http://${admin}/hot${query}`)).json();
}

test.before(async () => {
  const [one, two, mc] = await Promise.all([startRedis(), startRedis(), startMemcached()]);
  admin = `127.0.0.1:${await freePort()}`;
  proxy = await startProxy({
    cache: { redis: true, big_key: 100_000, servers: [at(one, 1, "one"), at(two, 1, "two")] },
    pages: { big_key: 100_000, servers: [at(mc, 1, "mc")] },
  }, { admin, args: ["--workers", "2"] });
  await until(
    "the admin address",
    () => fetch(`http://${admin}/healthz`).then(() => true, () => 0),
  );
});

ours("hot keys with their share and server, in both protocols", async () => {
  const wire = await Wire.open(proxy.ports.cache);
  const names = ["hot\n\x1b", ...Array.from({ length: 9 }, (_, i) => `cold${i}`)];
  for (let round = 0; round < 100; round++) {
    wire.send(names.map((name) => cmd("GET", name) + cmd("GET", names[0])).join(""));
    assert.is((await wire.replies(20)).join(""), "$-1\r\n".repeat(20));
  }
  const [{ hot: [first], pool }] = await hot("?pool=cache");
  assert.is(pool, "cache");
  assert.is(first.key, "hot\\x0a\\x1b");
  assert.ok(first.share > 0.3 && first.share < 0.8, String(first.share));
  assert.ok(["one", "two"].includes(first.server));
  assert.ok(first.rate > 0 && first.bytes > 20 * first.rate);

  const text = await Wire.open(proxy.ports.pages);
  for (let round = 0; round < 40; round++) {
    text.send("get page\r\n".repeat(16));
    assert.is(await text.read(5 * 16), "END\r\n".repeat(16));
  }
  assert.is((await hot("?pool=pages"))[0].hot[0].key, "page");
});

ours("big values, of each worker", async () => {
  const value = "x".repeat(300_000);
  for (let i = 0; i < 4; i++) {
    const wire = await Wire.open(proxy.ports.cache);
    assert.is(await wire.ask("SET", "big", value), "+OK\r\n");
    // The second time it has a name.
    await until("the key", async () => {
      assert.is(await wire.ask("GET", "big"), bulk(value));
      const [{ big }] = await hot("?pool=cache");
      return big.some((row: Json) => row.key === "big" && row.way === "reply");
    });
    wire.close();
  }
  const [{ big }] = await hot("?pool=cache");
  const set = big.find((row: Json) => row.way === "request");
  assert.equal([set.key, set.command, set.count], ["big", "set", 4]);
  assert.ok(set.bytes > 300_000 && set.bytes < 300_100);
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  assert.match(metrics, /ringmux_pool_big_requests_total\{pool="cache"\} 4/);
  assert.not.match(metrics, /cold1/);
});

ours("ringmux hot prints it", async () => {
  const [program, first] = command();
  const shown = await run(program, [...first, "hot", "--admin", admin]);
  assert.is(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /pool "cache": .* requests for keys a second\n.*hot key\n/);
  assert.match(shown.stdout, /(one|two) +hot\\x0a\\x1b\n/);
  assert.match(shown.stdout, /300\.0 kB +\d+ +request of set .*Z +big\n/);
  const json = await run(program, [
    ...first,
    "hot",
    `--admin=${admin}`,
    "--pool",
    "pages",
    "--json",
  ]);
  assert.is(JSON.parse(json.stdout)[0].pool, "pages");
  const wrong = await run(program, [...first, "hot", "--admin", admin, "--pool", "nobody"]);
  assert.is(wrong.code, 1);
  assert.match(wrong.stderr, /pool "nobody" is not known \(cache, pages\)/);
  const option = await run(program, [...first, "hot", "--port", "1"]);
  assert.match(option.stderr, /^ringmux: hot: "--port" is not known \(--admin, --pool, --json\)/);
});

test.run();
