// Clients that wait while keys move: what lets them go on, what they are told, and what of that the
// migrations of Redis and of memcached have in common.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes, text } from "../../core/bytes.ts";
import { Gate } from "../../core/exchange/migrate/gate.ts";
import { MOST_WAIT, Parking } from "../../core/exchange/migrate/parking.ts";
import {
  BARRIER,
  DRAIN,
  type GateClient,
  GO,
  MOVE,
  type Phase,
  PULL,
  UNKNOWN,
  WAIT,
} from "../../core/exchange/migrate/phases.ts";
import { PullGate } from "../../core/exchange/pull/pull_gate.ts";
import { newCodec } from "../../core/protocol/mod.ts";
import { Scan } from "../../core/protocol/scan.ts";
import { command, Fixture } from "../fake/fixture.ts";

/** As much of a client as a gate sees; `goesOn`: how often it was let go. */
class Waiter {
  isClosed = false;
  head = null;
  holdsOn = false;
  stops = 0;
  goesOn = 0;
  readonly session: unknown;
  readonly codec: unknown;

  constructor(codec: { newSession(id: number, remote: string, now: number): unknown }) {
    this.codec = codec;
    this.session = codec.newSession(1, "", 0);
  }

  stopForWork(): void {
    this.stops++;
  }

  workDone(): void {
    this.goesOn++;
  }
}

// deno-lint-ignore no-explicit-any -- parts of what there is
type Any = any;

const codecs = {
  redis: newCodec("redis", { migrating: true } as Any, {} as Any),
  memcached: newCodec("memcached", { migrating: true } as Any, {} as Any),
};

/** A gate before one key that leaves the one old server, and who moves it when the test says so. */
class Door {
  phase: Phase = UNKNOWN;
  why = "nobody says";
  isOn = true;
  now = 0;
  isGone = false;
  moves: ((result: { is: string; why?: string }) => void)[] = [];
  asked: string[] = [];
  answers: (() => void)[] = [];
  readonly client: Waiter;
  private readonly gate: Gate | PullGate;
  private readonly request: Uint8Array;
  private readonly scan = new Scan();

  constructor(kind: "redis" | "memcached", request: string) {
    // deno-lint-ignore no-this-alias -- of getters
    const door = this;
    const codec = codecs[kind];
    const [from, to] = [{}, {}];
    const context: Any = {
      host: { now: () => this.now },
      turn: { enter() {} },
      get phase() {
        return door.phase;
      },
      get why() {
        return door.why;
      },
      isOn: true,
      empty: new Set(),
      words: codec.migrating,
      pulling: codec.pulling,
      route: { leaves: () => from, goal: () => to, everyone: () => [from, to] },
      puller: {
        isGone: () => this.isGone,
        pull: (...[, , , , done]: Any[]) => void this.moves.push(done),
      },
      asker: () => ({
        ask: (asked: Uint8Array, done: (answer: unknown) => void) => {
          this.asked.push(text(asked, 0, asked.length).trimEnd());
          this.answers.push(() => done({ is: "lost", why: "gone" }));
        },
      }),
    };
    const mover: Any = {
      isGone: () => this.isGone,
      move: (...[, , , , done]: Any[]) => void this.moves.push(done),
    };
    this.gate = kind === "redis"
      ? new Gate(context, { turn: context.turn }, mover)
      : new PullGate(context);
    this.client = new Waiter(codec);
    this.request = bytes(request);
    codec.parseRequest(this.scan, this.request, 0, this.request.length);
  }

  ask(): string {
    const verdict = this.gate.ask(this.client as unknown as GateClient, this.scan, this.request, 0);
    return verdict === GO || verdict === WAIT ? verdict : text(verdict, 0, verdict.length);
  }

  become(phase: Phase): void {
    this.phase = phase;
    this.gate.phaseChanged(phase !== BARRIER);
  }

  tick(): void {
    this.gate.tick();
  }

  stop(): void {
    this.gate.stop();
  }
}

const doors = (): [string, Door, Phase][] => [
  ["redis", new Door("redis", command("GET", "k")), MOVE],
  ["memcached", new Door("memcached", "get k\r\n"), PULL],
];

test("a key in a barrier waits for the next phase, and is looked at again then", () => {
  for (const [what, door, moving] of doors()) {
    door.become(BARRIER);
    assert.is(door.ask(), WAIT, what);
    assert.is(door.client.goesOn, 0);
    door.become(moving);
    assert.is(door.client.goesOn, 1);
    assert.is(door.ask(), WAIT, "it has to be moved");
    door.moves[0]({ is: "gone" });
    assert.is(door.client.goesOn, 2);
    assert.is(door.ask(), GO);
    assert.is(door.ask(), WAIT, "that counts for one request");
  }
});

test("what cannot be moved is told, once", () => {
  for (const [what, door, moving] of doors()) {
    door.become(moving);
    assert.is(door.ask(), WAIT, what);
    door.moves[0]({ is: "failed", why: "no room" });
    assert.match(door.ask(), "no room");
    assert.is(door.ask(), WAIT);
  }
});

test("who waits too long is told why; who comes later has its own time", () => {
  for (const [what, door] of doors()) {
    assert.is(door.ask(), WAIT, what);
    door.now += MOST_WAIT - 1;
    door.tick();
    assert.is(door.client.goesOn, 0);
    door.now++;
    door.tick();
    assert.is(door.client.goesOn, 1);
    assert.match(
      door.ask(),
      what === "redis"
        ? /^-TRYAGAIN migration state unknown/
        : /^SERVER_ERROR .* the state of the migration is not known \(nobody says\)/,
    );
    assert.is(door.ask(), WAIT);
    door.tick();
    assert.is(door.client.goesOn, 1);
  }
});

test("Redis: a key that is there is not enough when a barrier has begun meanwhile", () => {
  const [[, door]] = doors();
  door.become(MOVE);
  assert.is(door.ask(), WAIT);
  door.become(BARRIER);
  door.moves[0]({ is: "gone" });
  assert.is(door.client.goesOn, 1);
  assert.is(door.ask(), WAIT, "it waits for the next phase");
  // Nor when it begins between that and the look at the request.
  door.become(MOVE);
  assert.is(door.ask(), WAIT);
  door.moves[1]({ is: "gone" });
  door.become(BARRIER);
  assert.is(door.ask(), WAIT);
  assert.is(door.moves.length, 2, "and not for the key");
});

test("memcached: a key that is there stays so in whatever phase comes next", () => {
  const [, [, door]] = doors();
  door.become(PULL);
  assert.is(door.ask(), WAIT);
  door.become(DRAIN);
  door.moves[0]({ is: "gone" });
  assert.is(door.ask(), GO);
});

test("memcached: a delete in the drain goes to the old server as well, whatever that answers", () => {
  const door = new Door("memcached", "delete k\r\n");
  door.become(DRAIN);
  assert.is(door.ask(), WAIT);
  assert.equal(door.asked, ["md k"]);
  door.answers[0]();
  assert.is(door.ask(), GO);
  const other = new Door("memcached", "get k\r\n");
  other.become(DRAIN);
  assert.is(other.ask(), GO);
});

test("who waits when it is over goes on: nobody will answer any more", () => {
  for (const [what, door, moving] of doors()) {
    door.become(moving);
    assert.is(door.ask(), WAIT, what);
    door.stop();
    assert.is(door.client.goesOn, 1);
    door.moves[0]({ is: "gone" });
    assert.is(door.client.goesOn, 1, "it goes on already");
  }
});

test("a client that is gone, or goes while it waits, is forgotten", () => {
  const parking = new Parking<string>({
    host: { now: () => 0 },
    turn: { enter() {} },
    isLate: false,
  });
  const [gone, closed] = [0, 1].map(() => new Waiter(codecs.redis));
  parking.serve(gone as unknown as GateClient);
  parking.park(closed as unknown as GateClient);
  assert.is(parking.waiting, 1);
  parking.forget(gone as unknown as GateClient);
  closed.isClosed = true;
  parking.done(gone as unknown as GateClient, "late");
  parking.openAll();
  assert.equal([gone.goesOn, closed.goesOn, parking.waiting], [0, 0, 0]);
  assert.is(parking.take(gone as unknown as GateClient), undefined);
});

test("a client that is to be answered first has nothing looked at before", async () => {
  const f = await Fixture.start({ memcached: true });
  const socket = f.client();
  f.say(socket, "get a\r\n");
  const [client] = f.pool.clients;
  client.emptyListening();
  f.say(socket, "get b\r\n");
  assert.is(f.server("a").received(), "get a\r\n");
  f.say(f.server("a"), "END\r\n");
  assert.is(f.server("a").received(), "get b\r\n");
});

test.run();
