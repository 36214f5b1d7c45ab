// Metrics to StatsD: the lines, the datagrams, and a real UDP socket that gets them.

import { createSocket } from "node:dgram";
import type { AddressInfo } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { datagrams, startStatsd, statsdLines } from "../../adapters/admin/statsd.ts";
import { FakeControl, pool, server, snapshot } from "./fixture.ts";

const silent = { error() {}, warn() {}, notice() {}, info() {}, debug() {} };

test("counters are sent as what they grew by, gauges as they are", () => {
  const before = snapshot([pool("p", [server("a", 10)], { fragments: 2, client_connections: 5 })]);
  const now = snapshot([pool("p", [server("a", 25)], { fragments: 3, client_connections: 4 })]);
  const lines = statsdLines(now, before);
  for (
    const line of [
      "ringmux.p.fragments:1|c",
      "ringmux.p.client_connections:4|g",
      "ringmux.p.live_servers:1|g",
      "ringmux.p.a.requests:15|c",
      "ringmux.p.a.server_connections:1|g",
      "ringmux.p.a.live:1|g",
      "ringmux.workers:1|g",
    ]
  ) assert.ok(lines.includes(line), `${line} in ${lines.join(" ")}`);
  const p50 = lines.find((line) => line.startsWith("ringmux.p.a.latency_p50_ms:")) ?? "";
  const ms = Number(/:([0-9.]+)\|g$/.exec(p50)?.[1]);
  assert.ok(ms > 0.512 && ms <= 1.024, p50);
  assert.ok(statsdLines(now, null).includes("ringmux.p.a.requests:25|c"));
  assert.ok(statsdLines(before, now).includes("ringmux.p.a.requests:0|c"), "never negative");
});

test("a replica's rows stand below its server's; what nobody knows is not sent", () => {
  const told = (reads: number, lag: number) =>
    snapshot([{
      ...pool("p", [server("a")]),
      replicas: [{
        ...{ name: "10.0.0.2:6379", of: "a", fit: true, why: "", lag, rtt: -1, zone: "", reads },
        connections: 1,
      }],
    }]);
  const lines = statsdLines(told(7, 1500), told(4, -1));
  const own = lines.filter((line) => line.startsWith("ringmux.p.a.10_0_0_2_6379."));
  const start = "ringmux.p.a.10_0_0_2_6379";
  assert.equal(own, [`${start}.fit:1|g`, `${start}.lag_seconds:1.5|g`, `${start}.reads:3|c`]);
  assert.not.match(statsdLines(told(4, -1), null).join(), /lag_seconds/);
});

test("names are made fit for the protocol", () => {
  const name = "10.0.0.1:6379|x@y/ä #";
  const lines = statsdLines(snapshot([pool("a.b", [server(name, 1)])]), null);
  assert.ok(lines.includes("ringmux.a_b.10_0_0_1_6379_x_y____.requests:1|c"), lines.join(" "));
  for (const line of lines) assert.match(line, /^[A-Za-z0-9_.-]+:[0-9.e-]+\|[cg]$/);
});

test("lines go into datagrams that a network carries whole, each line whole", () => {
  const lines = Array.from({ length: 200 }, (_, i) => `ringmux.pool.server.number_${i}:${i}|c`);
  const all = datagrams(lines);
  assert.ok(all.length > 1);
  for (const text of all) assert.ok(text.length <= 1432, String(text.length));
  assert.equal(all.join("\n").split("\n"), lines);
  assert.equal(datagrams([]), []);
});

test("a server gets them at the start, every interval, and the rest at the end", async () => {
  const listener = createSocket("udp4");
  const got: string[] = [];
  let wake = () => {};
  listener.on("message", (message) => {
    got.push(...String(message).split("\n"));
    wake();
  });
  await new Promise<void>((resolve) => listener.bind(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const has = async (line: string) => {
    while (!got.includes(line)) await new Promise<void>((resolve) => wake = resolve);
  };
  const control = new FakeControl(snapshot([pool("p", [server("a", 1)])]));
  const push = startStatsd(`127.0.0.1:${port}`, control, silent, 20);
  await has("ringmux.p.a.requests:1|c");
  control.now = snapshot([pool("p", [server("a", 4)])]);
  await has("ringmux.p.a.requests:3|c");
  control.now = snapshot([pool("p", [server("a", 104)])]);
  await push.close();
  await has("ringmux.p.a.requests:100|c");
  listener.close();
});

test("a server that is not there is told once", async () => {
  const warnings: string[] = [];
  const log = { ...silent, warn: (text: string) => void warnings.push(text) };
  const control = new FakeControl(snapshot([]));
  const push = startStatsd("no-such-host.invalid:8125", control, log, 60_000);
  await push.close();
  assert.is(warnings.length, 1, warnings.join("\n"));
  assert.match(warnings[0], "statsd no-such-host.invalid:8125: ");
});

test("one sending at a time, and the end waits for none that hangs", async () => {
  const control = new FakeControl(snapshot([]));
  let asked = 0;
  control.snapshot = () => {
    asked++;
    return new Promise(() => {});
  };
  const push = startStatsd("127.0.0.1:9", control, silent, 1, 20);
  await push.send();
  await push.close();
  assert.is(asked, 1);
});

test.run();
