// A branch of a route with several children: which servers a key has at each of them is a plan. Plans
// are kept, so that keys which have the same servers have the same plan: a command of several keys
// can be carried out if they have.

import { INTENT_CAS, INTENT_GETS, reads } from "../protocol/intents.ts";
import type { Branch, Step } from "../route/prefix.ts";
import type { Rounds } from "../route/rounds.ts";
import { type Intent, NOBODY } from "../route/route.ts";
import type { Server, Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import type { Judge } from "./judge.ts";
import { Plan, type Tree, type Want, type Work } from "./plan.ts";

/** Plans that are kept, and how many targets one child may have told apart. */
const MOST_PLANS = 4096;
const RADIX = 1024;
/** Children whose targets fit into one number. */
const MOST_TOLD_APART = 5;

export abstract class Branching implements Branch, Work {
  protected readonly tree: Tree;
  protected readonly children: readonly Branch[];
  /** One for each child. */
  readonly tallies: readonly RouteTally[];
  private readonly reason: string;
  private readonly plans: Map<number, Plan>;
  private readonly numbers: Map<Target, number>;

  /** `what` it is, for errors. */
  constructor(
    tree: Tree,
    children: readonly Branch[],
    tallies: readonly RouteTally[],
    what: string,
  ) {
    this.tree = tree;
    this.children = children;
    this.tallies = tallies;
    this.reason =
      `the route of this key is ${what}: transactions, blocking commands, publish and ` +
      "subscribe, and commands of keys on several servers, need a route to one pool";
    this.plans = new Map();
    this.numbers = new Map();
  }

  abstract run(
    want: Want,
    targets: readonly Target[],
    buf: Uint8Array,
    start: number,
    end: number,
    judge: Judge,
    index: number,
  ): void;

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const { children, plans } = this;
    if (this.ties(intent)) {
      this.tallies[0].requests++;
      return children[0].pick(buf, start, end, intent);
    }
    const targets: Target[] = [];
    let key = 0;
    for (let i = 0; i < children.length; i++) {
      const target = children[i].pick(buf, start, end, intent);
      targets.push(target);
      key = key * RADIX + this.numberOf(target);
    }
    if (children.length > MOST_TOLD_APART) return this.plan(targets).target;
    let plan = plans.get(key);
    if (plan === undefined || plan.targets.some((one, i) => one !== targets[i])) {
      if (plans.size >= MOST_PLANS) plans.clear();
      plan = this.plan(targets);
      plans.set(key, plan);
    }
    return plan.target;
  }

  /** Whether such commands stay at the first child: a cas unique means something to one server only. */
  protected ties(intent: Intent): boolean {
    return intent === INTENT_GETS || intent === INTENT_CAS;
  }

  private numberOf(target: Target): number {
    const { numbers } = this;
    let number = numbers.get(target);
    if (number === undefined) {
      if (numbers.size >= RADIX) {
        numbers.clear();
        this.plans.clear();
      }
      number = numbers.size;
      numbers.set(target, number);
    }
    return number;
  }

  private plan(targets: readonly Target[]): Plan {
    return new Plan(this.tree, this, targets, this.reason);
  }

  any(): Target {
    for (const child of this.children) {
      const target = child.any();
      if (target.available) return target;
    }
    return NOBODY;
  }

  members(): readonly Server[] {
    return this.children[0].members();
  }

  rounds(): readonly Rounds[] {
    return this.children[0].rounds();
  }

  all(intent: Intent): readonly Server[] {
    if (reads(intent)) return this.children[0].all(intent);
    return this.children.flatMap((child) => child.all(intent));
  }

  abstract trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step;
}
