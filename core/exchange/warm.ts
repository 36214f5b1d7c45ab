// `warm`: a cold pool that another one warms up. A read goes to the cold pool; what it does not have
// is brought there from the warm one, unless it is changed meanwhile, and read then. A write deletes
// the key at the warm pool first; one that depends on what was (incr, HSET, add) has it brought before.
// So nothing that was overwritten or deleted comes back (mcrouter's WarmUpRoute lets it). How one
// request does it is in warm_course.ts, how one key is brought in protocol/*/warming.ts.

import type { Branch, Step } from "../route/prefix.ts";
import type { Intent } from "../route/route.ts";
import type { Target } from "../server/server.ts";
import type { RouteTally } from "../stats/routes.ts";
import { Branching } from "./branching.ts";
import type { Judge } from "./judge.ts";
import type { Party, Want } from "./plan.ts";
import { type WarmBranch, type WarmContext, WarmCourse } from "./warm_course.ts";

/** A client's requests here, and writes that wait until its reads are over. */
interface Uses {
  reads: number;
  writes: number;
  waiting: (() => void)[];
}

export class Warm extends Branching implements WarmBranch {
  readonly context: WarmContext;
  private tokens: number;
  /** Clients with requests here. */
  private readonly uses: Map<Party, Uses>;

  constructor(
    context: WarmContext,
    children: readonly [cold: Branch, warm: Branch],
    tallies: readonly RouteTally[],
  ) {
    super(context, children, tallies, "a warm one");
    this.context = context;
    this.tokens = 0;
    this.uses = new Map();
  }

  /** A cas unique is the cold pool's: what has one is brought there first. */
  protected override ties(): boolean {
    return false;
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
    new WarmCourse(this, this.tree, want, targets, judge, index).begin(buf, start, end);
  }

  private usesOf(client: Party): Uses {
    let uses = this.uses.get(client);
    if (uses === undefined) {
      uses = { reads: 0, writes: 0, waiting: [] };
      this.uses.set(client, uses);
    }
    return uses;
  }

  reads(client: Party): void {
    this.usesOf(client).reads++;
  }

  writes(client: Party, begin: () => void): void {
    const uses = this.usesOf(client);
    uses.writes++;
    client.stopForWork?.();
    if (uses.reads === 0) begin();
    else uses.waiting.push(begin);
  }

  over(client: Party, wrote: boolean): void {
    const uses = this.usesOf(client);
    if (wrote) uses.writes--;
    else uses.reads--;
    this.context.turn.enter();
    if (uses.reads === 0) { for (const begin of uses.waiting.splice(0)) begin(); }
    if (uses.writes === 0 && wrote) client.workDone?.();
    if (uses.writes + uses.reads === 0) this.uses.delete(client);
  }

  newToken(): string {
    const { context } = this;
    return `${context.random(0x7fffffff).toString(36)}.${++this.tokens}.${context.seconds}`;
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const [cold, warm] = this.children.map((child) => child.trace(buf, start, end, intent));
    return {
      what: "warm",
      to: [
        { what: "cold: reads first, and all writes", to: [cold] },
        { what: "warm: what the cold one does not have; writes delete the key there", to: [warm] },
      ],
    };
  }
}
