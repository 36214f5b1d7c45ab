// The threads in which JavaScriptCore compiles what has become hot. For some tens of seconds after a start
// they want all the CPU they can get, and on a core that they share with the proxy requests wait for
// them: they come after it. Linux only; elsewhere nothing is done.

import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import process from "node:process";

const THREADS = "/proc/self/task";
/** As the engine names them. */
const COMPILER = "JITWorker";
/** Nice value: a tenth of the share of a thread at 0 where both want the same core. */
const NICE = 10;
/** How often (ms) new ones are looked for: they end when there was nothing to compile for 10 s. */
const INTERVAL = 250;

/** Gives the compiler's threads a low priority, for as long as the process lives. */
export function deferCompilers(): void {
  const known = new Set([String(process.pid)]);
  const timer = setInterval(() => {
    try {
      const threads = readdirSync(THREADS);
      for (const thread of known) if (!threads.includes(thread)) known.delete(thread);
      for (const thread of threads) if (!known.has(thread)) look(thread, known);
    } catch {
      clearInterval(timer); // not Linux, or not allowed
    }
  }, INTERVAL);
  timer.unref();
}

/** Adds `thread` to `known` when nothing more is to be done about it. */
function look(thread: string, known: Set<string>): void {
  let name: string;
  try {
    name = nameOf(thread);
    if (name === nameOf(String(process.pid))) return; // so new that it has none of its own yet
  } catch {
    return; // it has ended
  }
  known.add(thread);
  if (name === COMPILER) setPriority(Number(thread), NICE);
}

function nameOf(thread: string): string {
  return readFileSync(`${THREADS}/${thread}/comm`, "utf8").trim();
}
