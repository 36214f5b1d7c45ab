// The proxy's own time is not the server's, and what a client causes is not the server's fault.
// `stall` stands for a process that was stopped, or busy: the timers come before what has arrived.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FakeSocket, takeNone } from "../fake/fake_host.ts";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const EJECT = ["auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 30000"];
const TIMEOUT = ["timeout: 400", ...EJECT];

/** Sends it as reads of 64 KB. */
function sendInReads(socket: FakeSocket, data: string): void {
  for (let at = 0; at < data.length; at += 65536) socket.send(data.slice(at, at + 65536));
}

function failures(f: Fixture, server = 0): number {
  const { failures, counters } = f.pool.servers[server];
  return failures + counters.server_timedout + counters.server_err + f.pool.counters.server_ejects;
}

test("a reply that lies in the socket while the proxy stands still is in time", async () => {
  const f = await Fixture.start({ config: TIMEOUT });
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.host.pass(100);
  f.server("a").send(bulk("v"));
  f.host.stall(1200);
  assert.is(client.received(), "");
  f.settle();
  assert.is(client.received(), bulk("v"));
  assert.is(failures(f), 0);
});

test("a reply of several reads is in time as long as it goes on", async () => {
  const f = await Fixture.start({ config: TIMEOUT });
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.server("a").send("$10\r\n01234");
  f.host.stall(1200);
  f.server("a").deliver(3);
  f.host.stall(1200);
  f.server("a").deliver(2);
  f.host.stall(1200);
  f.server("a").send("56789\r\n");
  f.settle();
  assert.is(client.received(), bulk("0123456789"));
  assert.is(failures(f), 0);
});

test("a server that is silent after a stop has the time it would have had, and no more", async () => {
  const f = await Fixture.start({ config: TIMEOUT });
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.host.pass(100);
  f.host.stall(1200);
  f.settle();
  f.host.pass(200);
  assert.is(client.received(), "");
  f.host.pass(200);
  assert.is(client.received(), "-ERR Connection timed out\r\n");
  assert.is(f.pool.servers[0].counters.server_timedout, 1);
});

test("a proxy that is always late notices a silent server all the same", async () => {
  const f = await Fixture.start({ config: TIMEOUT });
  const client = f.client();
  f.say(client, command("GET", "k"));
  let steps = 0;
  for (; client.received() === "" && steps < 100; steps++) {
    f.host.stall(100);
    f.settle();
  }
  assert.ok(steps > 4 && steps < 30, `${steps} steps`);
});

test("a health check is answered in time while the proxy stands still", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: ["health_check: {interval: 1000, timeout: 200}", "server_failure_limit: 1"],
  });
  f.host.pass(50);
  for (const name of ["a", "b"]) f.server(name).send("+PONG\r\n");
  f.host.stall(3000);
  f.settle();
  assert.equal(f.pool.servers.map(({ live }) => live), [true, true]);
});

test("a subscription that was confirmed while the proxy stood still is heard", async () => {
  const f = await Fixture.start({ config: ["timeout: 400"] });
  const client = f.client();
  f.say(client, command("SUBSCRIBE", "c"));
  f.server("a").send("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  f.host.stall(2000);
  f.settle();
  assert.is(client.received(), "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
  assert.is(f.attempts("a"), 1);
});

test("idle connections that are closed are no failure, whatever tick they fall into", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: EJECT });
  const [one, two] = [f.client(), f.client()];
  const key = f.key("a");
  f.say(one, command("SET", key, "v"));
  f.say(f.server("a"), "+OK\r\n");
  f.say(two, command("SELECT", "1") + command("SET", key, "v"));
  const [first, second] = f.connections("a");
  f.say(second, "+OK\r\n+OK\r\n");
  for (const socket of [first, second]) {
    f.host.pass(500);
    socket.fail("");
    f.settle();
  }
  assert.is(f.pool.servers[0].failures, 0);
  assert.is(f.pool.counters.server_ejects, 0);
  one.received();
  f.say(one, command("GET", key));
  f.say(f.server("a"), bulk("v"));
  assert.is(one.received(), bulk("v"));
});

test("a connection that is lost while something waits is a failure", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: EJECT });
  f.say(f.client(), command("GET", f.key("a")));
  f.server("a").fail("");
  f.settle();
  assert.not.ok(f.pool.servers[0].live);
});

test("a client that stalls in an upload is waited for, and the server is not blamed", async () => {
  const f = await Fixture.start({ config: TIMEOUT });
  const client = f.client();
  const size = 2 << 20;
  const head = `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${size}\r\n`;
  f.say(client, head + "x".repeat(1.5 * (1 << 20)));
  f.host.pass(5000);
  assert.is(failures(f), 0);
  f.say(client, "x".repeat(0.5 * (1 << 20)) + "\r\n");
  f.say(f.server("a"), "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
  assert.is(failures(f), 0);
});

test("a server that does not answer an upload that has come whole is blamed", async () => {
  const f = await Fixture.start({ config: TIMEOUT });
  const client = f.client();
  const size = 2 << 20;
  f.say(client, `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${size}\r\n` + "x".repeat(size) + "\r\n");
  f.host.pass(500);
  assert.is(client.received(), "-ERR Connection timed out\r\n");
  assert.is(f.pool.servers[0].counters.server_timedout, 1);
});

test("what a server refuses to queue makes EXEC say so, and is no failure", async () => {
  const f = await Fixture.start({ config: EJECT });
  const client = f.client();
  f.say(
    client,
    command("MULTI") + command("COMMAND", "COUNT") + command("GET", "k") + command("EXEC"),
  );
  const server = f.server("a");
  const abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  f.say(server, `+OK\r\n-ERR unknown subcommand\r\n+QUEUED\r\n${abort}`);
  assert.is(client.received(), `+OK\r\n+QUEUED\r\n+QUEUED\r\n${abort}`);
  assert.is(failures(f), 0);
  assert.not.ok(server.gone);
  assert.not.ok(f.logged.some((line) => line.includes("nobody waits for")));
});

test("LOADING as a script's own words ejects nobody, as the server's it does", async () => {
  for (
    const [request, live] of [
      [command("EVAL", "return redis.error_reply('LOADING x')", "1", "k"), true],
      [command("GET", "k"), false],
    ] as const
  ) {
    const f = await Fixture.start({ config: EJECT });
    f.say(f.client(), request);
    f.say(f.server("a"), "-LOADING x\r\n");
    assert.is(f.pool.servers[0].live, live, request);
  }
});

test("slow readers hold up a link that others wait for a bounded time in all", async () => {
  const f = await Fixture.start();
  const other = f.client();
  const big = bulk("x".repeat(8 << 20));
  f.say(other, command("GET", "warm"));
  f.say(f.server("a"), bulk("1"));
  other.received();
  const server = f.server("a");
  let heldUp = 0;
  for (let i = 0; i < 20; i++) {
    const slow = f.client();
    slow.taker = takeNone;
    f.say(slow, command("GET", "big"));
    f.say(other, command("GET", "small"));
    sendInReads(server, big + bulk("small"));
    const start = f.host.time;
    f.settle();
    while (f.host.time - start < 2000 && other.received() === "") f.host.pass(5);
    heldUp += f.host.time - start;
    f.host.pass(Math.max(0, 500 - (f.host.time - start)));
  }
  // 50 ms at once, a twentieth of the time since, and a step of the clock each time.
  assert.ok(heldUp <= 50 + 20 * 500 / 20 + 20 * 15, `held up for ${heldUp} ms`);
});

test("a slow reader that nobody else waits behind may take its time", async () => {
  const f = await Fixture.start();
  const slow = f.client();
  slow.taker = takeNone;
  f.say(slow, command("GET", "big"));
  const server = f.server("a");
  sendInReads(server, bulk("x".repeat(8 << 20)));
  f.settle();
  f.host.pass(5000);
  assert.ok(server.paused, "it is not read into memory");
  assert.ok(server.unreadBytes > 4 << 20);
});

test("what all clients together leave unread is bounded: the worst is cut off", async () => {
  const f = await Fixture.start({ limits: { allOutput: 3 << 20 } });
  const clients = [f.client(), f.client(), f.client()];
  const sizes = [1 << 20, 3 << 19, 1 << 20];
  for (const [i, client] of clients.entries()) {
    client.taker = takeNone;
    f.say(client, command("GET", "k"));
    f.say(f.server("a"), bulk("x".repeat(sizes[i])));
  }
  assert.equal(clients.map(({ gone }) => gone), [false, true, false]);
  assert.ok(f.logged.some((line) => /did not read \d+ bytes of replies, and all/.test(line)));
  clients[0].fail("");
  const late = f.client();
  late.taker = takeNone;
  f.say(late, command("GET", "k"));
  f.say(f.server("a"), bulk("x".repeat(1 << 20)));
  assert.not.ok(late.gone, "what is gone does not count");
});

test("a client that keeps a connection and does nothing with it is closed", async () => {
  const f = await Fixture.start({ config: ["pinned_idle_timeout: 3000"] });
  const [watches, waits, works] = [f.client(), f.client(), f.client()];
  f.say(watches, command("WATCH", "k"));
  f.say(f.connections("a")[0], "+OK\r\n");
  f.say(waits, command("BLPOP", "l", "0"));
  f.say(works, command("WATCH", "k"));
  for (const socket of f.connections("a")) {
    if (socket.received().includes("WATCH")) f.say(socket, "+OK\r\n");
  }
  for (let i = 0; i < 8; i++) {
    f.host.pass(500);
    f.say(works, command("PING"));
  }
  assert.ok(watches.gone);
  assert.not.ok(waits.gone, "it waits at the server");
  assert.not.ok(works.gone);
  assert.ok(f.logged.some((line) => line.includes("sent nothing for 3000 ms")));
});

test("a wait at a server, or for the end of a pause, is no idleness: the time begins after it", async () => {
  const f = await Fixture.start({ config: ["pinned_idle_timeout: 3000"] });
  const client = f.client();
  f.say(client, command("WATCH", "k"));
  const server = f.connections("a")[0];
  f.say(server, "+OK\r\n");
  f.say(client, command("BLPOP", "l", "0"));
  f.host.pass(10_000);
  f.say(server, "*2\r\n$1\r\nl\r\n$1\r\nv\r\n");
  f.host.pass(2000);
  assert.not.ok(client.gone, "after BLPOP");
  f.say(f.client(), command("CLIENT", "PAUSE", "10000", "ALL"));
  f.say(client, command("GET", "k"));
  f.host.pass(9900);
  f.host.pass(200);
  f.say(server, bulk("v"));
  f.host.pass(2000);
  assert.not.ok(client.gone, "after a pause");
  assert.is(client.received().endsWith(bulk("v")), true);
  f.host.pass(2000);
  assert.ok(client.gone);
});

test("one of several users cannot have all pinned connections, and has his share again", async () => {
  const f = await Fixture.start({
    config: [
      "pinned_connections: 4",
      "pinned_share: 50",
      "auth:",
      "  password: main",
      "  users:",
      "    ann: {password: pw}",
      "    bob: {password: pw}",
    ],
  });
  const answer = (): void => {
    for (const socket of f.connections("a")) {
      if (socket.received().includes("WATCH")) f.say(socket, "+OK\r\n");
    }
  };
  const watch = (user: string) => {
    const client = f.client();
    f.say(client, command("AUTH", user, "pw") + command("WATCH", "k"));
    answer();
    return { client, said: client.received() };
  };
  const anns = [watch("ann"), watch("ann"), watch("ann")];
  assert.equal(anns.map(({ said }) => said).slice(0, 2), ["+OK\r\n+OK\r\n", "+OK\r\n+OK\r\n"]);
  assert.match(anns[2].said, /user "ann": 2 of the 4 pinned_connections .*pinned_share: 50/);
  assert.is(watch("bob").said, "+OK\r\n+OK\r\n");
  anns[0].client.fail("");
  f.settle();
  f.say(anns[2].client, command("WATCH", "k"));
  answer();
  assert.is(anns[2].client.received(), "+OK\r\n");
});

test("lanes are bounded, told clearly, and idle ones close", async () => {
  const f = await Fixture.start({ config: ["server_lanes: 3", "lane_idle_timeout: 2000"] });
  const clients = [1, 2, 3].map((db) => {
    const client = f.client();
    f.say(client, command("SELECT", String(db)));
    return client;
  });
  assert.equal(clients.map((client) => client.received().split(" ")[0]), [
    "+OK\r\n",
    "+OK\r\n",
    "-ERR",
  ]);
  f.say(clients[2], command("GET", "k"));
  f.say(f.server("a"), bulk("0"));
  assert.is(clients[2].received(), bulk("0"), "it stays where it was");
  f.say(clients[0], command("GET", "k"));
  f.say(f.connections("a")[1], "+OK\r\n" + bulk("1"));
  assert.is(clients[0].received(), bulk("1"));
  clients[0].fail("");
  f.host.pass(3000);
  assert.is(f.connections("a").length, 1, "its connections are closed");
  f.say(clients[2], command("SELECT", "3"));
  assert.is(clients[2].received(), "+OK\r\n");
});

test.run();
