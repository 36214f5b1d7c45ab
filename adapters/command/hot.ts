// `ringmux hot`: what /hot of a running ringmux tells, as a table.

import { parseHostPort } from "../../core/config/address.ts";
import { DEFAULT_ADMIN } from "../admin/address.ts";
import type { HotView } from "../control/control.ts";
import { printable } from "../log/printable.ts";

const USAGE = `Usage: ringmux hot [--admin host:port] [--pool name] [--json]

  --admin=S : the admin address of the running ringmux (default: ${DEFAULT_ADMIN})
  --pool=S  : only of this pool
  --json    : as /hot tells it
`;

/** How long (ms) the answer may take. */
const PATIENCE = 5000;

/** Where it writes. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

interface Wanted {
  admin: string;
  pool: string;
  json: boolean;
}

/** Carries it out; the exit status. */
export async function runHot(argv: readonly string[], { out, err }: Terminal): Promise<number> {
  const wanted = parse(argv);
  if (wanted === null) {
    out(USAGE);
    return 0;
  }
  if (typeof wanted === "string") {
    err(`ringmux: hot: ${wanted}\n${USAGE}`);
    return 1;
  }
  try {
    const views = await ask(wanted);
    out(wanted.json ? `${JSON.stringify(views, null, 2)}\n` : views.map(shown).join("\n"));
    return 0;
  } catch (error) {
    err(`ringmux: hot: ${printable(error instanceof Error ? error.message : String(error))}\n`);
    return 1;
  }
}

/** Null: the usage is asked for. */
function parse(argv: readonly string[]): Wanted | string | null {
  const wanted: Wanted = { admin: DEFAULT_ADMIN, pool: "", json: false };
  for (let i = 0; i < argv.length; i++) {
    const equals = argv[i].indexOf("=");
    const name = equals < 0 ? argv[i] : argv[i].slice(0, equals);
    if (name === "--help" || name === "-h") return null;
    if (name === "--json") {
      wanted.json = true;
      continue;
    }
    if (name !== "--admin" && name !== "--pool") {
      return `"${argv[i]}" is not known (--admin, --pool, --json)`;
    }
    const value = equals < 0 ? argv[++i] : argv[i].slice(equals + 1);
    if (value === undefined || value === "") return `${name} requires a value`;
    if (name === "--pool") wanted.pool = value;
    else if (typeof parseHostPort(value) === "string") {
      return `--admin "${value}" has to be host:port`;
    } else wanted.admin = value;
  }
  return wanted;
}

async function ask({ admin, pool }: Wanted): Promise<HotView[]> {
  const query = pool === "" ? "" : `?pool=${encodeURIComponent(pool)}`;
  const signal = AbortSignal.timeout(PATIENCE);
  const reply = await fetch(`http://${admin}/hot${query}`, { signal }).catch((error) => {
    throw new Error(`${admin}: no answer: ${error.cause?.message ?? error.message}`);
  });
  const told = await reply.json().catch(() => {
    throw new Error(`${admin}: no ringmux answers there`);
  });
  if (!reply.ok) throw new Error(`${admin}: ${told.error ?? reply.status}`);
  return told;
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
