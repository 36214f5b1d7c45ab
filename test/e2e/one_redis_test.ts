// One Redis behind the proxy, and another one that gets the same commands without it: the replies
// are the same bytes; with three behind it, those of commands that need not be on one server. Random commands of all kinds in pipelines that are cut anywhere; what is
// different is shrunk to the least that shows it. RINGMUX_RANDOM=20 runs twenty times as many, with
// another seed.
// Needs: redis-server

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  isNutcracker,
  ours,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  Wire,
} from "./harness.ts";
import { type Asked, asked, command, cuts, pieces, spread, tagged } from "./random_redis.ts";

const MORE = Number(process.env.RINGMUX_RANDOM ?? 0);
const params = (runs: number) => ({
  numRuns: runs * Math.max(1, MORE),
  seed: MORE > 0 ? Date.now() % 1e9 : 6379,
  includeErrorInReport: true,
});

const ARGS = [
  // Servers then end a blocked command's wait when it is over, not up to 100 ms later.
  ...["--hz", "500"],
  // The order of what is in a packed list hangs on nothing but what was done to it.
  ...["--hash-max-listpack-value", "100000", "--hash-max-listpack-entries", "10000"],
  ...["--zset-max-listpack-value", "100000", "--zset-max-listpack-entries", "10000"],
  ...["--set-max-intset-entries", "10000"],
];

let direct: ServerProcess;
let proxied: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  [direct, ...proxied] = await several(4, () => startRedis({ args: ARGS }));
  const pool = { redis: true, timeout: 5000 };
  proxy = await startProxy({
    one: { ...pool, servers: [at(proxied[0])] },
    three: {
      ...pool,
      hash: "murmur",
      hash_tag: '"{}"',
      servers: proxied.map((s, i) => at(s, 1, `s${i}`)),
    },
    // Routes: all keys to one pool in three ways; and keys to three pools by their first letters.
    tree: { redis: true, routes: '{default: one, prefixes: {s: one, "{t}s": one, l1: one}}' },
    plain: { redis: true, routes: "{default: one}" },
    ...Object.fromEntries(
      proxied.map((s, i) => [`s${i}`, { ...pool, hash_tag: '"{}"', servers: [at(s)] }]),
    ),
    several: {
      redis: true,
      routes: "{default: {failover: [s0, s1]}, prefixes: {h: {all: [s1, s2], wait: first}, " +
        "l: {read: s2, write: s2}}}",
    },
    forest: { redis: true, routes: "{default: s0, prefixes: {s: s1, h: s2, l1: s2}}" },
  });
});

const END = "the end";

/** Keys live a thousand seconds, if not for ever: how many are left is a matter of speed. */
const timeless = (reply: string | undefined) => reply?.replace(/:(9\d\d|1000)\r\n/g, ":#\r\n");

/** What a fresh connection, to an empty server, answers to each of these. */
async function replies(
  port: number,
  resp: number,
  bursts: readonly Burst[],
  owner: number,
): Promise<string[]> {
  const wire = await Wire.open(port);
  const other = await Wire.open(owner);
  try {
    await wire.ask("HELLO", resp);
    await wire.ask("FLUSHALL");
    const all: string[] = [];
    for (const { commands, at: where, behind } of bursts) {
      for (const piece of pieces(commands.map((one) => one.bytes).join(""), where)) {
        await wire.send(piece).flushed();
      }
      all.push(...await wire.replies(commands.length));
      // What somebody else does, for WATCH to see.
      await other.ask(...behind);
    }
    all.push(await wire.ask("ECHO", END));
    return all;
  } finally {
    wire.close();
    other.close();
  }
}

interface Burst {
  commands: Asked[];
  at: number[];
  behind: string[];
}

const bursts = (commands: fc.Arbitrary<Asked>): fc.Arbitrary<Burst[]> =>
  fc.array(
    fc.record({
      commands: fc.array(commands, { minLength: 1, maxLength: 40 }),
      at: cuts,
      behind: fc.oneof(
        fc.tuple(fc.constant("set"), fc.constantFrom("s0", "l0", "{t}s0"), fc.constant("touched")),
        fc.constant<string[]>(["ping"]),
      ),
    }),
    { minLength: 1, maxLength: 4 },
  );

/** The proxy's `pool` answers as the server that nothing is in front of. */
async function sameReplies(
  pool: string,
  commands: fc.Arbitrary<Asked>,
  resp: number,
  runs: number,
): Promise<void> {
  const other = ["one", "tree", "plain"].includes(pool) ? proxied[0].port : proxy.ports[pool];
  const property = fc.asyncProperty(bursts(commands), async (bursts) => {
    const [expected, got] = await Promise.all([
      replies(direct.port, resp, bursts, direct.port),
      replies(proxy.ports[pool], resp, bursts, other),
    ]);
    const asked = bursts.flatMap((one) => one.commands.map(({ words }) => words));
    expected.forEach((reply, i) => {
      if (timeless(got[i]) === timeless(reply)) return;
      const what = JSON.stringify(asked[i]?.map((word) => word.slice(0, 60)));
      assert.is(got[i], reply, `command ${i} of ${asked.length}: ${what}`);
    });
  });
  await fc.assert(property, params(runs));
}

for (const resp of [2, 3]) {
  ours(
    `random commands have the same replies in RESP${resp}`,
    () => sameReplies("one", asked, resp, 100),
  );
}

// What a route does is the same on each runtime.
const onNode = runtime === "node" ? ours : test.skip;

onNode("random commands through a route to one pool have the replies of the pool", async () => {
  await sameReplies("tree", asked, 2, 30);
  await sameReplies("tree", asked, 3, 20);
  await sameReplies("plain", asked, 2, 10);
  await sameReplies("plain", asked, 3, 10);
});

onNode(
  "random commands of keys in three pools by prefix have the replies of one server",
  async () => {
    await sameReplies("forest", spread, 2, 20);
    await sameReplies("forest", spread, 3, 10);
  },
);

onNode(
  "random commands through failover, all and read/write have the replies of one server",
  async () => {
    // What blocks needs one server.
    const plain = spread.filter(({ words }) => !/^(b[lrz]|xread|wait)/i.test(words[0]));
    await sameReplies("several", plain, 2, 20);
    await sameReplies("several", plain, 3, 10);
  },
);

ours("random commands of keys on three servers have the replies of one server", async () => {
  await sameReplies("three", spread, 2, 40);
  await sameReplies("three", spread, 3, 40);
});

ours(
  "random commands on one hash tag have the replies of one server, transactions too",
  async () => {
    await sameReplies("three", tagged, 2, 60);
    await sameReplies("three", tagged, 3, 40);
  },
);

ours("every row of the grammar is a command that Redis carries out now and then", async () => {
  const samples = fc.sample(command, { numRuns: 3000, seed: 1 });
  const names = new Set(samples.map(([name]) => name.toLowerCase()));
  assert.ok(names.size > 150, `${names.size} different commands`);
  const wire = await Wire.open(direct.port);
  await wire.ask("FLUSHALL");
  let fine = 0;
  for (const words of samples) {
    const reply = await wire.ask(...words);
    if (words[0] === "multi") await wire.ask("DISCARD");
    if (!reply.startsWith("-")) fine++;
  }
  wire.close();
  assert.ok(fine > samples.length / 2, `${fine} of ${samples.length} are not errors`);
});

test.run();
