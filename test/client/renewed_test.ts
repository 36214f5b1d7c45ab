// What clients have open when their users are removed or may do less than before: as in Redis, a
// removed user's connections are closed, and so are those that hear what they may not hear any more;
// what was allowed once is not carried out later.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bulk, command, Fixture } from "../fake/fixture.ts";

const users = (...lines: string[]): string[] => [
  "auth:",
  "  password: main",
  "  users:",
  ...lines.map((line) => `    ${line}`),
];
const ANN = "ann: {password: pw}";
const BOB = "bob: {password: pw}";

/** A client that is in as ann. */
async function started(before: string, servers = ["a"]) {
  const f = await Fixture.start({ servers, config: users(before, BOB) });
  const client = f.client();
  f.say(client, command("AUTH", "ann", "pw"));
  assert.is(client.received(), "+OK\r\n");
  return { f, client };
}

const subscribed = (name: string, kind = "subscribe", n = 1): string =>
  `*3\r\n${bulk(kind)}${bulk(name)}:${n}\r\n`;

test("the connections of a removed user are closed, others' stay", async () => {
  const { f, client } = await started(ANN);
  const [bob, main] = [f.client(), f.client()];
  f.say(bob, command("AUTH", "bob", "pw"));
  f.say(main, command("AUTH", "main"));
  await f.reload({ config: users(BOB) });
  f.settle();
  assert.ok(client.gone);
  assert.not.ok(bob.gone);
  assert.not.ok(main.gone);
  // Nothing changed for it.
  await f.reload({ config: users(BOB, ANN) });
  f.say(bob, command("ACL", "WHOAMI"));
  assert.is(bob.received(), `+OK\r\n${bulk("bob")}`);
});

test("a new password closes nobody's connection", async () => {
  const { f, client } = await started(ANN);
  await f.reload({ config: users("ann: {password: new}", BOB) });
  f.say(client, command("ACL", "WHOAMI"));
  assert.is(client.received(), bulk("ann"));
});

test("users where there were none: who holds on to something is closed, others say who they are", async () => {
  const f = await Fixture.start({ servers: ["a"] });
  const [listens, waits, idle] = [f.client(), f.client(), f.client()];
  f.say(listens, command("SUBSCRIBE", "ch"));
  f.say(waits, command("BLPOP", "k", "0"));
  f.say(idle, command("PING"));
  await f.reload({ config: users(ANN) });
  f.settle();
  assert.ok(listens.gone);
  assert.ok(waits.gone);
  assert.not.ok(idle.gone);
  f.say(idle, command("GET", "k"));
  assert.match(idle.received(), /^\+PONG\r\n-NOAUTH /);
});

test("who hears what it may not hear any more is closed, who may hear all of it stays", async () => {
  for (
    const [what, topic, prefixes, stays] of [
      ["SUBSCRIBE", "a:1", "['b:']", false],
      ["SUBSCRIBE", "a:1", "['b:', 'a:']", true],
      ["PSUBSCRIBE", "a:*", "['a:']", true],
      ["PSUBSCRIBE", "a*", "['a:']", false],
      ["PSUBSCRIBE", "*", "['a:']", false],
      ["SSUBSCRIBE", "a:1", "['b:']", false],
      ["SSUBSCRIBE", "a:1", "['a:']", true],
    ] as const
  ) {
    const { f, client } = await started(ANN);
    f.say(client, command(what, topic));
    f.say(f.server("a"), subscribed(topic, what.toLowerCase()));
    assert.match(client.received(), topic);
    await f.reload({ config: users(`ann: {password: pw, prefixes: ${prefixes}}`, BOB) });
    f.settle();
    assert.is(client.gone, !stays, `${what} ${topic} ${prefixes}`);
    // Who may only read may still listen.
    if (!stays) continue;
    await f.reload({ config: users(`ann: {password: pw, access: read-only}`, BOB) });
    f.settle();
    assert.not.ok(client.gone);
  }
});

const LESS = "ann: {password: pw, access: read-only}";
const MORE = "ann: {password: pw, prefixes: ['a:', 'b:']}";

test("who waits at a server and may do less than before is closed; who may do more waits on", async () => {
  for (
    const [before, after, stays] of [
      [ANN, LESS, false],
      [ANN, MORE, false],
      [MORE, ANN, true],
      ["ann: {password: pw, prefixes: ['a:x']}", MORE, true],
      [MORE, "ann: {password: pw, prefixes: ['a:x']}", false],
      [MORE, "ann: {password: pw, prefixes: ['a:', 'b:'], scripts: true}", true],
      ["ann: {password: pw, prefixes: ['a:', 'b:'], scripts: true}", MORE, false],
    ] as const
  ) {
    const { f, client } = await started(before);
    f.say(client, command("BLPOP", "a:x", "0"));
    assert.is(f.server("a").received(), command("BLPOP", "a:x", "0"));
    await f.reload({ config: users(after, BOB) });
    f.settle();
    assert.is(client.gone, !stays, `${before} -> ${after}`);
    // The server lets go of it too: no element is taken for nobody.
    assert.is(f.connections("a").length, stays ? 1 : 0);
  }
});

test("a transaction begun with more rights is not carried out", async () => {
  for (const early of [true, false]) {
    const { f, client } = await started(ANN);
    f.say(client, command("MULTI") + (early ? command("SET", "k", "v") : ""));
    if (early) {
      f.say(f.server("a"), "+OK\r\n+QUEUED\r\n");
      assert.is(f.server("a").received(), command("MULTI") + command("SET", "k", "v"));
    }
    await f.reload({ config: users(LESS, BOB) });
    f.say(client, command("GET", "k") + command("EXEC"));
    if (early) {
      assert.is(f.server("a").received(), command("DISCARD"));
      f.say(f.server("a"), "+OK\r\n");
    } else assert.is(f.attempts("a"), 0);
    const queued = early ? "+OK\r\n+QUEUED\r\n" : "+OK\r\n";
    assert.is(
      client.received(),
      `${queued}+QUEUED\r\n-EXECABORT Transaction discarded because of previous errors.\r\n`,
    );
    // And all is as ever.
    f.say(client, command("GET", "k"));
    f.say(f.connections("a")[early ? 1 : 0], bulk("v"));
    assert.is(client.received(), bulk("v"));
  }
});

test("a transaction that is to be split is not carried out either", async () => {
  const f = await Fixture.start({ servers: ["a", "b"], config: [...users(ANN), "multi: split"] });
  const client = f.client();
  f.say(client, command("AUTH", "ann", "pw") + command("MULTI"));
  f.say(client, command("SET", f.key("a"), "v") + command("SET", f.key("b"), "v"));
  await f.reload({ config: [...users(LESS), "multi: split"] });
  f.say(client, command("EXEC"));
  assert.match(client.received(), /^(\+OK\r\n){2}(\+QUEUED\r\n){2}-EXECABORT /);
  assert.is(f.attempts("a") + f.attempts("b"), 0);
});

test("a transaction whose user may do more than before is carried out", async () => {
  const { f, client } = await started(LESS);
  f.say(client, command("MULTI") + command("GET", "k"));
  f.say(f.server("a"), "+OK\r\n+QUEUED\r\n");
  await f.reload({ config: users(ANN, BOB) });
  f.say(client, command("EXEC"));
  assert.match(f.server("a").received(), command("EXEC"));
});

test("what is on its way is answered, what comes behind it is judged by the rights of now", async () => {
  const { f, client } = await started(ANN);
  f.say(client, command("BLPOP", "k", "1") + command("SET", "k", "v"));
  await f.reload({ config: users(ANN, "eve: {password: pw}") });
  f.say(f.connections("a")[0], "*-1\r\n");
  await f.reload({ config: users(LESS) });
  f.say(client, command("SET", "k", "v"));
  const [own, shared] = f.connections("a");
  assert.is(own.received(), command("BLPOP", "k", "1"));
  assert.is(shared.received(), command("SET", "k", "v"));
  f.say(shared, "+OK\r\n");
  assert.match(client.received(), /^\*-1\r\n\+OK\r\n-NOPERM .*'set' command\r\n$/);
});

test.run();
