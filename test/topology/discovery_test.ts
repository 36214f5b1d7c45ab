// What is made of answers about a pool's servers; DNS messages; lists of servers; and the proxy that
// goes along, with providers that say what the test wants.

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { lineOf, rangeOf } from "../../adapters/discovery/etcd.ts";
import { namesToTry, parseResolvConf } from "../../adapters/discovery/dns.ts";
import { parseServer, type ServerConfig } from "../../core/config/address.ts";
import { loadServerList } from "../../core/config/server_list.ts";
import { loadConfig } from "../../core/config/load.ts";
import type { Fields } from "../../core/log.ts";
import type { Log } from "../../adapters/log/log.ts";
import { Discovery } from "../../adapters/discovery/discovery.ts";
import { DiscoveredSet, type Provider } from "../../core/topology/discovery.ts";
import { decodeReply, encodeQuestion, SRV } from "../../core/topology/dns_message.ts";

const servers = (...names: string[]): ServerConfig[] =>
  names.map((name, i) => parseServer(`10.0.0.${i + 1}:1:1 ${name}`) as ServerConfig);

test("the first answer counts, whatever it is; a failure keeps the set", () => {
  const set = new DiscoveredSet();
  assert.is(set.answered(servers("a", "b"), 0.5, 7), "changed");
  assert.is(set.answered(servers("a", "b"), 0.5, 8), "same");
  set.failed("no such name");
  assert.equal(set.servers, servers("a", "b"));
  assert.equal([set.failures, set.error, set.at], [1, "no such name", 8]);
  assert.is(set.answered(servers("a", "b", "c"), 0.5, 9), "changed");
  assert.is(set.error, "");
});

test("a loss of more than max_loss needs three equal answers in a row", () => {
  const set = new DiscoveredSet();
  set.answered(servers("a", "b", "c", "d"), 0.5, 1);
  assert.is(set.answered(servers("a", "b"), 0.5, 2), "changed"); // half is not more than half
  set.answered(servers("a", "b", "c", "d"), 0.5, 3);
  assert.is(set.answered(servers("a"), 0.5, 4), "refused");
  assert.is(set.answered(servers("a"), 0.5, 5), "refused");
  set.failed("timeout"); // it begins anew
  assert.is(set.answered(servers("a"), 0.5, 6), "refused");
  assert.is(set.answered(servers("b"), 0.5, 7), "refused"); // another one
  assert.is(set.answered(servers("b"), 0.5, 8), "refused");
  assert.is(set.servers.length, 4);
  assert.is(set.answered(servers("b"), 0.5, 9), "changed");
  assert.is(set.refused, 5);
  assert.is(set.answered(servers("c"), 1, 10), "changed");
});

test("a server with another address under its name is a change, and no loss", () => {
  const set = new DiscoveredSet();
  set.answered(servers("a", "b"), 0, 1);
  assert.is(set.answered(servers("a", "b").reverse(), 0, 2), "changed");
  const moved = [parseServer("10.9.9.9:1:1 a"), parseServer("10.0.0.2:1:1 b")] as ServerConfig[];
  assert.is(set.answered(moved, 0, 3), "changed");
});

test("servers of another source are kept until this one answers, and weigh nothing then", () => {
  const set = new DiscoveredSet(servers("a", "b", "c"));
  set.failed("timeout");
  assert.is(set.servers.length, 3);
  assert.is(set.answered(servers("d"), 0.1, 1), "changed");
  assert.is(set.answered(servers("e"), 0.1, 2), "refused");
});

/** What a provider says next; a text is why it does not answer. */
type Said = { servers: string[]; ttl: number } | string;

test("it is asked again after the TTL, but not sooner than `min`; what fails changes nothing", async () => {
  const said: Said[] = [
    { servers: ["a", "b", "c"], ttl: 30_000 },
    { servers: ["a", "b", "c", "d"], ttl: 7 },
    "no such name",
    { servers: [], ttl: 30_000 },
    { servers: ["a"], ttl: 30_000 },
    { servers: ["a"], ttl: 30_000 },
    { servers: ["a"], ttl: 30_000 },
  ];
  const provider: Provider = {
    label: "test",
    ask: () => {
      const next = said.shift() as Said;
      return typeof next === "string"
        ? Promise.reject(new Error(next))
        : Promise.resolve({ servers: servers(...next.servers), ttl: next.ttl });
    },
  };
  const events: unknown[] = [];
  const note = (_: string, fields?: Fields): void => {
    assert.is(fields?.pool, "p");
    events.push(fields?.event);
  };
  const log = { error: note, warn: note, notice: note, info: note, debug: note } as unknown as Log;
  const config = loadConfig(
    "p:\n  listen: 127.0.0.1:1\n  discovery: {srv: x, min: 100, max_loss: 0.5}\n",
  );
  // Timers that the test lets go off.
  const timers: { ms: number; fn: () => void }[] = [];
  const { setTimeout: real, clearTimeout: realClear } = globalThis;
  Object.assign(globalThis, {
    setTimeout: (fn: () => void, ms: number) => timers.push({ fn, ms }),
    clearTimeout: () => {},
  });
  try {
    const discovery = new Discovery(log, ".", () => provider);
    let now = (await discovery.start(config)).pools[0].servers;
    discovery.begin((changed) => void (now = changed.pools[0].servers));
    const seen: [number, number][] = [];
    while (said.length > 0) {
      const { ms, fn } = timers.pop() as { ms: number; fn: () => void };
      seen.push([ms, now.length]);
      timers.length = 0;
      fn();
      await new Promise((resolve) => real(resolve, 0));
    }
    seen.push([timers[0].ms, now.length]);
    assert.equal(seen, [
      [30_000, 3],
      [100, 4],
      [5000, 4],
      [5000, 4],
      [100, 4],
      [100, 4],
      [30_000, 1],
    ]);
    const told = "changed changed failed failed refused refused answers changed";
    assert.equal(events, told.split(" ").map((what) => `discovery_${what}`));
    discovery.stop();
  } finally {
    Object.assign(globalThis, { setTimeout: real, clearTimeout: realClear });
  }
});

test("a DNS question and what is no answer to it", () => {
  const question = encodeQuestion(0x1234, "_mc._tcp.a.example", SRV) as Uint8Array;
  const text = String.fromCharCode(...question);
  assert.is(
    text,
    "\0\x24\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03_mc\x04_tcp\x01a\x07example\0\0\x21\0\x01",
  );
  assert.is(encodeQuestion(1, "a..b", SRV), null);
  assert.is(encodeQuestion(1, `${"a".repeat(64)}.b`, SRV), null);
  assert.is(decodeReply(question.subarray(2), 0x1234), null); // it is a question
  const runs = { numRuns: 300, seed: 53 };
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 120 }), (bytes) => {
      bytes.set([0x12, 0x34, 0x81, 0x80]);
      decodeReply(bytes, 0x1234); // broken bytes are null, never an exception or a circle
    }),
    runs,
  );
});

test("resolv.conf and its search list", () => {
  const conf =
    "# x\nnameserver 10.0.0.1\nnameserver ::1\nsearch a.b c\noptions ndots:5 timeout:1\n";
  assert.equal(parseResolvConf(conf), {
    resolvers: [{ host: "10.0.0.1", port: 53 }, { host: "::1", port: 53 }],
    search: ["a.b", "c"],
    ndots: 5,
  });
  assert.equal(namesToTry("x.y", ["a", "b"], 5), ["x.y.a", "x.y.b", "x.y"]);
  assert.equal(namesToTry("x.y", ["a"], 1), ["x.y", "x.y.a"]);
  assert.equal(namesToTry("x.y.", ["a"], 5), ["x.y."]);
});

test("a list of servers, and what is wrong with one, with its line", () => {
  assert.equal(
    loadServerList("# ours\n- 10.0.0.2:1:1 bb\n- 10.0.0.1:1:3 a\n", "s.yml").map((s) => s.name),
    ["a", "bb"],
  );
  const wrong = (text: string) => {
    try {
      loadServerList(text, "s.yml");
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(wrong("- 10.0.0.1:1:1 a\n- nonsense\n"), /^s\.yml:2: server "nonsense" has to be/);
  assert.match(
    wrong("- 1.1.1.1:1:1 a\n- 1.1.1.2:1:1 a\n"),
    /^s\.yml:2: another server has the name/,
  );
  assert.match(wrong("a: b\n"), /^s\.yml:1: has to be a list of lines/);
});

test("etcd: the range of a prefix, and a server from a key and its value", () => {
  assert.equal(rangeOf("/c/"), { key: btoa("/c/"), range_end: btoa("/c0") });
  assert.is(lineOf("a", "10.0.0.1:11211"), "10.0.0.1:11211:1 a");
  assert.is(lineOf("a", " 10.0.0.1:11211:5\n"), "10.0.0.1:11211:5 a");
});

test.run();
