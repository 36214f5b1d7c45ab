// Whom the map of a Redis Cluster is asked of, and whether whoever answers is of the cluster that is
// followed. An address may be another cluster's by now: one of the configuration's, or one that a node
// had before it was given to another machine. Two clusters' maps are never mixed: their epochs mean
// nothing to each other. Nodes are told apart by their ids.

import type { Address } from "../host.ts";
import type { NodeView } from "../protocol/clustering.ts";
import type { ClusterSight } from "./cluster_sight.ts";
import type { SlotMap } from "./slot_map.ts";

/** What an answer is. */
export const OURS = 0;
/** Of another cluster: it does not count. */
export const STRANGE = 1;
/** Of another cluster, which a reload has named: the pool is to go over to it. */
export const APPOINTED = 2;

export interface SourcesContext {
  readonly config: { readonly servers: readonly { readonly address: Address }[] };
}

export class MapSources {
  /** Nodes that have no slots, as far as anybody knows: they may be asked too. */
  others: readonly Address[];
  /** A reload has named servers of which none is known: they are asked first. */
  private isMoving: boolean;
  private turn: number;
  /** Whoever was asked and has told nothing of use since somebody has. */
  private readonly vain: Set<string>;
  private readonly context: SourcesContext;
  private readonly map: SlotMap;
  private readonly sight: ClusterSight;

  constructor(context: SourcesContext, map: SlotMap, sight: ClusterSight) {
    this.others = [];
    this.isMoving = false;
    this.turn = 0;
    this.vain = new Set();
    this.context = context;
    this.map = map;
    this.sight = sight;
  }

  /** Nodes that are well. */
  private get nodes(): Address[] {
    const primaries = this.map.nodes.flatMap((node) =>
      node === null || node.failed ? [] : [node.server.address]
    );
    return [...primaries, ...this.others];
  }

  private get configured(): Address[] {
    return this.context.config.servers.map(({ address }) => address);
  }

  /** Nodes that are well, then those that were configured. */
  all(): Address[] {
    return [...this.nodes, ...this.configured];
  }

  /** Whose turn it is to be asked. */
  next(): Address {
    const all = this.isMoving ? [...this.configured, ...this.nodes] : this.all();
    return all[this.turn++ % all.length];
  }

  /** Everybody was asked once at least. */
  get wereAsked(): boolean {
    return this.turn >= this.all().length;
  }

  isConfigured(address: Address): boolean {
    return this.configured.some((one) => isSame(one, address));
  }

  /** The configuration has other servers. */
  changed(): void {
    const { nodes } = this;
    this.isMoving = !this.configured.some((one) => nodes.some((node) => isSame(node, one)));
    if (this.isMoving) this.turn = 0;
  }

  failed(from: Address): void {
    this.vain.add(nameOf(from));
  }

  /** What the answer of `from` is: OURS, STRANGE or APPOINTED. */
  judge(from: Address, views: readonly NodeView[]): number {
    const isSource = this.isConfigured(from);
    if (!this.isOfCluster(views)) {
      if (this.isMoving && isSource) return APPOINTED;
      // When nobody is left who knows of the cluster it was made anew, where it is.
      this.failed(from);
      if (!this.all().every((one) => this.vain.has(nameOf(one)))) return STRANGE;
    }
    this.vain.clear();
    if (isSource) this.isMoving = false;
    return OURS;
  }

  private isOfCluster(views: readonly NodeView[]): boolean {
    const known = new Set(this.sight.nodes.map(({ id }) => id));
    for (const node of this.map.nodes) if (node !== null && node.id !== "") known.add(node.id);
    return known.size === 0 || views.some(({ id }) => known.has(id));
  }
}

function isSame(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port;
}

function nameOf({ host, port }: Address): string {
  return `${host}:${port}`;
}
