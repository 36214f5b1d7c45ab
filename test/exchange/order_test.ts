// Who gets which reply, and when: the order of each client's replies, replies that have to wait,
// requests that go to several servers, and replies nobody waits for any more.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

test("a request goes to the server of its key and the reply to its client", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const request = command("GET", f.key("b"));
  f.say(client, request);
  assert.is(f.attempts("a"), 0);
  assert.is(f.server("b").received(), request);
  f.say(f.server("b"), bulk("hello"));
  assert.is(client.received(), bulk("hello"));
});

test("replies keep the client's order when servers answer out of order", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  const order = ["a", "b", "c", "b", "a", "c"];
  f.say(client, order.map((name, i) => command("GET", f.key(name, i))).join(""));
  f.say(f.server("c"), bulk("c1") + bulk("c2"));
  assert.is(client.received(), "");
  f.say(f.server("b"), bulk("b1"));
  assert.is(client.received(), "");
  f.say(f.server("a"), bulk("a1"));
  assert.is(client.received(), bulk("a1") + bulk("b1") + bulk("c1"));
  f.say(f.server("a"), bulk("a2"));
  assert.is(client.received(), "");
  f.say(f.server("b"), bulk("b2"));
  assert.is(client.received(), bulk("b2") + bulk("a2") + bulk("c2"));
});

test("two clients that share a connection get their own replies", async () => {
  const f = await Fixture.start();
  const [one, two] = [f.client(), f.client()];
  one.send(command("GET", "1"));
  two.send(command("GET", "2") + command("GET", "3"));
  one.send(command("GET", "4"));
  f.settle();
  const asked = f.server("a").received().match(/\$1\r\n(\d)/g)!.map((s) => s.at(-1)!);
  assert.equal([...asked].sort(), ["1", "2", "3", "4"]);
  f.say(f.server("a"), asked.map((n) => bulk(`reply ${n}`)).join(""));
  assert.is(one.received(), bulk("reply 1") + bulk("reply 4"));
  assert.is(two.received(), bulk("reply 2") + bulk("reply 3"));
});

test("what many clients ask of a server in one turn leaves in one write", async () => {
  const f = await Fixture.start();
  f.say(f.client(), command("GET", "k"));
  const server = f.server("a");
  server.received();
  let writes = 0;
  server.taker = (n) => {
    writes++;
    return n;
  };
  const clients = Array.from({ length: 50 }, () => f.client());
  for (const client of clients) {
    client.send(command("GET", "k"));
    client.deliver();
  }
  f.settle();
  assert.ok(writes <= 2, `${writes} writes`);
});

test("a lone request does not wait for the turn's end, nor does its reply", async () => {
  const f = await Fixture.start();
  f.say(f.client(), command("GET", "k"));
  f.say(f.server("a"), bulk("v"));
  for (let i = 0; i < 3; i++) f.host.turn();
  const client = f.client();
  f.server("a").received();
  client.send(command("GET", "k"));
  client.deliver();
  assert.is(f.server("a").received(), command("GET", "k"));
  f.host.turn();
  f.server("a").send(bulk("v"));
  f.server("a").deliver();
  assert.is(client.received(), bulk("v"));
});

test("a reply that comes byte by byte is held until it is whole, behind another one too", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("GET", f.key("a")) + command("HGETALL", f.key("b")) + command("PING"));
  const reply = `*4\r\n${bulk("f1")}$-1\r\n*2\r\n:12\r\n+simple\r\n-ERR inner\r\n`;
  const feed = (name: string, data: string) => {
    for (const byte of data) f.say(f.server(name), byte);
  };
  feed("b", reply);
  assert.is(client.received(), "");
  feed("a", bulk("x\r\ny"));
  assert.is(client.received(), bulk("x\r\ny") + reply + "+PONG\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("a long reply for the client's next request is passed on as it comes", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k") + command("GET", "k"));
  f.say(f.server("a"), `$100000\r\n${"x".repeat(1000)}`);
  assert.is(client.received(), `$100000\r\n${"x".repeat(1000)}`);
  f.say(f.server("a"), "y".repeat(50_000));
  assert.is(client.received(), "y".repeat(50_000));
  f.say(f.server("a"), "y".repeat(49_000) + "\r");
  f.say(f.server("a"), "\n" + bulk("second"));
  assert.is(client.received(), "y".repeat(49_000) + "\r\n" + bulk("second"));
  assert.is(f.watch.requests.size, 0);
});

test("a long reply that has to wait is held, and streams once its turn has come", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("GET", f.key("a")) + command("GET", f.key("b")));
  f.say(f.server("b"), `$100000\r\n${"x".repeat(30_000)}`);
  assert.is(client.received(), "");
  f.say(f.server("a"), bulk("first"));
  assert.is(client.received(), bulk("first"));
  f.say(f.server("b"), "x".repeat(30_000));
  assert.is(client.received(), `$100000\r\n${"x".repeat(60_000)}`);
  f.say(f.server("b"), "x".repeat(40_000) + "\r\n");
  assert.is(client.received(), "x".repeat(40_000) + "\r\n");
});

test("the replies a client did not wait for reach nobody", async () => {
  const f = await Fixture.start();
  const [leaver, stayer] = [f.client(), f.client()];
  f.say(leaver, command("GET", "secret1") + command("GET", "secret2"));
  f.say(stayer, command("GET", "k"));
  f.say(f.server("a"), "$7\r\nsec"); // half a reply is there already
  leaver.fail("ECONNRESET");
  const newcomer = f.client();
  f.say(newcomer, command("GET", "n"));
  f.say(f.server("a"), "ret1\r\n");
  f.say(f.server("a"), bulk("secret2") + bulk("stayer's") + bulk("newcomer's"));
  assert.is(leaver.received(), "");
  assert.is(stayer.received(), bulk("stayer's"));
  assert.is(newcomer.received(), bulk("newcomer's"));
  assert.is(f.watch.requests.size, 0);
});

test("a client that leaves in the middle of a streamed reply leaves nothing behind", async () => {
  const f = await Fixture.start();
  const [leaver, stayer] = [f.client(), f.client()];
  f.say(leaver, command("GET", "big"));
  f.say(stayer, command("GET", "k"));
  f.say(f.server("a"), `$100000\r\n${"x".repeat(50_000)}`);
  leaver.fail("");
  f.say(f.server("a"), "x".repeat(50_000) + "\r\n" + bulk("stayer's"));
  assert.is(stayer.received(), bulk("stayer's"));
  assert.is(f.watch.requests.size, 0);
  assert.is(f.watch.buffers.size, 0);
});

test("a client that leaves with a request at three servers leaves nothing behind", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  const keys = ["a", "b", "c"].map((name) => f.key(name));
  f.say(client, command("MGET", ...keys) + command("DEL", ...keys));
  f.say(f.server("a"), `*1\r\n${bulk("x")}:1\r\n`);
  f.say(f.server("b"), `*1\r\n${bulk("x")}`);
  client.fail("");
  f.say(f.server("b"), ":1\r\n");
  f.say(f.server("c"), `*1\r\n${bulk("x")}:1\r\n`);
  assert.is(f.watch.requests.size, 0);
});

test("mget over three servers keeps key order, nil and doubles included", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  const [a0, a1, b0, c0] = [f.key("a"), f.key("a", 1), f.key("b"), f.key("c")];
  f.say(client, command("mGet", a0, c0, b0, a1, b0, a0) + command("PING"));
  assert.is(f.server("a").received(), command("mGet", a0, a1, a0));
  assert.is(f.server("b").received(), command("mGet", b0, b0));
  assert.is(f.server("c").received(), command("mGet", c0));
  f.say(f.server("c"), "*1\r\n$-1\r\n");
  f.say(f.server("b"), `*2\r\n${bulk("B")}${bulk("B")}`);
  assert.is(client.received(), "");
  f.say(f.server("a"), `*3\r\n${bulk("A0")}$-1\r\n${bulk("A0")}`);
  assert.is(
    client.received(),
    `*6\r\n${bulk("A0")}$-1\r\n${bulk("B")}$-1\r\n${bulk("B")}${bulk("A0")}+PONG\r\n`,
  );
  assert.is(f.watch.requests.size, 0);
});

test("mset, del and exists over three servers are joined", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  const keys = ["a", "b", "c"].map((name) => f.key(name));
  const [a, b, c] = keys;
  f.say(client, command("MSET", a, "1", b, "", c, "x\r\ny", a, "2"));
  assert.is(f.server("a").received(), command("MSET", a, "1", a, "2"));
  assert.is(f.server("b").received(), command("MSET", b, ""));
  assert.is(f.server("c").received(), command("MSET", c, "x\r\ny"));
  for (const name of ["a", "b", "c"]) f.say(f.server(name), "+OK\r\n");
  assert.is(client.received(), "+OK\r\n");
  for (const verb of ["DEL", "EXISTS", "UNLINK", "TOUCH"]) {
    f.say(client, command(verb, ...keys));
    for (const [i, name] of ["b", "c", "a"].entries()) f.say(f.server(name), `:${i * 6}\r\n`);
    assert.is(client.received(), ":18\r\n");
  }
});

test("a split command whose keys are all on one server is forwarded as it is", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const request = command("MGET", f.key("a"), f.key("a", 1));
  f.say(client, request);
  assert.is(f.server("a").received(), request);
  f.say(f.server("a"), "*2\r\n$-1\r\n$-1\r\n");
  assert.is(client.received(), "*2\r\n$-1\r\n$-1\r\n");
});

test("an error from one server is the whole answer, and the client stays", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("MGET", f.key("a"), f.key("b")) + command("PING"));
  f.say(f.server("a"), `*1\r\n${bulk("x")}`);
  f.say(f.server("b"), "-WRONGTYPE no\r\n");
  assert.is(client.received(), "-WRONGTYPE no\r\n+PONG\r\n");
  assert.not(client.finished || client.gone);
});

test("commands whose keys live on two servers are refused", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: ['hash_tag: "{}"'] });
  const client = f.client();
  f.say(client, command("RENAME", f.key("a"), f.key("b")));
  assert.match(client.received(), /^-CROSSSLOT Keys .*'rename'.*\r\n$/);
  const [one, two] = [`{${f.key("b")}}1`, `{${f.key("b")}}2`];
  f.say(client, command("RENAME", one, two));
  assert.is(f.server(f.owner(one)).received(), command("RENAME", one, two));
});

test("a command for all servers reaches each, and the replies are joined", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  f.say(client, command("DBSIZE") + command("KEYS", "*"));
  for (const name of ["c", "b", "a"]) {
    assert.is(f.server(name).received(), command("DBSIZE") + command("KEYS", "*"));
    f.say(f.server(name), `:7\r\n*1\r\n${bulk(name)}`);
  }
  assert.is(client.received(), `:21\r\n*3\r\n${bulk("a")}${bulk("b")}${bulk("c")}`);
});

test("local answers stand in line with the others", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("PING") + command("GET", "k") + command("ECHO", "e") + command("NOPE"));
  assert.is(client.received(), "+PONG\r\n");
  // The server is asked whether it knows NOPE.
  f.say(f.server("a"), bulk("v") + "*1\r\n*-1\r\n");
  assert.is(
    client.received(),
    bulk("v") + bulk("e") + "-ERR unknown command 'NOPE', with args beginning with: \r\n",
  );
});

test("an inline command is sent on as an array", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, '\r\nset k "a b\\x41"\r\nGET k\n');
  assert.is(f.server("a").received(), command("set", "k", "a bA") + command("GET", "k"));
});

test("a pipeline of 100,000 commands in one go is answered in order", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const owners: string[] = [];
  let request = "";
  for (let i = 0; i < 100_000; i++) {
    owners.push(f.owner(`k${i}`));
    request += command("GET", `k${i}`);
  }
  client.send(request);
  let most = 0;
  const serve = (name: string) => {
    const [server] = f.connections(name);
    if (server === undefined) return;
    const keys = server.received().match(/k\d+/g) ?? [];
    if (keys.length > 0) server.send(keys.map((key) => bulk(`${name}:${key}`)).join(""));
  };
  let answered = "";
  for (let round = 0; round < 1000; round++) {
    f.settle();
    most = Math.max(most, f.watch.requests.size);
    serve(round % 3 === 0 ? "a" : "b");
    answered += client.received();
    if (round > 3 && f.watch.requests.size === 0 && client.unreadBytes === 0) break;
  }
  f.settle();
  answered += client.received();
  assert.ok(answered === owners.map((name, i) => bulk(`${name}:k${i}`)).join(""), "in order");
  assert.ok(most <= 8192, `${most} requests at a time`);
});

test("a request cut at every byte is the same request", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const [a, b] = [f.key("a"), f.key("b")];
  const requests = command("SET", a, "x\r\n$1\r\ny") + command("MGET", a, b) + "get " + b + "\r\n" +
    command("SET", b, "z".repeat(6000)) + command("DEL", a);
  const client = f.client();
  f.say(client, requests);
  const expected = [f.server("a").received(), f.server("b").received()];
  for (const step of [1, 2, 3, 7, 100, 513, 4097]) {
    for (let i = 0; i < requests.length; i += step) f.say(client, requests.slice(i, i + step));
    assert.equal([f.server("a").received(), f.server("b").received()], expected, `by ${step}`);
  }
});

test("a reply nobody waits for closes the connection", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.say(f.server("a"), bulk("v") + bulk("what?"));
  assert.is(client.received(), bulk("v"));
  assert.is(f.connections("a").length, 0);
  f.say(client, command("GET", "k"));
  f.say(f.server("a"), bulk("again"));
  assert.is(client.received(), bulk("again"));
});

test("a reply that is none closes the connection and fails what it carried", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k") + command("GET", "l"));
  f.say(f.server("a"), "HTTP/1.1 400 Bad Request\r\n");
  assert.is(client.received(), "-ERR Invalid argument\r\n".repeat(2));
  assert.is(f.connections("a").length, 0);
});

test("a server that sends a line without an end is not listened to for ever", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k"));
  for (let i = 0; i < 100 && f.connections("a").length > 0; i++) {
    f.say(f.server("a"), `+${"x".repeat(10_000)}`);
  }
  assert.is(f.connections("a").length, 0);
  assert.is(client.received(), "-ERR Invalid argument\r\n");
});

test("memcached: noreply and quiet commands are muted, their errors too where they are quiet", async () => {
  const f = await Fixture.start({ memcached: true, servers: ["a", "b"] });
  const client = f.client();
  const [a, b] = [f.key("a"), f.key("b")];
  f.say(client, `set ${a} 0 0 1 noreply\r\nx\r\nget ${a}\r\nmg ${b} v q\r\nmn\r\n`);
  assert.is(f.server("a").received(), `set ${a} 0 0 1\r\nx\r\nget ${a}\r\n`);
  assert.is(f.server("b").received(), `mg ${b} v\r\n`);
  f.say(f.server("b"), "EN\r\n");
  f.say(f.server("a"), `STORED\r\nVALUE ${a} 0 1\r\nx\r\nEND\r\n`);
  assert.is(client.received(), `VALUE ${a} 0 1\r\nx\r\nEND\r\nMN\r\n`);
  f.say(client, `mg ${b} v q\r\nset ${a} 0 0 1 noreply\r\nx\r\nmn\r\n`);
  f.say(f.server("b"), "VA 1\r\nx");
  f.say(f.server("a"), "SERVER_ERROR out of memory\r\n");
  assert.is(client.received(), "");
  f.say(f.server("b"), "\r\n");
  assert.is(client.received(), "VA 1\r\nx\r\nMN\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("memcached: flush_all noreply reaches all servers and is not answered", async () => {
  const f = await Fixture.start({ memcached: true, servers: ["a", "b"] });
  const client = f.client();
  f.say(client, "flush_all noreply\r\nflush_all\r\nmn\r\n");
  for (const name of ["b", "a"]) {
    assert.is(f.server(name).received(), "flush_all\r\nflush_all\r\n");
    f.say(f.server(name), "OK\r\nOK\r\n");
  }
  assert.is(client.received(), "OK\r\nMN\r\n");
  f.say(client, "flush_all noreply\r\nmn\r\n");
  f.server("a").fail("ECONNRESET");
  f.say(f.server("b"), "OK\r\n");
  assert.is(client.received(), "MN\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("memcached: a get over three servers gives what there is in key order", async () => {
  const f = await Fixture.start({ memcached: true, servers: ["a", "b", "c"] });
  const client = f.client();
  const [a0, a1, b0, c0] = [f.key("a"), f.key("a", 1), f.key("b"), f.key("c")];
  f.say(client, `gets ${b0} ${a0} ${c0} ${a1}\r\n`);
  f.say(f.server("a"), `VALUE ${a1} 5 3 9\r\nA\r\n\r\nEND\r\n`);
  f.say(f.server("c"), "END\r\n");
  f.say(f.server("b"), `VALUE ${b0} 0 0 1\r\n\r\nEND\r\n`);
  assert.is(client.received(), `VALUE ${b0} 0 0 1\r\n\r\nVALUE ${a1} 5 3 9\r\nA\r\n\r\nEND\r\n`);
});

test.run();
