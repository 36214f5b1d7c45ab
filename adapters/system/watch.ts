// Sees when a file changes: by looking at it now and then, which works on every runtime and file
// system, also where an editor puts a new file in the place of the old one, or a symbolic link is
// turned (as Kubernetes does).

import * as fs from "node:fs";

/** Milliseconds between two looks. */
const INTERVAL = 500;

export interface Watcher {
  stop(): void;
}

/**
 * Calls `changed` when the file is another one than `known` (what `fileState` gave before it was
 * read, so that no change is missed) and has been the same for one look.
 */
export function watchFile(path: string, known: string, changed: () => void): Watcher {
  let before = known;
  const timer = setInterval(() => {
    const now = fileState(path);
    // While it is written, or gone for a moment, there is nothing to read.
    if (now !== "" && now === before && now !== known) {
      known = now;
      changed();
    }
    before = now;
  }, INTERVAL);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** What tells one state of the file from another; "" when it cannot be had. */
export function fileState(path: string): string {
  try {
    const { ino, size, mtimeMs } = fs.statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return "";
  }
}
