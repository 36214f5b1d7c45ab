// Why a client is not read from: each reason ends by itself, and the socket is read when none is left.

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  FULL,
  HIGH_WATER,
  LISTENED,
  MAX_QUEUED,
  PAUSED,
  Stops,
  UNREAD,
  WORKING,
} from "../../core/client/stops.ts";
import type { Socket } from "../../core/host.ts";
import type { Link, Waiter } from "../../core/link/link.ts";

/** A socket that is read, or not. */
class Read {
  on = true;
  pause(): void {
    this.on = false;
  }
  resume(): void {
    this.on = true;
  }
}

function setUp() {
  const socket = new Read();
  const client = { isClosed: false, touched: 0, touch: () => void client.touched++ };
  return { socket, client, stops: new Stops(client, socket as unknown as Socket) };
}

/** A link that somebody waits for. */
class Jam {
  congested = true;
  readonly waiters: Waiter[] = [];
  addWaiter(waiter: Waiter): void {
    this.waiters.push(waiter);
  }
  relax(): void {
    this.congested = false;
    for (const waiter of this.waiters.splice(0)) waiter.linkRelaxed();
  }
}

test("what was too much ends when half of it is left", () => {
  const { socket, stops } = setUp();
  stops.add(FULL);
  stops.add(UNREAD);
  assert.is(socket.on, false);
  stops.ease(MAX_QUEUED, HIGH_WATER);
  assert.ok(stops.has(FULL) && stops.has(UNREAD));
  stops.ease(MAX_QUEUED / 2, HIGH_WATER);
  assert.ok(!stops.has(FULL) && stops.has(UNREAD));
  stops.ease(0, HIGH_WATER / 2);
  assert.not.ok(stops.any);
});

for (const reason of [PAUSED, WORKING]) {
  test(`reason ${reason} is ended by others, and the client goes on with the turn`, () => {
    const { client, stops } = setUp();
    stops.add(reason);
    stops.ease(0, 0);
    assert.ok(stops.any);
    stops.end(reason);
    assert.is(client.touched, 1);
    assert.ok(stops.any, "until the end of the turn");
    stops.ease(0, 0);
    assert.not.ok(stops.any);
  });
}

test("a link that has room again is waited for once, and others may wait with the client", () => {
  const { client, stops } = setUp();
  const jam = new Jam();
  const link = jam as unknown as Link;
  const told: string[] = [];
  assert.not.ok(stops.waitsForLink({ linkRelaxed: () => told.push("early") }));
  stops.waitForLink(link);
  stops.waitForLink(link);
  assert.is(jam.waiters.length, 1);
  assert.ok(stops.waitsForLink({ linkRelaxed: () => told.push("too") }));
  jam.relax();
  assert.equal(told, ["too"]);
  assert.is(client.touched, 1);
  stops.ease(0, 0);
  assert.not.ok(stops.any);
});

test("while it empties a client is not read, or only to see it leave", () => {
  const { socket, stops } = setUp();
  stops.emptyFirst();
  assert.is(socket.on, false);
  stops.emptyListening(LISTENED);
  assert.is(socket.on, false, "too much has come already");
  stops.emptyListening(LISTENED - 1);
  assert.is(socket.on, true);
  assert.not.ok(stops.emptied(false));
  assert.ok(stops.any);
  assert.ok(stops.emptied(true));
  assert.not.ok(stops.any);
});

test("a client that is gone is not woken", () => {
  const { client, stops } = setUp();
  stops.add(WORKING);
  client.isClosed = true;
  stops.end(WORKING);
  assert.is(client.touched, 0);
});

test.run();
