// How far a primary had come, and when: so that a replica's offset says how old its data may be.
// A replica at an offset that the primary had when it was asked at some moment has all that was
// acknowledged before that moment.

/** Most moments that are kept; several are one while nothing is written. */
const MOST = 64;

export class OffsetHistory {
  /** Whose: a primary begins another one when it is another one. */
  private history: string;
  private readonly times: number[];
  private readonly offsets: number[];

  constructor() {
    this.history = "";
    this.times = [];
    this.offsets = [];
  }

  /** The primary, asked at `time`, had come to `offset`. */
  add(history: string, time: number, offset: number): void {
    const { times, offsets } = this;
    if (history !== this.history || offset < offsets[offsets.length - 1]) {
      this.history = history;
      times.length = 0;
      offsets.length = 0;
    }
    if (offset === offsets[offsets.length - 1]) {
      times[times.length - 1] = time;
      return;
    }
    times.push(time);
    offsets.push(offset);
    if (times.length > MOST) {
      times.shift();
      offsets.shift();
    }
  }

  /** Whether it is this history that a replica follows; nobody knows before the first `add`. */
  isOf(history: string): boolean {
    return this.history === "" || this.history === history;
  }

  /** When the primary was asked last; -Infinity: never. */
  get last(): number {
    return this.times[this.times.length - 1] ?? -Infinity;
  }

  /** A replica at `offset` has everything up to this moment; -Infinity: it is further behind. */
  knownAt(offset: number): number {
    const { times, offsets } = this;
    for (let i = times.length - 1; i >= 0; i--) if (offsets[i] <= offset) return times[i];
    return -Infinity;
  }
}
