// What this process takes of the machine.

import process from "node:process";
import type { Snapshot } from "../core/stats/snapshot.ts";

/** The snapshot with this process's memory and CPU time added. */
export function withUsage<T extends Omit<Snapshot, "pools" | "workers">>(snapshot: T): T {
  const { user, system } = process.cpuUsage();
  return {
    ...snapshot,
    memory: (snapshot.memory ?? 0) + process.memoryUsage.rss(),
    cpu: (snapshot.cpu ?? 0) + (user + system) / 1e6,
  };
}
