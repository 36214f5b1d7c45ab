// One request on its way through a branch with several children: what failover, `all` and `warm` do
// with it is theirs, what it needs for that is here.

import { EMPTY } from "../bytes.ts";
import type { Carrier } from "../link/attempt.ts";
import type { Target } from "../server/server.ts";
import type { Branching } from "./branching.ts";
import { send } from "./errand.ts";
import type { Judge } from "./judge.ts";
import type { Tree, Want } from "./plan.ts";
import type { Request } from "./request.ts";

/** Bytes of requests that a front keeps so that they can be sent again. */
export const MOST_KEPT = 64 << 20;

/** What a course is made of. */
export type CourseOf<B> = [
  branch: B,
  tree: Tree,
  want: Want,
  targets: readonly Target[],
  judge: Judge,
  index: number,
];

export abstract class Course<B extends Branching> implements Judge {
  protected readonly branch: B;
  protected readonly tree: Tree;
  protected readonly want: Want;
  protected readonly targets: readonly Target[];
  protected readonly judge: Judge;
  /** What it is to its judge. */
  protected readonly index: number;
  /** The request: kept[0, length); 0 when it is not kept. */
  protected kept: Uint8Array;
  protected length: number;

  constructor(...[branch, tree, want, targets, judge, index]: CourseOf<B>) {
    this.branch = branch;
    this.tree = tree;
    this.want = want;
    this.targets = targets;
    this.judge = judge;
    this.index = index;
    this.kept = EMPTY;
    this.length = 0;
  }

  abstract reply(
    index: number,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void;
  abstract lost(index: number, text: string, unsent: boolean): void;
  abstract streams(index: number): Request | null;
  abstract streamed(index: number): void;

  /** Whether there is room for it: then it can be sent again. */
  protected keeps(buf: Uint8Array, start: number, end: number): boolean {
    const { tree } = this;
    const length = end - start;
    if (tree.kept + length > MOST_KEPT) return false;
    tree.kept += length;
    this.length = length;
    this.kept = tree.buffers.take(length);
    this.kept.set(buf.subarray(start, end));
    return true;
  }

  /** What was kept goes to a child. */
  protected goTo(index: number): void {
    send(this.targets[index], this.want, this.kept, 0, this.length, this, index);
  }

  /** It is not kept any more. */
  protected letGo(): void {
    const { tree, kept, length } = this;
    if (length === 0) return;
    this.length = 0;
    this.kept = EMPTY;
    tree.kept -= length;
    tree.buffers.give(kept);
  }
}
