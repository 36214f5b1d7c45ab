// Publish and subscribe: byte by byte beside a real redis-server, over several servers, through the
// loss of one, and with the client libraries people use.
// Needs: redis-server

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Redis } from "ioredis";
import { createClient } from "redis";
import {
  at,
  bulk,
  cmd,
  freePort,
  type ProxyProcess,
  type ServerProcess,
  several,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let alone: ServerProcess;
let proxy: ProxyProcess;

test.before(async () => {
  servers = await several(3, startRedis);
  const single = await startRedis();
  alone = await startRedis();
  proxy = await startProxy({
    many: { redis: true, timeout: 2000, servers: servers.map((server) => at(server)) },
    one: { redis: true, servers: [at(single)] },
    tight: { redis: true, pubsub_output_limit: 100_000, servers: [at(single)] },
  });
});

/** One client's requests, and how many replies each has. */
type Step = [words: string[], replies: number];

const RESP2: Step[] = [
  [["UNSUBSCRIBE"], 1],
  [["PUNSUBSCRIBE"], 1],
  [["UNSUBSCRIBE", "x", "x", "y"], 3],
  [["SUBSCRIBE", "a", "b", "a"], 3],
  [["PSUBSCRIBE", "p*", "a?"], 2],
  [["SSUBSCRIBE", "s"], 1],
  [["PING"], 1],
  [["PING", "hello"], 1],
  [["PING", "hello", "you"], 1],
  [["GET", "k"], 1],
  [["GET"], 1],
  [["CONFIG", "GET", "port"], 1],
  [["NOSUCH", "k"], 1],
  [["MULTI"], 1],
  [["EXEC"], 1],
  [["SHUTDOWN"], 1],
  [["HELLO", "3"], 1],
  [["SUBSCRIBE"], 1],
  [["UNSUBSCRIBE", "b", "nosuch"], 2],
  [["UNSUBSCRIBE"], 1],
  [["SUNSUBSCRIBE"], 1],
  [["SUNSUBSCRIBE"], 1],
  [["GET", "k"], 1],
  [["PUNSUBSCRIBE", "p*"], 1],
  [["PUNSUBSCRIBE"], 1],
  [["GET", "k"], 1],
  [["PING"], 1],
  [["SUBSCRIBE", "z"], 1],
  [["RESET"], 1],
  [["GET", "k"], 1],
  [["SUBSCRIBE", "z"], 1],
  [["QUIT"], 1],
];
const RESP3: Step[] = [
  [["SUBSCRIBE", "a", "b"], 2],
  [["UNSUBSCRIBE", "a", "q"], 2],
  [["PING"], 1],
  [["GET", "k"], 1],
  [["PUNSUBSCRIBE"], 1],
  [["UNSUBSCRIBE", "b"], 1],
  [["UNSUBSCRIBE"], 1],
];

for (const [name, hello, steps] of [["RESP2", "2", RESP2], ["RESP3", "3", RESP3]] as const) {
  test(`${name}: confirmations, counts and refusals are a real server's to the byte`, async () => {
    const ours = await Wire.open(proxy.ports.one);
    const theirs = await Wire.open(alone.port);
    for (const wire of [ours, theirs]) await wire.ask("HELLO", hello);
    for (const [words, n] of steps) {
      const expected = await theirs.send(cmd(...words)).replies(n);
      assert.equal(await ours.send(cmd(...words)).replies(n), expected, words.join(" "));
    }
    ours.close();
    theirs.close();
  });

  test(`${name}: messages are a real server's to the byte`, async () => {
    const got: string[][] = [];
    for (const port of [proxy.ports.one, alone.port]) {
      const listener = await Wire.open(port);
      const speaker = await Wire.open(port);
      await listener.ask("HELLO", hello);
      await listener.send(cmd("SUBSCRIBE", "news")).replies(1);
      await listener.send(cmd("PSUBSCRIBE", "n?ws")).replies(1);
      await listener.send(cmd("SSUBSCRIBE", "shard")).replies(1);
      const said = [await speaker.ask("PUBLISH", "news", "a\r\nb\0c")];
      const heard = (await listener.replies(2)).sort();
      said.push(await speaker.ask("SPUBLISH", "shard", ""));
      said.push(await speaker.ask("PUBLISH", "nobody", "x"));
      got.push([...said, ...heard, await listener.reply()]);
      listener.close();
      speaker.close();
    }
    assert.equal(got[0], got[1]);
  });
}

test("many channels of one SUBSCRIBE over several servers, and each message once", async () => {
  const listener = await Wire.open(proxy.ports.many);
  const speaker = await Wire.open(proxy.ports.many);
  const names = Array.from({ length: 60 }, (_, i) => `${i}:channel`);
  const confirmed = await listener.send(cmd("SUBSCRIBE", ...names)).replies(60);
  names.forEach((name, i) => {
    assert.is(confirmed[i], `*3\r\n${bulk("subscribe")}${bulk(name)}:${i + 1}\r\n`);
  });
  await listener.send(cmd("PSUBSCRIBE", "1*:channel")).replies(1);
  for (const name of names) await speaker.ask("PUBLISH", name, `to ${name}`);
  const matching = names.filter((name) => name.startsWith("1")).length;
  const messages = await listener.replies(60 + matching);
  const plain = messages.filter((message) => message.startsWith("*3"));
  assert.is(new Set(plain).size, 60);
  assert.is(messages.length - plain.length, matching);
  // Every server has some of the channels, none has them all.
  for (const server of servers) {
    const direct = await Wire.open(server.port);
    const channels = Number(
      (await direct.ask("PUBSUB", "CHANNELS", "*:channel")).split("\r\n")[0].slice(1),
    );
    assert.ok(channels > 0 && channels < 60, String(channels));
    direct.close();
  }
  assert.is((await speaker.ask("PUBSUB", "CHANNELS", "*:channel")).split("\r\n")[0], "*60");
  assert.is(await speaker.ask("PUBSUB", "NUMPAT"), ":1\r\n");
  const second = await Wire.open(proxy.ports.many);
  await second.send(cmd("SUBSCRIBE", "3:channel")).replies(1);
  assert.is(
    await speaker.ask("PUBSUB", "NUMSUB", "3:channel", "4:channel", "none"),
    `*6\r\n${bulk("3:channel")}:2\r\n${bulk("4:channel")}:1\r\n${bulk("none")}:0\r\n`,
  );
  listener.close();
  second.close();
  await until("the servers to be told", async () => {
    const left = await speaker.ask("PUBSUB", "CHANNELS", "*:channel");
    return left === "*0\r\n" && await speaker.ask("PUBSUB", "NUMPAT") === ":0\r\n";
  });
  speaker.close();
});

test("events of keys are heard from whichever server has the key", async () => {
  for (const server of servers) {
    const direct = await Wire.open(server.port);
    await direct.ask("CONFIG", "SET", "notify-keyspace-events", "KEA");
    direct.close();
  }
  const listener = await Wire.open(proxy.ports.many);
  const speaker = await Wire.open(proxy.ports.many);
  await listener.ask("SUBSCRIBE", "__keyevent@0__:set");
  const keys = Array.from({ length: 20 }, (_, i) => `event${i}`);
  for (const key of keys) await speaker.ask("SET", key, "1");
  const heard = (await listener.replies(20)).join("");
  for (const key of keys) assert.ok(heard.includes(bulk(key)), key);
  listener.close();
  speaker.close();
});

test("a server that comes back has its subscriptions again", async () => {
  const port = await freePort();
  const first = await startRedis({ port });
  const pool = await startProxy({ lost: { redis: true, timeout: 1000, servers: [at(first)] } });
  const listener = await Wire.open(pool.port);
  await listener.send(cmd("SUBSCRIBE", "c")).replies(1);
  await listener.send(cmd("PSUBSCRIBE", "p*")).replies(1);
  await first.stop();
  const again = await startRedis({ port });
  const direct = await Wire.open(again.port);
  await until("the subscriptions", async () => {
    return await direct.ask("PUBSUB", "NUMSUB", "c") === `*2\r\n${bulk("c")}:1\r\n` &&
      await direct.ask("PUBSUB", "NUMPAT") === ":1\r\n";
  });
  await direct.ask("PUBLISH", "c", "back");
  assert.is(await listener.reply(), `*3\r\n${bulk("message")}${bulk("c")}${bulk("back")}`);
  direct.close();
  listener.close();
});

test("a subscriber that does not read is cut off, and the log says why", async () => {
  const listener = await Wire.open(proxy.ports.tight);
  const speaker = await Wire.open(proxy.ports.tight);
  await listener.ask("SUBSCRIBE", "flood");
  listener.socket.pause();
  const payload = "x".repeat(1 << 20);
  await until("the subscriber to be cut off", async () => {
    await speaker.ask("PUBLISH", "flood", payload);
    return proxy.output().includes("pubsub_output_limit: 100000");
  });
  await until("the subscription to end", async () => {
    return await speaker.ask("PUBSUB", "NUMSUB", "flood") === `*2\r\n${bulk("flood")}:0\r\n`;
  });
  listener.close();
  speaker.close();
});

test("inside a transaction SUBSCRIBE is refused and PUBLISH is not", async () => {
  const wire = await Wire.open(proxy.ports.one);
  await wire.ask("MULTI");
  assert.match(
    await wire.ask("SUBSCRIBE", "x"),
    /^-ERR 'subscribe' is not supported by ringmux inside/,
  );
  assert.match(await wire.ask("EXEC"), /^-EXECABORT/);
  await wire.ask("MULTI");
  await wire.ask("PUBLISH", "x", "1");
  assert.is(await wire.ask("EXEC"), "*1\r\n:0\r\n");
  wire.close();
});

test("ioredis: channels, patterns, and back to ordinary commands", async () => {
  const options = { host: "127.0.0.1", port: proxy.ports.many };
  const listener = new Redis(options);
  const speaker = new Redis(options);
  const heard: string[] = [];
  listener.on("message", (channel, message) => heard.push(`${channel} ${message}`));
  listener.on("pmessage", (pattern, channel, message) => {
    heard.push(`${pattern} ${channel} ${message}`);
  });
  assert.is(await listener.subscribe("io1", "io2", "io3"), 3);
  assert.is(await listener.psubscribe("io*"), 4);
  for (const name of ["io1", "io2", "io3"]) await speaker.publish(name, "hi");
  await until("six messages", () => Promise.resolve(heard.length === 6));
  assert.equal(heard.sort(), [
    "io* io1 hi",
    "io* io2 hi",
    "io* io3 hi",
    "io1 hi",
    "io2 hi",
    "io3 hi",
  ]);
  // Without names ioredis waits until nothing is left, patterns included.
  await listener.unsubscribe("io1", "io2", "io3");
  await listener.punsubscribe("io*");
  assert.is(await listener.set("io-key", "1"), "OK");
  listener.disconnect();
  speaker.disconnect();
});

for (const RESP of [2, 3] as const) {
  test(`node-redis, RESP${RESP}: channels and patterns`, async () => {
    const socket = { host: "127.0.0.1", port: proxy.ports.many };
    const listener = await createClient({ RESP, socket }).connect();
    const speaker = await createClient({ RESP, socket }).connect();
    const heard: string[] = [];
    const names = ["nr1", "nr2", "nr3", "nr4"];
    await listener.subscribe(names, (message, channel) => heard.push(`${channel} ${message}`));
    await listener.pSubscribe("nr?", (message, channel) => heard.push(`p ${channel} ${message}`));
    for (const name of names) await speaker.publish(name, "hi");
    await until("eight messages", () => Promise.resolve(heard.length === 8));
    await listener.unsubscribe();
    await listener.pUnsubscribe();
    // In RESP2 it gives a Buffer once it has been subscribed, from a redis-server too.
    assert.is(String(await listener.set("nr-key", "1")), "OK");
    listener.destroy();
    speaker.destroy();
  });
}

test.run();
