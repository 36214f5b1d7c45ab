// The reports for the terminal: a line per measurement, a table per workload, and the figures that
// come from comparing workloads.

import { CONTESTANTS } from "./contestants.ts";
import type { Outcome } from "./loader.ts";
import {
  type Figure,
  median,
  middle,
  ratio,
  type Results,
  type Row,
  summary,
  yardstick,
} from "./results.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

const WIDTH = 20;

export function progress(
  workload: Workload,
  round: number,
  rounds: number,
  title: string,
  run: Outcome,
): string {
  return [
    `${workload.name.padEnd(18)} ${round}/${rounds}  ${title.padEnd(WIDTH)}`,
    run.cpu === 0 ? " ".repeat(16) : `${cpuText(run.cpu).padStart(9)} µs/req`,
    `${whole(run.perSecond).padStart(9)} req/s`,
    `p50 ${ms(run.p50)} ms`,
    `p99 ${ms(run.p99)} ms`,
    ...(run.late > 0 ? [`p99.9 ${ms(run.p999)} ms`, `load late ${ms(run.late)} ms`] : []),
  ].join("  ");
}

/** Right-aligned columns; the first one left-aligned. */
export function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines.map((line) =>
    line.map((text, i) => i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])).join("  ")
      .trimEnd()
  ).join("\n");
}

/** Medians over the rounds; "spread" is from the lowest to the highest. */
export function table(row: Row): string {
  const lines = [
    [
      "",
      ...[
        "CPU µs/req",
        "spread",
        `× ${yardstick(row)}`,
        "req/s",
        "core",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
      ],
      ...["p99.99 ms", "max ms", "peak MB"],
    ],
  ];
  for (const cell of row.cells) {
    const cpu = summary(cell, "cpu");
    if (cpu === null) {
      lines.push([`  ${title(cell.contestant)}`, "-", ...Array(10).fill("")]);
      continue;
    }
    const of = (figure: Figure) => summary(cell, figure)?.median ?? 0;
    const none = cpu.median === 0;
    const times = ratio(row, cell.contestant);
    lines.push([
      `  ${title(cell.contestant)}`,
      none ? "-" : cpuText(cpu.median),
      none ? "-" : `${cpuText(cpu.low)}-${cpuText(cpu.high)}`,
      times === null ? "-" : times.toFixed(2),
      whole(of("perSecond")),
      none ? "-" : `${Math.round(of("busy") * 100)}%`,
      ms(of("p50")),
      ms(of("p99")),
      ms(of("p999")),
      ms(of("p9999")),
      ms(of("max")),
      none ? "-" : (of("peakKb") / 1024).toFixed(0),
    ]);
  }
  const failures = row.cells.filter((cell) => cell.failure !== "");
  return `${row.workload}: ${row.title}\n${columns(lines)}` +
    failures.map((cell) => `\n  ${title(cell.contestant)}: ${cell.failure}`).join("");
}

/** Figures that no single table shows; "" when the rows for them were not run. */
export function derived(results: Results): string {
  const rows = new Map(results.rows.map((row) => [row.workload, row]));
  const lines: string[][] = [];
  const add = (label: string, workload: string, value: (contestant: string) => string | null) => {
    const cells = rows.get(workload)?.cells;
    if (cells === undefined) return;
    const values = names.map((name) => value(name) ?? "-");
    if (values.some((text) => text !== "-")) lines.push([label, ...values]);
  };
  const names = [...new Set(results.rows.flatMap((row) => row.cells.map((c) => c.contestant)))];
  const get = (workload: string, name: string, figure: Figure) =>
    median(rows.get(workload), name, figure);
  const quotient = (one: string, other: string, per: number) => (name: string) => {
    const [a, b] = [get(one, name, "cpu"), get(other, name, "cpu")];
    return a && b ? (a / per / b).toFixed(2) : null;
  };

  /** Window by window, for rows that are measured in turns: what slows the machine down slows both. */
  const paired = (one: string, other: string) => (name: string) => {
    const [a, b] = [one, other].map((row) =>
      rows.get(row)?.cells.find(({ contestant }) => contestant === name)?.runs ?? []
    );
    const found = a.flatMap((run, i) => i < b.length ? [run.cpu / b[i].cpu] : []);
    if (found.length === 0) return null;
    const sorted = found.sort((x, y) => x - y);
    const [low, high] = [sorted[0], sorted[sorted.length - 1]];
    return `${middle(sorted).toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`;
  };

  add("added latency of 1 client, p50, µs", "redis-get-c1", (name) => {
    const [own, none] = [get("redis-get-c1", name, "p50"), get("redis-get-c1", "none", "p50")];
    return own === null || none === null || name === "none" ? null : whole((own - none) * 1000);
  });
  for (const count of [100, 1000, 10000]) {
    add(`memory per idle client, of ${whole(count)}, KB`, `idle-${count}`, (name) => {
      const kb = get(`idle-${count}`, name, "idleKb");
      return kb === null || name === "none" ? null : kb.toFixed(1);
    });
  }
  add(
    "CPU with 10,000 idle clients / with 100",
    "idle-10000",
    quotient("idle-10000", "idle-100", 1),
  );
  add("CPU with 64 servers / with 1", "servers-64", quotient("servers-64", "servers-1", 1));
  add(
    "CPU per key, MGET of 10,000 / of 100",
    "mget-10000",
    quotient("mget-10000", "mget-100", 100),
  );
  add(
    "CPU per GET, burst of 100,000 / 10,000",
    "burst-100000",
    quotient("burst-100000", "burst-10000", 1),
  );
  for (const { name, beside } of WORKLOADS.filter((workload) => workload.beside !== "")) {
    add(`CPU, ${name} / ${beside}`, name, paired(name, beside));
  }
  for (const big of ["big-get", "big-set"]) {
    const op = big === "big-get" ? "GET" : "SET";
    const megabytes = (WORKLOADS.find((w) => w.name === big)?.shape.size ?? 0) / 2 ** 20;
    add(`${op} of 64 MB: CPU µs per MB`, big, (name) => {
      const cpu = get(big, name, "cpu");
      return cpu ? (cpu / megabytes).toFixed(0) : null;
    });
    add(`${op} of 64 MB: memory grows by, MB`, big, (name) => {
      const kb = get(big, name, "grownKb");
      return kb === null || name === "none" ? null : (kb / 1024).toFixed(0);
    });
  }
  return lines.length === 0 ? "" : columns([["", ...names], ...lines]);
}

export function title(contestant: string): string {
  return CONTESTANTS.find((c) => c.name === contestant)?.title ?? contestant;
}

function cpuText(micros: number): string {
  return micros >= 100 ? micros.toFixed(0) : micros >= 10 ? micros.toFixed(1) : micros.toFixed(2);
}

function whole(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

function ms(n: number): string {
  return n >= 10 ? n.toFixed(1) : n.toFixed(3);
}
