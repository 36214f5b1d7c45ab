// A branch that leads reads, writes and deletes to different children: it costs a look at what the
// command is to do.

import { INTENT_DELETE, reads } from "../protocol/intents.ts";
import type { Server, Target } from "../server/server.ts";
import type { Branch, Step } from "./prefix.ts";
import type { Rounds } from "./rounds.ts";
import type { Intent } from "./route.ts";

export class Fork implements Branch {
  private readonly read: Branch;
  private readonly write: Branch;
  private readonly remove: Branch;

  constructor(read: Branch, write: Branch, remove: Branch) {
    this.read = read;
    this.write = write;
    this.remove = remove;
  }

  private of(intent: Intent): Branch {
    if (reads(intent)) return this.read;
    return intent === INTENT_DELETE ? this.remove : this.write;
  }

  pick(buf: Uint8Array, start: number, end: number, intent: Intent): Target {
    return this.of(intent).pick(buf, start, end, intent);
  }

  any(): Target {
    return this.read.any();
  }

  members(): readonly Server[] {
    return this.read.members();
  }

  rounds(): readonly Rounds[] {
    return this.read.rounds();
  }

  all(intent: Intent): readonly Server[] {
    if (reads(intent)) return this.read.all(intent);
    return [this.read, this.write, this.remove].flatMap((branch) => branch.all(intent));
  }

  trace(buf: Uint8Array, start: number, end: number, intent: Intent): Step {
    return this.of(intent).trace(buf, start, end, intent);
  }
}
