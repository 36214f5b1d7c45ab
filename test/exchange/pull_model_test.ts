// One key of memcached on its way between two servers of a model, with several proxies that move it at
// once, while a client that knows its value uses it through each of them by turns: requests are carried
// out late or not at all, answers are lost, proxies stop, holds run out.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { KeyPull, type Pulled, type PullEnds } from "../../core/exchange/pull/key_pull.ts";
import type {
  Dropped,
  Filled,
  Found,
  Had,
  Held,
  Reply,
  Token,
} from "../../core/protocol/pulling.ts";
import { random } from "../e2e/harness/bytes.ts";
import { seeds } from "../fake/rounds.ts";

/** `value` null: an empty place, for whoever has the token. */
interface Item {
  value: number | null;
  cas: number;
  until: number;
}

interface Message {
  proxy: Proxy;
  /** Of one proxy what a server gets is carried out in its order. */
  at: "old" | "new";
  run: () => unknown;
  answer: (reply: never) => void;
  done: boolean;
  reply: unknown;
  sent: number;
}

class World {
  now = 0;
  old: Item | null = { value: 5, cas: 7, until: Infinity };
  fresh: Item | null = null;
  holdUntil = -1;
  cas = 100;
  pending: Message[] = [];
  timers: { at: number; fn: () => void }[] = [];
  faults: number;
  /** A mover may have been taken for dead while it is only slow, or what it asked for comes late. */
  jumped = false;
  readonly below: (n: number) => number;

  constructor(seed: number) {
    this.below = random(seed);
    this.faults = this.below(8);
  }

  get there(): Item | null {
    if (this.fresh !== null && this.fresh.until <= this.now) this.fresh = null;
    return this.fresh;
  }

  put(value: number | null, until = Infinity): void {
    this.fresh = { value, cas: ++this.cas, until };
  }

  /** One thing happens; false: nothing can. */
  step(): boolean {
    const { pending, below } = this;
    if (pending.length === 0 || below(20) === 0) {
      if (this.timers.length === 0) return pending.length > 0 && this.deliver();
      this.timers.sort((a, b) => a.at - b.at);
      const timer = this.timers.shift() as World["timers"][0];
      this.now = Math.max(this.now, timer.at);
      timer.fn();
      return true;
    }
    if (this.faults > 0 && below(12) === 0) {
      this.faults--;
      this.jumped = true;
      this.now += 6000;
    }
    return this.deliver();
  }

  private deliver(): boolean {
    const { pending, below } = this;
    const any = pending[below(pending.length)];
    const message = pending.find(({ proxy, at }) =>
      proxy === any.proxy && at === any.at
    ) as Message;
    const isLost = this.faults > 0 && below(8) === 0;
    if (isLost) this.faults--;
    // As slow as one who is taken for dead.
    if (this.now - message.sent > 2000) this.jumped = true;
    if (!message.done && !isLost) {
      message.reply = message.run();
      message.done = true;
      return true;
    }
    pending.splice(pending.indexOf(message), 1);
    const lost = { is: "lost", unsent: false, why: "lost" };
    // What was not carried out yet may be, later, though nobody waits for it.
    if (isLost && !message.done && below(2) === 0) {
      this.jumped = true;
      pending.push({ ...message, answer: () => {} });
    }
    if (!message.proxy.stopped) message.answer((isLost ? lost : message.reply) as never);
    return true;
  }
}

class Proxy implements PullEnds {
  stopped = false;
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  now = (): number => this.world.now;

  later(ms: number, fn: () => void): void {
    this.world.timers.push({ at: this.world.now + ms, fn: () => this.stopped || fn() });
  }

  private send<T>(at: Message["at"], run: () => T, answer: (reply: Reply<T>) => void): void {
    const rest = { answer: answer as never, done: false, reply: null, sent: this.world.now };
    this.world.pending.push({ proxy: this, at, run, ...rest });
  }

  has: PullEnds["has"] = (done) => {
    const { world } = this;
    this.send<Had>(
      "old",
      () => world.old === null ? { is: "absent" } : { is: "there", size: 60 },
      done,
    );
  };
  hold: PullEnds["hold"] = (done) =>
    this.send<Held>("old", () => {
      const { world } = this;
      if (world.holdUntil > world.now) return { is: "others" };
      world.holdUntil = world.now + 5000;
      return { is: "mine" };
    }, done);
  letGo = (): void => this.send("old", () => void (this.world.holdUntil = -1), () => {});
  token: PullEnds["token"] = (done) =>
    this.send<Token>("new", () => {
      const { world } = this;
      const { there } = world;
      if (there === null) world.put(null, world.now + 30_000);
      else if (there.value !== null) return { is: "there" };
      return { is: "token", cas: String(world.fresh?.cas) };
    }, done);
  value: PullEnds["value"] = (done) =>
    this.send<Found>("old", () => {
      const { old } = this.world;
      if (old === null) return { is: "absent" };
      const data = Uint8Array.of(old.value as number);
      return { is: "value", cas: String(old.cas), flags: "0", ttl: -1, isBinary: false, data };
    }, done);
  fill: PullEnds["fill"] = (token, { data }, done) =>
    this.send<Filled>("new", () => {
      const { world } = this;
      if (String(world.there?.cas) !== token) return { is: "other" };
      world.put(data[0]);
      return { is: "done" };
    }, done);
  unplace: PullEnds["unplace"] = (token, done) =>
    this.send<Dropped>("new", () => {
      const { world } = this;
      if (world.there === null) return { is: "done" };
      if (String(world.there.cas) !== token) return { is: "other" };
      world.fresh = null;
      return { is: "done" };
    }, done);
  drop: PullEnds["drop"] = (cas, done) =>
    this.send<Dropped>("old", () => {
      const { old } = this.world;
      if (old !== null && cas !== "" && String(old.cas) !== cas) return { is: "other" };
      this.world.old = null;
      return { is: "done" };
    }, done);
}

function play(seed: number): void {
  const world = new World(seed);
  const { below } = world;
  const proxies = [new Proxy(world), new Proxy(world), new Proxy(world)];
  let known: number | null = 5;
  let commands = 0;
  const use = (): void => {
    const { there } = world;
    // An empty place is nobody's to see, unless something of one who was taken for dead comes late.
    if (there !== null && there.value === null) {
      assert.ok(world.jumped, `seed ${seed}: an empty place is seen`);
      if (known !== null) throw new Error(`seed ${seed}: ${known} is gone`);
    } else {
      assert.is(there?.value ?? null, known, `seed ${seed}, command ${commands}`);
    }
    commands++;
    if (below(3) === 0) {
      known = null;
      world.fresh = null;
    } else if (below(2) === 0) {
      known = 10 + below(90);
      world.put(known);
    }
  };
  const ensure = (): void => {
    if (commands >= 6) return;
    const proxy = proxies[below(proxies.length)];
    if (proxy.stopped) return ensure();
    new KeyPull(proxy, 0, (pulled: Pulled) => {
      if (pulled.is === "gone") use();
      ensure();
    }).begin();
    if (
      proxies.filter(({ stopped }) => !stopped).length > 1 && world.faults > 0 && below(6) === 0
    ) {
      world.faults--;
      const other = proxies[below(proxies.length)];
      // What it has sent last may be carried out yet.
      if (other !== proxy) other.stopped = world.jumped = true;
    }
  };
  // Two copy it whatever the client does.
  for (const proxy of proxies.slice(0, 2)) new KeyPull(proxy, 0, () => {}).begin();
  ensure();
  for (let i = 0; i < 5000 && (commands < 6 || world.pending.length > 0) && world.step(); i++);
  assert.is(commands, 6, `seed ${seed}: it does not come to its end`);
  assert.is(world.there?.value ?? null, known, `seed ${seed}, at the end`);
}

test("whatever is late, lost or stopped: nothing stale is seen or comes back", () => {
  for (const seed of seeds(1, 2000)) play(seed);
});

test.run();
