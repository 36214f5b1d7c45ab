// A Redis Cluster's nodes as the last one asked has described them, for people; and the failovers that
// show when a description is compared with the one before.

import type { Address } from "../host.ts";
import type { NodeView } from "../protocol/clustering.ts";
import type { Chronicle } from "./chronicle.ts";
import { SLOTS } from "./slot_map.ts";

/** A node, whether it has slots or not. */
export interface SeenNode extends NodeView {
  /** host:port where it is spoken to. */
  readonly name: string;
  readonly address: Address;
}

export class ClusterSight {
  nodes: readonly SeenNode[];
  /** By slot: whether a primary claims it. */
  readonly claimed: Uint8Array;
  private readonly chronicle: Chronicle;
  /** By node: the highest epoch it was seen with. A promotion has a higher one; an old view has none. */
  private epochs: Map<string, number>;

  constructor(chronicle: Chronicle) {
    this.nodes = [];
    this.claimed = new Uint8Array(SLOTS);
    this.chronicle = chronicle;
    this.epochs = new Map();
  }

  saw(nodes: readonly SeenNode[]): void {
    const before = new Map(this.nodes.map((node) => [node.id, node]));
    this.nodes = nodes;
    this.claimed.fill(0);
    for (const { slots } of nodes) {
      for (let i = 0; i < slots.length; i += 2) this.claimed.fill(1, slots[i], slots[i + 1] + 1);
    }
    const epochs = new Map<string, number>();
    for (const node of nodes) {
      const { id, epoch, name, slots } = node;
      const known = this.epochs.get(id) ?? -1;
      epochs.set(id, Math.max(known, epoch));
      const old = before.get(id);
      if (!node.primary || slots.length === 0 || old === undefined || old.primary) continue;
      if (epoch <= known) continue;
      const from = before.get(old.of)?.name ?? "an unknown primary";
      const count = countOf(slots);
      this.chronicle.failover(from, name, `${count} slot${count === 1 ? "" : "s"}`);
    }
    this.epochs = epochs;
  }

  /** By the nodes' ids: their highest configuration epochs. */
  get highest(): ReadonlyMap<string, number> {
    return this.epochs;
  }

  /** The highest configuration epoch. */
  get epoch(): number {
    return this.nodes.reduce((most, { epoch }) => Math.max(most, epoch), 0);
  }
}

/** How many slots are in these ranges: pairs of the first and the last. */
function countOf(ranges: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < ranges.length; i += 2) sum += ranges[i + 1] - ranges[i] + 1;
  return sum;
}
