// What a pool notes of the keys it is asked for, and of what is large.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { escaped } from "../../core/hot_view.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";

/** Answers all that the server was asked, GETs by `value`, and gives how many requests that were. */
function answer(f: Fixture, server: string, value: string): void {
  const asked = f.server(server).received().split("\r\n").filter((word) => word === "GET").length;
  f.say(f.server(server), bulk(value).repeat(asked));
}

test("hot keys, their bytes and servers, with replies in order as ever", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const [hot, cold] = [f.key("a"), f.key("b")];
  const value = "v".repeat(100);
  const rounds = 64;
  for (let i = 0; i < rounds; i++) {
    f.say(client, (command("GET", hot).repeat(3) + command("GET", cold)).repeat(16));
    answer(f, "a", value);
    answer(f, "b", value);
    assert.is(client.received(), bulk(value).repeat(64));
  }
  const [view] = f.proxy.hot();
  assert.equal(view.hot.map(({ key, server }) => [key, server]), [[hot, "a"], [cold, "b"]]);
  assert.ok(Math.abs(view.hot[0].share - 0.75) < 0.2, String(view.hot[0].share));
  const [{ rate, bytes }] = view.hot;
  assert.ok(bytes > 100 * rate && bytes < 150 * rate, `${bytes} bytes, ${rate} requests`);
  assert.is(f.proxy.snapshot().pools[0].counters.hot_keys, 2);
  assert.equal(f.proxy.hot("nobody"), []);
});

test("each key of a request with several counts", async () => {
  const f = await Fixture.start();
  const client = f.client();
  for (let i = 0; i < 400; i++) {
    f.say(client, command("MGET", "one", "two", `k${i}`));
    f.say(f.server("a"), "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
  }
  const [first, second] = f.proxy.hot()[0].hot;
  assert.equal([first.key, second.key].sort(), ["one", "two"]);
});

test("a client that has not said who it is brings in no keys", async () => {
  const f = await Fixture.start({ config: ["redis_auth: secret"] });
  const client = f.client();
  for (let i = 0; i < 40; i++) f.say(client, command("GET", "mine").repeat(64));
  assert.equal(f.proxy.hot()[0].hot, []);
});

test("big requests, whole, gathered and streamed", async () => {
  const f = await Fixture.start({ config: ["big_key: 2000"] });
  const client = f.client();
  const sizes = [1000, 2000, 100_000, 2_000_000];
  for (const size of sizes) {
    const request = command("SET", `k${size}`, "x".repeat(size));
    client.send(request);
    while (client.deliver(65536)) f.host.turn();
    f.settle();
    f.host.settle();
    const server = f.connections("a").find((one) => one.receivedBytes().length > 0);
    f.say(server!, "+OK\r\n");
    assert.is(client.received(), "+OK\r\n", String(size));
  }
  const { big } = f.proxy.hot()[0];
  assert.equal(big.map(({ key, command, way }) => `${way} ${command} ${key}`), [
    "request set k2000000",
    "request set k100000",
    "request set k2000",
  ]);
  assert.is(f.proxy.snapshot().pools[0].counters.big_requests, 3);
});

test("big replies, whole and in pieces: counted at once, named when they come again", async () => {
  for (const piece of [1_000_000, 65536, 700]) {
    const f = await Fixture.start({ config: ["big_key: 2000"] });
    const client = f.client();
    const value = bulk("x".repeat(10_000));
    const small = bulk("y".repeat(1000));
    const round = (): void => {
      f.say(client, command("GET", "small") + command("GET", "big") + command("GET", "small"));
      f.server("a").send(small + value + small);
      while (f.server("a").deliver(piece)) f.host.turn();
      f.settle();
      assert.is(client.received(), small + value + small);
    };
    round();
    assert.is(f.proxy.snapshot().pools[0].counters.big_replies, 1, `pieces of ${piece}`);
    f.host.pass(200);
    round();
    const { big } = f.proxy.hot()[0];
    const named = big.find(({ key }) => key === "big");
    assert.is(named?.command, "get");
    assert.is(named?.count, 1);
    assert.ok((named as { bytes: number }).bytes > 9000);
    assert.not.ok(big.some(({ key }) => key === "small"));
    // After a while requests keep their keys no longer.
    f.host.pass(11_000);
    assert.not.ok(f.pool.slow.on);
  }
});

test("big_key: 0 sees nothing, and a reload changes it", async () => {
  const f = await Fixture.start({ config: ["big_key: 0"] });
  const client = f.client();
  const round = (): void => {
    f.say(client, command("GET", "k"));
    f.say(f.server("a"), bulk("x".repeat(5000)));
  };
  round();
  assert.is(f.pool.counters.big_replies, 0);
  await f.reload({ config: ["big_key: 1000"] });
  round();
  assert.is(f.pool.counters.big_replies, 1);
});

test("keys are shown escaped", () => {
  assert.is(escaped("a\x00\n\x1b[31m\xff\\ b"), "a\\x00\\x0a\\x1b[31m\\xff\\\\ b");
});

test.run();
