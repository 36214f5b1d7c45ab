// Which servers a pool with `discovery` has: what is made of the answers of whoever is asked. Knows no
// network and no clock: who asks is adapters/discovery/.

import type { ServerConfig } from "../config/address.ts";
import { sameServer } from "../config/diff.ts";

/** What somebody says who was asked for the servers. */
export interface Answer {
  readonly servers: readonly ServerConfig[];
  /** Milliseconds for which it holds; Infinity: until a change is told. */
  readonly ttl: number;
}

/** Who knows the servers. */
export interface Provider {
  /** What is asked, for people: "srv _mc._tcp.cache.example". */
  readonly label: string;
  /** Rejects with an Error that says why there is no answer. */
  ask(): Promise<Answer>;
  /** Calls `changed` when it is time to ask again; absent: only the TTL tells. */
  watch?(changed: () => void): { stop(): void };
}

/** Most servers of one answer. */
export const MOST_SERVERS = 1024;
/** An answer that loses too much has to be given so often, one after the other. */
const EQUAL_ANSWERS = 3;

/** What became of an answer. */
export type Outcome = "same" | "changed" | "refused";

export class DiscoveredSet {
  servers: readonly ServerConfig[];
  at: number;
  changes: number;
  failures: number;
  refused: number;
  error: string;
  /** The last answer that was refused, and how often it was given. */
  private doubtful: readonly ServerConfig[];
  private times: number;
  /** They are another source's, and of no weight beside what this one says. */
  private isBorrowed: boolean;

  /** `before`: those to have until there is an answer. */
  constructor(before: readonly ServerConfig[] = []) {
    this.servers = before;
    this.isBorrowed = true;
    this.at = 0;
    this.changes = 0;
    this.failures = 0;
    this.refused = 0;
    this.error = "";
    this.doubtful = [];
    this.times = 0;
  }

  /** There was no answer: the set stays. */
  failed(why: string): void {
    this.failures++;
    this.error = why;
    this.times = 0;
  }

  /** `now`: milliseconds since 1970; `maxLoss`: the part of the servers that one answer may lose. */
  answered(servers: readonly ServerConfig[], maxLoss: number, now: number): Outcome {
    if (sameSet(servers, this.servers)) {
      this.settle(now);
      return "same";
    }
    const lost = this.lost(servers).length;
    if (!this.isBorrowed && lost > this.servers.length * maxLoss) {
      this.times = sameSet(servers, this.doubtful) ? this.times + 1 : 1;
      this.doubtful = servers;
      if (this.times < EQUAL_ANSWERS) {
        this.refused++;
        this.error = `the answer lost ${lost} of ${this.servers.length} servers`;
        return "refused";
      }
    }
    this.servers = servers;
    this.changes++;
    this.settle(now);
    return "changed";
  }

  /** Names of the servers that another set does not have. */
  lost(servers: readonly ServerConfig[]): string[] {
    const names = new Set(servers.map(({ name }) => name));
    return this.servers.filter(({ name }) => !names.has(name)).map(({ name }) => name);
  }

  private settle(now: number): void {
    this.isBorrowed = false;
    this.at = now;
    this.error = "";
    this.times = 0;
    this.doubtful = [];
  }
}

function sameSet(a: readonly ServerConfig[], b: readonly ServerConfig[]): boolean {
  return a.length === b.length &&
    a.every((one, i) => sameServer(one, b[i]) && one.weight === b[i].weight);
}
