// Which keys are asked for most: Space-Saving (Metwally, Agrawal, El Abbadi 2005) over a sample of the
// requests, with counts that fade. Bounded: the least of the counters becomes that of a new key, which
// takes over its count as the error of its own. Knows neither clients nor servers.

import { copy } from "../bytes.ts";

/** One request of so many is looked at, on average; of more where there are many: see `tick`. */
export const EVERY = 64;
/** Keys of the sample a second, at most, but for a second or two; and fewer are too few. */
const MOST_SAMPLES = 1000;
const FEW_SAMPLES = 400;
/** It is never one of more than this. */
const RAREST = 1 << 16;
/** Keys that are counted at a time. */
export const COUNTERS = 512;
/** Bytes of a key that are kept. */
export const LONGEST = 250;
/** Seconds in which a count falls to one half. */
export const HALF_LIFE = 30;

const FADING = Math.LN2 / HALF_LIFE;
const BUCKETS = 1024;
/** Less than this is no key that is asked for often. */
const LEAST = 0.5;

/** A key and how much it was asked for, now. */
export interface HotKey {
  /** Its first LONGEST bytes, as a byte string. */
  readonly key: string;
  /** It is longer. */
  readonly cut: boolean;
  /** Requests a second, surely so many. */
  readonly rate: number;
  /** Bytes a second of these requests and their replies. */
  readonly bytes: number;
  /** Part of all requests for keys, 0 to 1. */
  readonly share: number;
}

export class HotKeys {
  private readonly least: number;
  /** How many of `least` requests one of the sample stands for, now: a power of two. */
  unit: number;
  /** Of a gap: what a logarithm of chance is multiplied by. */
  private scale: number;
  /** Keys that were noted since counts last faded. */
  private noted: number;
  private seed: number;
  /** How many of the counters are in use. */
  private used: number;
  private readonly counts: Float64Array;
  private readonly errors: Float64Array;
  private readonly sizes: Float64Array;
  private readonly keys: Uint8Array[];
  private readonly lengths: Int32Array;
  private readonly hashes: Int32Array;
  /** Of counters whose hashes fall into one bucket: the first, and the one after each; -1: none. */
  private readonly buckets: Int32Array;
  private readonly after: Int32Array;
  /** The least count first: heap[places[i]] === i. */
  private readonly heap: Int32Array;
  private readonly places: Int32Array;
  /** Which key a counter counts: `serials[i] % COUNTERS === i`. */
  private readonly serials: Int32Array;
  private total: number;
  /** Seconds since the first count, and when (ms) counts last faded. */
  private age: number;
  private fadedAt: number;

  constructor(seed: number, now: number, every = EVERY) {
    this.least = every;
    this.unit = 1;
    this.scale = scaleOf(every);
    this.noted = 0;
    this.seed = (seed | 0) || 1;
    this.used = 0;
    this.counts = new Float64Array(COUNTERS);
    this.errors = new Float64Array(COUNTERS);
    this.sizes = new Float64Array(COUNTERS);
    this.keys = [];
    this.lengths = new Int32Array(COUNTERS);
    this.hashes = new Int32Array(COUNTERS);
    this.buckets = new Int32Array(BUCKETS).fill(-1);
    this.after = new Int32Array(COUNTERS).fill(-1);
    this.heap = new Int32Array(COUNTERS);
    this.places = new Int32Array(COUNTERS);
    this.serials = Int32Array.from({ length: COUNTERS }, (_, i) => i);
    this.total = 0;
    this.age = 0;
    this.fadedAt = now;
  }

  /**
   * After how many more requests the next one is to be looked at. The gaps have no memory, so that
   * no pattern of requests can fall in step with them.
   */
  gap(): number {
    let x = this.seed;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.seed = x;
    const part = ((x >>> 0) + 1) / 4294967297;
    return 1 + Math.floor(Math.log(part) * this.scale);
  }

  /**
   * The key `buf[start, end)` was in a request of the sample; `unit` was the one when the gap before
   * it was begun. Returns what `replied` is told.
   */
  note(buf: Uint8Array, start: number, end: number, bytes: number, unit = this.unit): number {
    const hash = hashOf(buf, start, end);
    this.noted++;
    this.total += unit;
    let at = this.find(hash, buf, start, end);
    if (at < 0) at = this.take(hash, buf, start, end);
    this.counts[at] += unit;
    this.sizes[at] += bytes * unit;
    this.sink(this.places[at]);
    return this.serials[at];
  }

  /** The reply to a request that `note` was told of. */
  replied(serial: number, bytes: number): void {
    const at = serial % COUNTERS;
    if (this.serials[at] === serial) this.sizes[at] += bytes * this.unit;
  }

  private find(hash: number, buf: Uint8Array, start: number, end: number): number {
    let at = this.buckets[hash & (BUCKETS - 1)];
    while (at >= 0 && (this.hashes[at] !== hash || !this.isKey(at, buf, start, end))) {
      at = this.after[at];
    }
    return at;
  }

  private isKey(at: number, buf: Uint8Array, start: number, end: number): boolean {
    const n = end - start;
    if (this.lengths[at] !== n) return false;
    const key = this.keys[at];
    const kept = Math.min(n, LONGEST);
    for (let i = 0; i < kept; i++) if (key[i] !== buf[start + i]) return false;
    return true;
  }

  /** A counter for a new key: a free one, or that with the least count. */
  private take(hash: number, buf: Uint8Array, start: number, end: number): number {
    let at = this.used;
    if (at < COUNTERS) {
      this.used++;
      this.keys.push(new Uint8Array(32));
      this.heap[at] = at;
      this.places[at] = at;
      this.rise(at);
    } else {
      at = this.heap[0];
      this.unlink(at);
      // Small integers only: see the request that carries it.
      this.serials[at] = this.serials[at] > 1 << 29 ? at : this.serials[at] + COUNTERS;
    }
    this.errors[at] = this.counts[at];
    this.sizes[at] = 0;
    this.hashes[at] = hash;
    this.lengths[at] = end - start;
    const kept = Math.min(end - start, LONGEST);
    if (this.keys[at].length < kept) this.keys[at] = new Uint8Array(LONGEST);
    copy(buf, start, start + kept, this.keys[at], 0);
    const bucket = hash & (BUCKETS - 1);
    this.after[at] = this.buckets[bucket];
    this.buckets[bucket] = at;
    return at;
  }

  private unlink(at: number): void {
    const bucket = this.hashes[at] & (BUCKETS - 1);
    let before = this.buckets[bucket];
    if (before === at) {
      this.buckets[bucket] = this.after[at];
      return;
    }
    while (this.after[before] !== at) before = this.after[before];
    this.after[before] = this.after[at];
  }

  /** What is at `place` of the heap has a higher count than before. */
  private sink(place: number): void {
    const { heap, counts } = this;
    const moved = heap[place];
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.used) break;
      if (child + 1 < this.used && counts[heap[child + 1]] < counts[heap[child]]) child++;
      if (counts[heap[child]] >= counts[moved]) break;
      this.put(heap[child], place);
      place = child;
    }
    this.put(moved, place);
  }

  /** What is at `place` of the heap is new there, and has no count yet. */
  private rise(place: number): void {
    const { heap, counts } = this;
    const moved = heap[place];
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (counts[heap[parent]] <= counts[moved]) break;
      this.put(heap[parent], place);
      place = parent;
    }
    this.put(moved, place);
  }

  private put(at: number, place: number): void {
    this.heap[place] = at;
    this.places[at] = place;
  }

  /** Called every tick: counts fade, and the sample is made larger or smaller. */
  tick(now: number): void {
    const seconds = (now - this.fadedAt) / 1000;
    if (seconds < 1) return;
    this.fadedAt = now;
    this.adapt(this.noted / seconds);
    this.noted = 0;
    // Nothing is known yet: it begins now.
    this.age = this.total === 0 ? 0 : this.age + seconds;
    const left = Math.exp(-FADING * seconds);
    for (let i = 0; i < this.used; i++) {
      this.counts[i] *= left;
      this.errors[i] *= left;
      this.sizes[i] *= left;
    }
    this.total *= left;
  }

  /** So many keys a second were noted: what they cost is bounded, however many requests there are. */
  private adapt(rate: number): void {
    const { least } = this;
    let { unit } = this;
    if (least < 2) return; // all are wanted
    while (rate > MOST_SAMPLES && unit * least < RAREST) {
      unit *= 2;
      rate /= 2;
    }
    while (rate < FEW_SAMPLES && unit > 1) {
      unit /= 2;
      rate *= 2;
    }
    if (unit === this.unit) return;
    this.unit = unit;
    this.scale = scaleOf(least * unit);
  }

  /** What one of the sample stands for, a second: a steady rate gives a steady count. */
  private get weight(): number {
    return this.least * FADING / -Math.expm1(-FADING * Math.max(1, this.age));
  }

  /** The `n` keys that are asked for most, the busiest first. */
  top(n: number): HotKey[] {
    const { counts, errors, weight } = this;
    const sure = (at: number): number => counts[at] - errors[at];
    const order = Array.from({ length: this.used }, (_, i) => i)
      .filter((at) => sure(at) >= LEAST * this.unit)
      .sort((a, b) => sure(b) - sure(a));
    return order.slice(0, n).map((at) => {
      const kept = this.keys[at].subarray(0, Math.min(LONGEST, this.lengths[at]));
      let key = "";
      for (const byte of kept) key += String.fromCharCode(byte);
      return {
        key,
        cut: this.lengths[at] > LONGEST,
        rate: sure(at) * weight,
        bytes: this.sizes[at] * weight,
        share: sure(at) / this.total,
      };
    });
  }

  /** How many keys are that part of all requests each. */
  countAbove(share: number): number {
    let n = 0;
    for (let i = 0; i < this.used; i++) {
      const sure = this.counts[i] - this.errors[i];
      if (sure >= LEAST * this.unit && sure > share * this.total) n++;
    }
    return n;
  }

  /** Requests for keys, a second. */
  get rate(): number {
    return this.total * this.weight;
  }
}

function scaleOf(every: number): number {
  return 1 / Math.log(1 - 1 / every);
}

/** FNV-1a, its bits mixed once more: near keys fall into far buckets. */
function hashOf(buf: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buf[i], 0x01000193);
  return hash ^ (hash >>> 15);
}
