// The demonstrations with real servers, by the name behind --demo.

import { clusterDemo } from "./cluster.ts";
import { migrateDemo } from "./migrate.ts";
import type { Demo, Launcher } from "./launcher.ts";
import { sentinelDemo } from "./sentinel.ts";

export const DEMOS: Readonly<Record<string, (launcher: Launcher) => Promise<Demo>>> = {
  cluster: clusterDemo,
  migrate: migrateDemo,
  sentinel: sentinelDemo,
};
