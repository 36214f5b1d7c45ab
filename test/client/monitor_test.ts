// MONITOR where administration is allowed: a client hears what every server is asked, on links of
// its own, between its replies.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command, Fixture, type Setting } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const OPEN = ['commands: {allow: ["@all", "@admin"]}'];
const MONITOR = command("MONITOR");
const LINE = '+1795433469.000001 [0 10.9.0.1:5] "GET" "k"\r\n';

interface Scene {
  f: Fixture;
  client: FakeSocket;
  /** The servers' sockets that were asked for it. */
  monitors: FakeSocket[];
}

async function scene(setting: Setting = {}, confirmed = true): Promise<Scene> {
  const f = await Fixture.start({ servers: ["a", "b"], config: OPEN, ...setting });
  const client = f.client();
  f.say(client, MONITOR);
  const monitors = ["a", "b"].flatMap((name) => f.connections(name));
  for (const socket of monitors) assert.is(socket.received(), MONITOR);
  assert.is(monitors.length, 2);
  assert.is(client.received(), "");
  if (confirmed) {
    for (const socket of monitors) f.say(socket, "+OK\r\n");
    assert.is(client.received(), "+OK\r\n");
  }
  return { f, client, monitors };
}

test("OK when every server has agreed; lines of all of them follow", async () => {
  const { f, client, monitors: [a, b] } = await scene({}, false);
  f.say(a, "+OK\r\n" + LINE);
  assert.is(client.received(), "", "not before all have agreed");
  f.say(b, "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
  f.say(b, LINE.slice(0, 9));
  assert.is(client.received(), "");
  f.say(a, LINE);
  f.say(b, LINE.slice(9) + LINE);
  assert.is(client.received(), LINE.repeat(3));
});

test("lines come between replies, never into one", async () => {
  const { f, client, monitors: [a] } = await scene();
  f.say(client, command("GET", "k"));
  const owner = f.connections(f.owner("k")).at(-1) as FakeSocket;
  f.say(owner, "$10\r\n01234");
  f.say(a, LINE);
  f.say(owner, "56789\r\n");
  assert.is(client.received(), "$10\r\n0123456789\r\n" + LINE);
});

test("RESET, QUIT and the client's end close its links", async () => {
  const ends: [string, (s: Scene) => void, string][] = [
    ["RESET", ({ f, client }) => f.say(client, command("RESET")), "+RESET\r\n"],
    ["QUIT", ({ f, client }) => f.say(client, command("QUIT")), "+OK\r\n"],
    ["end", ({ f, client }) => {
      client.end();
      f.settle();
    }, ""],
  ];
  for (const [what, end, reply] of ends) {
    const it = await scene();
    assert.is(it.f.pool.servers[0].counters.pinned_connections, 1);
    end(it);
    assert.is(it.client.received(), reply, what);
    assert.ok(it.monitors.every((socket) => socket.gone), what);
    assert.is(it.f.pool.servers[0].counters.pinned_connections, 0);
  }
});

test("a client that leaves before they have agreed leaves nothing behind", async () => {
  const { f, client, monitors } = await scene({}, false);
  client.fail("ECONNRESET");
  f.settle();
  assert.ok(monitors.every((socket) => socket.gone));
  assert.is(f.watch.requests.size, 0);
});

test("a server that refuses: its error, and no link is left", async () => {
  const { f, client, monitors: [a, b] } = await scene({}, false);
  f.say(a, "-NOPERM no\r\n");
  assert.is(client.received(), "-NOPERM no\r\n");
  assert.ok(a.gone && b.gone);
  f.say(client, command("PING"));
  assert.is(client.received(), "+PONG\r\n");
});

test("a server that is lost, or does not answer, before and after", async () => {
  const before = await scene({ config: [...OPEN, "timeout: 400"] }, false);
  before.f.host.pass(2000);
  assert.match(before.client.received(), /^-ERR Connection timed out\r\n$/);
  const refused = await scene({}, false);
  refused.monitors[1].fail("ECONNRESET");
  refused.f.settle();
  assert.match(refused.client.received(), /^-ERR Connection reset by peer\r\n$/);
  const after = await scene();
  after.monitors[1].end();
  after.f.settle();
  assert.ok(after.client.gone, "as a server's own client is closed when it goes");
});

test("other servers than those it monitors: it is closed", async () => {
  const { f, client } = await scene();
  await f.reload({ servers: ["a"], config: OPEN });
  f.host.pass(1000);
  assert.ok(client.gone);
});

test("refused without the words in allow, and beyond pinned_connections", async () => {
  const f = await Fixture.start({});
  const client = f.client();
  f.say(client, MONITOR);
  assert.match(client.received(), /^-ERR 'monitor' is not supported by ringmux: /);
  const few = await scene({ config: [...OPEN, "pinned_connections: 1"] });
  const other = few.f.client();
  few.f.say(other, MONITOR);
  assert.match(
    other.received(),
    /^-ERR too many .*pinned_connections of the server are in use\r\n$/,
  );
});

test("CLIENT LIST has the flag O", async () => {
  const { f, client } = await scene();
  f.say(client, command("CLIENT", "INFO"));
  assert.match(client.received(), / flags=O /);
});

test.run();
