// Another configuration for a proxy that runs: who keeps what, who goes where, and when what is not
// wanted any more is closed. Random reloads under load are in random_test.ts.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import { buildRing } from "../../core/ring/mod.ts";
import { HASHES } from "../../core/hash/mod.ts";
import { bulk, command, Fixture, PORT } from "../fake/fixture.ts";

const OTHER = PORT + 1;
const get = (key: string) => command("GET", key);

/** Another pool, with a server of its own. */
const second = (name: string, port = OTHER): string =>
  `${name}:\n  listen: 127.0.0.1:${port}\n  redis: true\n  servers:\n   - 10.0.0.9:1:1 z\n`;

test("a server that is added gets the keys that the ring gives it, and no others move", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const keys = Array.from({ length: 2000 }, (_, i) => `k${i}`);
  const before = keys.map((key) => f.owner(key));
  const lines = await f.reload({ servers: ["a", "b", "c"] });
  assert.equal(lines, ['pool "p": server "c" (10.0.0.1:7103) added']);
  const names = ["a", "b", "c"];
  const ring = buildRing(
    "ketama",
    names.map((name, index) => ({ name, weight: 1, index })),
    () => 0,
  );
  const moved = keys.filter((key, i) => {
    const now = f.owner(key);
    assert.is(now, names[ring.pick(HASHES.fnv1a_64(bytes(key), 0, key.length))]);
    if (now !== before[i]) assert.is(now, "c");
    return now !== before[i];
  });
  assert.ok(moved.length > 400 && moved.length < 900, `${moved.length} of 2000 moved`);
});

test("a connection that was being made greets as it was to, whatever lanes there are since", async () => {
  const f = await Fixture.start({ config: ["redis_db: 2"] });
  f.host.onConnect = () => {}; // later
  const [gone, other] = [f.client(), f.client()];
  f.say(gone, command("HELLO", "3") + command("SELECT", "3") + get("k"));
  gone.fail("");
  f.settle();
  const [early] = f.connections("a");
  await f.reload({ config: ["redis_db: 4"] });
  f.say(other, command("SELECT", "5") + command("HELLO", "3") + command("SELECT", "6") + get("k"));
  early.openNow();
  f.settle();
  assert.match(early.received(), /SELECT\r\n\$1\r\n3\r\n/);
});

test("a server that stays keeps its connection, its counters and its ejection", async () => {
  const config = ["auto_eject_hosts: true", "server_failure_limit: 1"];
  const f = await Fixture.start({ servers: ["b", "c"], config });
  const client = f.client();
  f.say(client, get(f.key("b")));
  const socket = f.server("b");
  f.say(socket, bulk("1"));
  f.say(client, get(f.key("c")));
  f.server("c").fail("ECONNRESET");
  f.settle();
  client.received();
  assert.not.ok(f.pool.servers[1].live);
  await f.reload({ servers: ["a", "b", "c"], config });
  const [a, b, c] = f.pool.servers;
  assert.equal([a.name, b.name, c.name], ["a", "b", "c"]);
  assert.is(b.counters.requests, 1);
  assert.not.ok(c.live);
  assert.is(c.counters.server_err, 1);
  socket.received();
  const key = f.key("b");
  f.say(client, get(key));
  assert.is(socket.received(), get(key));
  assert.is(f.attempts("b"), 1);
});

test("a server that is removed answers what is in flight, then its connection closes", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const key = f.key("b");
  f.say(client, get(key));
  const old = f.server("b");
  const lines = await f.reload({ servers: ["a"] });
  assert.equal(lines, ['pool "p": server "b" (10.0.0.1:7102) removed']);
  f.host.pass(500);
  assert.not.ok(old.gone, "it has something to answer");
  f.say(client, get(key));
  assert.is(f.attempts("a"), 0, "what comes later waits");
  f.say(f.client(), get(key));
  assert.is(f.server("a").received(), get(key), "but not what others send");
  f.say(f.server("a"), bulk("new"));
  f.say(old, bulk("old"));
  assert.is(f.server("a").received(), get(key));
  f.say(f.server("a"), bulk("new"));
  assert.is(client.received(), bulk("old") + bulk("new"));
  f.host.pass(200);
  assert.ok(old.gone);
});

test("a server that goes and comes back: nothing overtakes what was sent before", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const key = f.key("b");
  f.say(client, command("SET", key, "1"));
  const old = f.server("b");
  await f.reload({ servers: ["a"] });
  await f.reload({ servers: ["a", "b"] });
  f.say(client, get(key));
  assert.is(f.connections("b").length, 1, "the GET waits for the SET");
  f.say(old, "+OK\r\n");
  const [, next] = f.connections("b");
  assert.is(next.received(), get(key));
  f.say(next, bulk("1"));
  assert.is(client.received(), "+OK\r\n" + bulk("1"));
});

test("a removed server that does not answer is given up after drain_timeout", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, get(f.key("b")));
  await f.reload({ servers: ["a"] });
  f.host.pass(9_800);
  assert.is(client.received(), "");
  f.host.pass(300);
  assert.is(client.received(), "-ERR the server is not in the pool any more\r\n");
});

test("a transaction on a removed server is told so, and answers what was sent before", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const key = f.key("b");
  f.say(client, command("MULTI") + command("SET", key, "1"));
  assert.is(client.received(), "+OK\r\n");
  const pinned = f.connections("b")[0];
  await f.reload({ servers: ["a"] });
  f.say(pinned, "+OK\r\n+QUEUED\r\n");
  assert.is(client.received(), "+QUEUED\r\n");
  f.say(client, command("SET", key, "2"));
  assert.match(client.received(), /^-ERR the connection that was kept for this client is lost\r\n/);
  f.say(client, command("EXEC"));
  assert.match(client.received(), /^-EXECABORT/);
  f.host.pass(300);
  assert.ok(pinned.gone);
  f.say(client, get(key));
  f.say(f.server("a"), bulk("1"));
  assert.is(client.received(), bulk("1"));
});

test("another password: new connections, and no request overtakes an earlier one", async () => {
  const f = await Fixture.start({ servers: ["a"] });
  const client = f.client();
  f.say(client, command("SET", "k", "1"));
  const old = f.server("a");
  await f.reload({ servers: ["a"], config: ["redis_auth: secret"] });
  f.say(client, get("k"));
  assert.is(f.connections("a").length, 1, "the GET waits for the SET");
  f.say(old, "+OK\r\n");
  const next = f.connections("a")[1];
  assert.is(next.received(), command("AUTH", "secret"));
  f.say(next, "+OK\r\n");
  assert.is(next.received(), get("k"));
  f.say(next, bulk("1"));
  assert.is(client.received(), "+OK\r\n" + bulk("1"), "a client that was in stays in");
  const stranger = f.client();
  f.say(stranger, get("k"));
  assert.match(stranger.received(), /^-NOAUTH/);
  f.host.pass(200);
  assert.ok(old.gone);
});

test("commands that are switched off are so for clients that are there", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "half").slice(0, 12));
  await f.reload({ config: ["commands: {deny: [get]}"] });
  f.say(client, command("GET", "half").slice(12));
  assert.match(client.received(), /^-ERR .*'get'/i);
  assert.is(f.attempts("a"), 0);
});

test("a timeout that is set takes effect at once", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, get("k"));
  f.host.pass(1000);
  assert.is(client.received(), "");
  await f.reload({ config: ["timeout: 50"] });
  f.host.pass(50);
  assert.is(client.received(), "-ERR Connection timed out\r\n");
});

test("a lower limit of clients drops nobody, and lets nobody in", async () => {
  const f = await Fixture.start();
  const clients = [f.client(), f.client(), f.client()];
  await f.reload({ config: ["client_connections: 2"] });
  assert.ok(clients.every((client) => !client.gone));
  assert.match(f.client().received(), /^-ERR max number of clients reached/);
});

test("another address: listened on before the old one is closed; clients stay", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const lines = await f.reload({ port: OTHER });
  assert.equal(lines, [`pool "p": listen is now 127.0.0.1:${OTHER}`]);
  assert.not.ok(f.host.listensOn(PORT));
  f.say(client, command("PING"));
  f.say(f.host.client(OTHER), command("PING"));
  assert.is(client.received(), "+PONG\r\n");
  assert.is(f.pool.clients.size, 2);
});

test("when an address cannot be had nothing at all changes", async () => {
  const f = await Fixture.start({ servers: ["a"] });
  await f.host.listen({ host: "", port: OTHER, path: "", mode: -1 }, {
    backlog: 1,
    keepAlive: false,
    reusePort: false,
  }, () => null);
  const more = second("n", PORT + 2) + second("q");
  try {
    await f.reload({ servers: ["a", "b"], port: PORT + 3 }, more);
    assert.unreachable();
  } catch (error) {
    const why = `pool "q": cannot listen on 127.0.0.1:${OTHER}: Address already in use`;
    assert.is((error as Error).message, why);
  }
  assert.ok(f.host.listensOn(PORT));
  for (const port of [PORT + 2, PORT + 3]) assert.not.ok(f.host.listensOn(port), String(port));
  assert.is(f.pool.servers.length, 1);
  assert.is(f.proxy.pools.length, 1);
});

test("a pool that is renamed, or swaps its address with another, closes no door", async () => {
  const f = await Fixture.start();
  await f.reload({}, second("q"));
  const [p, q] = f.proxy.pools;
  await f.reload({ port: OTHER }, second("q", PORT));
  f.host.client(PORT);
  assert.equal([p.clients.size, q.clients.size], [0, 1]);
  await f.reload({ gone: true }, second("r", PORT));
  assert.not.ok(f.host.listensOn(OTHER));
  f.host.client(PORT);
  assert.equal(f.proxy.pools.map((pool) => [pool.name, pool.clients.size]), [["r", 1]]);
});

test("a pool that is removed lets its clients have their replies, then closes them", async () => {
  const f = await Fixture.start();
  const [busy, idle, fresh] = [f.client(), f.client(), f.client()];
  f.say(idle, command("PING"));
  idle.received();
  f.say(busy, get("k"));
  const server = f.server("a");
  const lines = await f.reload({ gone: true }, second("q"));
  assert.equal(lines, ['pool "p": removed', 'pool "q": added']);
  assert.not.ok(f.host.listensOn(PORT));
  f.host.pass(100);
  assert.ok(idle.gone);
  assert.not.ok(busy.finished);
  f.say(server, bulk("1"));
  assert.is(busy.received(), bulk("1"));
  assert.ok(busy.finished);
  f.say(fresh, command("PING"));
  assert.is(fresh.received(), "+PONG\r\n", "it had connected just before");
  f.host.pass(2000);
  assert.ok(busy.gone && fresh.gone && server.gone);
});

test("another protocol: clients of the old one get their replies and are closed", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, get("k"));
  const old = f.server("a");
  await f.reload({ memcached: true });
  f.say(old, bulk("1"));
  assert.is(client.received(), bulk("1"));
  assert.ok(client.finished);
  const next = f.client();
  f.say(next, "get k\r\n");
  f.say(f.connections("a").find((socket) => socket !== old)!, "END\r\n");
  assert.is(next.received(), "END\r\n");
});

test("the proxy drains: what clients have sent is answered, then all is closed", async () => {
  const f = await Fixture.start();
  const [busy, idle] = [f.client(), f.client()];
  f.say(idle, command("PING"));
  f.say(busy, get("k") + get("l"));
  let over = false;
  const drained = f.proxy.drain(1000).then(() => over = true);
  f.settle();
  assert.not.ok(f.host.listensOn(PORT));
  f.host.pass(40);
  assert.ok(idle.gone);
  f.say(f.server("a"), bulk("1") + bulk("2"));
  assert.is(busy.received(), bulk("1") + bulk("2"));
  assert.ok(busy.finished);
  busy.end();
  f.settle();
  f.host.pass(40);
  await drained;
  assert.ok(over);
  assert.is(f.host.outgoing.filter((socket) => !socket.gone).length, 0);
});

test("a reply that came while the proxy stood still is delivered before a drain ends", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, get("k"));
  const drained = f.proxy.drain(1000);
  f.settle();
  f.server("a").send(bulk("v"));
  f.host.stall(3000);
  f.settle();
  f.host.pass(40);
  assert.is(client.received(), bulk("v"));
  client.end();
  f.host.pass(40);
  await drained;
});

test("a drain ends though the proxy is late again and again", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, get("k"));
  const drained = f.proxy.drain(1000);
  f.settle();
  for (let i = 0; i < 4; i++) {
    f.host.stall(1000);
    f.settle();
  }
  await drained;
  assert.ok(client.gone);
});

test("clients leave the lanes that a reload has put in the place of theirs", async () => {
  const config = ["lane_idle_timeout: 1000"];
  const f = await Fixture.start({ config });
  const [finishing, chosen, plain] = [f.client(), f.client(), f.client()];
  f.say(chosen, command("SELECT", "5"));
  f.say(finishing, command("SELECT", "6") + get("k"));
  f.say(finishing, command("QUIT"));
  await f.reload({ config: [...config, "redis_db: 3"] });
  for (const client of [finishing, chosen, plain]) client.fail("");
  f.settle();
  f.host.pass(3000);
  const late = f.client();
  f.say(late, get("k"));
  f.say(f.connections("a").at(-1)!, "+OK\r\n" + bulk("v"));
  assert.is(late.received(), bulk("v"));
});

test("a drain ends at its time, answered or not; without clients it ends at once", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, get("k"));
  const drained = f.proxy.drain(1000);
  f.settle();
  f.host.pass(980);
  assert.not.ok(client.gone);
  f.host.pass(40);
  await drained;
  assert.ok(client.gone);
  const empty = await Fixture.start();
  const soon = empty.proxy.drain(1000);
  empty.settle();
  await soon;
});

test.run();
