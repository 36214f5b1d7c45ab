// How fast keys go that nobody has asked for: not faster than `rate`, and more slowly while servers answer
// later because of it. On the fake host's clock.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Pace } from "../../core/exchange/migrate/pace.ts";
import { Strain } from "../../core/exchange/migrate/strain.ts";
import { FakeHost } from "../fake/fake_host.ts";

/** Moves keys as fast as it may; `took`: how long (ms) a server's answer takes then. */
function moving(
  limits: { rate: number; latency: number },
  took: (perSecond: number) => number,
) {
  const host = new FakeHost();
  const strain = new Strain();
  const gauge = strain.gauge();
  const context = { host, strain, isPaused: false, ...limits };
  const pace = new Pace(context);
  let times: number[] = [];
  let goesOn = true;
  /** Without a rate keys would go one after the other while the clock stands still. */
  const soon: (() => void)[] = [];
  const done = (async () => {
    while (await pace.turn(() => goesOn)) {
      times.push(host.time);
      gauge.heard(host.time, took(times.filter((at) => at > host.time - 1000).length));
      times = times.slice(-20_000);
      if (limits.rate === 0) await new Promise<void>((resolve) => soon.push(resolve));
    }
  })();
  return {
    ...{ host, strain, pace, context },
    /** The clock goes on; how many keys have gone. */
    async pass(ms: number): Promise<number> {
      const from = host.time;
      for (let i = 0; i < ms; i++) {
        host.pass(1);
        for (const one of soon.splice(0)) one();
        for (let j = 0; j < 6; j++) await Promise.resolve();
      }
      return times.filter((at) => at > from).length;
    },
    async stop(): Promise<void> {
      goesOn = false;
      context.isPaused = false;
      host.pass(2000);
      for (const one of soon.splice(0)) one();
      await done;
    },
  };
}

function about(n: number, expected: number, what: string): void {
  assert.ok(n > 0.85 * expected && n < 1.15 * expected, `${what}: ${n}, not about ${expected}`);
}

test("keys go as fast as `rate` says, and not at all while it pauses", async () => {
  const one = moving({ rate: 200, latency: 20 }, () => 1);
  about(await one.pass(2000), 400, "two seconds");
  one.context.isPaused = true;
  await one.pass(10);
  assert.is(await one.pass(1000), 0);
  one.context.isPaused = false;
  await one.pass(500);
  about(await one.pass(2000), 400, "two seconds more");
  assert.not(one.pace.isSlowed);
  await one.stop();
});

test("keys go slowly while servers answer too late, and recover", async () => {
  let delay = 1;
  const one = moving({ rate: 500, latency: 20 }, () => delay);
  about(await one.pass(2000), 1000, "at first");
  assert.not(one.pace.isSlowed);
  delay = 51;
  await one.pass(3000);
  const added = one.strain.added(one.host.time);
  assert.ok(added > 45 && added <= 50, `${added} ms are added`);
  assert.ok(one.pace.isSlowed);
  const slow = await one.pass(2000);
  assert.ok(slow < 30, `${slow} keys in two seconds`);
  delay = 1;
  await one.pass(15_000);
  assert.not(one.pace.isSlowed);
  about(await one.pass(2000), 1000, "in the end");
  await one.stop();
});

test("a bound of 0 is none", async () => {
  const one = moving({ rate: 500, latency: 0 }, () => 1 + Math.random() * 500);
  about(await one.pass(3000), 1500, "three seconds");
  assert.not(one.pace.isSlowed);
  await one.stop();
});

test("what a server bears is found: there as many keys go as keep it within the bound", async () => {
  // Each key a second adds a tenth of a millisecond: 200 a second are 20 ms.
  const one = moving({ rate: 0, latency: 20 }, (perSecond) => 1 + perSecond / 10);
  await one.pass(10_000);
  const went = await one.pass(20_000) / 20;
  assert.ok(went > 40 && went < 400, `${went} keys a second`);
  await one.stop();
});

test("who answers late always, or has said nothing for long, adds nothing", () => {
  const strain = new Strain();
  const [far, gone] = [strain.gauge(), strain.gauge()];
  for (let now = 0; now < 120_000; now += 10) {
    far.heard(now, 80 + now % 3);
    if (now < 30_000) gone.heard(now, now < 20_000 ? 1 : 500);
    if (now === 29_990) assert.ok(strain.added(now) > 400);
  }
  assert.ok(strain.added(120_000) < 3);
});

test.run();
