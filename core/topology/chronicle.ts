// What happens to servers that are followed, for people: when and why they were looked at last, and
// failovers with the time they took. Knows no protocol, and decides nothing.

import type { Log } from "../log.ts";
import type { Failover, Look } from "../stats/topology.ts";

/** Most failovers that are remembered. */
const REMEMBERED = 16;

export interface ChronicleContext {
  readonly name: string;
  readonly host: { now(): number; wallClock(): number };
  readonly log: Log;
  readonly counters: { failovers: number; failover_time: number };
}

export class Chronicle {
  look: Look;
  /** The last ones, the newest first. */
  failovers: readonly Failover[];
  private readonly context: ChronicleContext;
  /** Why is being asked now. */
  private why: string;
  /** By server's name: when (monotonic) it was first seen to be in trouble. */
  private readonly troubles: Map<string, number>;

  constructor(context: ChronicleContext) {
    this.look = { at: 0, why: "", from: "", error: "" };
    this.failovers = [];
    this.context = context;
    this.why = "";
    this.troubles = new Map();
  }

  asks(why: string): void {
    this.why = why;
  }

  told(from: string): void {
    this.look = { at: this.context.host.wallClock(), why: this.why, from, error: "" };
  }

  inVain(from: string, error: string): void {
    this.look = { ...this.look, error: `${from}: ${error}` };
  }

  /** A server does not do what it should. */
  trouble(name: string): void {
    if (!this.troubles.has(name)) this.troubles.set(name, this.context.host.now());
  }

  /** It is well, or none of ours any more. */
  calm(name: string): void {
    this.troubles.delete(name);
  }

  /** `troubled`: the name that its trouble was told under. */
  failover(from: string, to: string, what: string, troubled = from): void {
    const { name, host, log, counters } = this.context;
    const now = host.now();
    const ms = Math.round(now - (this.troubles.get(troubled) ?? now));
    this.calm(troubled);
    counters.failovers++;
    counters.failover_time += ms * 1000;
    const one: Failover = { at: host.wallClock(), from, to, what, ms };
    this.failovers = [one, ...this.failovers].slice(0, REMEMBERED);
    const after = ms > 0 ? `, ${ms} ms after the first trouble` : "";
    log.notice(`pool "${name}": failover: ${to} has taken over ${what} from ${from}${after}`, {
      ...{ event: "failover", pool: name, from, to, what, ms },
    });
  }
}
