// What processes agree on at servers of memcached that forget: a model of a few, of which any may lose
// its memory, refuse connections or say nothing.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { Agreed, isNewer, NOTHING, type State } from "../../core/exchange/pull/agreed.ts";
import { listKeys } from "../../core/exchange/pull/key_list.ts";
import { PullBarrier } from "../../core/exchange/pull/pull_barrier.ts";
import { LONGEST_BARRIER } from "../../core/exchange/migrate/barrier.ts";
import { PREPARE, PULL } from "../../core/exchange/migrate/phases.ts";
import { Standing } from "../../core/exchange/pull/standing.ts";
import { PULLING } from "../../core/protocol/memcached/pulling.ts";

// deno-lint-ignore no-explicit-any -- parts of what there is
type Any = any;

/** A server that has one note. */
class Keeper {
  readonly name: string;
  note = "";
  cas = 0;
  isDead = false;
  /** Called before the next request is carried out. */
  before: () => void = () => {};

  constructor(name: string) {
    this.name = name;
  }

  answer(request: string): string {
    const { before } = this;
    this.before = () => {};
    before();
    const [head, value] = request.split("\r\n");
    if (head.startsWith("mg ")) {
      return this.note === ""
        ? "EN\r\n"
        : `VA ${this.note.length} c${this.cas}\r\n${this.note}\r\n`;
    }
    const isFree = head.endsWith(" ME") ? this.note === "" : head.endsWith(` C${this.cas}`);
    if (!isFree) return head.endsWith(" ME") ? "NS\r\n" : "EX\r\n";
    this.note = value;
    this.cas++;
    return "HD\r\n";
  }
}

const keepers = (): Keeper[] => ["s0", "s1", "s2"].map((name) => new Keeper(name));

function agreedOf(servers: Keeper[]): Agreed {
  const context: Any = {
    host: { every: () => ({ cancel() {} }) },
    pulling: PULLING,
    asker: (server: Keeper) => {
      const tell = (request: Uint8Array): Promise<unknown> =>
        Promise.resolve(
          server.isDead
            ? { is: "lost", unsent: true, why: "Connection refused" }
            : bytes(server.answer(text(request, 0, request.length))),
        );
      return { tell, ask: (request: Uint8Array) => void tell(request) };
    },
  };
  return new Agreed(context, servers as Any);
}

const state = (change: number, phase: string): State => ({ change, phase, id: "x", paused: false });

test("a change is made at the first server, and copied to the others", async () => {
  const servers = keepers();
  const agreed = agreedOf(servers);
  assert.is(await agreed.swap(NOTHING, state(1, "barrier")), "");
  assert.equal(servers.map(({ note }) => note), Array(3).fill("1 barrier x"));
  assert.is(await agreed.swap(NOTHING, state(1, "barrier")), 'the state is "1 barrier x" by now');
  const at = state(1, "barrier");
  servers[0].before = () => servers[0].before = () => void servers[0].cas++;
  assert.is(await agreed.swap(at, state(2, "pull")), "another process has changed the state");
});

test("what a server has forgotten it is told again; nobody can change what others know", async () => {
  const servers = keepers();
  const agreed = agreedOf(servers);
  for (const server of servers.slice(1)) server.note = "2 pull x";
  // The first one was started anew; another process has seen no more than the barrier.
  const error = await agreed.swap(state(1, "barrier"), state(2, "none"));
  assert.is(error, 'the state is "2 pull x" by now');
  assert.equal(servers.map(({ note }) => note), ["", "2 pull x", "2 pull x"]);
  const { newest, why } = await agreed.look(state(2, "pull"));
  assert.equal([newest, why], [state(2, "pull"), ""]);
  assert.is(servers[0].note, "2 pull x");
});

test("one that refuses connections knows nothing, and changes nothing", async () => {
  const servers = keepers();
  const agreed = agreedOf(servers);
  servers[2].isDead = true;
  assert.equal(await agreed.look(NOTHING), { newest: NOTHING, why: "" });
  assert.is(await agreed.swap(NOTHING, state(1, "barrier")), "");
  servers[0].isDead = true;
  const wrong = await agreed.swap(state(1, "barrier"), state(2, "pull"));
  assert.is(wrong, 'server "s0": Connection refused');
  assert.is((await agreed.look(NOTHING)).newest.phase, "barrier");
  assert.equal(await agreed.lock("me", 5), {
    isOurs: false,
    why: 'server "s0": Connection refused',
  });
});

test("of two changes with one number the further phase is the newer one", () => {
  assert.ok(isNewer(state(2, "pull"), state(2, "none")));
  assert.not.ok(isNewer(state(2, "none"), state(2, "pull")));
  assert.not.ok(isNewer(state(2, "pull"), state(2, "pull")));
  assert.ok(isNewer(state(3, "none"), state(2, "done")));
});

test("who starts believes one that knows of keys on their way, else all, and after a while", () => {
  const standing = new Standing("x");
  assert.not.ok(standing.learns(NOTHING, "s1 is silent", 0));
  assert.is(standing.why, "s1 is silent");
  assert.ok(standing.learns(state(2, "pull"), "s1 is silent", 0));
  assert.not.ok(standing.learns(state(2, "none"), "s1 is silent", 0));
  assert.ok(standing.learns(state(2, "none"), "", 0));
  assert.not.ok(standing.learns({ ...state(2, "pull"), id: "y" }, "", 0));
  assert.match(standing.why, 'another migration has not come to its end here: "pull y"');
  assert.ok(standing.learns({ ...state(2, "done"), id: "y" }, "", 0));
  // All have forgotten: a process that knows tells them within half a second.
  assert.not.ok(standing.learns(NOTHING, "", 1000));
  assert.not.ok(standing.learns(NOTHING, "", 1500));
  assert.ok(standing.learns(NOTHING, "", 1600));
  assert.equal(
    [PREPARE, PULL],
    [state(2, "none"), state(2, "pull")].map((s) => standing.phaseOf(s)),
  );
});

test("a barrier is passed when all that was on its way is over", () => {
  const client = () => ({
    head: {} as unknown,
    isClosed: false,
    empties: 0,
    why: "",
    emptyListening(): void {
      this.empties++;
    },
    cutOff(why: string): void {
      this.why = why;
    },
  });
  const [busy, gone, idle] = [client(), client(), { ...client(), head: null }];
  let now = 0;
  const sinks: { reply(): void; lost(): void }[] = [];
  const link = (head: unknown) => ({
    head,
    lane: 0,
    send: ({ sink }: Any) => void sinks.push(sink),
  });
  const servers = [{ connections: [link({}), link(null)] }, { connections: [link({})] }];
  const context: Any = {
    host: { now: () => now },
    clients: [busy, gone, idle],
    turn: { enter() {} },
    codecOf: () => ({ probe: bytes("version\r\n") }),
  };
  const barrier = new PullBarrier(context, () => servers as Any);
  const look = (): string => {
    barrier.look(false);
    return barrier.why;
  };
  barrier.begin(bytes("binary"));
  assert.equal([busy.empties, gone.empties, idle.empties, sinks.length], [1, 1, 0, 2]);
  assert.is(look(), "2 clients wait for replies");
  gone.isClosed = true;
  assert.is(look(), "1 clients wait for replies");
  busy.head = null;
  assert.is(look(), "servers have not answered all that was sent to them");
  sinks[0].reply();
  assert.not.ok(barrier.isPassable);
  // Another barrier: what was asked for the one before does not count for it.
  barrier.begin(bytes("binary"));
  sinks[1].lost();
  assert.is(look(), "servers have not answered all that was sent to them");
  sinks[2].lost();
  sinks[3].reply();
  assert.is(look(), "");
  assert.ok(barrier.isPassable);
  busy.head = {};
  barrier.begin(bytes("binary"));
  now = LONGEST_BARRIER + 1;
  barrier.look(true);
  assert.is(busy.why, "it is still busy (migrate)");
});

test("a server that is busy with its keys is asked for their list again", async () => {
  const said = ["BUSY currently processing crawler request\r\n", "key=a exp=-1 size=60\r\nEND\r\n"];
  const server: Any = {
    open(handler: Any) {
      const text = bytes(said.shift() as string);
      queueMicrotask(() => handler.data(text, 0, text.length));
      return { close() {}, write() {} };
    },
  };
  const host: Any = {
    now: () => 0,
    every: (ms: number, fn: () => void) => {
      if (ms < 1000) queueMicrotask(fn);
      return { cancel() {} };
    },
  };
  const listed: Any = await listKeys(host, server, PULLING, () => true);
  assert.equal([...listed.keys].map((key: Uint8Array) => text(key, 0, key.length)), ["a"]);
  said.push("ERROR\r\n");
  assert.is(await listKeys(host, server, PULLING, () => true), "it lists no keys: ERROR");
});

test.run();
