// A proxy that runs, as the signals and the configuration file drive it: one process or several.

import type { Config } from "../../core/config/schema.ts";

/** A running proxy. */
export interface Running {
  /** Lets clients have the replies they wait for, then ends it. */
  stop(): Promise<void>;
  /** Ends it at once. */
  abort?(): void;
  /** Goes over to another configuration; rejects, with nothing changed, when that cannot be. */
  reload?(config: Config): Promise<unknown> | void;
  /** The log's level is another one. */
  levelChanged?(): void;
}
