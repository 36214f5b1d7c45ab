// memcached through the proxy: a client library, libmemcached's own conformance tool, and raw
// bytes, compared with a memcached behind no proxy and with nutcracker before the same servers.
// Needs: memcached nutcracker

import Memcached from "memcached";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  exchange,
  isNutcracker,
  ours,
  type Pools,
  type ProxyProcess,
  random,
  run,
  sameBytes,
  type ServerProcess,
  several,
  startMemcached,
  startNutcracker,
  startProxy,
  which,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;
let oracle: ProxyProcess;
let wire: Wire;

test.before(async () => {
  servers = await several(3, startMemcached);
  const pools: Pools = {
    pool: { hash: "fnv1a_64", distribution: "ketama", servers: servers.map((s) => at(s)) },
    one: { hash: "fnv1a_64", servers: [at(servers[0])] },
  };
  proxy = await startProxy(pools);
  oracle = await startNutcracker(pools);
});

test.before.each(async () => {
  await flush();
  wire = await Wire.open(proxy.port);
});

test.after.each(() => wire?.close());

async function flush(): Promise<void> {
  for (const server of servers) {
    assert.is(await exchange(server.port, "flush_all\r\nquit\r\n"), "OK\r\n");
  }
}

/** Sends a request and compares the reply, which is as long as the expected one. */
async function check(request: string, expected: string): Promise<void> {
  sameBytes(await wire.send(request).read(expected.length), expected, request.slice(0, 80));
}

function value(key: string, data: string, flags = 0): string {
  return `VALUE ${key} ${flags} ${data.length}\r\n${data}\r\n`;
}

test("every storage command answers as memcached does", async () => {
  await check("set a 5 0 3\r\nabc\r\n", "STORED\r\n");
  await check("get a\r\n", `${value("a", "abc", 5)}END\r\n`);
  await check("get nothing\r\n", "END\r\n");
  await check("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
  await check("add b 0 0 1\r\nx\r\n", "STORED\r\n");
  await check("replace nothing 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
  await check("replace a 0 0 1\r\nx\r\n", "STORED\r\n");
  await check("append a 0 0 1\r\ny\r\n", "STORED\r\n");
  await check("prepend a 0 0 1\r\nw\r\n", "STORED\r\n");
  await check("get a\r\n", `${value("a", "wxy")}END\r\n`);
  await check("touch a 100\r\n", "TOUCHED\r\n");
  await check("touch nothing 100\r\n", "NOT_FOUND\r\n");
  await check("delete a\r\n", "DELETED\r\n");
  await check("delete a\r\n", "NOT_FOUND\r\n");
  await check("set n 0 0 2\r\n10\r\n", "STORED\r\n");
  await check("incr n 5\r\n", "15\r\n");
  await check("decr n 20\r\n", "0\r\n");
  await check("incr nothing 1\r\n", "NOT_FOUND\r\n");
  await check("set e 0 0 0\r\n\r\n", "STORED\r\n");
  await check("get e\r\n", `${value("e", "")}END\r\n`);
});

test("gets and cas: the unique value of the server is the client's", async () => {
  await check("set c 0 0 1\r\n1\r\n", "STORED\r\n");
  const got = await wire.send("gets c\r\n").readUntil("END\r\n");
  const unique = /^VALUE c 0 1 (\d+)\r\n1\r\nEND\r\n$/.exec(got)?.[1];
  assert.ok(unique, got);
  await check(`cas c 0 0 1 ${unique}\r\n2\r\n`, "STORED\r\n");
  await check(`cas c 0 0 1 ${unique}\r\n3\r\n`, "EXISTS\r\n");
  await check(`cas nothing 0 0 1 ${unique}\r\n3\r\n`, "NOT_FOUND\r\n");
  await check("get c\r\n", `${value("c", "2")}END\r\n`);
});

test("an error of the server comes through unchanged", async () => {
  await check("set s 0 0 1\r\nx\r\n", "STORED\r\n");
  const expected = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
  await check("incr s 1\r\n", expected);
});

test("noreply commands are carried out and answered by nothing", async () => {
  wire.send(
    "set a 0 0 1 noreply\r\n1\r\nadd b 0 0 1 noreply\r\n2\r\nincr a 4 noreply\r\n" +
      "append b 0 0 1 noreply\r\n3\r\ntouch a 0 noreply\r\n",
  );
  // Each server takes its commands in order, so the reads come after the writes.
  await check("get a\r\n", `${value("a", "5")}END\r\n`);
  await check("get b\r\n", `${value("b", "23")}END\r\n`);
  wire.send("delete a noreply\r\n");
  await check("get a\r\n", "END\r\n");
});

test("a multi-get over three servers is the same bytes that nutcracker sends", async () => {
  const rand = random(7);
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
  for (const key of keys.filter((_, i) => i % 3 !== 0)) {
    await check(`set ${key} 3 0 ${key.length + 1}\r\n-${key}\r\n`, "STORED\r\n");
  }
  for (const verb of ["get", "gets"]) {
    for (let round = 0; round < 60; round++) {
      const n = 1 + rand(round < 5 ? 60 : 12);
      const request = `${verb} ${Array.from({ length: n }, () => keys[rand(60)]).join(" ")}\r\n`;
      const expected = await exchange(oracle.port, request);
      assert.is(await exchange(proxy.port, request), expected, request);
    }
  }
});

test("a multi-get of a thousand keys finds each one", async () => {
  const keys = Array.from({ length: 1000 }, (_, i) => `many:${i}`);
  wire.send(keys.map((key) => `set ${key} 0 0 ${key.length} noreply\r\n${key}\r\n`).join(""));
  wire.send(keys.map((key) => `touch ${key} 0\r\n`).join(""));
  assert.is(await wire.read(9 * 1000), "TOUCHED\r\n".repeat(1000));
  await check(`get ${keys.join(" ")}\r\n`, `${keys.map((key) => value(key, key)).join("")}END\r\n`);
});

test("a value of nearly 1 MB and every byte pass unharmed", async () => {
  const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join("");
  await check(`set all 0 0 256\r\n${all}\r\n`, "STORED\r\n");
  await check("get all\r\n", `${value("all", all)}END\r\n`);
  const big = "VALUE x 0 3\r\nEND\r\n".repeat(57_000);
  assert.ok(big.length > 1_000_000);
  const stored = await wire.send(`set big 0 0 ${big.length}\r\n${big}\r\nset s 0 0 1\r\ns\r\n`)
    .read(16);
  assert.is(stored, "STORED\r\nSTORED\r\n");
  const expected = `${value("big", big)}END\r\n${value("s", "s")}END\r\n`;
  const got = await wire.send("get big\r\nget s\r\n").read(expected.length);
  assert.ok(got === expected, "the value came back changed");
});

test("a value too large for the server is its error, and the next command is answered", async () => {
  const size = 2 << 20;
  wire.send(`set huge 0 0 ${size}\r\n${"x".repeat(size)}\r\nset s 0 0 1\r\ns\r\n`);
  const expected = "SERVER_ERROR object too large for cache\r\nSTORED\r\n";
  assert.is(await wire.read(expected.length), expected);
});

test("keys may have 250 bytes, any of them above the space", async () => {
  const long = "k".repeat(250);
  const odd = Array.from({ length: 223 }, (_, i) => String.fromCharCode(i + 33)).join("")
    .replace("\x7f", "");
  for (const key of [long, odd]) {
    await check(`set ${key} 0 0 1\r\nx\r\n`, "STORED\r\n");
    await check(`get ${key} nothing\r\n`, `${value(key, "x")}END\r\n`);
  }
});

test("a pipeline of ten thousand commands is answered in order", async () => {
  let bytes = "";
  let expected = "";
  for (let i = 0; i < 5000; i++) {
    bytes += `set p${i} 0 0 ${String(i).length}\r\n${i}\r\nget p${i}\r\n`;
    expected += `STORED\r\n${value(`p${i}`, String(i))}END\r\n`;
  }
  await check(bytes, expected);
});

test("a command cut at every byte is still one command", async () => {
  const bytes = "set cut 1 0 4\r\na\r\nb\r\nget cut none\r\n";
  const expected = `STORED\r\n${value("cut", "a\r\nb", 1)}END\r\n`;
  for (let i = 1; i < bytes.length; i++) {
    await wire.send(bytes.slice(0, i)).flushed();
    assert.is(await wire.send(bytes.slice(i)).read(expected.length), expected, `cut at ${i}`);
  }
  for (const byte of bytes) await wire.send(byte).flushed();
  assert.is(await wire.read(expected.length), expected);
});

test("version is answered, and quit ends the connection without a byte", async () => {
  assert.match(await wire.send("version\r\n").line(), /^VERSION \S+\r\n$/);
  assert.is(await exchange(proxy.port, "quit\r\n"), "");
});

// From here on: what nutcracker closes the connection for.

ours("flush_all empties every server", async () => {
  for (let i = 0; i < 30; i++) await check(`set f${i} 0 0 1\r\nx\r\n`, "STORED\r\n");
  await check("flush_all\r\n", "OK\r\n");
  for (let i = 0; i < 30; i++) await check(`get f${i}\r\n`, "END\r\n");
});

ours("stats is a list of STAT lines", async () => {
  const stats = await wire.send("stats\r\n").readUntil("END\r\n");
  assert.match(stats, /^(STAT \S+ .*\r\n)+END\r\n$/);
  await check("set after 0 0 1\r\nx\r\n", "STORED\r\n");
});

ours("gat and gats fetch and touch over several servers", async () => {
  for (const key of ["g1", "g2", "g3", "g4"]) {
    await check(`set ${key} 0 0 2\r\n${key}\r\n`, "STORED\r\n");
  }
  const expected = ["g1", "g2", "g3", "g4"].map((key) => value(key, key)).join("");
  await check("gat 100 g1 g2 none g3 g4\r\n", `${expected}END\r\n`);
  const one = await wire.send("gats 100 g1\r\n").readUntil("END\r\n");
  assert.match(one, /^VALUE g1 0 2 \d+\r\ng1\r\nEND\r\n$/);
});

ours("meta commands answer byte for byte as the server itself", async () => {
  const requests = [
    "mn\r\n",
    "ms m 2\r\nhi\r\n",
    "mg m v\r\n",
    "mg m v t f s k\r\n",
    "mg m v O123 k\r\n",
    "mg nothing v\r\n",
    "mg nothing v q\r\nmn\r\n",
    "mg m v q\r\nmn\r\n",
    "ms m 2 q\r\nho\r\nmn\r\n",
    "ms m S2 ME\r\n",
    "ma n N0 J5 v\r\nma n N0 v\r\nma n D7 v\r\n",
    "ms m 3 T100 F9\r\nabc\r\nmg m v f\r\n",
    "md nothing\r\n",
    "md m q\r\nmg m v\r\nmn\r\n",
    "ms bWV0YQ== 1 b\r\nx\r\nmg bWV0YQ== v k b\r\n",
    "me nothing\r\n",
  ];
  const replay = async (port: number) => {
    await flush();
    const replies: string[] = [];
    for (const request of requests) replies.push(await exchange(port, `${request}quit\r\n`));
    return replies;
  };
  const expected = await replay(servers[0].port);
  const got = await replay(proxy.ports.one);
  requests.forEach((request, i) => assert.is(got[i], expected[i], request));
});

ours("meta commands pipelined over three servers keep their order", async () => {
  let bytes = "";
  let expected = "";
  for (let i = 0; i < 200; i++) {
    bytes += `ms m${i} 1 q\r\nx\r\nmg m${i} v k\r\nmg none${i} v q\r\n`;
    expected += `VA 1 km${i}\r\nx\r\n`;
  }
  await check(`${bytes}mn\r\n`, `${expected}MN\r\n`);
});

ours("an unknown command is ERROR and the connection stays", async () => {
  await check("nosuchcommand a b\r\n", "ERROR\r\n");
  await check("set a 0 0 1\r\nx\r\n", "STORED\r\n");
});

ours("lines that end in LF alone are taken, as memcached takes them", async () => {
  await check("set a 0 0 1\nx\r\n", "STORED\r\n");
  await check("get a\n", `${value("a", "x")}END\r\n`);
});

ours("libmemcached's memccapable finds the proxy as capable as memcached itself", async () => {
  const tool = which("memccapable") || which("memcapable");
  if (tool === "") return;
  const capable = (port: number) => run(tool, ["-a", "-h", "127.0.0.1", "-p", String(port)]);
  const expected = await capable(servers[0].port);
  assert.match(expected.stdout, /All tests passed/);
  assert.is((await capable(proxy.ports.one)).stdout, expected.stdout);
  assert.is((await capable(proxy.ports.pool)).stdout, expected.stdout);
});

test("the memcached package of npm works", async () => {
  const client = new Memcached(`127.0.0.1:${proxy.port}`, { retries: 0, timeout: 5000 });
  // deno-lint-ignore no-explicit-any
  const call = (method: string, ...args: unknown[]): Promise<any> =>
    new Promise((resolve, reject) =>
      // deno-lint-ignore no-explicit-any
      (client as any)[method](...args, (error: unknown, result: unknown) =>
        error ? reject(error) : resolve(result))
    );
  try {
    assert.is(await call("set", "a", "hello", 0), true);
    assert.is(await call("get", "a"), "hello");
    assert.is(await call("set", "json", { x: [1, 2, { y: "z" }] }, 100), true);
    assert.equal(await call("get", "json"), { x: [1, 2, { y: "z" }] });
    assert.is(await call("get", "none"), undefined);
    assert.equal({ ...await call("getMulti", ["a", "json", "none"]) }, {
      a: "hello",
      json: { x: [1, 2, { y: "z" }] },
    });
    const { cas } = await call("gets", "a");
    assert.is(await call("cas", "a", "bye", cas, 0), true);
    assert.is(await call("cas", "a", "late", cas, 0), false);
    assert.is(await call("set", "n", 5, 0), true);
    assert.is(await call("incr", "n", 10), 15);
    assert.is(await call("decr", "n", 1), 14);
    assert.is(await call("touch", "a", 100), true);
    assert.is(await call("append", "a", "!"), true);
    assert.is(await call("get", "a"), "bye!");
    assert.is(await call("del", "a"), true);
    const versions = await call("version");
    assert.match(JSON.stringify(versions), /"version":"\d/);
    if (!isNutcracker) assert.ok(JSON.stringify(await call("stats")).includes("curr_connections"));
  } finally {
    client.end();
  }
});

test.run();
