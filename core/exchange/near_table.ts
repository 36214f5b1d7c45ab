// What a near cache keeps: keys with their values, in so many bytes; what was not used for long makes
// room (the clock algorithm). Knows no servers and no protocol.

import { EMPTY } from "../bytes.ts";

/** Bytes of a key with its value beside these themselves. */
const OVERHEAD = 256;
const SMALLEST = 1024;

export class NearEntry<F, L> {
  readonly hash: number;
  readonly key: Uint8Array;
  /** The reply that gives the value; null: it is not known. */
  reply: Uint8Array | null;
  /** Over which it has come; null: none is known. */
  link: L | null;
  /** Until when (ms, `Turn.clock`) it may be given. */
  expires: number;
  /** The value is on its way, for whoever asks for it; null: it is not. */
  fill: F | null;
  /** Writes that clients of this proxy have made and that are not answered. */
  writes: number;
  /** Until when the value is known to be too large to be kept. */
  largeUntil: number;
  /** It was asked for since the clock's hand last passed. */
  used: boolean;
  /** Its place among all. */
  place: number;
  /** Next with the same bucket. */
  next: NearEntry<F, L> | null;

  constructor(hash: number, key: Uint8Array) {
    this.hash = hash;
    this.key = key;
    this.reply = null;
    this.link = null;
    this.expires = 0;
    this.fill = null;
    this.writes = 0;
    this.largeUntil = -Infinity;
    this.used = false;
    this.place = -1;
    this.next = null;
  }

  /** It is of use even without a value. */
  get isBusy(): boolean {
    return this.writes > 0 || this.fill !== null;
  }
}

export class NearTable<F, L> {
  /** Bytes in use, and how many there may be. */
  bytes: number;
  private readonly most: number;
  readonly all: NearEntry<F, L>[];
  private buckets: (NearEntry<F, L> | null)[];
  private hand: number;

  constructor(most: number) {
    this.bytes = 0;
    this.most = most;
    this.all = [];
    this.buckets = new Array(SMALLEST).fill(null);
    this.hand = 0;
  }

  find(buf: Uint8Array, start: number, end: number): NearEntry<F, L> | null {
    const hash = hashOf(buf, start, end);
    let entry = this.buckets[hash & (this.buckets.length - 1)];
    while (entry !== null && (entry.hash !== hash || !isKey(entry.key, buf, start, end))) {
      entry = entry.next;
    }
    return entry;
  }

  /** The entry of a key; a new one if there is none. */
  take(buf: Uint8Array, start: number, end: number): NearEntry<F, L> {
    const known = this.find(buf, start, end);
    if (known !== null) return known;
    const key = start === end ? EMPTY : buf.slice(start, end);
    const entry = new NearEntry<F, L>(hashOf(buf, start, end), key);
    entry.place = this.all.push(entry) - 1;
    this.bytes += OVERHEAD + key.length;
    if (this.all.length > this.buckets.length) this.widen();
    this.hang(entry);
    this.makeRoom(entry);
    return entry;
  }

  private hang(entry: NearEntry<F, L>): void {
    const bucket = entry.hash & (this.buckets.length - 1);
    entry.next = this.buckets[bucket];
    this.buckets[bucket] = entry;
  }

  private widen(): void {
    this.buckets = new Array(2 * this.buckets.length).fill(null);
    for (const entry of this.all) {
      if (entry.place !== this.all.length - 1) this.hang(entry);
    }
  }

  set(entry: NearEntry<F, L>, reply: Uint8Array, expires: number): void {
    this.bytes += reply.length - (entry.reply?.length ?? 0);
    entry.reply = reply;
    entry.expires = expires;
    this.makeRoom(entry);
  }

  /** Its value is not known any more. */
  unset(entry: NearEntry<F, L>): void {
    if (entry.reply === null) return;
    this.bytes -= entry.reply.length;
    entry.reply = null;
  }

  /** Lets go of an entry that is of no use. */
  drop(entry: NearEntry<F, L>): void {
    if (entry.place < 0 || entry.isBusy) return;
    this.unset(entry);
    this.bytes -= OVERHEAD + entry.key.length;
    const last = this.all.pop() as NearEntry<F, L>;
    if (last !== entry) {
      this.all[entry.place] = last;
      last.place = entry.place;
    }
    entry.place = -1;
    const bucket = entry.hash & (this.buckets.length - 1);
    let before = this.buckets[bucket];
    if (before === entry) this.buckets[bucket] = entry.next;
    else {
      while (before !== null && before.next !== entry) before = before.next;
      if (before !== null) before.next = entry.next;
    }
  }

  /** Entries that were not used make room, but not `but`. */
  private makeRoom(but: NearEntry<F, L>): void {
    for (let steps = 2 * this.all.length; this.bytes > this.most && steps > 0; steps--) {
      if (this.hand >= this.all.length) this.hand = 0;
      const entry = this.all[this.hand];
      if (entry === but || entry.isBusy) this.hand++;
      else if (entry.used) {
        entry.used = false;
        this.hand++;
      } else this.drop(entry);
    }
    // All others are busy: it is not kept.
    if (this.bytes > this.most) this.unset(but);
  }
}

export function isKey(key: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  if (key.length !== end - start) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== buf[start + i]) return false;
  return true;
}

export function hashOf(buf: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buf[i], 0x01000193);
  return hash ^ (hash >>> 15);
}
