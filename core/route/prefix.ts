// The route of a pool with `routes`: the beginning of a key says which branch has it, and that which
// server. A branch that is one pool costs a look-up of the prefix and then what that pool's own route
// costs; one that needs more (failover, all, ...) gives an Unavailable that carries requests out by
// itself (exchange/plan.ts). Format and meaning: docs/routes.md.

import type { Keys, Scan } from "../protocol/codec.ts";
import { type Server, type Target, Unavailable } from "../server/server.ts";
import { CLASS_READ } from "../stats/latency.ts";
import type { RouteTallies, RouteTally } from "../stats/routes.ts";
import type { Rounds } from "./rounds.ts";
import { type Intent, NOBODY, type Route } from "./route.ts";
import { TreeRounds } from "./tree_rounds.ts";

/** What a prefix leads to. */
export interface Branch {
  /** The server for a command on the key `buf[start, end)`. */
  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target;
  /** For a command without a key: any server that is read from. */
  any(): Target;
  /** The servers of commands without a key; of those that read, only such as are read from. */
  all(intent: Intent): readonly Server[];
  /** The servers that are read from, live or not, in an order that stays; not those of `rounds`. */
  members(): readonly Server[];
  /** Of pools whose keys move among their servers: how those are walked over. */
  rounds(): readonly Rounds[];
  /** The way of a key, for people: a line for each step. */
  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step;
}

/** A step of a key's way: what stands there, and where it leads. */
export interface Step {
  readonly what: string;
  readonly to: readonly Step[];
}

/** A pool that is a target. */
export interface TargetPool {
  readonly name: string;
  readonly route: Route;
}

/** A branch that is one pool. */
export class Leaf implements Branch {
  readonly pool: TargetPool;
  /** Counts its requests; null: whoever sends them does. */
  private readonly tally: RouteTally | null;
  private readonly tallies: RouteTallies | null;

  constructor(
    pool: TargetPool,
    tally: RouteTally | null = null,
    tallies: RouteTallies | null = null,
  ) {
    this.pool = pool;
    this.tally = tally;
    this.tallies = tallies;
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const { tally, tallies } = this;
    if (tally !== null && tallies !== null) {
      tally.requests++;
      tallies.last = tally;
    }
    return this.pool.route.pick(buf, start, end, intent);
  }

  any(): Target {
    return this.pool.route.any();
  }

  all(intent: Intent): readonly Server[] {
    return this.pool.route.all(intent);
  }

  members(): readonly Server[] {
    const { route } = this.pool;
    return Array.from({ length: route.places }, (_, place) => route.owner(place) as Server);
  }

  rounds(): readonly Rounds[] {
    const { route } = this.pool;
    return route instanceof PrefixRoute ? route.rounds : [];
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const { name, route } = this.pool;
    if (route instanceof PrefixRoute) {
      return { what: `pool ${name}`, to: [route.trace(buf, start, end, intent)] };
    }
    const server = route.pick(buf, start, end, intent);
    const what = server.available ? `server ${server.name}` : server.reason;
    return { what: `pool ${name}`, to: [{ what, to: [] }] };
  }
}

export interface Prefix {
  /** For people. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly branch: Branch;
}

/** Tells of what has some requests go elsewhere too: see exchange/mirror.ts. */
export interface Aside {
  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step[];
}

/** No prefix fits, and there is no default. */
export const NO_ROUTE: Unavailable = new Unavailable("no route for this key");

const NO_PREFIXES: readonly Prefix[] = [];

export class PrefixRoute implements Route {
  readonly redirects: null;
  readonly epoch: number;
  readonly picked: number;
  readonly place: number;
  readonly tells: boolean;
  readonly mixed: boolean;
  /** By their first bytes, the longest first. */
  private readonly table: (readonly Prefix[] | undefined)[];
  private readonly fallback: Branch | null;
  /** The default first, then in the order of the configuration. */
  private readonly branches: readonly Branch[];
  private readonly intents: () => Uint8Array;
  private readonly mirrors: Aside | null;
  /** Servers by their places, and the places of servers; made when they are first asked for. */
  private servers: readonly Server[] | null;
  /** How those are walked over that have no places. */
  private walks: readonly Rounds[];
  private readonly tree: TreeRounds;
  private readonly numbers: Map<Server, number>;
  /** Targets of the keys of the last `pickAll` that are no servers: their places come behind. */
  private readonly others: Target[];

  /** `tells`: some branch is more than a pool. `intents`: the codec's, by verb + 1. */
  constructor(
    prefixes: readonly Prefix[],
    fallback: Branch | null,
    tells: boolean,
    intents: () => Uint8Array,
    mirrors: Aside | null,
    random: (n: number) => number,
  ) {
    this.redirects = null;
    this.epoch = 0;
    this.picked = 0;
    this.place = -1;
    this.tells = tells;
    this.mixed = true;
    const table: Prefix[][] = [];
    for (const prefix of prefixes) (table[prefix.bytes[0]] ??= []).push(prefix);
    for (const list of table) list?.sort((a, b) => b.bytes.length - a.bytes.length);
    this.table = Array.from({ length: 256 }, (_, i) => table[i]);
    this.fallback = fallback;
    const all = prefixes.map(({ branch }) => branch);
    this.branches = fallback === null ? all : [fallback, ...all];
    this.intents = intents;
    this.mirrors = mirrors;
    this.servers = null;
    this.walks = [];
    this.tree = new TreeRounds(() => this.rounds, random);
    this.numbers = new Map();
    this.others = [];
  }

  /** The branch of a key; null if there is none. */
  private branchOf(buf: Uint8Array, start: number, end: number): Branch | null {
    const prefixes = (start < end ? this.table[buf[start]] : undefined) ?? NO_PREFIXES;
    search: for (let i = 0; i < prefixes.length; i++) {
      const { bytes, branch } = prefixes[i];
      if (bytes.length > end - start) continue;
      for (let k = 1; k < bytes.length; k++) if (buf[start + k] !== bytes[k]) continue search;
      return branch;
    }
    return this.fallback;
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    const branch = this.branchOf(buf, start, end);
    if (branch === null) return NO_ROUTE;
    return branch.pick(buf, start, end, intent);
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    const branch = this.branchOf(buf, start, end);
    if (branch === null) return { what: NO_ROUTE.reason, to: [] };
    const prefixes = this.table[buf[start]] ?? NO_PREFIXES;
    const prefix = branch === this.fallback
      ? undefined
      : prefixes.find((one) => one.branch === branch);
    const what = prefix === undefined ? "default" : `prefix ${prefix.name}`;
    const mirrored = this.mirrors?.trace(buf, start, end, intent) ?? [];
    return { what, to: [branch.trace(buf, start, end, intent), ...mirrored] };
  }

  /** The servers behind have changed. */
  changed(): void {
    this.servers = null;
  }

  /** Servers that are read from, in an order that stays while none comes or goes. */
  private listed(): readonly Server[] {
    let { servers } = this;
    if (servers === null) {
      servers = [...new Set(this.branches.flatMap((branch) => branch.members()))];
      this.servers = servers;
      this.walks = [...new Set(this.branches.flatMap((branch) => branch.rounds()))];
      this.numbers.clear();
      for (const [i, server] of servers.entries()) this.numbers.set(server, i);
    }
    return servers;
  }

  get places(): number {
    return this.listed().length;
  }

  get rounds(): readonly Rounds[] {
    this.listed();
    return this.walks;
  }

  get behind(): TreeRounds | null {
    return this.rounds.length === 0 ? null : this.tree;
  }

  pickAll(scan: Scan, buf: Uint8Array, at: number, places: Uint16Array): Target | null {
    const { args, nkeys } = scan;
    const step = 2 * scan.step;
    const intent = this.tells ? this.intents()[scan.verb + 1] : CLASS_READ;
    const servers = this.listed();
    this.others.length = 0;
    let first: Target | null = null;
    let several = false;
    for (let i = 0, key = 2 * scan.first; i < nkeys; i++, key += step) {
      const target = this.pick(buf, at + args[key], at + args[key + 1], intent);
      if (i === 0) first = target;
      else if (target !== first) several = true;
      const number = target.available ? this.numbers.get(target) : undefined;
      if (number !== undefined) {
        places[i] = number;
        continue;
      }
      // What is no server takes its keys one by one.
      const known = target.available ? this.others.indexOf(target) : -1;
      places[i] = servers.length + (known >= 0 ? known : this.others.push(target) - 1);
    }
    const one = first ?? NOBODY;
    return several || (!one.available && nkeys > 1) ? null : one;
  }

  owner(place: number): Target {
    const servers = this.listed();
    return place < servers.length ? servers[place] : this.others[place - servers.length];
  }

  isOnePlace(_scan: Scan, _buf: Uint8Array, _at: number, _keys: Keys): boolean {
    return true;
  }

  walkFrom(place: number): number {
    const servers = this.listed();
    while (place < servers.length && !servers[place].live) place++;
    return place;
  }

  any(): Target {
    for (const branch of this.branches) {
      const target = branch.any();
      if (target.available) return target;
    }
    return NOBODY;
  }

  all(intent: Intent): Server[] {
    return [...new Set(this.branches.flatMap((branch) => branch.all(intent)))];
  }
}
