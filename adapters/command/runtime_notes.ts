// What a configuration asks for and the runtime or the system will do otherwise: said at `-t` and at
// the start, so that nobody finds it out by measuring.

import { formatMistake } from "../../core/config/load.ts";
import type { Config, PoolConfig } from "../../core/config/schema.ts";
import { mistakeAt } from "../../core/config/secrets.ts";

/** What every pool has that says nothing of it; nutcracker's. */
const DEFAULT_BACKLOG = 512;
/** What Deno listens with on unix sockets, whatever it is told. */
const DENO_UNIX = 1024;

/** A line for every such thing. `most` is the system's largest backlog (net.core.somaxconn). */
export function runtimeNotes(
  config: Config,
  { runtime, most }: { readonly runtime: string; readonly most: number },
  text: string,
  file: string,
): string[] {
  const lines: string[] = [];
  for (const pool of config.pools) {
    const note = (key: string, message: string): void => {
      lines.push(formatMistake(mistakeAt(text, file, [pool.name, key], message)));
    };
    const about = backlogNote(pool, runtime, most);
    if (about !== "") note("backlog", `${pool.backlog} ${about}`);
    if (pool.listen.host === "*") {
      const where = "the loopback address, as to nutcracker";
      note("listen", `* is ${where}; all addresses are 0.0.0.0 or ::`);
    }
  }
  return lines;
}

function backlogNote({ backlog, listen }: PoolConfig, runtime: string, most: number): string {
  if (backlog === DEFAULT_BACKLOG) return "";
  if (runtime.startsWith("deno") && listen.path !== "") {
    return `has no effect on unix sockets on Deno, which uses ${DENO_UNIX}`;
  }
  return backlog > most ? `is more than the system allows: net.core.somaxconn is ${most}` : "";
}
