// The slow log: which requests it shows, and what of them.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

function slow(f: Fixture): string[] {
  return f.logged.filter((line) => line.includes("slow"));
}

test("a request that takes longer is shown with command, key, client and time", async () => {
  const f = await Fixture.start({ config: ["slowlog_ms: 100"] });
  const client = f.client();
  f.say(client, command("GET", "user:1"));
  f.host.time += 100;
  f.server("a").send(bulk("x"));
  f.settle();
  assert.equal(slow(f), [], "not longer than that");
  f.say(client, command("GET", "user:1"));
  f.host.time += 250;
  f.server("a").send(bulk("x"));
  f.settle();
  assert.equal(slow(f), [
    'warn pool "p": server "a" (10.0.0.1:7101): slow: GET user:1 of client 10.9.0.1:1 took 250 ms',
  ]);
});

test("without slowlog_ms nothing is shown, and nothing of the keys is kept", async () => {
  const f = await Fixture.start();
  f.say(f.client(), command("GET", "k"));
  assert.ok([...f.watch.requests].every((request) => request.note.length === 0));
  f.host.time += 5000;
  f.server("a").send(bulk("x"));
  f.settle();
  assert.equal(slow(f), []);
});

test("of a key 64 bytes are shown, and what is not printable is escaped", async () => {
  const f = await Fixture.start({ config: ["slowlog_ms: 100"] });
  const client = f.client();
  f.say(client, command("GET", "a b\\\x00\xff\n") + command("GET", "k".repeat(64)));
  f.say(client, command("GET", "k".repeat(65)));
  f.host.time += 500;
  f.server("a").send(bulk("x").repeat(3));
  f.settle();
  const keys = slow(f).map((line) => /GET (\S+) of/.exec(line)?.[1]);
  assert.equal(keys, ["a\\x20b\\\\\\x00\\xff\\x0a", "k".repeat(64), "k".repeat(64) + "..."]);
});

test("of a split request the part that was slow is shown, with its server and a key of its", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: ["slowlog_ms: 100"] });
  const [one, two] = [f.key("a"), f.key("b")];
  const client = f.client();
  f.say(client, command("MGET", one, two));
  f.server("a").send(`*1\r\n${bulk("1")}`);
  f.settle();
  f.host.time += 300;
  f.server("b").send(`*1\r\n${bulk("2")}`);
  f.settle();
  assert.is(client.received(), `*2\r\n${bulk("1")}${bulk("2")}`);
  assert.is(slow(f).length, 1);
  assert.match(slow(f)[0], `server "b" (10.0.0.1:7102): slow: MGET ${two} of client`);
});

test("the key shown is the request's own, also when Request objects are used again", async () => {
  const f = await Fixture.start({ config: ["slowlog_ms: 100"] });
  const client = f.client();
  f.say(client, command("GET", "first"));
  f.server("a").send(bulk("x"));
  f.settle();
  f.say(client, command("PING") + command("DBSIZE"));
  f.host.time += 300;
  f.server("a").send(":0\r\n");
  f.settle();
  assert.is(slow(f).length, 1);
  assert.match(slow(f)[0], /slow: DBSIZE of client/);
});

test("a request that timed out is shown with the reason", async () => {
  const f = await Fixture.start({ config: ["slowlog_ms: 100", "timeout: 400"] });
  f.say(f.client(), command("GET", "k"));
  f.host.pass(1000);
  assert.is(slow(f).length, 1);
  assert.match(
    slow(f)[0],
    /slow: GET k of .* took 4\d\d(\.\d)? ms and failed: Connection timed out/,
  );
});

test("what blocks is not slow", async () => {
  const f = await Fixture.start({ config: ["slowlog_ms: 100"] });
  const client = f.client();
  f.say(client, command("BLPOP", "list", "0"));
  f.host.time += 3000;
  f.server("a").send(`*2\r\n${bulk("list")}${bulk("x")}`);
  f.settle();
  assert.is(client.received(), `*2\r\n${bulk("list")}${bulk("x")}`);
  assert.equal(slow(f), []);
});

test("memcached commands are named too", async () => {
  const f = await Fixture.start({ memcached: true, config: ["slowlog_ms: 100"] });
  f.say(f.client(), "set k 0 0 1\r\nx\r\n");
  f.host.time += 300;
  f.server("a").send("STORED\r\n");
  f.settle();
  assert.match(slow(f)[0], /slow: SET k of/);
});

test("a hundred lines a second, then how many more", async () => {
  const f = await Fixture.start({ config: ["slowlog_ms: 100"] });
  const client = f.client();
  f.say(client, command("GET", "k").repeat(500));
  f.host.time += 300;
  f.server("a").send(bulk("x").repeat(500));
  f.settle();
  assert.is(slow(f).length, 100);
  f.host.pass(2000);
  assert.is(slow(f).length, 101);
  assert.match(slow(f)[100], /slow requests: 400 more suppressed/);
});

test("a client's end says how it went", async () => {
  const f = await Fixture.start();
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.server("a").send(bulk("x"));
  f.settle();
  client.end();
  f.settle();
  const bytes = command("GET", "k").length;
  assert.ok(f.logged.includes('info pool "p": client 10.9.0.1:1: connected; 1 clients'));
  assert.ok(
    f.logged.includes(
      `info pool "p": client 10.9.0.1:1: closed: eof; 1 requests, ${bytes} bytes in 0 ms`,
    ),
    f.logged.join("\n"),
  );
  const rude = f.client();
  f.say(rude, "*x\r\n");
  rude.end();
  f.settle();
  assert.ok(f.logged.some((line) => /closed: protocol error; 0 requests/.test(line)));
  const polite = f.client();
  f.say(polite, command("QUIT"));
  polite.end();
  f.settle();
  assert.ok(f.logged.some((line) => /closed: quit; 1 requests/.test(line)));
});

test.run();
