// Connections that serve one client alone: transactions, watched keys and requests that block.
// What goes over them, what does not, and when they serve somebody else again.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";
import type { FakeSocket } from "../fake/fake_host.ts";

const MULTI = command("MULTI");
const EXEC = command("EXEC");
const DISCARD = command("DISCARD");
const UNWATCH = command("UNWATCH");
const PING = command("PING");
const OK = "+OK\r\n";
const QUEUED = "+QUEUED\r\n";
const ABORTED = "-EXECABORT Transaction discarded because of previous errors.\r\n";
const SAME = "-CROSSSLOT Keys in request don't hash to the same server: ";
/** The keys of one command are on two servers, which it tells; what would bring them together. */
const CROSS =
  /^-CROSSSLOT Keys .*: '.*' is on server a, '.*' is on server b, and '\w+' cannot be split; .*\{x\}/;
/** A key is not where the transaction is, or what is watched. */
const astray = (key: string): string =>
  `${SAME}the transaction or WATCH is on server a, '${key}' is on server b; with hash_tag: "{}" ` +
  `in the configuration, keys with one hash tag are together: '{x}${key}'\r\n`;
const EVERYWHERE = (name: string): string =>
  `-CROSSSLOT '${name}' concerns every server of this pool and cannot be part of a transaction\r\n`;

const pins = (f: Fixture, server = 0): number => f.pool.servers[server].counters.pinned_connections;

/** The connection to `name` that has received something just now, and what it has received. */
function heard(f: Fixture, name: string): { on: FakeSocket; bytes: string } {
  const all = f.connections(name).map((on) => ({ on, bytes: on.received() }));
  const some = all.filter(({ bytes }) => bytes !== "");
  if (some.length !== 1) throw new Error(`${some.length} connections to ${name} heard something`);
  return some[0];
}

test("MULTI is held back until a key says where it goes", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, MULTI);
  assert.is(client.received(), OK);
  assert.is(f.attempts("a") + f.attempts("b"), 0);
  const set = command("SET", f.key("b"), "1");
  f.say(client, set);
  const { on, bytes } = heard(f, "b");
  assert.is(bytes, MULTI + set);
  assert.is(f.attempts("a"), 0);
  f.say(on, OK + QUEUED);
  assert.is(client.received(), QUEUED);
  f.say(client, EXEC);
  assert.is(on.received(), EXEC);
  assert.is(pins(f, 1), 1);
  f.say(on, `*1\r\n${OK}`);
  assert.is(client.received(), `*1\r\n${OK}`);
  assert.is(pins(f, 1), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a transaction in one read, and what follows waits for its end", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const get = command("GET", "k");
  f.say(client, MULTI + get + EXEC + get);
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, MULTI + get + EXEC);
  f.say(on, OK + QUEUED + "*1\r\n$-1\r\n");
  assert.is(client.received(), OK + QUEUED + "*1\r\n$-1\r\n");
  const after = heard(f, "a");
  assert.is.not(after.on, on);
  assert.is(after.bytes, get);
  f.say(after.on, bulk("v"));
  assert.is(client.received(), bulk("v"));
  assert.is(f.watch.requests.size, 0);
  assert.is(f.watch.buffers.size, 0);
});

test("a transaction waits for the client's earlier requests", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const get = command("GET", "k");
  f.say(client, get + MULTI + get + EXEC);
  const first = heard(f, "a");
  assert.is(first.bytes, get);
  f.say(first.on, bulk("v"));
  assert.is(client.received(), bulk("v") + OK);
  assert.is(heard(f, "a").bytes, MULTI + get + EXEC);
});

test("a connection is used again by the next transaction, of another client too", async () => {
  const f = await Fixture.start();
  const set = command("SET", "k", "v");
  for (let i = 0; i < 5; i++) {
    const client = f.client();
    f.say(client, MULTI + set + (i === 2 ? DISCARD : EXEC));
    f.say(heard(f, "a").on, OK + QUEUED + (i === 2 ? OK : `*1\r\n${OK}`));
    assert.ok(client.received().startsWith(OK + QUEUED));
  }
  assert.is(f.attempts("a"), 1);
});

test("requests without a key are held back with MULTI, and any server runs them", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, MULTI + PING + command("ECHO", "x"));
  assert.is(client.received(), OK + QUEUED + QUEUED);
  assert.is(f.attempts("a") + f.attempts("b"), 0);
  f.say(client, EXEC);
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, MULTI + PING + command("ECHO", "x") + EXEC);
  f.say(on, OK + QUEUED + QUEUED + `*2\r\n+PONG\r\n${bulk("x")}`);
  assert.is(client.received(), `*2\r\n+PONG\r\n${bulk("x")}`);
});

test("a transaction that is discarded before its first key needs no server", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + PING + DISCARD + EXEC + DISCARD + UNWATCH + PING);
  assert.is(
    client.received(),
    `${OK}${QUEUED}${OK}-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n${OK}+PONG\r\n`,
  );
  assert.is(f.attempts("a"), 0);
});

test("a key of another server aborts the transaction, which its server forgets", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const one = command("SET", f.key("a"), "1");
  f.say(client, MULTI + one);
  const { on } = heard(f, "a");
  f.say(on, OK + QUEUED);
  assert.is(client.received(), OK + QUEUED);
  f.say(client, command("SET", f.key("b"), "1"));
  assert.is(client.received(), astray(f.key("b")));
  f.say(client, one + EXEC);
  assert.is(on.received(), DISCARD);
  f.say(on, OK);
  assert.is(client.received(), QUEUED + ABORTED);
  assert.is(f.attempts("b"), 0);
  assert.is(pins(f), 0);
  f.say(f.client(), MULTI + one);
  assert.is(on.received(), MULTI + one, "the connection is used again");
});

test("a multi-key command in a transaction goes whole, or aborts it", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const whole = command("MGET", f.key("a"), f.key("a", 1)) + command("DEL", f.key("a", 2));
  f.say(client, MULTI + whole);
  assert.is(heard(f, "a").bytes, MULTI + whole);
  const other = f.client();
  f.say(other, MULTI + command("DEL", f.key("a"), f.key("b")));
  assert.match(other.received().slice(OK.length), CROSS);
  f.say(other, command("FLUSHALL") + PING + EXEC);
  assert.is(other.received(), EVERYWHERE("flushall") + QUEUED + ABORTED);
});

test("what is wrong in a transaction aborts it", async () => {
  for (const wrong of [["GET"], ["SELECT", "1"], ["SUBSCRIBE", "x"], ["WATCH"]]) {
    const f = await Fixture.start();
    const client = f.client();
    f.say(client, MULTI + command(...wrong) + command("SET", "k", "v") + EXEC + PING);
    const got = client.received();
    assert.match(got, /^\+OK\r\n-ERR [^\r]*\r\n\+QUEUED\r\n-EXECABORT [^\r]*\r\n\+PONG\r\n$/);
    assert.is(f.attempts("a"), 0, "nothing of it goes to a server");
  }
});

test("a command that no server knows aborts a transaction", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + command("NOPE") + command("SET", "k", "v") + EXEC + PING);
  assert.is(client.received(), OK);
  f.say(f.server("a"), "*1\r\n*-1\r\n");
  assert.match(
    client.received(),
    /^-ERR unknown command 'NOPE'[^\r]*\r\n\+QUEUED\r\n-EXECABORT [^\r]*\r\n\+PONG\r\n$/,
  );
});

test("MULTI and WATCH inside MULTI are errors that do no harm", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + MULTI + command("WATCH", "k"));
  assert.is(
    client.received(),
    `${OK}-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n`,
  );
});

test("what a client does after WATCH goes over the connection that watches", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const [k, j] = [f.key("a"), f.key("a", 1)];
  f.say(client, command("WATCH", k, j));
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, command("WATCH", k, j));
  f.say(on, OK);
  f.say(client, command("GET", k) + command("MGET", k, j) + MULTI + command("SET", k, "v") + EXEC);
  assert.is(
    on.received(),
    command("GET", k) + command("MGET", k, j) + MULTI + command("SET", k, "v") + EXEC,
  );
  f.say(on, bulk("1") + "*2\r\n$-1\r\n$-1\r\n" + OK + QUEUED + "*-1\r\n");
  assert.is(client.received(), OK + bulk("1") + "*2\r\n$-1\r\n$-1\r\n" + OK + QUEUED + "*-1\r\n");
  assert.is(pins(f), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a client that watches keeps its order over several servers", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("WATCH", f.key("a")) + command("GET", f.key("b")));
  const { on } = heard(f, "a");
  assert.is(f.attempts("b"), 0, "not before WATCH is answered");
  f.say(client, command("GET", f.key("a")));
  f.say(on, OK);
  assert.is(heard(f, "b").bytes, command("GET", f.key("b")));
  assert.is(on.received(), "", "not before the other server has answered");
  f.say(f.server("b"), bulk("b"));
  assert.is(on.received(), command("GET", f.key("a")));
  f.say(on, bulk("a"));
  assert.is(client.received(), OK + bulk("b") + bulk("a"));
});

test("UNWATCH gives the connection back", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("WATCH", "k") + UNWATCH + command("GET", "k"));
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, command("WATCH", "k") + UNWATCH);
  f.say(on, OK + OK);
  assert.is(client.received(), OK + OK);
  assert.is(pins(f), 0);
  assert.is.not(heard(f, "a").on, on);
});

test("WATCH of keys of two servers is refused", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("WATCH", f.key("a"), f.key("b")));
  assert.match(client.received(), CROSS);
  f.say(client, command("WATCH", f.key("a")));
  f.say(heard(f, "a").on, OK);
  assert.is(client.received(), OK);
  f.say(client, command("WATCH", f.key("b")));
  assert.is(client.received(), astray(f.key("b")));
  f.say(client, command("BLPOP", f.key("b"), "0"));
  assert.is(client.received(), astray(f.key("b")));
});

test("a blocking request holds up its own client and nobody else", async () => {
  const f = await Fixture.start({ config: ["timeout: 400"] });
  const [waiting, other] = [f.client(), f.client()];
  f.say(waiting, command("BLPOP", "k", "0") + command("GET", "k"));
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, command("BLPOP", "k", "0"));
  f.say(other, command("GET", "k"));
  const shared = heard(f, "a");
  assert.is(shared.bytes, command("GET", "k"));
  f.say(shared.on, bulk("v"));
  assert.is(other.received(), bulk("v"));
  f.host.pass(60_000);
  assert.is(waiting.received(), "", "it waits for ever");
  f.say(on, `*2\r\n${bulk("k")}${bulk("v")}`);
  assert.is(waiting.received(), `*2\r\n${bulk("k")}${bulk("v")}`);
  assert.is(shared.on.received(), command("GET", "k"));
  assert.is(pins(f), 0);
});

test("the timeout of the pool is counted from a blocking request's own", async () => {
  const f = await Fixture.start({ config: ["timeout: 400"] });
  const client = f.client();
  f.say(client, command("BLPOP", "k", "2"));
  f.host.pass(2200);
  assert.is(client.received(), "");
  f.host.pass(400);
  assert.is(client.received(), "-ERR Connection timed out\r\n");
  f.say(client, command("XREAD", "BLOCK", "100", "STREAMS", "x", "$"));
  f.host.pass(600);
  assert.is(client.received(), "-ERR Connection timed out\r\n");
  // The connection is used again, without patience.
  f.say(client, MULTI + command("GET", "k"));
  f.host.pass(500);
  assert.is(client.received(), OK + "-ERR Connection timed out\r\n");
});

for (const how of ["FIN", "ECONNRESET"]) {
  test(`a blocked client that leaves (${how}) is taken from the server at once`, async () => {
    const f = await Fixture.start();
    const client = f.client();
    f.say(client, command("BLPOP", "k", "0"));
    assert.is(f.connections("a").length, 1);
    if (how === "FIN") client.end();
    else client.fail(how);
    f.settle();
    assert.ok(client.gone);
    assert.is(f.connections("a").length, 0);
    assert.is(pins(f), 0);
    assert.is(f.watch.requests.size, 0);
  });
}

test("a client that is blocked after other requests is seen to leave, too", async () => {
  for (const first of [command("GET", "k"), MULTI + command("GET", "k") + EXEC]) {
    const f = await Fixture.start();
    const client = f.client();
    f.say(client, first + command("BLPOP", "k", "0"));
    const { on } = heard(f, "a");
    f.say(on, first.startsWith(MULTI) ? `${OK + QUEUED}*1\r\n$-1\r\n` : "$-1\r\n");
    assert.is(heard(f, "a").bytes, command("BLPOP", "k", "0"));
    client.end();
    f.settle();
    assert.ok(client.gone);
    assert.is(pins(f), 0);
    assert.is(f.watch.requests.size, 0);
  }
});

test("FIN before a blocking request is carried out: it is not left to block", async () => {
  const f = await Fixture.start();
  const client = f.client();
  client.send(MULTI + command("GET", "k") + EXEC + command("BLPOP", "k", "0"));
  client.end();
  f.settle();
  f.say(heard(f, "a").on, `${OK + QUEUED}*1\r\n$-1\r\n`);
  assert.is(client.received(), `${OK + QUEUED}*1\r\n$-1\r\n`);
  assert.ok(client.gone);
  assert.is(pins(f), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a blocked client that sends too much is not read any more", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("BLPOP", "k", "0"));
  assert.not(client.paused);
  f.say(client, command("GET", "k").repeat(5000));
  assert.ok(client.paused);
  f.say(heard(f, "a").on, "*-1\r\n");
  assert.is(client.received(), "*-1\r\n");
  assert.is(heard(f, "a").bytes, command("GET", "k").repeat(5000));
  assert.not(client.paused);
});

test("keys of a blocking request must share a server", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("BLPOP", f.key("a"), f.key("b"), "0"));
  assert.match(client.received(), CROSS);
  f.say(client, command("BLPOP", f.key("b"), f.key("b", 1), "0"));
  assert.is(heard(f, "b").bytes, command("BLPOP", f.key("b"), f.key("b", 1), "0"));
});

test("in a transaction a blocking command is one like others", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + command("BLPOP", "k", "0") + EXEC);
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, MULTI + command("BLPOP", "k", "0") + EXEC);
  f.say(on, OK + QUEUED + "*1\r\n*-1\r\n");
  assert.is(client.received(), OK + QUEUED + "*1\r\n*-1\r\n");
});

test("no more connections than pinned_connections are pinned", async () => {
  const f = await Fixture.start({ config: ["pinned_connections: 2"] });
  const clients = [f.client(), f.client(), f.client()];
  const FULL =
    "-ERR too many transactions and blocking commands: all 2 pinned_connections of the server are in use\r\n";
  f.say(clients[0], command("BLPOP", "k", "0"));
  const first = heard(f, "a").on;
  f.say(clients[1], command("WATCH", "k"));
  f.say(heard(f, "a").on, OK);
  f.say(clients[2], command("BLPOP", "k", "0") + command("WATCH", "k"));
  assert.is(clients[2].received(), FULL + FULL);
  f.say(clients[2], MULTI + command("GET", "k") + command("GET", "k") + EXEC);
  assert.is(clients[2].received(), OK + FULL + QUEUED + ABORTED);
  f.say(clients[2], command("GET", "k"));
  f.say(heard(f, "a").on, bulk("shared"));
  assert.is(clients[2].received(), bulk("shared"));
  f.say(first, "*-1\r\n");
  f.say(clients[2], command("BLPOP", "k", "0"));
  assert.is(heard(f, "a").on, first);
});

for (const leaves of ["after WATCH", "in MULTI", "while EXEC is on its way"]) {
  test(`the connection of a client that leaves ${leaves} serves nobody else`, async () => {
    const f = await Fixture.start();
    const client = f.client();
    f.say(client, command("WATCH", "k"));
    const { on } = heard(f, "a");
    f.say(on, OK);
    if (leaves !== "after WATCH") f.say(client, MULTI + command("SET", "k", "v"));
    if (leaves === "in MULTI") f.say(on, OK + QUEUED);
    if (leaves === "while EXEC is on its way") f.say(client, EXEC);
    client.fail("ECONNRESET");
    f.settle();
    assert.ok(on.gone);
    assert.is(pins(f), 0);
    assert.is(f.watch.requests.size, 0);
    assert.is(f.connections("a").length, 0);
  });
}

test("a server that is lost in a transaction aborts it, and the client goes on", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const get = command("GET", "k");
  f.say(client, MULTI + get + get);
  const { on } = heard(f, "a");
  f.say(on, OK + QUEUED);
  on.fail("ECONNRESET");
  f.settle();
  assert.is(client.received(), OK + QUEUED + "-ERR Connection reset by peer\r\n");
  f.say(client, get + get);
  assert.match(client.received(), /^-ERR the connection [^\r]* is lost\r\n\+QUEUED\r\n$/);
  f.say(client, EXEC);
  assert.is(client.received(), ABORTED);
  assert.is(f.attempts("a"), 1, "nothing was sent outside of a transaction");
  assert.is(pins(f), 0);
  f.say(client, get);
  f.say(heard(f, "a").on, bulk("v"));
  assert.is(client.received(), bulk("v"));
  assert.is(f.watch.requests.size, 0);
});

test("a server that is lost before EXEC aborts the transaction", async () => {
  for (const last of [EXEC, DISCARD]) {
    const f = await Fixture.start();
    const client = f.client();
    f.say(client, command("WATCH", "k"));
    const { on } = heard(f, "a");
    f.say(on, OK);
    on.fail("ECONNRESET");
    f.settle();
    f.say(client, MULTI + command("SET", "k", "v") + last);
    assert.is(client.received(), OK + OK + QUEUED + (last === EXEC ? ABORTED : OK));
    assert.is(f.attempts("a"), 1);
    assert.is(pins(f), 0);
  }
});

test("a server that is lost with EXEC on its way ends the transaction with an error", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + command("SET", "k", "v") + EXEC);
  const { on } = heard(f, "a");
  f.say(on, OK + QUEUED);
  on.fail("");
  f.settle();
  assert.is(client.received(), OK + QUEUED + "-ERR unknown\r\n");
  f.say(client, EXEC);
  assert.is(client.received(), "-ERR EXEC without MULTI\r\n");
});

test("a server that cannot be reached fails the transaction", async () => {
  const f = await Fixture.start();
  f.host.onConnect = (socket) => f.host.later(() => socket.fail("ECONNREFUSED"));
  const client = f.client();
  f.say(client, MULTI + command("SET", "k", "v"));
  assert.is(client.received(), OK + "-ERR Connection refused\r\n");
  f.say(client, EXEC);
  assert.is(client.received(), ABORTED);
  f.say(client, command("BLPOP", "k", "0") + command("WATCH", "k"));
  assert.is(client.received(), "-ERR Connection refused\r\n".repeat(2));
  f.say(client, command("WATCH", "k"));
  assert.match(client.received(), /^-ERR the connection [^\r]* is lost\r\n$/);
  assert.is(pins(f), 0);
  assert.is(f.watch.requests.size, 0);
});

test("a server that refuses MULTI is not told what was meant to be queued", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + command("SET", "k", "v"));
  const { on } = heard(f, "a");
  f.say(on, "-NOPERM no\r\n");
  assert.ok(on.gone);
  assert.is(client.received(), OK + "-ERR Invalid argument\r\n");
  f.say(client, EXEC);
  assert.is(client.received(), ABORTED);
});

test("RESET ends a transaction and what was watched", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const RESET = command("RESET");
  f.say(client, command("WATCH", "k") + MULTI + command("GET", "k") + RESET + EXEC);
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, command("WATCH", "k") + MULTI + command("GET", "k"));
  f.say(on, OK + OK + QUEUED);
  assert.is(client.received(), OK + OK + QUEUED + "+RESET\r\n-ERR EXEC without MULTI\r\n");
  assert.ok(on.gone);
  f.say(client, MULTI + RESET + DISCARD);
  assert.is(client.received(), OK + "+RESET\r\n-ERR DISCARD without MULTI\r\n");
  assert.is(pins(f), 0);
});

test("a change of the database loses what was watched", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("WATCH", "k"));
  const { on } = heard(f, "a");
  f.say(on, OK);
  f.say(client, command("SELECT", "1") + MULTI + command("GET", "k") + EXEC);
  assert.is(client.received(), OK + OK + OK + QUEUED + ABORTED);
  assert.ok(on.gone, "it still watches");
});

test("QUIT in a transaction closes the client, and the connection with it", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, MULTI + command("GET", "k") + command("QUIT"));
  const { on } = heard(f, "a");
  f.say(on, OK + QUEUED);
  assert.is(client.received(), OK + QUEUED + OK);
  client.end();
  f.settle();
  assert.ok(on.gone);
  assert.is(pins(f), 0);
});

test("FIN behind EXEC: the client gets its replies", async () => {
  const f = await Fixture.start();
  const client = f.client();
  client.send(MULTI + command("GET", "k") + EXEC + PING);
  client.end();
  f.settle();
  f.say(heard(f, "a").on, OK + QUEUED + "*1\r\n$-1\r\n");
  assert.is(client.received(), OK + QUEUED + "*1\r\n$-1\r\n+PONG\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("without a password nothing is pinned", async () => {
  const f = await Fixture.start({ config: ["redis_auth: secret"] });
  const client = f.client();
  f.say(client, MULTI + command("BLPOP", "k", "0") + EXEC);
  assert.is(client.received(), "-NOAUTH Authentication required\r\n".repeat(3));
  assert.is(f.attempts("a"), 0);
});

test("a transaction comes through cut at every byte, by inline commands too", async () => {
  const f = await Fixture.start();
  const script = "MULTI\r\nset k v\r\n" + MULTI + command("GET", "k") + EXEC;
  const client = f.client();
  for (const byte of script) f.say(client, byte);
  const { on, bytes } = heard(f, "a");
  assert.is(bytes, MULTI + command("set", "k", "v") + command("GET", "k") + EXEC);
  f.say(on, OK + QUEUED + QUEUED + `*2\r\n${OK}${bulk("v")}`);
  assert.is(
    client.received(),
    `${OK}${QUEUED}-ERR MULTI calls can not be nested\r\n${QUEUED}*2\r\n${OK}${bulk("v")}`,
  );
});

test("a large value in a transaction stays in it", async () => {
  const f = await Fixture.start();
  const client = f.client();
  const set = command("SET", "k", "x".repeat(3 << 20));
  f.say(client, MULTI);
  client.send(set);
  while (client.deliver(100_000)) f.host.turn();
  f.settle();
  const { on, bytes } = heard(f, "a");
  assert.ok(bytes === MULTI + set);
  f.say(client, EXEC);
  f.say(on, OK + QUEUED + `*1\r\n${OK}`);
  assert.is(client.received(), OK + QUEUED + `*1\r\n${OK}`);
});

test.run();
