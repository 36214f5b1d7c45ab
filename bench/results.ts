// What a run of the benchmark leaves behind, and the figures drawn from it.

import type { Outcome } from "./loader.ts";

/** One contestant on one workload. */
export interface Cell {
  readonly contestant: string;
  /** One per round. */
  readonly runs: Outcome[];
  /** Why there are no runs, or not all; "" when there are. */
  failure: string;
}

export interface Row {
  readonly workload: string;
  readonly title: string;
  readonly cells: Cell[];
}

export interface Results {
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly quick: boolean;
  readonly rounds: number;
  readonly windowMs: number;
  readonly rows: Row[];
}

/** A figure of an outcome: the numbers only. */
export type Figure = Exclude<keyof Outcome, "error">;

export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Median and extremes over the rounds; null when there are no runs. */
export function summary(cell: Cell | undefined, figure: Figure): Summary | null {
  if (cell === undefined || cell.runs.length === 0) return null;
  const values = cell.runs.map((run) => run[figure]).sort((a, b) => a - b);
  return { median: middle(values), low: values[0], high: values[values.length - 1] };
}

/** The median of sorted numbers. */
export function middle(sorted: readonly number[]): number {
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

export function median(row: Row | undefined, contestant: string, figure: Figure): number | null {
  const cell = row?.cells.find((cell) => cell.contestant === contestant);
  return summary(cell, figure)?.median ?? null;
}

/** Whom the others are compared with: nutcracker, or what one puts before it for TLS. */
export function yardstick(row: Row): string {
  return row.workload.startsWith("tls-") ? "haproxy-tls" : "nutcracker";
}

/** CPU per request as a multiple of the yardstick's, from the medians; null when one is missing. */
export function ratio(row: Row, contestant: string): number | null {
  const own = median(row, contestant, "cpu");
  const other = median(row, yardstick(row), "cpu");
  // "no proxy" uses no CPU of its own.
  if (own === null || other === null || own === 0 || other === 0) return null;
  return own / other;
}
