// The `routes:` key of a pool: where its keys go, as trees of targets whose leafs are pools. It is read
// by routes_reader.ts, whether the pools are there and fit is said by judge_routes.ts, what it does by
// core/route/ and core/exchange/. Format and meaning: docs/routes.md.

import * as v from "valibot";
import type { Place } from "./yaml.ts";

export const WAITS = ["majority", "all", "fastest", "first", "none"] as const;
export type Wait = typeof WAITS[number];

export const CAUSES = ["error", "miss"] as const;
export type Cause = typeof CAUSES[number];

/** Targets by their kinds. */
export type TargetConfig =
  | { readonly kind: "pool"; readonly pool: string }
  | {
    readonly kind: "failover";
    readonly of: readonly TargetConfig[];
    readonly on: readonly Cause[];
    /** Most requests a second that go on to another child; 0: no limit. */
    readonly rate: number;
  }
  | { readonly kind: "all"; readonly of: readonly TargetConfig[]; readonly wait: Wait }
  | { readonly kind: "warm"; readonly cold: TargetConfig; readonly warm: TargetConfig }
  | {
    readonly kind: "split";
    readonly read: TargetConfig;
    readonly write: TargetConfig;
    readonly delete: TargetConfig;
  };

export interface PrefixConfig {
  /** A byte string is made of it as UTF-8. */
  readonly prefix: string;
  readonly target: TargetConfig;
  /** The servers see keys without the prefix. */
  readonly strip: boolean;
}

export const MIRRORED = ["writes", "reads", "all"] as const;

/** A part of the requests goes there too. */
export interface MirrorConfig {
  readonly pool: TargetConfig;
  readonly percent: number;
  readonly of: typeof MIRRORED[number];
}

/** What limits and faults are about. */
export interface AboutConfig {
  /** Names of commands in lower case; none: all. */
  readonly commands: readonly string[];
  /** "" for all keys. */
  readonly prefix: string;
  /** "" for all users. */
  readonly user: string;
}

export interface LimitConfig extends AboutConfig {
  /** Requests a second. */
  readonly rate: number;
}

export interface FaultConfig extends AboutConfig {
  readonly percent: number;
  /** Milliseconds; 0 for none. */
  readonly delay: number;
  /** "" for none. */
  readonly error: string;
}

export interface RoutesConfig {
  readonly default?: TargetConfig;
  /** In the order of the file. */
  readonly prefixes: readonly PrefixConfig[];
  readonly mirror: readonly MirrorConfig[];
  readonly limits: readonly LimitConfig[];
  readonly faults: readonly FaultConfig[];
}

/** A pool that is named as a target, and where. */
export interface Reference {
  readonly name: string;
  readonly place: Place;
  /** Of two that are one target: which it is to be. */
  readonly as?: "cold" | "warm";
}

/** For editors; `readRoutes` has the last word. */
const TargetSchema = v.union([v.string(), v.record(v.string(), v.any())]);

export const RoutesSchema = v.strictObject({
  default: v.pipe(
    v.optional(TargetSchema),
    v.description("The target of keys that no prefix fits: the name of a pool, or a mapping."),
  ),
  prefixes: v.pipe(
    v.optional(v.record(v.string(), TargetSchema), {}),
    v.description("Targets by the beginning of the key; the longest that fits counts."),
  ),
  mirror: v.pipe(
    v.optional(v.array(v.record(v.string(), v.any())), []),
    v.description("Pools that get a part of the requests too (pool, percent, of)."),
  ),
  limits: v.pipe(
    v.optional(v.array(v.record(v.string(), v.any())), []),
    v.description("Requests a second at most (rate, commands, prefix, user)."),
  ),
  faults: v.pipe(
    v.optional(v.array(v.record(v.string(), v.any())), []),
    v.description(
      "For tests: delays and errors (percent, delay or error, commands, prefix, user).",
    ),
  ),
});

/** The pools that a configuration of routes names. */
export function poolsOf(routes: RoutesConfig): string[] {
  const names = new Set<string>();
  const visit = (target: TargetConfig): void => {
    switch (target.kind) {
      case "pool":
        names.add(target.pool);
        break;
      case "split":
        for (const one of [target.read, target.write, target.delete]) visit(one);
        break;
      case "warm":
        visit(target.cold);
        visit(target.warm);
        break;
      default:
        for (const one of target.of) visit(one);
    }
  };
  if (routes.default !== undefined) visit(routes.default);
  for (const { target } of routes.prefixes) visit(target);
  for (const { pool } of routes.mirror) visit(pool);
  return [...names];
}
