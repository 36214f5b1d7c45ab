// The keys that are asked for most, and what is large, for people: plain data. Keys are escaped, so
// that they do no harm wherever they are shown.

import { bytes } from "./bytes.ts";
import { CLASS_READ } from "./stats/latency.ts";
import type { BigKey, Way } from "./stats/big_keys.ts";
import type { HotKey } from "./stats/hot_keys.ts";
import type { Pool } from "./pool.ts";

/** Keys that are shown of each kind. */
export const SHOWN = 32;
/** Keys that a worker tells: what is hot for all together may be less so for one. */
const TOLD = 128;

export interface HotView {
  readonly pool: string;
  /** Requests for keys, a second. */
  readonly rate: number;
  /** More bytes than this are big; 0: nothing is. */
  readonly limit: number;
  readonly hot: readonly HotRow[];
  readonly big: readonly BigRow[];
}

export interface HotRow {
  readonly key: string;
  /** Requests a second, and the part of all, 0 to 1. */
  readonly rate: number;
  readonly share: number;
  /** Bytes a second of the requests and their replies. */
  readonly bytes: number;
  /** Where the key lives; "" when that cannot be told. */
  readonly server: string;
}

export interface BigRow {
  readonly key: string;
  readonly command: string;
  readonly way: Way;
  readonly bytes: number;
  readonly count: number;
  readonly at: number;
}

/** What one process has seen. */
export function viewHot(pool: Pool): HotView {
  const { hot, big } = pool;
  return {
    pool: pool.name,
    rate: hot.rate,
    limit: big.bytes === Infinity ? 0 : big.bytes,
    hot: hot.top(TOLD).map((one) => hotRow(pool, one)),
    big: big.keys.top(SHOWN).map(bigRow),
  };
}

function hotRow(pool: Pool, { key, cut, rate, share, bytes: size }: HotKey): HotRow {
  return {
    key: escaped(key) + (cut ? "..." : ""),
    ...{ rate, share, bytes: size },
    server: cut ? "" : serverOf(pool, key),
  };
}

function bigRow(one: BigKey): BigRow {
  return { ...one, key: escaped(one.key) };
}

function serverOf({ config, route, servers, front }: Pool, key: string): string {
  if (front !== null) return front.serverOf(bytes(key));
  if (config.distribution === "random" && servers.length > 1) return "";
  const server = route.pick(bytes(key), 0, key.length, CLASS_READ);
  return server.available ? server.name : "";
}

/** A byte string as printable ASCII, as C writes it. */
export function escaped(key: string): string {
  return key.replace(
    /[^ -~]|\\/g,
    (c) => c === "\\" ? "\\\\" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** Adds up what several workers have seen; of each pool the first SHOWN of a kind. */
export function mergeHot(all: readonly (readonly HotView[])[]): HotView[] {
  const pools = new Map<string, HotView[]>();
  for (const view of all.flat()) {
    const known = pools.get(view.pool);
    if (known === undefined) pools.set(view.pool, [view]);
    else known.push(view);
  }
  return [...pools.values()].map(mergePool);
}

function mergePool(views: readonly HotView[]): HotView {
  const rate = views.reduce((sum, view) => sum + view.rate, 0);
  const hot = new Map<string, HotRow>();
  const big = new Map<string, BigRow>();
  for (const view of views) {
    for (const row of view.hot) {
      const other = hot.get(row.key);
      const sum = (name: "rate" | "bytes") => row[name] + (other?.[name] ?? 0);
      const both = sum("rate");
      const share = rate > 0 ? both / rate : 0;
      hot.set(row.key, { ...row, rate: both, bytes: sum("bytes"), share });
    }
    for (const row of view.big) {
      const id = `${row.way} ${row.command} ${row.key}`;
      const other = big.get(id) ?? { ...row, count: 0 };
      big.set(id, {
        ...row,
        bytes: Math.max(row.bytes, other.bytes),
        count: row.count + other.count,
        at: Math.max(row.at, other.at),
      });
    }
  }
  const most = <T>(rows: Iterable<T>, of: (row: T) => number): T[] =>
    [...rows].sort((a, b) => of(b) - of(a)).slice(0, SHOWN);
  return {
    ...views[0],
    rate,
    hot: most(hot.values(), (row) => row.rate),
    big: most(big.values(), (row) => row.bytes),
  };
}
