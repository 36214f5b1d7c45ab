// `ringmux hot`: what /hot of a running ringmux tells, as a table.

import { DEFAULT_ADMIN } from "../admin/address.ts";
import type { HotView } from "../control/control.ts";
import { printable } from "../log/printable.ts";
import { askAdmin, type Look, runLook, type Terminal } from "./look.ts";

const USAGE = `Usage: ringmux hot [--admin host:port] [--pool name] [--json]

  --admin=S : the admin address of the running ringmux (default: ${DEFAULT_ADMIN})
  --pool=S  : only of this pool
  --json    : as /hot tells it
`;

/** Carries it out; the exit status. */
export function runHot(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runLook({ name: "hot", usage: USAGE, show }, argv, terminal);
}

async function show({ admin, pool, json }: Look): Promise<string> {
  const query = pool === "" ? "" : `?pool=${encodeURIComponent(pool)}`;
  const views = await askAdmin<HotView[]>(admin, `/hot${query}`);
  return json ? `${JSON.stringify(views, null, 2)}\n` : views.map(shown).join("\n");
}

function shown({ pool, rate, limit, hot, big }: HotView): string {
  const lines = [`pool "${printable(pool)}": ${number(rate)} requests for keys a second`];
  const rows = hot.map((row) => [
    ...[percent(row.share), number(row.rate), size(row.bytes), row.server || "-", row.key],
  ]);
  lines.push(...table(["share", "a second", "bytes/s", "server", "hot key"], rows));
  const bigs = big.map((row) => [
    ...[size(row.bytes), String(row.count), `${row.way} of ${row.command || "?"}`],
    ...[`${new Date(row.at).toISOString().slice(0, 19)}Z`, row.key || "(not known)"],
  ]);
  if (limit > 0) lines.push(...table(["bytes", "times", "what", "last", "big key"], bigs));
  return `${lines.join("\n")}\n`;
}

function table(heads: readonly string[], rows: readonly string[][]): string[] {
  if (rows.length === 0) return [`  no ${heads[heads.length - 1]}s`];
  const all = [heads, ...rows.map((row) => row.map(printable))];
  const widths = heads.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const last = heads.length - 1;
  return all.map((row) =>
    "  " + row.map((cell, i) => i === last ? cell : cell.padEnd(widths[i])).join("  ")
  );
}

function number(n: number): string {
  return n >= 100 ? String(Math.round(n)) : n.toFixed(1);
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

function size(n: number): string {
  if (n < 1000) return `${Math.round(n)} B`;
  return n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}
