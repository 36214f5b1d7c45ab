// The commands of a transaction that are kept until it is carried out. Knows neither client nor server.

/** Most bytes and commands that are kept for one client. */
export const MOST_BYTES = 64 << 20;
export const MOST_COMMANDS = 100_000;

/** Per command: where it begins and ends, and its first key; -1 if it has none. */
export const FIELDS = 4;

export class KeptCommands {
  buf: Uint8Array;
  spans: Int32Array;
  count: number;
  private end: number;

  constructor() {
    this.buf = new Uint8Array(256);
    this.spans = new Int32Array(FIELDS * 8);
    this.count = 0;
    this.end = 0;
  }

  get size(): number {
    return this.end;
  }

  hasRoomFor(length: number): boolean {
    return this.count < MOST_COMMANDS && this.end + length <= MOST_BYTES;
  }

  /** Keeps `buf[at, at + length)`; its key is `[keyStart, keyEnd)` of that, or none. */
  add(buf: Uint8Array, at: number, length: number, keyStart: number, keyEnd: number): void {
    const { end, count } = this;
    if (end + length > this.buf.length) {
      const larger = new Uint8Array(2 * (end + length));
      larger.set(this.buf.subarray(0, end));
      this.buf = larger;
    }
    if (FIELDS * (count + 1) > this.spans.length) {
      const larger = new Int32Array(2 * this.spans.length);
      larger.set(this.spans);
      this.spans = larger;
    }
    this.buf.set(buf.subarray(at, at + length), end);
    const key = keyStart < 0 ? -1 : end;
    this.spans.set(
      [end, end + length, key < 0 ? -1 : key + keyStart, key + keyEnd],
      FIELDS * count,
    );
    this.end += length;
    this.count++;
  }
}
