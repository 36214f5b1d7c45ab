// A Redis Cluster as it is shown: nodes and roles, whose the slots are, what is missing. Plain data.

import type { NodeSnapshot, TopologySnapshot } from "../stats/topology.ts";
import type { ClusterTopology } from "./cluster.ts";
import type { ClusterSight } from "./cluster_sight.ts";
import { type SlotMap, SLOTS } from "./slot_map.ts";

export function viewCluster({ map, sight, chronicle }: ClusterTopology): TopologySnapshot {
  const counts = map.counts();
  const nodes: NodeSnapshot[] = [];
  const named = new Map(sight.nodes.map(({ id, name }) => [id, name]));
  const described = new Map(sight.nodes.map((node) => [node.name, node]));
  let unreachable = 0;
  for (const [number, node] of map.nodes.entries()) {
    if (node === null) continue;
    const { id, failed, server: { name } } = node;
    const slots = counts[number];
    const known = described.get(name);
    described.delete(name);
    if (failed) unreachable += slots;
    // One whose place another has taken has no slots left, and may be a replica by now.
    const isReplica = known !== undefined && !known.primary && slots === 0;
    const of = isReplica ? named.get(known.of) ?? "" : "";
    const role = isReplica ? "replica" : "primary";
    nodes.push({ name, id, role, of, epoch: known?.epoch ?? 0, slots, failed });
  }
  for (const { name, id, primary, of, epoch, failed } of described.values()) {
    const role = primary ? "primary" : "replica";
    nodes.push({ name, id, role, of: named.get(of) ?? "", epoch, slots: 0, failed });
  }
  return {
    kind: "cluster",
    epoch: sight.epoch,
    slots: SLOTS,
    ownerless: ownerless(map, sight),
    unreachable,
    nodes,
    look: chronicle.look,
    failovers: chronicle.failovers,
  };
}

/** The map keeps the last owner of a slot that nobody claims any more; that one refuses requests. */
function hasOwner({ owners }: SlotMap, { claimed }: ClusterSight, slot: number): boolean {
  return owners[slot] !== 0 && claimed[slot] !== 0;
}

function ownerless(map: SlotMap, sight: ClusterSight): number {
  let sum = 0;
  for (let slot = 0; slot < SLOTS; slot++) if (!hasOwner(map, sight, slot)) sum++;
  return sum;
}

/** By server's name ("" is nobody): the slots it has, "0-5460 10922". */
export function slotRanges({ map, sight }: ClusterTopology): Map<string, string> {
  const { owners, nodes } = map;
  const owner = (slot: number): number => hasOwner(map, sight, slot) ? owners[slot] : 0;
  const ranges = new Map<string, string[]>();
  for (let first = 0; first < SLOTS;) {
    let last = first;
    while (last + 1 < SLOTS && owner(last + 1) === owner(first)) last++;
    const name = nodes[owner(first)]?.server.name ?? "";
    const list = ranges.get(name) ?? [];
    list.push(first === last ? `${first}` : `${first}-${last}`);
    ranges.set(name, list);
    first = last + 1;
  }
  return new Map([...ranges].map(([name, list]) => [name, list.join(" ")]));
}
