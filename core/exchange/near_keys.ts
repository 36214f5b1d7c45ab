// Which keys a near cache keeps: those that begin with a chosen prefix, and with `auto` those that are
// asked for most. A key that is hot is kept only when all that clients have sent before that became
// known is answered: what was written then was not seen. One that is written as much as read is let go.

import { bytes, EMPTY, utf8 } from "../bytes.ts";
import type { HotKey } from "../stats/hot_keys.ts";
import { hashOf, isKey } from "./near_table.ts";

/** Longest key that is kept. */
const LONGEST_KEY = 4096;
/** Hot keys that are kept at a time. */
export const MOST_HOT = 32;
/** Part of all requests for keys that makes a key one of them, and below which it is none any more. */
const HOT = 0.01;
const COLD = HOT / 2;
/** And so many requests a second. */
const LEAST_RATE = 10;
/** How often (ms) it is looked which they are, and how long one is let go of that changes a lot. */
const PAUSE = 1000;
const BARRED = 60_000;
/** More changes than one for so many requests are a lot. */
const REQUESTS_FOR_CHANGE = 4;
const BUCKETS = 64;

/** A client, as far as it matters here. */
export interface KeysClient {
  readonly head: unknown;
  readonly isClosed: boolean;
  /** It waits at a server, for as long as it likes. */
  readonly isBlocked: boolean;
  /** Requests ever put into its queue, and those of them that have left it. */
  readonly pushes: number;
  readonly gone: number;
  nearRead: number;
}

export interface KeysContext {
  readonly hot: { top(n: number): HotKey[] };
  readonly clients: Iterable<KeysClient>;
}

interface NearSetting {
  readonly prefixes: readonly string[];
  readonly auto: boolean;
  readonly ttl: number;
}

/** One that is hot. */
class AutoKey {
  readonly name: string;
  readonly key: Uint8Array;
  readonly hash: number;
  /** It is kept, not only watched. */
  active: boolean;
  /** Whose requests have to be answered first. */
  waits: { client: KeysClient; pushes: number }[];
  /** Since it was last looked at. */
  changes: number;

  constructor(name: string, waits: AutoKey["waits"]) {
    this.name = name;
    this.key = bytes(name);
    this.hash = hashOf(this.key, 0, this.key.length);
    this.active = false;
    this.waits = waits;
    this.changes = 0;
  }
}

export class NearKeys {
  private readonly context: KeysContext;
  private readonly prefixes: readonly Uint8Array[];
  private readonly auto: boolean;
  private readonly leave: (key: Uint8Array) => void;
  private hot: AutoKey[];
  private buckets: AutoKey[][];
  private readonly barred: Map<string, number>;
  private lookedAt: number;

  /** `leave`: a key is none of the chosen any more. */
  constructor(
    context: KeysContext,
    { prefixes, auto, ttl }: NearSetting,
    leave: (key: Uint8Array) => void,
  ) {
    this.context = context;
    // Where nothing is kept, and nothing is said of which keys: all.
    const isAll = ttl === 0 && !auto && prefixes.length === 0;
    this.prefixes = isAll ? [EMPTY] : prefixes.map((prefix) => bytes(utf8(prefix)));
    this.auto = auto;
    this.leave = leave;
    this.hot = [];
    this.buckets = [];
    this.barred = new Map();
    this.lookedAt = -Infinity;
  }

  /** Hot keys that are kept now. */
  get size(): number {
    return this.hot.filter(({ active }) => active).length;
  }

  /** Whether the key's value may be kept, and given. */
  reads(buf: Uint8Array, start: number, end: number): boolean {
    if (end - start > LONGEST_KEY) return false;
    return this.begins(buf, start, end) || (this.find(buf, start, end)?.active ?? false);
  }

  /** Whether it matters who writes the key. */
  writes(buf: Uint8Array, start: number, end: number): boolean {
    if (end - start > LONGEST_KEY) return false;
    return this.begins(buf, start, end) || this.find(buf, start, end) !== null;
  }

  private begins(buf: Uint8Array, start: number, end: number): boolean {
    const n = end - start;
    for (const prefix of this.prefixes) {
      let i = 0;
      while (i < prefix.length && i < n && buf[start + i] === prefix[i]) i++;
      if (i === prefix.length) return true;
    }
    return false;
  }

  private find(buf: Uint8Array, start: number, end: number): AutoKey | null {
    if (this.hot.length === 0) return null;
    const hash = hashOf(buf, start, end);
    for (const one of this.buckets[hash & (BUCKETS - 1)] ?? []) {
      if (one.hash === hash && isKey(one.key, buf, start, end)) return one;
    }
    return null;
  }

  /** A server tells of a change. */
  changed(buf: Uint8Array, start: number, end: number): void {
    const one = this.find(buf, start, end);
    if (one !== null) one.changes++;
  }

  /** Called every tick. */
  tick(now: number): void {
    if (!this.auto) return;
    for (const one of this.hot) if (!one.active) this.activate(one);
    if (now - this.lookedAt < PAUSE) return;
    const seconds = Math.min(now - this.lookedAt, 10 * PAUSE) / 1000;
    this.lookedAt = now;
    this.look(now, seconds);
  }

  private activate(one: AutoKey): void {
    one.waits = one.waits.filter(({ client, pushes }) => !client.isClosed && client.gone < pushes);
    if (one.waits.length > 0) return;
    one.active = true;
    // What is on its way now goes another way: it comes first, or it could be newer.
    for (const client of this.context.clients) {
      if (client.head !== null) client.nearRead = client.pushes;
    }
  }

  private look(now: number, seconds: number): void {
    for (const [name, until] of this.barred) if (until <= now) this.barred.delete(name);
    const top = new Map(this.context.hot.top(MOST_HOT).map((one) => [one.key, one]));
    const stays = this.hot.filter((one) => {
      const seen = top.get(one.name);
      const restless = one.changes * REQUESTS_FOR_CHANGE > (seen?.rate ?? 0) * seconds;
      if (restless && one.changes > 0) this.barred.set(one.name, now + BARRED);
      one.changes = 0;
      return seen !== undefined && seen.share >= COLD && !this.barred.has(one.name);
    });
    const gone = this.hot.filter((one) => !stays.includes(one));
    const known = new Set(stays.map(({ name }) => name));
    for (const { key, cut, share, rate } of top.values()) {
      if (cut || share < HOT || rate < LEAST_RATE || known.has(key) || this.barred.has(key)) {
        continue;
      }
      if (stays.length < MOST_HOT) stays.push(new AutoKey(key, this.onTheirWay()));
    }
    this.hot = stays;
    this.buckets = [];
    for (const one of stays) (this.buckets[one.hash & (BUCKETS - 1)] ??= []).push(one);
    for (const { key } of gone) if (!this.reads(key, 0, key.length)) this.leave(key);
  }

  private onTheirWay(): AutoKey["waits"] {
    const waits: AutoKey["waits"] = [];
    for (const client of this.context.clients) {
      // What blocks pops from lists: no value that is kept.
      if (client.head === null || client.isBlocked) continue;
      waits.push({ client, pushes: client.pushes });
    }
    return waits;
  }
}
