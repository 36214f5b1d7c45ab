// Servers that die, stall, babble or come back, and clients that leave in the middle: what each
// client sees, byte by byte. Most servers here are fakes that misbehave on cue.
// Needs: redis-server memcached

import type * as net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  bulk,
  cmd,
  exchange,
  type Fake,
  freePort,
  isNutcracker,
  ours,
  type PoolSpec,
  type ProxyProcess,
  respEnd,
  several,
  startFake,
  startMemcached,
  startProxy,
  startRedis,
  until,
  Wire,
} from "./harness.ts";

const REFUSED = "-ERR Connection refused\r\n";
const TIMED_OUT = "-ERR Connection timed out\r\n";

let started: ProxyProcess[] = [];
test.after.each(async () => {
  for (const proxy of started) await proxy.stop("SIGKILL");
  started = [];
});

/** A proxy with one Redis pool over these servers, and whatever else is said. */
async function proxyOver(servers: string[], more: PoolSpec = {}): Promise<ProxyProcess> {
  const proxy = await startProxy({ pool: { redis: true, hash: "fnv1a_64", ...more, servers } });
  started.push(proxy);
  return proxy;
}

/** Keys which the proxy keeps on server 0 and 1, found by asking each server. */
async function keysByServer(wire: Wire, servers: { port: number }[]): Promise<string[]> {
  const keys: string[] = [];
  for (let i = 0; keys.filter(Boolean).length < servers.length; i++) {
    const key = `home:${i}`;
    assert.is(await wire.ask("SET", key, "x"), "+OK\r\n");
    for (let s = 0; s < servers.length; s++) {
      const direct = await Wire.open(servers[s].port);
      if (await direct.ask("DEL", key) === ":1\r\n") keys[s] = key;
      direct.close();
    }
  }
  return keys;
}

/** A fake Redis: `answer` gets the number of the connection and the command's text. */
function fakeRedis(
  answer: (socket: net.Socket, connection: number, command: string) => void,
  port?: number,
): Promise<Fake> {
  return startFake((socket, fake) => {
    const connection = fake.accepted;
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      // Each command the tests send through a fake is one GET with a key: *2 $3 GET $n key.
      for (;;) {
        const m = /^\*2\r\n\$3\r\nGET\r\n\$\d+\r\n(.*?)\r\n/s.exec(text);
        if (m === null) return;
        text = text.slice(m[0].length);
        answer(socket, connection, m[1]);
      }
    });
  }, port);
}

const say = (socket: net.Socket, bytes: string) => socket.write(Buffer.from(bytes, "latin1"));

test("a server that does not answer in time costs an error, not the client", async () => {
  const mute = await startFake((socket) => socket.resume());
  const proxy = await proxyOver([at(mute)], { timeout: 200 });
  const wire = await Wire.open(proxy.port);
  const before = Date.now();
  assert.is(await wire.ask("GET", "a"), TIMED_OUT);
  const took = Date.now() - before;
  assert.ok(took >= 150 && took < 2000, `it took ${took} ms`);
  assert.is(await wire.ask("PING"), "+PONG\r\n");
  assert.is(await wire.ask("GET", "a"), TIMED_OUT);
});

test("everything in flight on the connection that timed out gets the error, in its place", async () => {
  const mute = await startFake((socket) => socket.resume());
  const proxy = await proxyOver([at(mute)], { timeout: 200 });
  const wires = await several(5, () => Wire.open(proxy.port));
  for (const wire of wires) {
    wire.send(cmd("GET", "a") + cmd("PING") + cmd("GET", "b") + cmd("PING"));
  }
  for (const wire of wires) {
    const expected = `${TIMED_OUT}+PONG\r\n`.repeat(2);
    assert.is(await wire.read(expected.length), expected);
  }
});

test("a reply that comes too late is nobody's", async () => {
  let first: net.Socket | undefined;
  const fake = await fakeRedis((socket, connection, key) => {
    if (connection === 1) first = socket;
    else say(socket, bulk(`${connection}:${key}`));
  });
  const proxy = await proxyOver([at(fake)], { timeout: 200 });
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("GET", "a"), TIMED_OUT);
  say(first as net.Socket, bulk("late"));
  assert.is(await wire.ask("GET", "b"), bulk("2:b"));
  assert.is(await wire.ask("GET", "c"), bulk("2:c"));
});

test("a slow server does not hold up those who ask another", async () => {
  const slow = await startFake((socket) => socket.resume());
  const redis = await startRedis();
  const proxy = await startProxy({
    slow: { redis: true, servers: [at(slow)] },
    quick: { redis: true, servers: [at(redis)] },
  });
  started.push(proxy);
  const waiting = await Wire.open(proxy.ports.slow);
  waiting.send(cmd("GET", "a"));
  const wire = await Wire.open(proxy.ports.quick);
  for (let i = 0; i < 100; i++) assert.is(await wire.ask("SET", "k", i), "+OK\r\n");
  assert.is(waiting.peek().length, 0);
});

test("a quick server's replies wait for the slow one's when the client asked that first", async () => {
  let stuck: net.Socket | undefined;
  let isStuck = false;
  let quickAnswers = 0;
  const slow = await fakeRedis((socket) => {
    if (isStuck) stuck = socket;
    else say(socket, bulk("slow"));
  });
  const quick = await fakeRedis((socket) => {
    quickAnswers++;
    say(socket, bulk("quick"));
  });
  const proxy = await proxyOver([at(slow, 1, "slow"), at(quick, 1, "quick")], { hash: "md5" });
  const wire = await Wire.open(proxy.port);
  const keys: Record<string, string> = {};
  for (let i = 0; !(keys.slow && keys.quick); i++) {
    const reply = await wire.ask("GET", `probe${i}`);
    keys[reply === bulk("slow") ? "slow" : "quick"] = `probe${i}`;
  }
  isStuck = true;
  quickAnswers = 0;
  wire.send(cmd("GET", keys.slow) + cmd("GET", keys.quick) + cmd("PING") + cmd("GET", keys.quick));
  await until("the quick answers to be given", () => stuck && quickAnswers === 2);
  // The proxy has read them by the time it answers somebody who asks later.
  const other = await Wire.open(proxy.port);
  assert.is(await other.ask("GET", keys.quick), bulk("quick"));
  assert.is(wire.peek().length, 0, "nothing may overtake");
  say(stuck as net.Socket, bulk("slow"));
  const expected = `${bulk("slow")}${bulk("quick")}+PONG\r\n${bulk("quick")}`;
  assert.is(await wire.read(expected.length), expected);
});

test("a refused connection is an error each time, and the server is back when it is back", async () => {
  const port = await freePort();
  const proxy = await proxyOver([at(port)]);
  const wire = await Wire.open(proxy.port);
  for (let i = 0; i < 3; i++) assert.is(await wire.ask("GET", "a"), REFUSED);
  await startRedis({ port });
  // The same client, no restart of anything.
  await until("the first good reply", async () => await wire.ask("SET", "a", "1") === "+OK\r\n");
  assert.is(await wire.ask("GET", "a"), bulk("1"));
});

test("a server that restarts costs errors while it is down and works again after", async () => {
  const redis = await startRedis();
  const proxy = await proxyOver([at(redis)], { server_connections: 3 });
  const wires = await several(10, () => Wire.open(proxy.port));
  for (const wire of wires) assert.is(await wire.ask("SET", "a", "1"), "+OK\r\n");
  await redis.stop("SIGKILL");
  for (const wire of wires) {
    await until("the error", async () => await wire.ask("GET", "a") === REFUSED);
  }
  await startRedis({ port: redis.port });
  for (const wire of wires) {
    await until("the server to be back", async () => await wire.ask("GET", "a") === "$-1\r\n");
    assert.is(await wire.ask("PING"), "+PONG\r\n");
  }
});

test("requests in flight on a server that is killed all get an error, none gets lost", async () => {
  const fake = await fakeRedis(() => {});
  const proxy = await proxyOver([at(fake)]);
  const wires = await several(10, () => Wire.open(proxy.port));
  for (const wire of wires) wire.send(cmd("GET", "a").repeat(20) + cmd("PING"));
  await until("all to arrive", () => (fake.received().match(/GET/g) ?? []).length === 200);
  fake.close();
  for (const wire of wires) {
    const replies = await wire.replies(21);
    assert.ok(replies.slice(0, 20).every((reply) => reply.startsWith("-ERR ")), replies[0]);
    assert.is(replies[20], "+PONG\r\n");
  }
});

test("a failing server is ejected, its keys move, and it is readmitted when it is back", async () => {
  const servers = await several(2, startRedis);
  const proxy = await proxyOver(servers.map((server, i) => at(server, 1, `server${i}`)), {
    distribution: "ketama",
    auto_eject_hosts: true,
    server_failure_limit: 2,
    server_retry_timeout: 700,
  });
  const wire = await Wire.open(proxy.port);
  const keys = await keysByServer(wire, servers);
  await wire.ask("SET", keys[0], "old");
  await servers[0].stop("SIGKILL");
  const replies: string[] = [];
  await until("the ejection", async () => {
    replies.push(await wire.ask("SET", keys[0], "moved"));
    return replies.at(-1) === "+OK\r\n";
  });
  // The close of the idle connection counts as a failure too, so one or two errors are seen.
  assert.ok(replies.length >= 2 && replies.length <= 3, JSON.stringify(replies));
  const second = await Wire.open(servers[1].port);
  assert.is(await second.ask("GET", keys[0]), bulk("moved"));
  assert.is(await wire.ask("SET", keys[1], "stays"), "+OK\r\n");
  await until("server_ejects to be counted", async () => {
    return (await proxy.stats()).pool.server_ejects >= 1;
  });
  const back = await startRedis({ port: servers[0].port });
  const first = await Wire.open(back.port);
  await until("the keys to be home again", async () => {
    await wire.ask("SET", keys[0], "home");
    return await first.ask("GET", keys[0]) === bulk("home");
  });
  assert.is(await wire.ask("GET", keys[1]), bulk("stays"));
});

test("without auto_eject_hosts a dead server keeps its keys", async () => {
  const servers = await several(2, startRedis);
  const proxy = await proxyOver(servers.map((server, i) => at(server, 1, `server${i}`)));
  const wire = await Wire.open(proxy.port);
  const keys = await keysByServer(wire, servers);
  await servers[0].stop("SIGKILL");
  await until("the error", async () => await wire.ask("GET", keys[0]) === REFUSED);
  for (let i = 0; i < 20; i++) {
    assert.is(await wire.ask("GET", keys[0]), REFUSED);
    assert.is(await wire.ask("SET", keys[1], i), "+OK\r\n");
  }
});

test("a server's error reply does not count as its failure", async () => {
  const redis = await startRedis();
  const proxy = await proxyOver([at(redis)], {
    auto_eject_hosts: true,
    server_failure_limit: 1,
    server_retry_timeout: 60_000,
  });
  const wire = await Wire.open(proxy.port);
  await wire.ask("SET", "a", "x");
  for (let i = 0; i < 10; i++) assert.match(await wire.ask("LPUSH", "a", "x"), /^-WRONGTYPE/);
  assert.is(await wire.ask("GET", "a"), bulk("x"));
});

test("a client that has sent FIN still gets all its answers, however late they are", async () => {
  const held: [net.Socket, string][] = [];
  const fake = await fakeRedis((socket, _, key) => held.push([socket, key]));
  const proxy = await proxyOver([at(fake)]);
  const wire = await Wire.open(proxy.port);
  wire.send(cmd("GET", "a") + cmd("PING") + cmd("GET", "b")).half();
  await until("both requests to arrive", () => held.length === 2);
  for (const [socket, key] of held) say(socket, bulk(key));
  assert.is(await wire.rest(), `${bulk("a")}+PONG\r\n${bulk("b")}`);
});

test("a client that ends in the middle of a command takes nothing down", async () => {
  const redis = await startRedis();
  const proxy = await proxyOver([at(redis)]);
  const bystander = await Wire.open(proxy.port);
  const whole = cmd("SET", "partial", "x".repeat(100_000));
  for (const cut of [1, 5, 20, 40, 50_000, whole.length - 1]) {
    for (const how of ["reset", "fin"]) {
      const wire = await Wire.open(proxy.port);
      await wire.send(cmd("SET", `before:${cut}`, "1") + whole.slice(0, cut)).flushed();
      if (how === "reset") wire.socket.resetAndDestroy();
      else assert.is(await wire.half().rest(), "+OK\r\n", `cut at ${cut}`);
      assert.is(await bystander.ask("PING"), "+PONG\r\n");
      assert.is(await bystander.ask("GET", "partial"), "$-1\r\n");
    }
  }
});

test("replies to a client that has gone are dropped, not given to the next", async () => {
  const held: net.Socket[] = [];
  const fake = await fakeRedis((socket) => held.push(socket));
  const proxy = await proxyOver([at(fake)]);
  const gone = await Wire.open(proxy.port);
  gone.send(cmd("GET", "gone1") + cmd("GET", "gone2"));
  await until("both requests to arrive", () => held.length === 2);
  gone.socket.resetAndDestroy();
  const next = await Wire.open(proxy.port);
  next.send(cmd("GET", "next"));
  await until("the next request to arrive", () => held.length === 3);
  for (const [i, reply] of ["secret 1", "secret 2", "for next"].entries()) {
    say(held[i], bulk(reply));
  }
  assert.is(await next.reply(), bulk("for next"));
  assert.is(await next.half().rest(), "");
});

test("a server that talks out of turn loses its connection, and no client hears it", async () => {
  const fake = await fakeRedis((socket, connection, key) => {
    say(socket, bulk(`${connection}:${key}`) + (connection < 4 ? bulk("stray") : ""));
  });
  const proxy = await proxyOver([at(fake)]);
  const wire = await Wire.open(proxy.port);
  const seen: string[] = [];
  for (let i = 0; i < 12; i++) {
    const reply = await wire.ask("GET", `k${i}`);
    seen.push(reply);
    assert.ok(!reply.includes("stray"), `reply ${i} is ${JSON.stringify(reply)}`);
    // A request that was under way when the connection was cut may fail; it may not be mixed up.
    if (!reply.startsWith("-")) assert.match(reply, new RegExp(`^\\$\\d+\r\n\\d+:k${i}\r\n$`));
  }
  assert.is(seen.at(-1), bulk("4:k11"));
});

test("a server that answers garbage costs an error, and its next connection is trusted anew", async () => {
  const fake = await fakeRedis((socket, connection, key) => {
    say(socket, connection === 1 ? "HTTP/1.1 400 Bad Request\r\n\r\n" : bulk(key));
  });
  const proxy = await proxyOver([at(fake)]);
  const wire = await Wire.open(proxy.port);
  assert.is(await wire.ask("GET", "a"), "-ERR Invalid argument\r\n");
  assert.is(await wire.ask("GET", "b"), bulk("b"));
});

test("a server that dies within a reply never makes two replies into one", async () => {
  const fake = await fakeRedis((socket, connection, key) => {
    if (connection > 1) return say(socket, bulk(key));
    say(socket, "$100\r\nonly the beginning");
    socket.end();
  });
  const proxy = await proxyOver([at(fake)]);
  const wire = await Wire.open(proxy.port);
  wire.send(cmd("GET", "a"));
  await until("an answer or the end", () => wire.ended || respEnd(wire.peek(), 0) > 0);
  const got = wire.peek().toString("latin1");
  // Either nothing of the reply was passed on, and an error takes its place, or a part of it was
  // and the client's connection ends there.
  const partial = "$100\r\nonly the beginning";
  assert.ok(/^-ERR [^\r]+\r\n$/.test(got) || partial.startsWith(got), JSON.stringify(got));
  assert.is(await exchange(proxy.port, cmd("GET", "b")), bulk("b"));
});

test("replies cut at every byte are put together", async () => {
  const reply = bulk("a\r\nb");
  const fake = await fakeRedis(async (socket, _, key) => {
    const cut = Number(key);
    socket.setNoDelay(true);
    say(socket, reply.slice(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    say(socket, reply.slice(cut));
  });
  const proxy = await proxyOver([at(fake)]);
  const wire = await Wire.open(proxy.port);
  for (let cut = 1; cut < reply.length; cut++) assert.is(await wire.ask("GET", cut), reply);
});

test("preconnect connects before there is a request; without it the first request does", async () => {
  const early = await startFake((socket) => socket.resume());
  const late = await startFake((socket) => socket.resume());
  const proxy = await startProxy({
    early: { redis: true, preconnect: true, servers: [at(early)] },
    late: { redis: true, servers: [at(late)] },
  });
  started.push(proxy);
  await until("the connection", () => early.accepted === 1);
  assert.is(late.accepted, 0);
  (await Wire.open(proxy.ports.late)).send(cmd("GET", "a"));
  await until("the connection", () => late.accepted === 1);
});

test("server_connections is how many connections a busy server gets, and no more", async () => {
  const fake = await fakeRedis((socket, _, key) => say(socket, bulk(key)));
  const proxy = await proxyOver([at(fake)], { server_connections: 4 });
  const wires = await several(40, () => Wire.open(proxy.port));
  for (let round = 0; round < 5; round++) {
    wires.forEach((wire, i) => wire.send(cmd("GET", `${round}:${i}`)));
    for (const [i, wire] of wires.entries()) assert.is(await wire.reply(), bulk(`${round}:${i}`));
  }
  assert.is(fake.accepted, 4);
});

// nutcracker parses client_connections and never looks at it again.
ours("client_connections is the most clients a pool takes", async () => {
  const redis = await startRedis();
  const proxy = await proxyOver([at(redis)], { client_connections: 3 });
  // The connection that saw the proxy come up has to be gone first.
  await until("an empty pool", async () => (await proxy.stats()).pool.client_connections === 0);
  const wires = await several(3, () => Wire.open(proxy.port));
  for (const wire of wires) assert.is(await wire.ask("PING"), "+PONG\r\n");
  const tooMany = await Wire.open(proxy.port);
  const got = await tooMany.send(cmd("PING")).rest().catch(() => "");
  assert.not.match(got, /PONG/);
  for (const wire of wires) assert.is(await wire.ask("PING"), "+PONG\r\n");
  wires[0].close();
  await until("a place for another", async () => {
    const wire = await Wire.open(proxy.port);
    return await wire.ask("PING").then((reply) => reply === "+PONG\r\n", () => false);
  });
});

test("memcached: noreply commands to a dead server are lost without a word", async () => {
  const memcached = await startMemcached();
  const dead = await freePort();
  const proxy = await startProxy({
    live: { servers: [at(memcached)] },
    dead: { servers: [at(dead)] },
  });
  started.push(proxy);
  const wire = await Wire.open(proxy.ports.dead);
  const expected = "SERVER_ERROR Connection refused\r\n";
  wire.send("set a 0 0 1 noreply\r\nx\r\ndelete a noreply\r\nget a\r\n");
  assert.is(await wire.read(expected.length), expected);
  // nutcracker forgets to end such a client.
  if (!isNutcracker) assert.is(await wire.send("incr a 1 noreply\r\n").half().rest(), "");
});

test("memcached: a server that is killed and restarted", async () => {
  const memcached = await startMemcached();
  const proxy = await startProxy({ pool: { servers: [at(memcached)] } });
  started.push(proxy);
  const wire = await Wire.open(proxy.port);
  const ask = (request: string) => wire.send(request).line();
  assert.is(await ask("set a 0 0 1\r\nx\r\n"), "STORED\r\n");
  await memcached.stop("SIGKILL");
  await until(
    "the error",
    async () => await ask("delete a\r\n") === "SERVER_ERROR Connection refused\r\n",
  );
  await startMemcached({ port: memcached.port });
  await until("the server to be back", async () => await ask("delete a\r\n") === "NOT_FOUND\r\n");
});

test.run();
