// Client-side caching (CLIENT TRACKING) through pools of one and of two servers, beside a real one.
// Needs: redis-server

import { createClient } from "redis";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  array,
  at,
  bulk,
  cmd,
  isNutcracker,
  ours,
  type ProxyProcess,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;
/** Where a client may be: in a pool of one, of two, at a server itself. */
let places: [string, number][];

test.before(async () => {
  if (isNutcracker) return;
  servers = await several(3, () => startRedis());
  proxy = await startProxy({
    one: { redis: true, pinned_connections: 4, servers: [at(servers[0], 1, "a")] },
    two: {
      redis: true,
      ...{ hash_tag: '"{}"', server_connections: 2 },
      servers: servers.slice(0, 2).map((server, i) => at(server, 1, "ab"[i])),
    },
  });
  places = [["one", proxy.ports.one], ["two", proxy.ports.two], ["direct", servers[2].port]];
});

/** A client that speaks RESP3, and another that writes. */
async function both<T>(
  port: number,
  use: (reads: Wire, writes: Wire) => Promise<T>,
): Promise<T> {
  const [reads, writes] = [await Wire.open(port), await Wire.open(port)];
  try {
    await reads.ask("HELLO", "3");
    await writes.ask("FLUSHALL");
    return await use(reads, writes);
  } finally {
    reads.close();
    writes.close();
  }
}

const invalid = (...keys: string[]): string => `>2\r\n${bulk("invalidate")}${array(...keys)}`;
const ALL = `>2\r\n${bulk("invalidate")}_\r\n`;

/** Keys that live on both servers of two. */
const KEYS = Array.from({ length: 8 }, (_, i) => `key:${i}`);

const track = (wire: Wire, ...options: string[]): Promise<string> =>
  wire.ask("CLIENT", "TRACKING", "ON", ...options);

/** What `wire` hears up to the reply to PING, without that. */
async function heard(wire: Wire): Promise<string> {
  await wire.send(cmd("ECHO", "end")).flushed();
  const all = await wire.readUntil(bulk("end"));
  return all.slice(0, -bulk("end").length);
}

ours("the default mode tells of keys that were read, once", async () => {
  for (const [place, port] of places) {
    await both(port, async (reads, writes) => {
      assert.is(await track(reads), "+OK\r\n", place);
      for (const key of KEYS) {
        await writes.ask("SET", key, "1");
        assert.is(await reads.ask("GET", key), bulk("1"));
        await writes.ask("SET", key, "2");
        assert.is(await reads.reply(), invalid(key), `${place} ${key}`);
        await writes.ask("SET", key, "3"); // it was not read again
      }
      assert.is(await reads.ask("MGET", ...KEYS), array(...KEYS.map(() => "3")));
      const told = new Set<string>();
      for (const key of KEYS) await writes.ask("DEL", key);
      for (const push of await reads.replies(KEYS.length)) told.add(push);
      assert.equal([...told].sort(), KEYS.map((key) => invalid(key)).sort());
      // Its own writes too; and nothing that others read.
      await reads.ask("GET", "own");
      await writes.ask("GET", "others");
      reads.send(cmd("SET", "own", "x"));
      const two = await reads.replies(2);
      assert.equal(two.sort(), ["+OK\r\n", invalid("own")], place);
      await writes.ask("SET", "others", "x");
      assert.is(await heard(reads), "", place);
      // In a transaction as well.
      await reads.ask("MULTI");
      await reads.ask("GET", "t");
      assert.is(await reads.ask("EXEC"), "*1\r\n_\r\n");
      await writes.ask("SET", "t", "x");
      assert.is(await reads.reply(), invalid("t"));
      assert.is(await reads.ask("CLIENT", "TRACKING", "OFF"), "+OK\r\n");
      await reads.ask("GET", "t");
      await writes.ask("SET", "t", "y");
      assert.is(await heard(reads), "", place);
    });
  }
});

ours("FLUSHALL means all", async () => {
  for (const [place, port] of places) {
    await both(port, async (reads, writes) => {
      await track(reads);
      for (const key of KEYS) await reads.ask("GET", key);
      await writes.ask("FLUSHALL");
      assert.equal(
        await reads.replies(place === "two" ? 2 : 1),
        place === "two" ? [ALL, ALL] : [ALL],
      );
    });
  }
});

ours("BCAST tells of what begins with a prefix, whoever has read it", async () => {
  for (const [place, port] of places) {
    await both(port, async (reads, writes) => {
      assert.is(await track(reads, "BCAST", "PREFIX", "key:", "PREFIX", "b:"), "+OK\r\n");
      for (const key of KEYS) {
        await writes.ask("SET", key, "1");
        assert.is(await reads.reply(), invalid(key), `${place} ${key}`);
      }
      await writes.ask("SET", "other", "1");
      await writes.ask("SET", "b:1", "1");
      assert.is(await reads.reply(), invalid("b:1"), place);
    });
    await both(port, async (reads, writes) => {
      assert.is(await track(reads, "BCAST", "NOLOOP"), "+OK\r\n");
      await reads.ask("SET", "k", "1");
      assert.is(await heard(reads), "", place);
      await writes.ask("SET", "k", "2");
      assert.is(await reads.reply(), invalid("k"), place);
    });
  }
});

ours("OPTIN and OPTOUT go by CLIENT CACHING", async () => {
  for (const [place, port] of places) {
    await both(port, async (reads, writes) => {
      assert.is(await track(reads, "OPTIN"), "+OK\r\n");
      for (const key of KEYS) {
        await reads.ask("GET", key);
        await writes.ask("SET", key, "1");
        reads.send(cmd("CLIENT", "CACHING", "YES") + cmd("GET", key) + cmd("GET", `${key}2`));
        assert.equal(await reads.replies(3), ["+OK\r\n", bulk("1"), "_\r\n"]);
        await writes.ask("SET", `${key}2`, "2");
        await writes.ask("SET", key, "2");
        assert.is(await reads.reply(), invalid(key), `${place} ${key}`);
      }
      // Of a whole transaction, as rueidis has it; and of a command of several keys.
      reads.send(
        cmd("CLIENT", "CACHING", "YES") + cmd("MULTI") + cmd("GET", "{t}1") + cmd("GET", "{t}2") +
          cmd("EXEC"),
      );
      const five = await reads.replies(5);
      assert.is(five[4], "*2\r\n_\r\n_\r\n", place);
      for (const key of ["{t}1", "{t}2"]) {
        await writes.ask("SET", key, "1");
        assert.is(await reads.reply(), invalid(key), `${place} ${key}`);
      }
      reads.send(cmd("CLIENT", "CACHING", "YES") + cmd("MGET", ...KEYS));
      await reads.replies(2);
      for (const key of KEYS) {
        await writes.ask("DEL", key);
        assert.is(await reads.reply(), invalid(key), `${place} ${key}`);
      }
      assert.is(await heard(reads), "", place);
    });
    await both(port, async (reads, writes) => {
      assert.is(await track(reads, "OPTOUT"), "+OK\r\n");
      for (const key of KEYS) {
        reads.send(cmd("CLIENT", "CACHING", "NO") + cmd("GET", key) + cmd("GET", `${key}2`));
        await reads.replies(3);
        await writes.ask("SET", key, "2");
        await writes.ask("SET", `${key}2`, "2");
        assert.is(await reads.reply(), invalid(`${key}2`), `${place} ${key}`);
      }
    });
  }
});

ours("what it says of itself, and of what cannot be, are Redis's words", async () => {
  const lines = [
    ...["TRACKINGINFO", "GETREDIR", "CACHING YES", "TRACKING what", "TRACKING ON WHAT"],
    ...["TRACKING ON PREFIX a", "TRACKING ON OPTIN OPTOUT", "TRACKING ON BCAST OPTIN"],
    ...[
      "TRACKING ON BCAST PREFIX a PREFIX ab",
      "TRACKING OFF",
      "TRACKING ON BCAST PREFIX a NOLOOP",
    ],
    ...["TRACKINGINFO", "GETREDIR", "TRACKING ON BCAST PREFIX ab", "TRACKING ON"],
    ...[
      "TRACKING ON BCAST PREFIX c",
      "TRACKINGINFO",
      "CACHING YES",
      "TRACKING OFF",
      "TRACKINGINFO",
    ],
    ...["TRACKING ON OPTIN", "TRACKING ON OPTOUT", "CACHING NO", "CACHING what", "CACHING YES"],
    ...["TRACKINGINFO", "TRACKING OFF", "TRACKING ON OPTOUT", "CACHING YES", "CACHING NO"],
    ...["TRACKINGINFO", "GETREDIR", "TRACKING ON BCAST", "TRACKING", "CACHING"],
  ];
  const said: Record<string, string[]> = {};
  for (const [place, port] of places) {
    said[place] = await both(port, async (reads) => {
      const all = [];
      for (const line of lines) {
        let reply = await reads.ask("CLIENT", ...line.split(" "));
        // Links were made anew: what was kept is forgotten.
        while (reply === ALL) reply = await reads.reply();
        all.push(line, reply);
      }
      return all;
    });
  }
  assert.equal(said.one, said.direct);
  assert.equal(said.two, said.direct);
  await both(proxy.ports.one, async (_, resp2) => {
    assert.match(await track(resp2), /^-ERR CLIENT TRACKING needs RESP3/);
    assert.match(await track(resp2, "REDIRECT", "1"), /^-ERR CLIENT TRACKING with REDIRECT is not/);
  });
});

ours("a push waits for the end of a value that goes to the client in parts", async () => {
  for (const [place, port] of places) {
    await both(port, async (reads, writes) => {
      const long = "x".repeat(4 << 20);
      await writes.ask("SET", "long", long);
      await track(reads);
      reads.send(cmd("GET", "long"));
      await reads.read(100);
      await writes.ask("SET", "long", "short");
      const rest = await reads.read(bulk(long).length - 100);
      assert.is(rest, bulk(long).slice(100), place);
      assert.is(await reads.reply(), invalid("long"));
    });
  }
});

ours("a lost connection means all, and the next one tracks again", async () => {
  for (const [place, port] of places) {
    if (place !== "one") continue;
    await both(port, async (reads, writes) => {
      await track(reads);
      for (const key of KEYS) await reads.ask("GET", key);
      const own = await Wire.open(servers[0].port);
      await own.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      assert.is(await reads.reply(), ALL, place);
      for (const key of KEYS) {
        await until("the writer to be served again", async () => {
          return (await writes.ask("SET", key, "1")) === "+OK\r\n";
        });
        assert.is(await reads.ask("GET", key), bulk("1"));
        await writes.ask("SET", key, "2");
        assert.is(await reads.reply(), invalid(key), `${place} ${key}`);
      }
      own.close();
    });
  }
});

ours("its connections are its own, bounded, and go with it", async () => {
  const own = await Wire.open(servers[0].port);
  /** Connections of the server that are told of changes. */
  const told = async () =>
    (await own.ask("CLIENT", "LIST")).split("\n").filter((line) => / flags=\w*t/.test(line)).length;
  const wires = [];
  await until("those from before to be gone", async () => (await told()) === 0);
  for (let i = 0; i < 4; i++) {
    const wire = await Wire.open(proxy.ports.one);
    await wire.ask("HELLO", "3");
    assert.is(await track(wire), "+OK\r\n");
    wires.push(wire);
  }
  assert.is(await told(), 4);
  const more = await Wire.open(proxy.ports.one);
  await more.ask("HELLO", "3");
  assert.is(
    await track(more),
    "-ERR too many clients with CLIENT TRACKING, which have connections of their own: " +
      "pinned_connections is 4\r\n",
  );
  assert.is(await more.ask("PING"), "+PONG\r\n");
  assert.match(await more.ask("CLIENT", "TRACKINGINFO"), /off/);
  for (const wire of wires) wire.close();
  await until("them to be closed", async () => (await told()) === 0);
  await until("there to be room", async () => (await track(more)) === "+OK\r\n");
  more.close();
  own.close();
});

ours("node-redis keeps values with its clientSideCache, and sees what others write", async () => {
  for (const [place, port] of places) {
    const client = createClient({
      url: `redis://127.0.0.1:${port}`,
      RESP: 3,
      clientSideCache: { ttl: 0, maxEntries: 100 },
    });
    await client.connect();
    const writer = await Wire.open(port);
    await writer.ask("FLUSHALL");
    try {
      for (const key of KEYS) {
        await writer.ask("SET", key, "1");
        assert.is(await client.get(key), "1");
        await writer.ask("SET", key, "2");
        await until(`${place}: ${key} to be new`, async () => (await client.get(key)) === "2");
      }
    } finally {
      client.destroy();
      writer.close();
    }
  }
});

ours("a user with prefixes hears of no other keys; who becomes one is closed", async () => {
  const limited = await startProxy({
    pool: {
      redis: true,
      servers: [at(servers[0], 1, "a")],
      auth: "{users: {all: {password: xx-secret}, some: {password: yy-secret, prefixes: ['my:']}}}",
    },
  });
  const [some, all] = [await Wire.open(limited.port), await Wire.open(limited.port)];
  await some.ask("HELLO", "3", "AUTH", "some", "yy-secret");
  await all.ask("HELLO", "3", "AUTH", "all", "xx-secret");
  for (const options of [["BCAST"], ["BCAST", "PREFIX", "m"], ["BCAST", "PREFIX", "my"]]) {
    assert.match(await track(some, ...options), /^-NOPERM CLIENT TRACKING BCAST/);
  }
  assert.is(await track(some, "BCAST", "PREFIX", "my:"), "+OK\r\n");
  assert.is(await track(all, "BCAST"), "+OK\r\n");
  await all.ask("SET", "other", "1");
  assert.is(await all.reply(), invalid("other"));
  await all.ask("SET", "my:1", "1");
  assert.is(await some.reply(), invalid("my:1"));
  all.send(cmd("AUTH", "some", "yy-secret"));
  assert.match(await all.rest(), /\+OK\r\n$/);
  some.close();
});

test.run();
