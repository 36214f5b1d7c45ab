// Who owns which of a cluster's hash slots. Claims of the nodes count by their configuration epochs;
// what a server has said by MOVED stays until a higher one comes. Knows no socket.

import type { Server } from "../server/server.ts";

export const SLOTS = 16384;

/** One node that has slots, or may get some. */
export interface Node {
  /** The cluster's name of it; "" until that is known. */
  id: string;
  readonly server: Server;
  /** In how many views in a row it was not. */
  missing: number;
  failed: boolean;
}

export class SlotMap {
  /** Raised whenever a slot changes its owner, or what is sent to it has to wait. */
  epoch: number;
  /** By slot: the number of its owner in `nodes`, 0 for nobody; `epoch` when that changed. */
  readonly owners: Uint16Array;
  readonly epochs: Float64Array;
  /** How often slots have changed hands; by slot: how often when that one did last. */
  moves: number;
  readonly moved: Uint32Array;
  /** By number; 0 is nobody. */
  readonly nodes: (Node | null)[];
  /** By slot: the configuration epoch of the owner's claim; whether MOVED told the owner. */
  private readonly claims: Float64Array;
  private readonly patched: Uint8Array;

  constructor() {
    this.epoch = 0;
    this.owners = new Uint16Array(SLOTS);
    this.epochs = new Float64Array(SLOTS);
    this.moves = 0;
    this.moved = new Uint32Array(SLOTS);
    this.nodes = [null];
    this.claims = new Float64Array(SLOTS).fill(-1);
    this.patched = new Uint8Array(SLOTS);
  }

  /** The number of a new node. */
  add(node: Node): number {
    const free = this.nodes.indexOf(null, 1);
    if (free > 0) this.nodes[free] = node;
    else this.nodes.push(node);
    return free > 0 ? free : this.nodes.length - 1;
  }

  /** It is no node any more: what it had is nobody's. */
  remove(number: number): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.owners[slot] !== number) continue;
      this.claims[slot] = -1;
      this.patched[slot] = 0;
      this.give(slot, 0);
    }
    this.nodes[number] = null;
  }

  owner(slot: number): Server | null {
    return this.nodes[this.owners[slot]]?.server ?? null;
  }

  /** A server has said so (MOVED). */
  patch(slot: number, number: number): void {
    if (this.owners[slot] === number) return;
    this.patched[slot] = 1;
    this.give(slot, number);
  }

  /** A node claims the slot, or is said to. True if the owner is another one now. */
  claim(slot: number, number: number, epoch: number): boolean {
    const same = this.owners[slot] === number;
    if (this.owners[slot] !== 0 && epoch <= this.claims[slot] && !same) return false;
    if (epoch > this.claims[slot]) {
      this.claims[slot] = epoch;
      this.patched[slot] = 0;
    }
    if (!same) this.give(slot, number);
    return !same;
  }

  /** Who has unanswered requests empties its queue before it sends to the slot again. */
  renew(slot: number): void {
    this.epochs[slot] = ++this.epoch;
  }

  private give(slot: number, number: number): void {
    this.owners[slot] = number;
    this.moved[slot] = ++this.moves;
    this.renew(slot);
  }

  /** By number of the node: how many slots it has. */
  counts(): Uint16Array {
    const counts = new Uint16Array(this.nodes.length);
    for (let slot = 0; slot < SLOTS; slot++) counts[this.owners[slot]]++;
    return counts;
  }
}
