// memcached's binary protocol through the proxy: its own server connections, quiet requests and
// what stands in for their replies, errors that are packets, large values, broken streams.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { VERSION } from "../../core/version.ts";
import { ask, FLAGS, packetEnd, readPackets, SOON, tell } from "../protocol/packets.ts";
import type { FakeSocket } from "../fake/fake_host.ts";
import { Fixture, type Setting } from "../fake/fixture.ts";

const start = (setting: Setting = {}): Promise<Fixture> =>
  Fixture.start({ memcached: true, ...setting });

/** What a client got, in words. */
const got = (client: FakeSocket): string[] =>
  readPackets(client.received()).map((p) =>
    `${p.opcode.toString(16)} ${p.status.toString(16)} #${p.opaque} ${p.key}|${p.value}`
  );

const get = (key: string, opaque: number): string => ask(0, { key, opaque });
const getq = (key: string, opaque: number): string => ask(9, { key, opaque });
const hit = (opaque: number, value: string): string => tell(0, { extras: FLAGS, value, opaque });
const miss = (opaque: number): string => tell(0, { status: 1, value: "Not found", opaque });
const noop = (opaque: number): string => ask(0x0a, { opaque });

test("text and binary clients have server connections of their own", async () => {
  const f = await start();
  const [text, binary] = [f.client(), f.client()];
  f.say(text, "get k\r\n");
  f.say(binary, get("k", 1));
  const [first, second] = f.connections("a");
  assert.is(first.received(), "get k\r\n");
  assert.is(second.received(), get("k", 1));
  f.say(second, hit(1, "v"));
  f.say(first, "END\r\n");
  assert.is(binary.received(), hit(1, "v"));
  assert.is(text.received(), "END\r\n");
  f.say(f.client(), get("k", 2));
  assert.is(second.received(), get("k", 2));
  assert.is(f.connections("a").length, 2);
});

test("binary clients leave the text protocol its connections, however long it is idle", async () => {
  const f = await start();
  const text = f.client();
  // One for each that is on the text protocol's lane: this client, and the pool.
  for (const opaque of [1, 2]) {
    const binary = f.client();
    f.say(binary, get("k", opaque));
    binary.end();
  }
  f.host.pass(200_000);
  f.say(text, "get k\r\n");
  f.say(f.connections("a").at(-1)!, "END\r\n");
  assert.is(text.received(), "END\r\n");
});

test("one byte at a time is enough to tell the dialect, and for everything else", async () => {
  const f = await start();
  const client = f.client();
  for (const byte of get("key", 7)) f.say(client, byte);
  assert.is(f.server("a").received(), get("key", 7));
  const reply = hit(7, "line\nline\n\n");
  for (const byte of reply) f.say(f.server("a"), byte);
  assert.is(client.received(), reply);
});

test("replies cut at every byte, line feeds in their heads and all, reach their clients", async () => {
  // An opaque of four line feeds: a head is not a line.
  const replies = [hit(0x0a0a0a0a, "x"), miss(0x0a0a0a0a), hit(10, "\n".repeat(30)), miss(2)];
  const all = replies.join("");
  for (let cut = 1; cut < all.length; cut++) {
    const f = await start();
    const clients = replies.map(() => f.client());
    clients.forEach((client, i) => client.send(get(`k${i}`, i)));
    f.settle();
    f.say(f.server("a"), all.slice(0, cut));
    f.say(f.server("a"), all.slice(cut));
    clients.forEach((client, i) => assert.is(client.received(), replies[i], `cut at ${cut}`));
  }
});

test("quiet gets: hits only, under the opcode that was sent, before the noop", async () => {
  const f = await start({ servers: ["a", "b"] });
  const client = f.client();
  const [a, b, a2, b2] = [f.key("a"), f.key("b"), f.key("a", 1), f.key("b", 1)];
  const getkq = ask(0x0d, { key: b2, opaque: 4 });
  f.say(client, getq(a, 1) + getq(b, 2) + getq(a2, 3) + getkq + noop(5) + get(a, 6));
  assert.is(f.server("a").received(), get(a, 1) + get(a2, 3) + get(a, 6));
  assert.is(f.server("b").received(), get(b, 2) + ask(0x0c, { key: b2, opaque: 4 }));
  f.say(
    f.server("b"),
    hit(2, "two") + tell(0x0c, { extras: FLAGS, key: b2, value: "4", opaque: 4 }),
  );
  assert.equal(got(client), [], "what comes early waits for what was asked before");
  f.say(f.server("a"), miss(1) + hit(3, "three"));
  assert.equal(got(client), ["9 0 #2 |two", "9 0 #3 |three", `d 0 #4 ${b2}|4`, "a 0 #5 |"]);
  f.say(f.server("a"), hit(6, "six"));
  assert.equal(got(client), ["0 0 #6 |six"]);
});

test("a noop waits for quiet requests of which nothing is seen", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, getq("x", 1) + ask(0x11, { key: "x", extras: FLAGS, value: "v" }) + noop(2));
  f.say(f.server("a"), miss(1));
  assert.equal(got(client), []);
  f.say(f.server("a"), tell(1));
  assert.equal(got(client), ["a 0 #2 |"]);
  f.say(client, noop(3));
  assert.equal(got(client), ["a 0 #3 |"]);
});

test("quiet stores say only what went wrong, however the reply is cut", async () => {
  const wrong = tell(2, { status: 2, value: "Data exists for key.", opaque: 2 });
  for (let cut = 0; cut < wrong.length; cut++) {
    const f = await start();
    const client = f.client();
    const set = ask(0x11, { key: "k", extras: FLAGS, value: "v", opaque: 1 });
    const add = ask(0x12, { key: "k", extras: FLAGS, value: "v", opaque: 2 });
    f.say(client, set + add + noop(3));
    const server = f.server("a");
    const loud = (packet: string) => String.fromCharCode(packet.charCodeAt(1) - 0x10);
    assert.is(
      server.received(),
      [set, add].map((packet) => packet[0] + loud(packet) + packet.slice(2)).join(""),
    );
    f.say(server, tell(1, { opaque: 1 }) + wrong.slice(0, cut));
    f.say(server, wrong.slice(cut));
    assert.equal(got(client), ["12 2 #2 |Data exists for key.", "a 0 #3 |"]);
  }
});

test("a long quiet hit comes whole and under its opcode", async () => {
  const f = await start();
  const client = f.client();
  const value = "0123456789".repeat(20_000);
  f.say(client, getq("k", 1) + noop(2));
  const reply = hit(1, value);
  for (let pos = 0; pos < reply.length; pos += 50_000) {
    f.say(f.server("a"), reply.slice(pos, pos + 50_000));
  }
  assert.is(client.received(), reply[0] + "\x09" + reply.slice(2) + tell(0x0a, { opaque: 2 }));
});

test("flush goes to every server and is one reply, flushq is none", async () => {
  const f = await start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, ask(8, { extras: SOON, opaque: 1 }) + ask(0x18, { opaque: 2 }) + noop(3));
  for (const name of ["a", "b"]) {
    const server = f.server(name);
    assert.is(server.received(), ask(8, { extras: SOON, opaque: 1 }) + ask(8, { opaque: 2 }));
    f.say(server, tell(8, { opaque: 1 }) + tell(8, { opaque: 2 }));
  }
  assert.equal(got(client), ["8 0 #1 |", "a 0 #3 |"]);
  f.say(client, ask(0x18, { opaque: 4 }));
  f.say(f.server("a"), tell(8, { status: 0x20, value: "no", opaque: 4 }));
  f.say(f.server("b"), tell(8, { opaque: 4 }));
  assert.equal(got(client), ["18 20 #4 |no"]);
  f.say(client, ask(0x18, { opaque: 5 }));
  f.say(f.server("a"), tell(8, { opaque: 5 }));
  f.server("b").fail("ECONNRESET");
  f.settle();
  assert.equal(got(client), ["18 86 #5 |Connection reset by peer"]);
});

test("stat adds up what the servers say", async () => {
  const f = await start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, ask(0x10, { opaque: 9 }));
  const stat = (key: string, value: string) => tell(0x10, { key, value, opaque: 9 });
  const end = tell(0x10, { opaque: 9 });
  f.say(f.server("b"), stat("cmd_get", "5") + stat("pid", "2") + end);
  const first = stat("cmd_get", "7") + stat("pid", "1") + end;
  for (const byte of first) f.say(f.server("a"), byte);
  assert.is(client.received(), stat("cmd_get", "12") + stat("pid", "1") + end);
});

test("a lost server: every request has its error, quiet ones too, opcode and opaque in it", async () => {
  const f = await start();
  const client = f.client();
  const set = { key: "k", extras: FLAGS, value: "v" };
  f.say(
    client,
    get("k", 0xfedcba98) + getq("k", 2) + ask(0x11, { ...set, opaque: 3 }) + noop(4) +
      ask(0x0b, { opaque: 5 }) + ask(8, { opaque: 6 }) + ask(1, { ...set, opaque: 7 }),
  );
  f.server("a").fail("ECONNRESET");
  f.settle();
  const why = "|Connection reset by peer";
  assert.equal(got(client), [
    `0 86 #${0xfedcba98} ${why}`,
    `9 86 #2 ${why}`,
    `11 86 #3 ${why}`,
    "a 0 #4 |",
    `b 0 #5 |${VERSION}`,
    `8 86 #6 ${why}`,
    `1 86 #7 ${why}`,
  ]);
  f.host.onConnect = (socket) => f.host.later(() => socket.fail("ECONNREFUSED"));
  f.say(client, get("k", 8));
  assert.equal(got(client), ["0 86 #8 |Connection refused"]);
  f.host.onConnect = (socket) => f.host.later(() => socket.openNow());
  f.say(client, get("k", 9));
  f.say(f.server("a"), hit(9, "back"));
  assert.equal(got(client), ["0 0 #9 |back"]);
});

test("a request used again has nothing of the one before it", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, getq("k", 0xffffffff));
  f.say(f.server("a"), miss(0xffffffff));
  const text = f.client();
  f.say(text, "get k\r\n");
  for (const server of f.connections("a")) server.fail("ECONNRESET");
  f.settle();
  assert.is(text.received(), "SERVER_ERROR Connection reset by peer\r\n");
  f.say(client, ask(0x08));
  f.server("a").fail("");
  f.settle();
  assert.equal(got(client), ["8 86 #0 |unknown"]);
});

test("a server that answers in text is closed", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, get("k", 1));
  const server = f.server("a");
  f.say(server, "E");
  assert.ok(server.gone);
  assert.equal(got(client), ["0 86 #1 |Invalid argument"]);
});

test("refused requests are answered in their place and the connection stays", async () => {
  const f = await start();
  const client = f.client();
  f.say(
    client,
    get("k", 1) + ask(0x21, { key: "PLAIN", value: "\0u\0p", opaque: 2 }) + get("l", 3),
  );
  assert.is(f.server("a").received(), get("k", 1) + get("l", 3));
  f.say(f.server("a"), hit(1, "v") + miss(3));
  assert.equal(got(client), ["0 0 #1 |v", "21 81 #2 |Unknown command", "0 1 #3 |Not found"]);
});

test("a broken stream is told and closed, after what came before it", async () => {
  for (const junk of ["get k\r\n", "\x81", ask(1, { key: "k" }).slice(0, 8) + "\0".repeat(16)]) {
    const f = await start();
    const client = f.client();
    f.say(client, get("k", 1) + junk + get("l", 2));
    assert.is(f.server("a").received(), get("k", 1));
    f.say(f.server("a"), miss(1));
    const packets = readPackets(client.received());
    assert.equal(packets.map((p) => p.status), [1, 4]);
    client.end();
    f.settle();
    assert.ok(client.gone);
  }
});

test("an announced length costs nothing, one over the limit is refused at its header", async () => {
  const f = await start({ limits: { request: 100_000 } });
  const client = f.client();
  const head = ask(1, { key: "k", extras: FLAGS, opaque: 1 });
  f.say(client, head.slice(0, 8) + "\x7f\xff\xff\xff" + head.slice(12, 24));
  assert.equal(got(client), ["1 3 #1 |Too large."]);
  const other = f.client();
  f.say(other, head.slice(0, 8) + "\0\x01\x80\0" + head.slice(12));
  const held = [...f.watch.buffers].reduce((sum, buf) => sum + buf.length, 0);
  assert.ok(held <= 2 * 131_072, `${held} bytes are held`);
});

test("a large value streams to its server over a connection of its own", async () => {
  const f = await start();
  const client = f.client();
  const value = "large value! ".repeat(200_000);
  const request = ask(1, { key: "k", extras: FLAGS, value, opaque: 1 });
  f.say(client, request.slice(0, 100_000));
  const server = f.server("a");
  let received = server.received();
  assert.is(received.length, 100_000);
  for (let pos = 100_000; pos < request.length; pos += 500_000) {
    f.say(client, request.slice(pos, pos + 500_000));
    received += server.received();
  }
  assert.ok(received === request);
  f.say(client, get("k", 2));
  f.say(server, tell(1, { opaque: 1 }));
  const shared = f.connections("a").filter((socket) => socket !== server)[0];
  f.say(shared, hit(2, "v"));
  assert.equal(got(client), ["1 0 #1 |", "0 0 #2 |v"]);
});

test("a large value whose server is lost is one error", async () => {
  const f = await start();
  const client = f.client();
  const request = ask(1, { key: "k", extras: FLAGS, value: "x".repeat(3 << 20), opaque: 1 });
  f.say(client, request.slice(0, 100_000));
  f.server("a").fail("ECONNRESET");
  f.settle();
  f.say(client, request.slice(100_000) + noop(2));
  assert.equal(got(client), ["1 86 #1 |Connection reset by peer", "a 0 #2 |"]);
});

test("a large reply streams to its client", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, get("k", 1) + get("l", 2));
  const reply = hit(1, "y".repeat(400_000));
  f.say(f.server("a"), reply.slice(0, 200_000));
  assert.is(client.received().length, 200_000);
  f.say(f.server("a"), reply.slice(200_000) + miss(2));
  const rest = client.received();
  assert.is(packetEnd(reply.slice(0, 200_000) + rest, 0), reply.length);
  assert.is(rest.slice(reply.length - 200_000), miss(2));
});

test("quit says so and quitq does not, and both close", async () => {
  for (const [opcode, last] of [[7, ["7 0 #2 |"]], [0x17, []]] as const) {
    const f = await start();
    const client = f.client();
    f.say(client, get("k", 1) + ask(opcode, { opaque: 2 }) + get("l", 3));
    assert.is(f.server("a").received(), get("k", 1));
    f.say(f.server("a"), miss(1));
    assert.equal(got(client), ["0 1 #1 |Not found", ...last]);
    client.end();
    f.settle();
    assert.ok(client.gone);
  }
});

test("a binary request among text commands is told so", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, "mn\r\n");
  f.say(client, noop(1));
  assert.is(client.received(), "MN\r\nCLIENT_ERROR a binary request among text commands\r\n");
});

test.run();
