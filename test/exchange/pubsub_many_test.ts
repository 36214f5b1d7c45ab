// Publish and subscribe with very many channels: what is done per channel must not grow with their
// number. Steps are counted, not milliseconds: every step of an iterator over a table, set or list.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const ITERATORS = [new Set<number>().values(), new Map<number, number>().entries(), [].values()]
  .map((iterator) => Object.getPrototypeOf(iterator) as { next: () => unknown });

/** How many steps iterators take in `fn`. */
function stepsOf(fn: () => void): number {
  let steps = 0;
  const before = ITERATORS.map((prototype) => prototype.next);
  ITERATORS.forEach((prototype, i) => {
    prototype.next = function (this: unknown) {
      steps++;
      return before[i].call(this);
    };
  });
  try {
    fn();
  } finally {
    ITERATORS.forEach((prototype, i) => void (prototype.next = before[i]));
  }
  return steps;
}

const names = (n: number) => Array.from({ length: n }, (_, i) => `c${i}`);

/** The servers' confirmations of all they have been asked for since the last time. */
function confirm(f: Fixture, sockets: readonly FakeSocket[]): void {
  for (const socket of sockets) {
    const words = socket.received().split("\r\n");
    const said: string[] = [];
    for (let i = 0; i + 4 < words.length; i += 5) {
      said.push(`*3\r\n${bulk(words[i + 2].toLowerCase())}${bulk(words[i + 4])}:1\r\n`);
    }
    if (said.length > 0) socket.send(said.join(""));
  }
  f.settle();
}

interface Scene {
  f: Fixture;
  client: FakeSocket;
  all: string[];
  listeners: FakeSocket[];
}

/** A client that has subscribed to `n` channels; confirmed unless told otherwise. */
async function scene(n: number, verb = "SUBSCRIBE", confirmed = true): Promise<Scene> {
  const f = await Fixture.start({
    servers: ["a", "b", "c"],
    config: ["auto_eject_hosts: true", "server_failure_limit: 1", "distribution: ketama"],
  });
  const all = names(n);
  const client = f.client();
  f.say(client, command(verb, ...all));
  const listeners = ["a", "b", "c"].flatMap((name) => f.connections(name));
  if (confirmed) confirm(f, listeners);
  return { f, client, all, listeners };
}

/** How the steps of what is measured grow from `few` to twice as many: 2 is linear, 4 quadratic. */
async function growth(measure: (n: number) => Promise<number>): Promise<number> {
  const few = 1500;
  return await measure(2 * few) / await measure(few);
}

const CASES: Record<string, (n: number) => Promise<number>> = {
  async "SUBSCRIBE and its confirmations"(n) {
    const { f, client, all } = await scene(0, "PING");
    client.received();
    return stepsOf(() => {
      f.say(client, command("SUBSCRIBE", ...all.concat(names(n))));
      confirm(f, ["a", "b", "c"].flatMap((name) => f.connections(name)));
      assert.is(client.received().split("subscribe").length - 1, n);
    });
  },
  async "PSUBSCRIBE"(n) {
    const { f, client } = await scene(0, "PING");
    client.received();
    return stepsOf(() => {
      f.say(client, command("PSUBSCRIBE", ...names(n)));
      confirm(f, ["a", "b", "c"].flatMap((name) => f.connections(name)));
      assert.is(client.received().split("psubscribe").length - 1, n);
    });
  },
  async "SSUBSCRIBE of what others have"(n) {
    const { f, all } = await scene(n, "SSUBSCRIBE");
    const second = f.client();
    return stepsOf(() => {
      f.say(second, command("SSUBSCRIBE", ...all));
      assert.is(second.received().split("ssubscribe").length - 1, n);
    });
  },
  async "SUBSCRIBE that loses every server"(n) {
    const { f, client, listeners } = await scene(n, "SUBSCRIBE", false);
    return stepsOf(() => {
      for (const socket of listeners) socket.fail("ECONNRESET");
      f.settle();
      assert.is(client.received().split("-ERR").length - 1, n);
    });
  },
  async "UNSUBSCRIBE of all by name"(n) {
    const { f, client, all } = await scene(n);
    client.received();
    return stepsOf(() => {
      f.say(client, command("UNSUBSCRIBE", ...all));
      assert.is(client.received().split("unsubscribe").length - 1, n);
    });
  },
  async "UNSUBSCRIBE without names"(n) {
    const { f, client } = await scene(n);
    client.received();
    return stepsOf(() => {
      f.say(client, command("UNSUBSCRIBE"));
      assert.is(client.received().split("unsubscribe").length - 1, n);
    });
  },
  async "a client leaves"(n) {
    const { f, client } = await scene(n);
    return stepsOf(() => {
      client.end();
      f.settle();
      assert.is(f.pool.topics.count(0), 0);
    });
  },
  async "a client leaves that waits"(n) {
    const { f, client, listeners } = await scene(n, "SUBSCRIBE", false);
    const other = f.client();
    f.say(other, command("SUBSCRIBE", ...names(n)));
    return stepsOf(() => {
      client.fail("ECONNRESET");
      f.settle();
      confirm(f, listeners);
      assert.is(other.received().split("subscribe").length - 1, n);
    });
  },
  async "the ring changes, and changes back"(n) {
    const { f, listeners } = await scene(n);
    return stepsOf(() => {
      f.pool.servers[1].live = false;
      f.pool.servers[1].retryAt = Infinity;
      f.pool.serversChanged();
      f.settle();
      confirm(f, listeners);
      f.pool.servers[1].live = true;
      f.pool.serversChanged();
      f.settle();
      confirm(f, listeners);
    });
  },
  async "servers are lost and come back"(n) {
    const { f, listeners } = await scene(n);
    return stepsOf(() => {
      for (const socket of listeners) socket.fail("ECONNRESET");
      f.settle();
      f.host.pass(1000);
      confirm(f, ["a", "b", "c"].flatMap((name) => f.connections(name)));
    });
  },
};

for (const [what, measure] of Object.entries(CASES)) {
  test(`${what}: twice the channels are twice the work`, async () => {
    const factor = await growth(measure);
    assert.ok(factor < 2.5, `${factor.toFixed(2)} times the steps`);
  });
}

test("100,000 channels of one SUBSCRIBE", async () => {
  const n = 100_000;
  const { client } = await scene(n);
  const said = client.received();
  assert.ok(said.endsWith(`${bulk(`c${n - 1}`)}:${n}\r\n`));
});

test.run();
