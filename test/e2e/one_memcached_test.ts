// One memcached behind the proxy, and another one that gets the same requests without it: the
// replies are the same bytes, cas values included. Random requests of the text protocol, its meta
// commands and the binary protocol, in pipelines that are cut anywhere. RINGMUX_RANDOM=20 runs
// twenty times as many, with another seed.
// Needs: memcached

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ask, readPackets } from "../protocol/packets.ts";
import {
  at,
  exchange,
  isNutcracker,
  ours,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  Wire,
} from "./harness.ts";
import { binaryRequest, spreadBinary, spreadRequest, textRequest } from "./random_memcached.ts";
import { cuts, pieces } from "./random_redis.ts";

const MORE = Number(process.env.RINGMUX_RANDOM ?? 0);
const params = (runs: number) => ({
  numRuns: runs * Math.max(1, MORE),
  seed: MORE > 0 ? Date.now() % 1e9 : 11211,
  includeErrorInReport: true,
});

let direct: ServerProcess;
let proxied: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  [direct, ...proxied] = await several(4, startMemcached);
  const servers = proxied.map((server, i) => at(server, 1, `m${i}`));
  proxy = await startProxy({
    one: { timeout: 5000, servers: servers.slice(0, 1) },
    three: { timeout: 5000, hash: "murmur", servers },
    // Routes: all keys to one pool, by prefix and by default; and keys to three pools.
    tree: { routes: "{default: one, prefixes: {a: one, k: one, key1: one}}" },
    plain: { routes: "{default: one}" },
    ...Object.fromEntries(servers.map((s, i) => [`m${i}`, { timeout: 5000, servers: [s] }])),
    several: {
      routes: "{default: {failover: [m0, m1]}, prefixes: {k: {all: [m1, m2], wait: first}, " +
        "b: {read: m2, write: m2}}}",
    },
    forest: { routes: "{default: m0, prefixes: {a: m1, k: m1, b: m2, key1: m2}}" },
  });
});

let run = 0;

/** What comes back for the stream, up to the answer to something that nobody else asks. */
async function replies(
  port: number,
  stream: string,
  where: readonly number[],
  end: { ask: string; mark: string },
): Promise<string> {
  const wire = await Wire.open(port);
  try {
    for (const piece of pieces(stream + end.ask, where)) await wire.send(piece).flushed();
    return await wire.readUntil(end.mark);
  } finally {
    wire.close();
  }
}

/** The age of an item, in seconds, is a matter of when a second ends. */
const timeless = (reply: string): string => reply.replace(/ la=\d+ /g, " la=# ");

async function compare(
  pool: string,
  requests: readonly string[],
  where: readonly number[],
  end: { ask: string; mark: string },
  comparable: (reply: string) => string = timeless,
): Promise<void> {
  for (const server of [direct, ...proxied]) await exchange(server.port, "flush_all\r\nquit\r\n");
  const stream = requests.join("");
  const [expected, got] = await Promise.all([
    replies(direct.port, stream, where, end),
    replies(proxy.ports[pool], stream, where, end),
  ]);
  const [one, other] = [comparable(got), comparable(expected)];
  if (one === other) return;
  let i = 0;
  while (one[i] === other[i]) i++;
  const part = (text: string) => JSON.stringify(text.slice(Math.max(0, i - 30), i + 80));
  assert.unreachable(`at byte ${i}: ${part(one)} instead of ${part(other)}`);
}

const stream = (requests: fc.Arbitrary<string>) =>
  fc.array(requests, { minLength: 1, maxLength: 40 });

function sameText(pool: string, requests: fc.Arbitrary<string>, runs: number): Promise<void> {
  const property = fc.asyncProperty(stream(requests), cuts, async (all, where) => {
    run++;
    const store = `set end${run} 0 0 3\r\nend\r\n`;
    const mark = `VALUE end${run} 0 3\r\nend\r\nEND\r\n`;
    await compare(pool, all, where, { ask: `${store}get end${run}\r\n`, mark });
  });
  return Promise.resolve(fc.assert(property, params(runs)));
}

function sameBinary(
  pool: string,
  requests: fc.Arbitrary<string>,
  runs: number,
  comparable: (reply: string) => string,
): Promise<void> {
  const property = fc.asyncProperty(stream(requests), cuts, async (all, where) => {
    const mark = `the_end_${++run}`;
    const end = ask(0x0c, { key: mark, opaque: 0xffffffff });
    await compare(pool, all, where, { ask: end, mark }, comparable);
  });
  return Promise.resolve(fc.assert(property, params(runs)));
}

ours(
  "random text and meta requests have memcached's own replies",
  () => sameText("one", textRequest, 300),
);

ours(
  "random binary requests have memcached's own replies",
  () => sameBinary("one", binaryRequest, 300, timeless),
);

// What a route does is the same on each runtime.
const onNode = runtime === "node" ? ours : test.skip;

onNode("random requests through a route to one pool have memcached's own replies", async () => {
  await sameText("tree", textRequest, 60);
  await sameBinary("tree", binaryRequest, 60, timeless);
  await sameText("plain", textRequest, 30);
  await sameBinary("plain", binaryRequest, 30, timeless);
});

ours(
  "random text and meta requests of keys on three servers have the replies of one",
  () => sameText("three", spreadRequest, 200),
);

/** Each server counts its cas values by itself. */
const casless = (reply: string): string =>
  readPackets(reply).map((packet) => JSON.stringify({ ...packet, cas: packet.cas > 0 })).join("\n");

ours(
  "random binary requests of keys on three servers have the replies of one",
  () => sameBinary("three", spreadBinary, 200, casless),
);

onNode("random requests of keys in three pools by prefix have the replies of one", async () => {
  await sameText("forest", spreadRequest, 40);
  await sameBinary("forest", spreadBinary, 40, casless);
});

onNode("random requests through failover, all and read/write have the replies of one", async () => {
  await sameText("several", spreadRequest, 40);
  await sameBinary("several", spreadBinary, 40, casless);
});

ours("the random requests are mostly fine", async () => {
  const wire = await Wire.open(direct.port);
  const sent = fc.sample(textRequest, { numRuns: 3000, seed: 3 });
  const got = await wire.send(`${sent.join("")}get the_end\r\nmn\r\nquit\r\n`).rest();
  const errors = (got.match(/^(ERROR|CLIENT_ERROR .*|SERVER_ERROR .*)\r$/gm) ?? []).length;
  assert.ok(errors < 1200, `${errors} errors`);
  assert.ok((got.match(/^(VA|VALUE) /gm) ?? []).length > 500);
});

test.run();
