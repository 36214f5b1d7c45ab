// Mirrors: a part of the requests goes to another target too, whose replies nobody sees. The main route
// knows nothing of it: what a mirror does not take (1,000 requests or 16 MB wait for its servers) is
// dropped, and counted. A key is mirrored or it is not, by its hash, and all of its requests take one
// connection, so they keep their order. A transaction is not mirrored: it would be half of one.

import { EMPTY } from "../bytes.ts";
import { fnv1a32 } from "../hash/fnv.ts";
import type { Carrier } from "../link/attempt.ts";
import { reads } from "../protocol/intents.ts";
import { FAILED } from "../protocol/verdicts.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Rounds } from "../route/rounds.ts";
import type { Intent } from "../route/route.ts";
import type { Server, Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import { send } from "./errand.ts";
import { Ghost, Unseen } from "./ghost.ts";
import type { Judge } from "./judge.ts";
import { Asked, type Party, Plan, type Tree, type Want, type Work } from "./plan.ts";

export const MOST_PENDING = 1000;
export const MOST_PENDING_BYTES = 16 << 20;
/** Plans that are kept, and how many targets may be told apart. */
const MOST_PLANS = 4096;
const RADIX = 2048;
const MOST_MIRRORS = 3;

export type Mirrored = "writes" | "reads" | "all";

/** Of keys that differ in little too: FNV's own bits do not. */
function hashOf(buf: Uint8Array, start: number, end: number): number {
  let h = fnv1a32(buf, start, end);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** One of `mirror:`. */
export class Mirror {
  readonly branch: Branch;
  readonly name: string;
  readonly tally: RouteTally;
  /** Requests that its servers have not answered. */
  pending: number;
  pendingBytes: number;
  private readonly of: Mirrored;
  /** Of 2^32: hashes below are mirrored. */
  private readonly below: number;

  constructor(branch: Branch, tally: RouteTally, percent: number, of: Mirrored) {
    this.branch = branch;
    this.name = tally.target;
    this.tally = tally;
    this.pending = 0;
    this.pendingBytes = 0;
    this.of = of;
    this.below = percent / 100 * 2 ** 32;
  }

  wants(intent: Intent): boolean {
    return this.of === "all" || reads(intent) === (this.of === "reads");
  }

  takes(hash: number, intent: Intent): boolean {
    return hash < this.below && this.wants(intent);
  }
}

/** The mirrors of a front, around the branch of one route. */
export class MirroredBranch implements Branch, Work {
  private readonly tree: Tree;
  private readonly child: Branch;
  private readonly mirrors: readonly Mirror[];
  private readonly plans: Map<number, Plan>;
  private readonly numbers: Map<Target, number>;
  /** By lane. */
  private readonly ghosts: Map<number, Ghost>;

  /** Of targets that would be counted when they are found. */
  private readonly tallies: WeakMap<Target, RouteTally>;

  constructor(tree: Tree, mirrors: readonly Mirror[], child: Branch) {
    this.tree = tree;
    this.child = child;
    this.tallies = new WeakMap();
    this.mirrors = mirrors;
    this.plans = new Map();
    this.numbers = new Map();
    this.ghosts = new Map();
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const { tallies } = this.tree;
    tallies.forget();
    const main = this.child.pick(buf, start, end, intent);
    const target = this.around(main, buf, start, end, intent);
    if (target === main) return main;
    const tally = tallies.takeBack();
    if (tally !== null) this.tallies.set(main, tally);
    return target;
  }

  any(): Target {
    return this.child.any();
  }

  all(intent: Intent): readonly Server[] {
    return this.child.all(intent);
  }

  members(): readonly Server[] {
    return this.child.members();
  }

  rounds(): readonly Rounds[] {
    return this.child.rounds();
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    return this.child.trace(buf, start, end, intent);
  }

  /** `main`, or a plan that has the key mirrored. */
  private around(
    main: Target,
    buf: Uint8Array,
    start: number,
    end: number,
    intent: Intent,
  ): Target {
    const { mirrors, plans } = this;
    let wanted = false;
    for (let i = 0; i < mirrors.length; i++) if (mirrors[i].wants(intent)) wanted = true;
    if (!wanted) return main;
    const hash = hashOf(buf, start, end);
    let key = -1;
    let targets: Target[] | null = null;
    for (let i = 0; i < mirrors.length; i++) {
      const mirror = mirrors[i];
      if (!mirror.takes(hash, intent)) {
        if (targets !== null) key *= RADIX;
        continue;
      }
      const target = mirror.branch.pick(buf, start, end, intent);
      if (targets === null) {
        targets = new Array(i + 1).fill(main);
        key = this.numberOf(main) * RADIX ** i;
      }
      targets[i + 1] = target;
      key = key * RADIX + this.numberOf(target) + 1;
    }
    if (targets === null) return main;
    if (mirrors.length > MOST_MIRRORS) return this.plan(targets, main).target;
    let plan = plans.get(key);
    if (plan === undefined || !isSame(plan.targets, targets)) {
      if (plans.size >= MOST_PLANS) plans.clear();
      plan = this.plan(targets, main);
      plans.set(key, plan);
    }
    return plan.target;
  }

  private plan(targets: readonly Target[], main: Target): Plan {
    return new Plan(this.tree, this, targets, main.available ? "" : main.reason, main);
  }

  private numberOf(target: Target): number {
    const { numbers } = this;
    let number = numbers.get(target);
    if (number === undefined) {
      if (numbers.size >= RADIX - 1) {
        numbers.clear();
        this.plans.clear();
      }
      number = numbers.size;
      numbers.set(target, number);
    }
    return number;
  }

  run(
    want: Want,
    targets: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void {
    const [main] = targets;
    const { caller } = want;
    const tally = this.tallies.get(main);
    if (tally !== undefined) tally.requests++;
    if (main.available && judge instanceof Asked && judge === want && !caller.isClosed) {
      // As if there were no mirror: the reply goes straight to the client.
      const link = main.linkFor(caller);
      link.send(judge.request, buf, start, end);
      if (link.congested) caller.waitForLink(link);
    } else {
      send(main, want, buf, start, end, judge, index);
    }
    for (let i = 1; i < targets.length; i++) {
      if (targets[i] !== main) this.copy(this.mirrors[i - 1], targets[i], want, buf, start, end);
    }
  }

  private copy(
    mirror: Mirror,
    target: Target,
    want: Want,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { counters } = this.tree;
    const bytes = end - start;
    const isFull = mirror.pending >= MOST_PENDING ||
      mirror.pendingBytes + bytes > MOST_PENDING_BYTES;
    const isNowhere = !target.available && target.parking === null;
    if (isFull || isNowhere || want.caller.isClosed) {
      counters.mirror_dropped++;
      return;
    }
    counters.mirrored++;
    mirror.tally.requests++;
    const shadow = new Shadow(mirror, this.ghostOf(want.caller), want, bytes);
    send(target, shadow, buf, start, end, shadow, 0);
  }

  private ghostOf(caller: Party): Ghost {
    const known = this.ghosts.get(caller.lane);
    if (known !== undefined && !known.isClosed) return known;
    const ghost = new Ghost(this.tree, caller, "a mirror");
    this.ghosts.set(caller.lane, ghost);
    return ghost;
  }
}

/** Tells which mirrors a key has. */
export class MirrorTrace {
  private readonly mirrors: readonly Mirror[];

  constructor(mirrors: readonly Mirror[]) {
    this.mirrors = mirrors;
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step[] {
    const hash = hashOf(buf, start, end);
    return this.mirrors.filter((mirror) => mirror.takes(hash, intent)).map((mirror) => ({
      what: `mirror to ${mirror.name}`,
      to: [mirror.branch.trace(buf, start, end, intent)],
    }));
  }
}

function isSame(a: readonly Target[], b: readonly Target[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A request at a mirror: nobody waits for its reply. */
class Shadow extends Unseen {
  private readonly mirror: Mirror;
  private readonly cost: number;

  constructor(mirror: Mirror, ghost: Ghost, { verb, tied, tags }: Want, cost: number) {
    super(ghost, verb, tied, tags, EMPTY);
    this.mirror = mirror;
    this.cost = cost;
    mirror.pending++;
    mirror.pendingBytes += cost;
  }

  private done(): void {
    this.mirror.pending--;
    this.mirror.pendingBytes -= this.cost;
  }

  reply(_index: number, _link: Carrier, buf: Uint8Array, start: number, end: number): void {
    if (this.verdict(buf, start, end) === FAILED) this.mirror.tally.failed();
    this.done();
  }

  lost(): void {
    this.mirror.tally.failed();
    this.done();
  }
}
