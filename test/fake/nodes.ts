// A pool before a Redis Cluster on a FakeHost: nodes a, b, c ... in the test's hands, which say what it
// tells them to; their maps too.

import { FarEnd, nameAt } from "./far_end.ts";
import type { FakeSocket } from "./fake_host.ts";
import { bulk, type Setting } from "./fixture.ts";

export const SLOTS = "0-16383";

/** A line of CLUSTER NODES: node `n` (1 is a, 2 is b), as it calls itself. */
export function line(
  n: number,
  slots: string,
  epoch = n,
  place = `10.0.0.1:${7100 + n}@1`,
): string {
  return `${String(n).padStart(40, "0")} ${place} master - 0 0 ${epoch} connected ${slots}\n`;
}

export class Nodes extends FarEnd {
  /** What every node says of all; by its name, what one says that says otherwise. */
  map: string;
  readonly maps = new Map<string, string>();
  /** Who was asked for the map. */
  readonly asked: string[] = [];

  private constructor(map: string) {
    super();
    this.map = map;
  }

  /** `more`: see Setting. */
  static async start(map: string, config: string[] = [], more: Setting = {}): Promise<Nodes> {
    const lines = ["distribution: cluster", ...config];
    return await new Nodes(map).begin({ servers: ["a", "b"], config: lines, ...more });
  }

  protected answerTo([what, which]: readonly string[], { remote }: FakeSocket): string | null {
    if (what !== "CLUSTER" || which !== "NODES") return null;
    const name = nameAt(Number(remote.split(":")[1]));
    this.asked.push(name);
    return bulk(this.maps.get(name) ?? this.map);
  }
}

export const ALL_AT_A = line(1, SLOTS, 1) + line(2, "", 2);
export const ALL_AT_B = line(1, "", 1) + line(2, SLOTS, 3);
