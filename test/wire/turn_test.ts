// The end of a turn: what was marked is flushed once; a busy proxy naps, a quick or lone one never.

import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Host } from "../../core/host.ts";
import { Turn } from "../../core/wire/turn.ts";

class Clockwork {
  clock = 0;
  naps: number[] = [];
  inFlight = 0;
  private waiting: (() => void)[] = [];
  readonly turn: Turn<{ flush(): void }, { flush(): void }>;

  constructor() {
    const host = {
      now: () => this.clock,
      endOfTurn: (fn: () => void) => this.waiting.push(fn),
      nap: (ms: number) => this.naps.push(ms),
    };
    this.turn = new Turn(host as unknown as Host, () => this.inFlight);
  }

  /** A turn with so many socket events, each with something to write. */
  pass(events: number): void {
    for (let i = 0; i < events; i++) {
      this.turn.enter();
      this.turn.markClient({ flush() {} });
      this.turn.leave();
    }
    for (const fn of this.waiting.splice(0)) fn();
  }

  /** What requests take becomes known. */
  usual(ms: number): void {
    for (let i = 0; i < 200; i++) this.turn.sample(ms);
  }
}

test("everything marked is flushed once, also what a flush marks", () => {
  const { turn } = new Clockwork();
  const flushed: string[] = [];
  turn.enter();
  turn.enter(); // two events: nobody is alone
  turn.markLink({
    flush() {
      flushed.push("server");
      turn.markClient({ flush: () => void flushed.push("late client") });
    },
  });
  turn.markClient({ flush: () => void flushed.push("client") });
  turn.leave();
  assert.equal(flushed, []);
  (turn as unknown as { run(): void }).run();
  assert.equal(flushed, ["server", "client", "late client"]);
});

test("an event within a flush takes no marks from it", () => {
  const { turn } = new Clockwork();
  const flushed: string[] = [];
  const note = (name: string) => ({ flush: () => void flushed.push(name) });
  turn.enter();
  turn.markLink(note("server"));
  turn.markClient({
    flush() {
      flushed.push("client");
      turn.enter();
      turn.markLink(note("inner"));
      turn.leave();
      turn.markLink(note("after"));
      turn.markClient(note("last"));
    },
  });
  (turn as unknown as { run(): void }).run();
  assert.equal(flushed, ["server", "client", "last", "inner", "after"]);
});

test("a nap is a sixteenth of what requests take, within bounds", () => {
  for (const [usual, nap] of [[0.5, 0.05], [3.2, 0.2], [1000, 0.4]]) {
    const clockwork = new Clockwork();
    clockwork.inFlight = 100;
    clockwork.usual(usual);
    clockwork.pass(3);
    assert.is(clockwork.naps.length, 1, `${usual} ms`);
    assert.ok(Math.abs(clockwork.naps[0] - nap) < 1e-3, `${usual} ms: ${clockwork.naps[0]}`);
  }
});

test("no nap for quick requests, for few in flight, or when a turn has gathered much", () => {
  const quick = new Clockwork();
  quick.inFlight = 100;
  quick.usual(0.15);
  quick.pass(3);
  const few = new Clockwork();
  few.inFlight = 7;
  few.usual(10);
  few.pass(3);
  const full = new Clockwork();
  full.inFlight = 100;
  full.usual(10);
  full.pass(33);
  assert.equal([quick.naps, few.naps, full.naps], [[], [], []]);
});

test("the clock is read once a turn, and anew after a turn with nothing to write", () => {
  const clockwork = new Clockwork();
  const { turn } = clockwork;
  clockwork.clock = 1;
  turn.enter();
  clockwork.clock = 2;
  turn.enter();
  assert.is(turn.clock, 1);
  turn.leave(); // nothing was marked
  clockwork.clock = 3;
  turn.enter();
  assert.is(turn.clock, 3);
});

test.run();
