// What is carried out though nobody waits for it: copies for mirrors, deletes that are tried again.
// It takes the links of a lane of clients, as long as that is theirs.

import type { Link } from "../link/link.ts";
import type { Codec, Session } from "../protocol/codec.ts";
import { type Party, type Tree, Want } from "./plan.ts";

/** Of a reply that nobody sees its beginning is kept: it says how it is meant. */
const KEPT = 1024;

export class Ghost implements Party {
  readonly id: number;
  readonly lane: number;
  readonly remote: string;
  readonly codec: Codec;
  readonly session: Session;
  readonly context: Party["context"];
  private readonly tree: Tree;
  private readonly kind: object | undefined;

  /** `remote`: what it is, for log lines. */
  constructor(tree: Tree, { lane, codec, session, context }: Party, remote: string) {
    // One connection for all of a lane: so a key's requests keep their order.
    this.id = 0;
    this.lane = lane;
    this.remote = remote;
    this.codec = codec;
    this.session = { ...session };
    this.context = context;
    this.tree = tree;
    this.kind = tree.laneOf(lane);
  }

  /** The lane's number may be another one's. */
  get isClosed(): boolean {
    return this.kind === undefined || this.tree.laneOf(this.lane) !== this.kind;
  }

  waitForLink(_link: Link): void {}
}

/** What is wanted for nobody. */
export abstract class Unseen extends Want {
  takes(size: number): boolean {
    return size < KEPT;
  }

  streams(): null {
    return null;
  }

  streamed(): void {}
}
