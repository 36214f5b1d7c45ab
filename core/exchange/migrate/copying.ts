// Who copies what nobody asks for, and until when: one process at a time, by a lock at the arbiter, passes
// over all servers that keys leave, until none has any left.

import type { Server } from "../../server/server.ts";
import type { Agreement } from "./agreement.ts";
import { Copier, type CopierContext } from "./copier.ts";
import type { Mover } from "./mover.ts";
import { DONE, MOVE, type Phase, PREPARE } from "./phases.ts";

/** For how long (ms) one process has the right to copy. */
const LOCK = 5000;

export interface CopyingContext extends CopierContext {
  readonly phase: Phase;
  readonly stopped: boolean;
  /** Servers that have nothing left to go. */
  readonly empty: Set<Server>;
  /** The first has the lock. */
  keepers(): readonly Server[];
  say(message: string, event: string): void;
  /** The state becomes another one; what is wrong, "" if nothing is. */
  swap(to: string): Promise<string>;
}

export class Copying {
  private readonly context: CopyingContext;
  private readonly mover: Mover;
  private readonly agreement: Agreement;
  /** Null: another process copies, or nobody. */
  private copier: Copier | null;

  constructor(context: CopyingContext, mover: Mover, agreement: Agreement) {
    this.context = context;
    this.mover = mover;
    this.agreement = agreement;
    this.copier = null;
  }

  /** This process copies. */
  get isOn(): boolean {
    return this.copier !== null;
  }

  stop(): void {
    this.copier?.stop();
  }

  /** As long as it is this phase, and none of the servers is known to have nothing left. */
  async run(phase: Phase): Promise<void> {
    const { context, mover, agreement } = this;
    const who = `${agreement.id}.${context.host.random(0x7fffffff).toString(36)}`;
    this.copier?.stop();
    const copier = new Copier(context, mover, context.route);
    const isOver = (): boolean => context.phase !== phase || context.stopped || copier.stopped;
    while (!isOver()) {
      if (!await this.lock(who)) {
        if (this.copier === copier) this.copier = null;
        await copier.rest();
        continue;
      }
      if (isOver()) break;
      this.copier = copier;
      if (!await this.passes(copier, phase, who)) {
        if (!isOver()) await copier.rest(50);
        continue;
      }
      if (isOver()) break;
      await context.swap(agreement.saying(phase === MOVE ? DONE : PREPARE));
      await copier.rest();
    }
    if (this.copier === copier) this.copier = null;
  }

  private async lock(who: string): Promise<boolean> {
    const { words } = this.context;
    const answer = await this.mover.asker(this.context.keepers()[0]).tell(words.lock(who, LOCK));
    return answer instanceof Uint8Array && words.readLock(answer);
  }

  /** Once over each server; whether none has anything left. */
  private async passes(copier: Copier, phase: Phase, who: string): Promise<boolean> {
    const { host, route, empty } = this.context;
    const keep = host.every(LOCK / 5, () => void this.lock(who));
    const servers = route.sources();
    for (const server of servers) {
      if (empty.has(server) || !await copier.pass(server)) continue;
      empty.add(server);
      this.context.say(`server "${server.name}" has nothing left to go`, "migrate_emptied");
    }
    keep.cancel();
    const all = phase === MOVE ? route.old.places : route.next.places;
    return servers.length >= all && servers.every((one) => empty.has(one));
  }
}
