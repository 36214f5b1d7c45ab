// Publish and subscribe with valkey-glide, iovalkey and redis-cli over three servers. That of ioredis
// and node-redis is in pubsub_test.ts.
// Needs: redis-server redis-cli

import { GlideClient, GlideClientConfiguration, Logger } from "@valkey/valkey-glide";
import { Redis as Iovalkey } from "iovalkey";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  behindProxy,
  bulk,
  isNutcracker,
  ours,
  type ProxyProcess,
  Running,
  until,
  which,
  Wire,
} from "./harness.ts";

let proxy: ProxyProcess;
let publisher: Wire;

test.before(async () => {
  if (isNutcracker) return;
  Logger.setLoggerConfig("off");
  ({ proxy } = await behindProxy("redis"));
  publisher = await Wire.open(proxy.port);
});

/** Whoever was subscribed has been seen to leave: PUBLISH counts clients. */
async function silence(): Promise<void> {
  await until("nobody to listen", async () => {
    const none = channels.map((name) => `${bulk(name)}:0\r\n`).join("");
    return await publisher.ask("PUBSUB", "NUMSUB", ...channels) === `*24\r\n${none}` &&
      await publisher.ask("PUBSUB", "NUMPAT") === ":0\r\n";
  });
}

/** Channels that live on all servers, as likely as not. */
const channels = Array.from({ length: 12 }, (_, i) => `${i * 7919}:news`);

async function publish(channel: string, message: string): Promise<void> {
  await until(
    `somebody to hear ${channel}`,
    async () => await publisher.ask("PUBLISH", channel, message) === ":1\r\n",
  );
}

ours("valkey-glide: subscriptions of the configuration, by name and by pattern", async () => {
  const modes = GlideClientConfiguration.PubSubChannelModes;
  const got: string[] = [];
  const client = await GlideClient.createClient({
    addresses: [{ host: "127.0.0.1", port: proxy.port }],
    requestTimeout: 10_000,
    pubsubSubscriptions: {
      channelsAndPatterns: {
        [modes.Exact]: new Set(channels),
        [modes.Pattern]: new Set(["weather.*"]),
      },
      callback: ({ channel, message }) => got.push(`${channel} ${message}`),
    },
  });
  try {
    for (const channel of channels) await publish(channel, `in ${channel}`);
    await publish("weather.today", "rain");
    await until("all messages", () => got.length === channels.length + 1);
    const expected = [...channels.map((c) => `${c} in ${c}`), "weather.today rain"];
    assert.equal([...got].sort(), expected.sort());
    assert.is(await client.set("k", "v"), "OK");
    assert.is(await client.get("k"), "v");
    assert.is(await client.publish("to nobody", "nobody hears this"), 0);
  } finally {
    client.close();
  }
  await silence();
});

ours("iovalkey: channels, patterns, and back to ordinary commands", async () => {
  const client = new Iovalkey({ host: "127.0.0.1", port: proxy.port });
  const got: string[] = [];
  client.on("message", (channel, message) => got.push(`${channel} ${message}`));
  client.on(
    "pmessage",
    (pattern, channel, message) => got.push(`${pattern} ${channel} ${message}`),
  );
  try {
    assert.is(await client.subscribe(...channels), channels.length);
    assert.is(await client.psubscribe("weather.*"), channels.length + 1);
    for (const channel of channels) await publish(channel, "x");
    await publish("weather.today", "rain");
    await until("all messages", () => got.length === channels.length + 1);
    const expected = [...channels.map((c) => `${c} x`), "weather.* weather.today rain"];
    assert.equal([...got].sort(), expected.sort());
    // Without names iovalkey 0.4.0 waits for ever while patterns are left, also without a proxy.
    await client.unsubscribe(...channels);
    await client.punsubscribe("weather.*");
    assert.is(await client.set("k", "v"), "OK");
  } finally {
    client.disconnect();
  }
});

for (const [title, more] of [["RESP2", []], ["RESP3", ["-3"]]] as [string, string[]][]) {
  ours(`redis-cli, ${title}: subscribe shows what is published`, async () => {
    const name = title.toLowerCase();
    const cli = new Running("redis-cli", "stdbuf", [
      ...["-oL", which("redis-cli"), ...more, "-p", String(proxy.port)],
      ...["subscribe", `${name}:a`, `${name}:b`],
    ]);
    await publish(`${name}:a`, "one");
    await publish(`${name}:b`, "two");
    await until("the messages", () =>
      cli.output().includes(`message\n${name}:a\none\n`) &&
      cli.output().includes(`message\n${name}:b\ntwo\n`));
    await cli.stop("SIGKILL");
  });
}

test.run();
