// Transactions in a pool with `multi: split`, byte by byte: what each server gets, how the replies
// become one, and what is refused before anything is sent.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const OK = "+OK\r\n";
const QUEUED = "+QUEUED\r\n";
const MULTI = command("MULTI");
const EXEC = command("EXEC");

const start = (config: string[] = []) =>
  Fixture.start({ servers: ["a", "b"], config: ["multi: split", ...config] });

test("each server gets a transaction with its part; the replies keep the commands' order", async () => {
  const f = await start();
  const [x, y, z] = [f.key("a"), f.key("b"), f.key("a", 1)];
  const client = f.client();
  const words = [["SET", x, "1"], ["GET", y], ["PING"], ["LRANGE", z, "0", "-1"], ["INCR", y]];
  f.say(client, MULTI + words.map((w) => command(...w)).join(""));
  assert.is(client.received(), OK + QUEUED.repeat(5));
  assert.is(f.host.outgoing.length, 0);
  f.say(client, EXEC + command("GET", y));
  assert.is(
    f.server("a").received(),
    MULTI + [0, 2, 3].map((i) => command(...words[i])).join("") + EXEC,
  );
  assert.is(
    f.server("b").received(),
    MULTI + [1, 4].map((i) => command(...words[i])).join("") + EXEC + command("GET", y),
  );
  f.say(f.server("b"), `${OK}${QUEUED}${QUEUED}*2\r\n$-1\r\n:7\r\n${bulk("7")}`);
  assert.is(client.received(), "");
  f.say(
    f.server("a"),
    `${OK}${QUEUED.repeat(3)}*3\r\n${OK}+PONG\r\n*2\r\n${bulk("p")}${bulk("q")}`,
  );
  assert.is(
    client.received(),
    `*5\r\n${OK}$-1\r\n+PONG\r\n*2\r\n${bulk("p")}${bulk("q")}:7\r\n${bulk("7")}`,
  );
  assert.is(f.watch.requests.size, 0);
});

test("a transaction on one server is answered by that one", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, MULTI + command("PING") + command("SET", f.key("b"), "1") + EXEC);
  assert.is(
    f.server("b").received(),
    MULTI + command("PING") + command("SET", f.key("b"), "1") + EXEC,
  );
  f.say(f.server("b"), `${OK}${QUEUED}-OOM no\r\n-EXECABORT it was refused\r\n`);
  assert.is(client.received(), `${OK}${QUEUED}${QUEUED}-EXECABORT it was refused\r\n`);
  assert.is(f.watch.requests.size, 0);
});

test("what ringmux refuses ends it before anything is sent", async () => {
  const f = await start();
  const [x, y] = [f.key("a"), f.key("b")];
  for (
    const [words, error] of [
      [["NOSUCH"], /^-ERR unknown command/],
      [["GET"], /^-ERR wrong number of arguments/],
      [["RENAME", x, y], /^-CROSSSLOT/],
      [["MGET", x, y], /^-CROSSSLOT/],
      [["FLUSHALL"], /^-CROSSSLOT/],
      [["SUBSCRIBE", x], /^-ERR /],
    ] as [string[], RegExp][]
  ) {
    const client = f.client();
    f.say(client, MULTI + command("SET", x, "1"));
    assert.is(client.received(), OK + QUEUED);
    f.say(client, command(...words));
    for (const socket of f.host.outgoing) {
      // COMMAND INFO about one that is not known.
      if (socket.received() !== "") f.say(socket, "*1\r\n*-1\r\n");
    }
    assert.match(client.received(), error, words.join(" "));
    f.say(client, command("SET", y, "1") + EXEC + command("ECHO", "after"));
    assert.is(
      client.received(),
      `${QUEUED}-EXECABORT Transaction discarded because of previous errors.\r\n${bulk("after")}`,
    );
  }
  for (const socket of f.host.outgoing) assert.is(socket.received(), "");
  assert.is(f.watch.requests.size, 0);
});

test("nested, empty, discarded, reset", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, MULTI + MULTI + command("WATCH", "k") + EXEC + EXEC);
  assert.is(
    client.received(),
    `${OK}-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n*0\r\n` +
      "-ERR EXEC without MULTI\r\n",
  );
  f.say(client, MULTI + command("SET", f.key("a"), "1") + command("DISCARD") + command("DISCARD"));
  assert.is(client.received(), `${OK}${QUEUED}${OK}-ERR DISCARD without MULTI\r\n`);
  f.say(client, MULTI + command("SET", f.key("a"), "1") + command("RESET") + EXEC);
  assert.is(client.received(), `${OK}${QUEUED}+RESET\r\n-ERR EXEC without MULTI\r\n`);
  assert.is(f.host.outgoing.length, 0);
  assert.is(f.watch.requests.size, 0);
});

test("a server that is lost or refuses has errors in its commands' places", async () => {
  const f = await start();
  const [x, y] = [f.key("a"), f.key("b")];
  const client = f.client();
  const all = [["SET", x, "1"], ["SET", y, "1"], ["INCR", x], ["INCR", y]];
  const said = MULTI + all.map((w) => command(...w)).join("") + EXEC;
  f.say(client, said);
  client.received();
  f.server("a").fail("ECONNRESET");
  f.say(f.server("b"), `${OK}${QUEUED}${QUEUED}*2\r\n${OK}:2\r\n`);
  const lost = "-ERR Connection reset by peer\r\n";
  assert.is(client.received(), `*4\r\n${lost}${OK}${lost}:2\r\n`);

  f.say(client, said);
  client.received();
  f.say(f.server("a"), `${OK}-OOM no\r\n${QUEUED}-EXECABORT it is discarded\r\n`);
  f.say(f.server("b"), `${OK}${QUEUED}${QUEUED}*2\r\n${OK}-ERR value is not an integer\r\n`);
  assert.is(
    client.received(),
    `*4\r\n-OOM no\r\n${OK}-EXECABORT it is discarded\r\n-ERR value is not an integer\r\n`,
  );
  assert.is(f.watch.requests.size, 0);
});

test("what is watched makes it a transaction on one server", async () => {
  const f = await start();
  const [x, y] = [f.key("a"), f.key("b")];
  const client = f.client();
  f.say(client, command("WATCH", x));
  f.say(f.server("a"), OK);
  f.say(client, MULTI);
  assert.is(f.server("a").received(), command("WATCH", x) + MULTI);
  f.say(f.server("a"), OK);
  assert.is(client.received(), OK + OK);
  f.say(client, command("SET", y, "1"));
  assert.match(client.received(), /^-CROSSSLOT/);
});

test("with one server, and in pools that do not say so, nothing is kept back", async () => {
  for (const setting of [{ servers: ["a"], config: ["multi: split"] }, { servers: ["a", "b"] }]) {
    const f = await Fixture.start(setting);
    const client = f.client();
    f.say(client, MULTI + command("SET", f.key("a"), "1"));
    f.say(f.server("a"), OK + QUEUED);
    assert.is(client.received(), OK + QUEUED);
    client.end();
    f.settle();
  }
});

test("many and large commands: bounded, and given back", async () => {
  const f = await start();
  const client = f.client();
  f.say(client, MULTI);
  const value = "v".repeat(1 << 20);
  let queued = 0;
  client.received();
  for (;; queued++) {
    f.say(client, command("SET", f.key("a"), value));
    if (client.received() !== QUEUED) break;
  }
  assert.is(queued, 63);
  f.say(client, EXEC);
  assert.match(client.received(), /^-EXECABORT/);
  assert.is(f.host.outgoing.length, 0);
  f.say(client, MULTI + command("SET", f.key("a"), "1").repeat(3000));
  client.fail("ECONNRESET");
  f.settle();
  assert.is(f.watch.requests.size, 0);
  assert.is(f.watch.buffers.size, 0);
});

test.run();
