// Builds the branches of a front's routes: what each target of the configuration is made of.

import type { MirrorConfig, PrefixConfig, RoutesConfig, TargetConfig } from "./config/routes.ts";
import { bytes, utf8 } from "./bytes.ts";
import { Every } from "./exchange/every.ts";
import { Failover } from "./exchange/failover.ts";
import { Managed, type ManagedPool } from "./exchange/managed.ts";
import { Mirror, MirroredBranch, MirrorTrace } from "./exchange/mirror.ts";
import { Strip } from "./exchange/strip.ts";
import { Warm } from "./exchange/warm.ts";
import type { WarmContext } from "./exchange/warm_course.ts";
import { Fork } from "./route/fork.ts";
import { type Branch, Leaf, type Prefix, PrefixRoute } from "./route/prefix.ts";
import type { Route } from "./route/route.ts";
import type { RouteTallies, RouteTally } from "./stats/routes.ts";

/** All pools that may be targets, by name. */
export type Pools = ReadonlyMap<string, ManagedPool>;

/** The route that `routes` describe, over these pools. */
export function buildRoute(
  tree: WarmContext,
  routes: RoutesConfig,
  all: Pools,
  intents: () => Uint8Array,
): Route {
  const { tallies } = tree;
  tallies.begin();
  const { prefixes, default: fallback, mirror } = routes;
  // One pool for all keys: nothing stands between.
  if (prefixes.length === 0 && mirror.length === 0 && fallback?.kind === "pool") {
    const { route } = all.get(fallback.pool) as ManagedPool;
    if (isPlain(route)) return route;
  }
  const of = (route: string) => new Builder(tree, all, route);
  const copies = of("mirror");
  const mirrors = mirror.map((one) => copies.mirror(one));
  const around = (branch: Branch): Branch =>
    mirrors.length === 0 ? branch : new MirroredBranch(tree, mirrors, branch);
  const made: Prefix[] = prefixes.map(({ prefix, target, strip }: PrefixConfig) => {
    const name = bytes(utf8(prefix));
    const child = of(`prefix ${prefix}`).branch(target, true);
    const branch = strip ? new Strip(tree, child, name.length) : child;
    return { name: prefix, bytes: name, branch: around(branch) };
  });
  const rest = fallback === undefined ? null : around(of("default").branch(fallback, true));
  const asks = (target: TargetConfig): boolean =>
    target.kind !== "pool" || !isPlain((all.get(target.pool) as ManagedPool).route);
  const tells = mirrors.length > 0 ||
    prefixes.some(({ target, strip }) => strip || asks(target)) ||
    (fallback !== undefined && asks(fallback));
  const aside = mirrors.length === 0 ? null : new MirrorTrace(mirrors);
  return new PrefixRoute(made, rest, tells, intents, aside, (n) => tree.random(n));
}

/** A ring: not a front's, whose route may be another one after it, nor one that redirects. */
function isPlain(route: Route): boolean {
  return route.redirects === null && !(route instanceof PrefixRoute);
}

/** What a target is called where its requests are counted. */
function nameOf(target: TargetConfig): string {
  if (target.kind === "pool") return target.pool;
  return target.kind === "split" ? "read/write" : target.kind;
}

/** Builds the branches of one route. */
class Builder {
  private readonly tree: WarmContext;
  private readonly all: Pools;
  private readonly tallies: RouteTallies;
  private readonly route: string;

  constructor(tree: WarmContext, all: Pools, route: string) {
    this.tree = tree;
    this.all = all;
    this.tallies = tree.tallies;
    this.route = route;
  }

  /** `counts`: nobody else counts its requests. */
  branch(target: TargetConfig, counts: boolean): Branch {
    const { tree, route, tallies } = this;
    switch (target.kind) {
      case "pool": {
        const pool = this.all.get(target.pool) as ManagedPool;
        const isRing = pool.route.redirects === null;
        const tally = counts ? tallies.of(route, target.pool, !isRing, false) : null;
        return isRing ? new Leaf(pool, tally, tallies) : new Managed(tree, pool, tally);
      }
      case "failover":
        return new Failover(tree, ...this.children(target.of), target.on, target.rate);
      case "all":
        return new Every(tree, ...this.children(target.of), target.wait);
      case "warm": {
        const [of, tallies] = this.children([target.cold, target.warm]);
        return new Warm(tree, [of[0], of[1]], tallies);
      }
      case "split": {
        const { read, write, delete: remove } = target;
        return new Fork(
          this.branch(read, counts),
          this.branch(write, counts),
          this.branch(remove, counts),
        );
      }
    }
  }

  private children(of: readonly TargetConfig[]): [Branch[], RouteTally[]] {
    return [
      of.map((one) => this.branch(one, false)),
      of.map((one) => this.tallies.of(this.route, nameOf(one), true)),
    ];
  }

  mirror({ pool, percent, of }: MirrorConfig): Mirror {
    const tally = this.tallies.of(this.route, nameOf(pool), true);
    return new Mirror(this.branch(pool, false), tally, percent, of);
  }
}
