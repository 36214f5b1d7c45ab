// What has become of a request at one child of a tree: who hears it, and what carries replies that no
// link brings.

import { EMPTY } from "../bytes.ts";
import type { Carrier } from "../link/attempt.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import { ReplyStore } from "../wire/reply_store.ts";
import type { Request } from "./request.ts";

/** Hears what has become of child `index`. */
export interface Judge {
  reply(index: number, link: Carrier, buf: Uint8Array, start: number, end: number): void;
  /** There will be no reply. `unsent`: it was surely not carried out. */
  lost(index: number, text: string, unsent: boolean): void;
  /** The request whose reply this is for sure, if it is a hit; null: that is not known yet. */
  streams(index: number): Request | null;
  /** What was given on in parts, since `streams`, is complete, or lost. */
  streamed(index: number): void;
}

/** A carrier of replies that were kept, or that are the proxy's own. */
export class Paper implements Carrier {
  readonly owner: null;
  readonly retired: boolean;
  readonly store: ReplyStore;

  constructor(buffers: BufferPool) {
    this.owner = null;
    this.retired = false;
    this.store = new ReplyStore(buffers);
  }

  waitFor(): boolean {
    return false;
  }

  unblock(): void {}

  sent(): boolean {
    return false;
  }

  discard(): void {}
}

/** What a child has said, while others are waited for. */
export interface Said {
  readonly verdict: number;
  /** The reply; empty if there is none. */
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly unsent: boolean;
}

export const SILENCE: Said = { verdict: -1, bytes: EMPTY, text: "", unsent: false };

/** Gives on what was kept of a child. */
export function tell(judge: Judge, index: number, paper: Paper, said: Said): void {
  const { bytes, text, unsent } = said;
  if (bytes.length === 0) judge.lost(index, text, unsent);
  else judge.reply(index, paper, bytes, 0, bytes.length);
}
