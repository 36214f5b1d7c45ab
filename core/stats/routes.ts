// What is counted of the single ways of a front: how many requests a target had by a route, how many of
// them failed, how many went on to another target. Routes and targets have the names of the
// configuration, so there are no more of them than it says.

/** Rows that are told of one front; a configuration may have more. */
export const MOST_ROWS = 1000;

export interface RouteRow {
  /** "default", "prefix user:", "mirror". */
  readonly route: string;
  /** The name of a pool; "failover", "all", "read/write" of what is none. */
  readonly target: string;
  readonly requests: number;
  /** Absent of a plain ring by itself: they are seen at its servers. */
  readonly errors?: number;
  readonly failovers?: number;
}

export class RouteTally implements RouteRow {
  readonly route: string;
  readonly target: string;
  requests: number;
  errors: number | undefined;
  failovers: number | undefined;

  /** `judged`: somebody looks at its replies; `branches`: and another target may be asked then. */
  constructor(route: string, target: string, judged: boolean, branches = judged) {
    this.route = route;
    this.target = target;
    this.requests = 0;
    this.errors = judged ? 0 : undefined;
    this.failovers = branches ? 0 : undefined;
  }

  failed(): void {
    if (this.errors !== undefined) this.errors++;
  }

  wentOn(): void {
    if (this.failovers !== undefined) this.failovers++;
  }

  get row(): RouteRow {
    const { route, target, requests, errors, failovers } = this;
    return {
      ...{ route, target, requests },
      ...(errors !== undefined && { errors }),
      ...(failovers !== undefined && { failovers }),
    };
  }
}

/** The tallies of a front; those of names that stay go on through a reload. */
export class RouteTallies {
  /** That of the target that was found last, if it is counted when it is found. */
  last: RouteTally | null;
  private all: Map<string, RouteTally>;
  private before: Map<string, RouteTally>;

  constructor() {
    this.last = null;
    this.all = new Map();
    this.before = new Map();
  }

  /** The routes are built anew: `of` is asked for those that there are now. */
  begin(): void {
    this.before = this.all;
    this.all = new Map();
  }

  of(route: string, target: string, judged: boolean, branches = judged): RouteTally {
    const key = `${route}\n${target}\n${judged} ${branches}`;
    const tally = this.all.get(key) ?? this.before.get(key) ??
      new RouteTally(route, target, judged, branches);
    this.all.set(key, tally);
    return tally;
  }

  /** What was found last is counted when it is carried out instead; null: it is not counted. */
  takeBack(): RouteTally | null {
    const { last } = this;
    this.last = null;
    if (last !== null) last.requests--;
    return last;
  }

  /** Nothing was found yet. */
  forget(): void {
    this.last = null;
  }

  get rows(): RouteRow[] {
    const rows = new Map<string, RouteRow>();
    for (const { row } of this.all.values()) add(rows, row);
    return [...rows.values()].slice(0, MOST_ROWS);
  }
}

/** Adds up what several workers tell. */
export function mergeRoutes(a: readonly RouteRow[], b: readonly RouteRow[]): RouteRow[] {
  const rows = new Map<string, RouteRow>();
  for (const row of a) add(rows, row);
  const known = rows.size;
  for (const row of b) add(rows, row);
  return [...rows.values()].slice(0, known);
}

/** A target may be in a route more than once. */
function add(rows: Map<string, RouteRow>, row: RouteRow): void {
  const id = `${row.route}\n${row.target}`;
  const other = rows.get(id);
  if (other === undefined) return void rows.set(id, row);
  const sum = (a?: number, b?: number) => a === undefined ? b : a + (b ?? 0);
  const errors = sum(other.errors, row.errors);
  const failovers = sum(other.failovers, row.failovers);
  rows.set(id, {
    ...other,
    requests: other.requests + row.requests,
    ...(errors !== undefined && { errors }),
    ...(failovers !== undefined && { failovers }),
  });
}
