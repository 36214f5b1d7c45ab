// CLIENT LIST and CLIENT KILL over the clients of a pool: what a transaction shows, who is closed
// when, and what becomes of requests that are on their way.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const line = (reply: string, id: number): string =>
  new RegExp(`(?:^|\\n)id=${id} .*`).exec(reply)?.[0] ?? "";

test("multi counts what is queued, also before a server is chosen, and is -1 outside", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const [one, two] = [f.client(), f.client()];
  const seen = (): string => {
    f.say(two, command("CLIENT", "LIST"));
    const shown = line(two.received(), 1);
    return `${/ flags=(\w+) /.exec(shown)![1]} ${/ multi=(-?\d+) /.exec(shown)![1]}`;
  };
  assert.is(seen(), "N -1");
  f.say(one, command("MULTI"));
  assert.is(seen(), "x 0");
  f.say(one, command("PING"));
  assert.is(seen(), "x 1");
  f.say(one, command("SET", f.key("b"), "1"));
  f.say(f.server("b"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  assert.is(seen(), "x 2");
  f.say(one, command("GET", f.key("a")));
  assert.is(seen(), "x 2");
  f.say(one, command("DISCARD"));
  f.say(f.server("b"), "+OK\r\n");
  assert.is(seen(), "N -1");
  f.say(one, command("BLPOP", f.key("b"), "0"));
  assert.is(seen(), "b -1");
});

test("KILL closes another client and drops its replies, the one that asks after its own", async () => {
  const f = await Fixture.start();
  const [one, two] = [f.client(), f.client()];
  f.say(one, command("GET", "k"));
  f.say(two, command("CLIENT", "KILL", "ID", "1"));
  assert.is(two.received(), ":1\r\n");
  assert.ok(one.gone);
  f.say(f.server("a"), bulk("late"));
  assert.is(one.received(), "");
  f.say(
    two,
    command("GET", "k") + command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") + "PING\r\n",
  );
  assert.is(two.received(), "");
  f.say(f.server("a"), bulk("v"));
  assert.is(two.received(), `${bulk("v")}:1\r\n`);
  assert.ok(two.finished);
  assert.is(f.watch.requests.size, 0);
});

test("KILL frees a blocked client's connection and a transaction's", async () => {
  const f = await Fixture.start();
  const [one, two, three] = [f.client(), f.client(), f.client()];
  f.say(one, command("BLPOP", "k", "0"));
  f.say(two, command("MULTI") + command("SET", "k", "1"));
  const { counters } = f.pool.servers[0];
  assert.is(counters.pinned_connections, 2);
  f.say(three, command("CLIENT", "KILL", "USER", "default"));
  assert.is(three.received(), ":2\r\n");
  assert.is(counters.pinned_connections, 0);
  assert.ok(one.gone && two.gone);
  assert.is(f.watch.requests.size, 0);
});

test.run();
