// Requests that lead from server to server or gather what all of them say: SCAN and INFO, with
// servers lost and ejected on the way.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const page = (cursor: string, ...keys: string[]): string =>
  `*2\r\n${bulk(cursor)}*${keys.length}\r\n${keys.map(bulk).join("")}`;

const EJECTS = ["auto_eject_hosts: true", "server_failure_limit: 1", "server_retry_timeout: 1000"];

test("SCAN goes through one server after the other", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  const step = (cursor: string, name: string, own: string, reply: string): string => {
    f.say(client, command("SCAN", cursor, "COUNT", "2"));
    assert.is(f.server(name).received(), command("SCAN", own, "COUNT", "2"));
    f.say(f.server(name), reply);
    return client.received();
  };
  assert.is(step("0", "a", "0", page("6", "k1")), page("18", "k1"));
  assert.is(step("18", "a", "6", page("0", "k2")), page("1", "k2"));
  assert.is(step("1", "b", "0", page("0")), page("2"));
  assert.is(step("2", "c", "0", page("1", "k3", "k4")), page("5", "k3", "k4"));
  assert.is(step("5", "c", "1", page("0")), page("0"));
  assert.is(f.watch.requests.size, 0);
});

test("SCAN keeps its place among a client's replies, and errors are passed on", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("GET", f.key("b")) + "SCAN 0\r\n" + command("GET", f.key("a")));
  f.say(f.server("a"), page("0", "x") + bulk("va"));
  assert.is(client.received(), "");
  f.say(f.server("b"), bulk("vb"));
  assert.is(client.received(), bulk("vb") + page("1", "x") + bulk("va"));
  f.say(client, command("SCAN", "0", "NOPE"));
  f.server("a").received();
  f.say(f.server("a"), "-ERR syntax error\r\n");
  assert.is(client.received(), "-ERR syntax error\r\n");
  f.say(client, command("SCAN", "x"));
  assert.is(client.received(), "-ERR invalid cursor\r\n");
  f.say(client, command("SCAN", "0"));
  f.server("a").close();
  f.settle();
  assert.match(client.received(), /^-ERR /);
  assert.is(f.watch.requests.size, 0);
});

test("a page that comes in pieces is put together", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  const reply = page("7", "key\r\n", "", "x".repeat(3000));
  for (let cut = 1; cut < reply.length; cut += cut < 40 ? 1 : 501) {
    f.say(client, command("SCAN", "0"));
    f.say(f.server("a"), reply.slice(0, cut));
    f.say(f.server("a"), reply.slice(cut));
    assert.is(client.received(), page("14", "key\r\n", "", "x".repeat(3000)), `cut at ${cut}`);
  }
});

test("SCAN passes over an ejected server, and ends when none is left", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"], config: EJECTS });
  const client = f.client();
  const eject = (name: string): void => {
    f.say(client, command("GET", f.key(name)));
    f.server(name).close();
    f.settle();
    assert.match(client.received(), /^-ERR /);
    assert.not.ok(f.pool.servers.find((server) => server.name === name)!.live);
  };
  eject("b");
  f.say(client, command("SCAN", "13")); // server b's own cursor 4
  assert.is(f.server("c").received(), command("SCAN", "0"));
  f.say(f.server("c"), page("0", "k"));
  assert.is(client.received(), page("0", "k"));
  eject("c");
  f.say(client, command("SCAN", "1"));
  assert.is(client.received(), page("0"));
  eject("a");
  f.say(client, command("SCAN", "0"));
  assert.is(client.received(), "-ERR Connection refused\r\n");
  assert.is(f.watch.requests.size, 0);
});

test("an ejected server that is due is tried again by SCAN", async () => {
  const f = await Fixture.start({ servers: ["a"], config: EJECTS });
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.server("a").close();
  f.settle();
  client.received();
  f.host.pass(1500);
  f.settle();
  f.say(client, command("SCAN", "0"));
  f.say(f.server("a"), page("3", "k"));
  assert.is(client.received(), page("3", "k"));
});

test("INFO adds up what servers say, and leaves out those that say nothing", async () => {
  const f = await Fixture.start({ servers: ["a", "b", "c"] });
  const client = f.client();
  f.say(client, command("INFO", "keyspace"));
  const keyspace = (keys: number) => bulk(`# Keyspace\r\ndb0:keys=${keys},expires=0,avg_ttl=0\r\n`);
  assert.is(f.server("b").received(), command("INFO", "keyspace"));
  f.say(f.server("a"), keyspace(4));
  f.say(f.server("c"), keyspace(5));
  assert.is(client.received(), "");
  f.server("b").close();
  f.settle();
  assert.is(client.received(), keyspace(9));
  assert.is(f.watch.requests.size, 0);
});

test("INFO of one server has ringmux's own figures too", async () => {
  const f = await Fixture.start({ servers: ["a"] });
  const client = f.client();
  f.say(client, command("INFO"));
  f.say(f.server("a"), bulk("# Server\r\nredis_version:1\r\n\r\n# Memory\r\nused_memory:1024\r\n"));
  const reply = client.received();
  assert.match(reply, /\r\nringmux_version:/);
  assert.match(reply, /\r\n# Memory\r\nused_memory:1024\r\n/);
  assert.not.match(reply, /redis_version:1\r\n/);
});

test("INFO without any server is ringmux's own", async () => {
  const f = await Fixture.start({ servers: ["a"], config: EJECTS });
  const client = f.client();
  f.say(client, command("GET", "k"));
  f.server("a").close();
  f.settle();
  client.received();
  f.say(client, command("INFO"));
  assert.match(client.received(), /^\$\d+\r\n# Server\r\n.*\r\na:ejected\r\n/s);
  assert.is(f.watch.requests.size, 0);
});

test("a client that leaves during SCAN and INFO leaves nothing behind", async () => {
  const f = await Fixture.start({ servers: ["a", "b"] });
  const client = f.client();
  f.say(client, command("SCAN", "0") + command("INFO"));
  client.close();
  f.settle();
  f.say(f.server("a"), page("0") + bulk("# Memory\r\nused_memory:1\r\n"));
  f.say(f.server("b"), bulk("# Memory\r\nused_memory:1\r\n"));
  assert.is(f.watch.requests.size, 0);
});

test("keys on two servers: the error names both", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: ['hash_tag: "{}"'] });
  const client = f.client();
  const [one, two] = [f.key("a"), f.key("b")];
  f.say(client, command("RENAME", one, two));
  assert.is(
    client.received(),
    `-CROSSSLOT Keys in request don't hash to the same server: '${one}' is on server a, ` +
      `'${two}' is on server b, and 'rename' cannot be split; keys with one hash tag are ` +
      `together: '{x}${one}', '{x}${two}'\r\n`,
  );
});

test("a renamed command reaches the server of its key by its own name", async () => {
  const f = await Fixture.start({
    servers: ["a", "b"],
    config: ["commands: {deny: [keys], rename: {fetch: get}}"],
  });
  const client = f.client();
  f.say(client, command("FETCH", f.key("b")) + command("KEYS", "*"));
  assert.is(f.server("b").received(), command("get", f.key("b")));
  f.say(f.server("b"), bulk("v"));
  assert.match(client.received(), /^\$1\r\nv\r\n-ERR command 'keys' is switched off .*\r\n$/);
});

test.run();
