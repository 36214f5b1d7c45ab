// What one process knows of what is agreed (agreed.ts), and acts by.

import { BARRIER, DONE, DRAIN, type Phase, PREPARE, PULL } from "../migrate/phases.ts";
import { isNewer, NOTHING, type State } from "./agreed.ts";

/** Every process asks as often (ms) at least. */
export const CALM = 500;
/** So long (ms) no server knows of anything: a process that does has told them again meanwhile. */
const SURE = CALM + 100;

/** What is agreed, in the phase's words. */
const AGREED: readonly Phase[] = [BARRIER, PULL, DRAIN, DONE];

export class Standing {
  /** Which migration: the same in all processes that move the same keys. */
  readonly id: string;
  state: State;
  /** Why nothing is known; "" if something is. */
  why: string;
  /** Since when (ms) no server knows of anything; -1: one does, or does not say. */
  private silentSince: number;

  constructor(id: string) {
    this.id = id;
    this.state = NOTHING;
    this.why = "no server has been asked yet";
    this.silentSince = -1;
  }

  isNews(newest: State): boolean {
    return isNewer(newest, this.state);
  }

  phaseOf({ id, phase }: State): Phase {
    return id === this.id ? AGREED.find((one) => one === phase) ?? PREPARE : PREPARE;
  }

  /**
   * Of a start: whether what servers say is to be believed; `why` some do not say anything. One that
   * knows of keys on their way is enough, else all have to say no, and for a while.
   */
  learns(newest: State, why: string, now: number): boolean {
    const isMine = newest.id === this.id && newest.phase !== "none";
    this.why = isMine ? "" : this.hindrance(newest) || why;
    const isSilent = newest === NOTHING && this.why === "";
    if (!isSilent) this.silentSince = -1;
    else if (this.silentSince < 0) this.silentSince = now;
    if (isSilent && now - this.silentSince < SURE) {
      this.why = "no server knows of a migration; whether a proxy does is seen soon";
    }
    return this.why === "";
  }

  /** Why another migration cannot begin now; "" if it can. */
  hindrance({ id, phase }: State): string {
    const isUnderWay = phase === BARRIER || phase === PULL || phase === DRAIN;
    return id !== this.id && isUnderWay
      ? `another migration has not come to its end here: "${phase} ${id}"`
      : "";
  }

  /** What comes next, by one's own order. */
  after(phase: string, paused: boolean): State {
    const { state, id } = this;
    return { change: state.change + 1, phase, id, paused };
  }
}
