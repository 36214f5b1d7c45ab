// What clients write of a near cache's keys: from the moment a write is sent until it is answered its
// keys are not kept. After what may have written anything (a script, a transaction) a client is blind:
// see NearCache.

import type { LinkContext } from "../link/owner.ts";
import {
  ALL,
  type Codec,
  FORWARD,
  type Keys,
  LOCAL,
  NOTHING,
  PIN,
  QUIT,
  REFUSE,
  type Scan,
  SPLIT,
  TOGETHER,
  TOPICS,
} from "../protocol/codec.ts";
import type { NearWords } from "../protocol/near.ts";
import type { NearFill } from "./near_fill.ts";
import type { NearKeys } from "./near_keys.ts";
import type { NearLink } from "./near_link.ts";
import type { NearEntry, NearTable } from "./near_table.ts";
import { MANAGED, PLAIN, type Request, SPECIAL, WATCHED } from "./request.ts";

export type Entry = NearEntry<NearFill, NearLink>;

/** The cache whose keys are written. */
export interface WrittenCache {
  readonly context: LinkContext;
  readonly codec: Codec;
  readonly words: NearWords;
  readonly keysOf: NearKeys;
  readonly table: NearTable<NearFill, NearLink>;
  outdate(entry: Entry): void;
  forgetAll(): void;
}

/** A client, as far as it matters here. */
interface Writer {
  readonly codec: Codec;
  /** See Reader. */
  nearBlind: number;
}

/** What one request writes, until it is answered. */
export class Written {
  private readonly writes: NearWrites;
  readonly entries: Entry[];
  readonly everything: boolean;

  constructor(writes: NearWrites, entries: Entry[], everything: boolean) {
    this.writes = writes;
    this.entries = entries;
    this.everything = everything;
  }

  /** Its request, which is to tell when it is over. */
  goesWith(request: Request): void {
    request.written = this;
    if (request.kind === PLAIN) request.kind = SPECIAL;
    else if (request.kind === MANAGED) request.kind = WATCHED;
  }

  done(): void {
    this.writes.over(this);
  }
}

export class NearWrites {
  /** Requests in flight that may change every key. */
  everything: number;
  private readonly near: WrittenCache;

  constructor(near: WrittenCache) {
    this.everything = 0;
    this.near = near;
  }

  /** Whatever a client is about to send; what it writes is not kept. Null: nothing of the cache's. */
  note(client: Writer, scan: Scan, buf: Uint8Array, at: number): Written | null {
    const { action } = scan;
    if (action === REFUSE || action === NOTHING || action === LOCAL || action === QUIT) return null;
    if (action === TOPICS) return null;
    const writes = this.near.words.mayWrite(scan, client.codec.classes);
    // What it does later, or in parts, and when it is done, only the servers know.
    if (action === PIN && (writes || client.nearBlind < 0)) client.nearBlind = -1;
    if (!writes) return null;
    const entries: Entry[] = [];
    if (action === FORWARD) {
      this.writeKey(entries, buf, at + scan.keyStart, at + scan.keyEnd);
    } else if (action === SPLIT || action === TOGETHER || action === PIN) {
      const keys = this.near.codec.keys as Keys;
      for (let i = 0; i < scan.nkeys; i++) {
        keys.select(scan, i);
        this.writeKey(entries, buf, at + scan.keyStart, at + scan.keyEnd);
      }
      if (scan.nkeys > 0) keys.select(scan, 0);
      if (action === TOGETHER) client.nearBlind = -1; // a script may write what it does not name
    } else {
      client.nearBlind = -1;
    }
    const everything = action === ALL;
    if (everything) {
      this.near.forgetAll();
      this.everything++;
    }
    return entries.length > 0 || everything ? new Written(this, entries, everything) : null;
  }

  private writeKey(entries: Entry[], buf: Uint8Array, start: number, end: number): void {
    if (!this.near.keysOf.writes(buf, start, end)) return;
    const entry = this.near.table.take(buf, start, end);
    entry.writes++;
    this.near.outdate(entry);
    entries.push(entry);
  }

  over({ entries, everything }: Written): void {
    if (everything) this.everything--;
    for (const entry of entries) {
      entry.writes--;
      if (entry.reply === null && entry.largeUntil < this.near.context.turn.clock) {
        this.near.table.drop(entry);
      }
    }
  }
}
