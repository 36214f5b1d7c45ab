// `warm`, step by step. Each line says whose documented behaviour it is: mcrouter's WarmUpRoute (wiki,
// "List of Route Handles"), or ringmux's own rule (docs/routes.md).

import { test } from "uvu";
import * as assert from "uvu/assert";
import { command } from "../fake/fixture.ts";
import { TreeFixture } from "../fake/tree.ts";

/** The cold pool is a, the warm one b. */
const start = (memcached = false) =>
  TreeFixture.start("{default: {warm: {cold: a, warm: b}}}", ["a", "b"], { memcached });

/** A pool has received this, and says that. */
function step(t: TreeFixture, name: "a" | "b", received: string, reply: string): void {
  assert.is(t.received(name), received);
  t.reply(name, reply);
}

const SET = command("SET", "k", "v");
const OK = "+OK\r\n";
const MARK = "ringmux:warm:k";

test("WarmUpRoute: gets are attempted on the cold pool first", async () => {
  const t = await start(true);
  t.say("get k\r\n");
  step(t, "a", "get k\r\n", "VALUE k 7 1\r\nv\r\nEND\r\n");
  assert.is(t.got(), "VALUE k 7 1\r\nv\r\nEND\r\n");
  assert.equal(t.sockets("b"), []);
});

test("WarmUpRoute: what the cold pool misses is fetched from the warm one, and put into it", async () => {
  const t = await start(true);
  t.say("get k\r\n");
  step(t, "a", "get k\r\n", "END\r\n");
  step(t, "b", "me k\r\n", "ME k size=1\r\n");
  step(t, "a", "mg k s c N30\r\n", "HD s0 c5 W\r\n");
  step(t, "b", "mg k k v f t c\r\n", "VA 1 kk f7 t-1 c9\r\nv\r\n");
  step(t, "a", "ms k 1 C5 F7 T0\r\nv\r\n", "HD\r\n");
  step(t, "a", "get k\r\n", "VALUE k 7 1\r\nv\r\nEND\r\n");
  assert.is(t.got(), "VALUE k 7 1\r\nv\r\nEND\r\n");
});

test("WarmUpRoute: a miss at both is a miss", async () => {
  const t = await start(true);
  t.say("get k\r\n");
  step(t, "a", "get k\r\n", "END\r\n");
  step(t, "b", "me k\r\n", "EN\r\n");
  assert.is(t.got(), "END\r\n");
});

test("WarmUpRoute: sets and deletes go to the cold pool; ours: the warm one forgets the key", async () => {
  const t = await start();
  t.say(SET);
  step(t, "b", command("DEL", "k"), ":1\r\n");
  step(t, "a", command("DEL", MARK), ":0\r\n");
  step(t, "a", SET, OK);
  assert.is(t.got(), OK);
});

test("ours: what a write depends on is brought before", async () => {
  const t = await start(true);
  t.say("incr k 1\r\n");
  step(t, "b", "me k\r\n", "EN\r\n");
  step(t, "b", "md k\r\n", "NF\r\n");
  step(t, "a", "incr k 1\r\n", "NOT_FOUND\r\n");
  assert.is(t.got(), "NOT_FOUND\r\n");
});

test("ours: a warm memcached that refuses connections has forgotten all", async () => {
  const t = await start(true);
  t.refuse("b");
  t.say("incr k 1\r\n");
  step(t, "a", "incr k 1\r\n", "2\r\n");
  assert.is(t.got(), "2\r\n");
});

test("ours: of several keys all are brought before they are read", async () => {
  const t = await start();
  t.say(command("SDIFF", "k", "l"));
  assert.is(t.received("a"), "");
  step(t, "b", command("EXISTS", "k") + command("EXISTS", "l"), ":0\r\n:0\r\n");
  step(t, "a", command("SDIFF", "k", "l"), "*1\r\n$1\r\nx\r\n");
  assert.is(t.got(), "*1\r\n$1\r\nx\r\n");
});

test("ours: a write is done though its client goes after the key was deleted elsewhere", async () => {
  const t = await start();
  t.say(SET);
  assert.is(t.received("b"), command("DEL", "k"));
  t.client.fail("ECONNRESET");
  t.host.settle();
  t.reply("b", ":1\r\n");
  step(t, "a", command("DEL", MARK), ":0\r\n");
  step(t, "a", SET, OK);
  assert.is(t.front.front?.kept, 0);
  assert.is(t.watch.requests.size, 0);
});

test("ours: a write that cannot be made known to the warm pool is not done", async () => {
  const t = await start();
  t.refuse("b");
  t.say(SET);
  assert.match(
    t.got(),
    /^-ERR it cannot be deleted where it is warmed up from: Connection refused/,
  );
  assert.is(t.received("a"), "");
});

test("ours: a client's writes wait for its reads before, and what follows for them", async () => {
  const t = await start();
  t.say(command("GET", "k") + SET + command("GET", "k"));
  step(t, "a", command("GET", "k"), "$-1\r\n");
  step(t, "b", command("EXISTS", "k"), ":0\r\n");
  step(t, "b", command("DEL", "k"), ":0\r\n");
  step(t, "a", command("DEL", MARK), ":0\r\n");
  step(t, "a", SET, OK);
  step(t, "a", command("GET", "k"), "$1\r\nv\r\n");
  assert.is(t.got(), `$-1\r\n${OK}$1\r\nv\r\n`);
});

test.run();
