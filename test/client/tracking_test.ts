// Client-side caching: how what servers push goes between the replies to a client, cut anywhere; what
// is lost with a link; whose the links are.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const HELLO = command("HELLO", "3");
const ON = command("CLIENT", "TRACKING", "ON");
const CONFIRM = command("CLIENT", "REPLY", "ON");
const ALL = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
const push = (key: string): string => `>2\r\n$10\r\ninvalidate\r\n*1\r\n${bulk(key)}`;

/** A client that tracks, and its links by server. */
async function tracking(
  servers: string[],
): Promise<{ f: Fixture; client: FakeSocket; links: FakeSocket[] }> {
  const f = await Fixture.start({ servers });
  const client = f.client();
  f.say(client, HELLO);
  client.received();
  f.say(client, ON);
  const links = servers.map((name) => f.server(name));
  f.settle();
  for (const link of links) {
    assert.is(link.received(), HELLO + ON);
    link.send("%0\r\n+OK\r\n");
    f.settle();
    assert.is(link.received(), CONFIRM);
    assert.is(client.received(), "");
    link.send("+OK\r\n");
    f.settle();
  }
  assert.is(client.received(), "+OK\r\n");
  return { f, client, links };
}

test("a push goes behind the replies that its server sent before it, and before later ones", async () => {
  const { f, client, links: [a, b] } = await tracking(["a", "b"]);
  f.say(client, command("GET", f.key("a")) + command("GET", f.key("b")));
  b.send("$1\r\n1\r\n" + push(f.key("b")));
  f.settle();
  assert.is(client.received(), "");
  a.send(push("x") + "$1\r\n2\r\n");
  f.settle();
  const inOrder = "$1\r\n2\r\n$1\r\n1\r\n" + push(f.key("b"));
  const got = client.received();
  assert.is(got.replace(push("x"), ""), inOrder);
  // While nothing is kept back it goes at once, whatever is in flight.
  f.say(client, command("GET", f.key("a")));
  b.send(push("y"));
  f.settle();
  assert.is(client.received(), push("y"));
});

test("pushes and replies are told apart wherever they are cut", async () => {
  const stream = push("k") + "$3\r\n>2\r\r\n" + push("a\r\n>b") + "*1\r\n>1\r\n+x\r\n" + push("z") +
    "+>\r\n" + ALL;
  const { f, client, links: [a] } = await tracking(["a"]);
  for (let cut = 1; cut < stream.length; cut++) {
    f.say(client, command("GET", "k") + command("GET", "l") + command("GET", "m"));
    a.send(stream.slice(0, cut));
    f.settle();
    a.send(stream.slice(cut));
    f.settle();
    assert.is(client.received(), stream, `cut at ${cut}`);
  }
});

test("a long push, and a lost link, mean that all may have changed", async () => {
  const { f, client, links: [a] } = await tracking(["a"]);
  f.say(client, command("GET", "k"));
  const long = push("x".repeat(3 << 20));
  for (let at = 0; at < long.length; at += 65536) {
    a.send(long.slice(at, at + 65536));
    f.settle();
  }
  a.send("$1\r\n1\r\n");
  f.settle();
  assert.is(client.received(), ALL + "$1\r\n1\r\n");
  a.end();
  f.settle();
  assert.is(client.received(), ALL);
  f.say(client, command("GET", "k"));
  const again = f.server("a");
  f.settle();
  assert.is(again.received(), HELLO + ON);
});

test("nobody else uses its links, and they go with it", async () => {
  const { f, client, links: [a] } = await tracking(["a"]);
  const other = f.client();
  f.say(other, HELLO + command("GET", "k"));
  assert.is(f.connections("a").length, 2);
  assert.is(a.received(), "");
  client.end();
  f.settle();
  f.host.pass(1000);
  f.settle();
  assert.ok(a.gone);
  assert.is(f.connections("a").length, 1);
});

test("a server that refuses it is not to blame, and the client is told", async () => {
  const f = await Fixture.start({ config: ["auto_eject_hosts: true", "server_failure_limit: 1"] });
  const client = f.client();
  f.say(client, HELLO);
  client.received();
  f.say(client, ON);
  const link = f.server("a");
  f.settle();
  link.send("%0\r\n-NOPERM no\r\n");
  f.settle();
  assert.is(client.received(), "-ERR server refused CLIENT TRACKING: NOPERM no\r\n");
  assert.ok(f.pool.servers[0].live);
});

test("one of several users has only its share of such links", async () => {
  const users = "auth: {users: {ann: {password: a}, bob: {password: b}}}";
  const f = await Fixture.start({ config: [users, "pinned_connections: 4", "pinned_share: 50"] });
  const asked = (user: string, password: string): FakeSocket => {
    const client = f.client();
    f.say(client, command("HELLO", "3", "AUTH", user, password));
    client.received();
    f.say(client, ON);
    return client;
  };
  const first = [asked("ann", "a"), asked("ann", "a")];
  for (const client of first) assert.is(client.received(), "", "it waits for the server");
  const third = asked("ann", "a");
  assert.match(third.received(), /^-ERR too many .* pinned_connections is 4, pinned_share 50\r\n$/);
  assert.is(asked("bob", "b").received(), "");
  first[0].fail("ECONNRESET");
  f.settle();
  f.say(third, ON);
  assert.is(third.received(), "");
});

test.run();
