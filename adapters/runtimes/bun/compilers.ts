// The threads in which JavaScriptCore compiles what has become hot. For some tens of seconds after a start
// they want all the CPU they can get, and on a core that they share with the proxy requests wait for
// them: they come after it. Linux only; elsewhere nothing is done.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import process from "node:process";

const THREADS = "/proc/self/task";
/** As the engine names them. */
const COMPILER = "JITWorker";
/** So much nicer than the process: a tenth of its share where both want the same core. */
const NICER = 10;
const NICEST = 19;
/** How often (ms) new ones are looked for: they end when there was nothing to compile for 10 s. */
const INTERVAL = 250;

/** Gives the compiler's threads a low priority, for as long as the process lives. */
export function deferCompilers(): void {
  if (!existsSync(THREADS)) return;
  const nice = Math.min(NICEST, getPriority() + NICER);
  const known = new Set([String(process.pid)]);
  setInterval(() => {
    const threads = attempt(() => readdirSync(THREADS)) ?? [];
    for (const thread of known) if (!threads.includes(thread)) known.delete(thread);
    for (const thread of threads) {
      if (known.has(thread)) continue;
      const name = nameOf(thread);
      // One that is new may still have the name of the thread that has begun it.
      if (name === null || name === nameOf(String(process.pid))) continue;
      known.add(thread);
      if (name === COMPILER) attempt(() => setPriority(Number(thread), nice));
    }
  }, INTERVAL).unref();
}

/** null when it has ended. */
function nameOf(thread: string): string | null {
  return attempt(() => readFileSync(`${THREADS}/${thread}/comm`, "utf8").trim());
}

/** null when it fails: a thread has ended, there is no descriptor left, or it is not allowed. */
function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
