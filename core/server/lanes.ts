// The lanes of a pool: which kinds of links (database, RESP version, dialect) its clients use, how
// many clients each, and which nobody has used for a while. A number stands for each, for arrays on
// the data path; the number of a lane that was closed is given to another. Knows no link: whoever
// has links of a lane closes them when `closed` says so.

/** `enter`: as many lanes as there may be are in use. */
export const NO_LANE = -1;

interface Lane<T> {
  key: string;
  /** What belongs to it: its codec, what its links say first. */
  readonly of: T;
  clients: number;
  /** It is one client's own: nobody else enters it, and it goes with that client. */
  readonly isOwn: boolean;
  /** Since when it has no clients (ms). */
  idleSince: number;
}

export class Lanes<T> {
  private readonly numbers: Map<string, number>;
  private readonly lanes: (Lane<T> | null)[];
  private readonly closed: (lane: number) => void;
  /** Lanes that are one client's own. */
  private owned: number;

  constructor(closed: (lane: number) => void) {
    this.numbers = new Map();
    this.lanes = [];
    this.closed = closed;
    this.owned = 0;
  }

  /** Lanes there are, in use or not, but for those that are one client's own. */
  get size(): number {
    return this.numbers.size - this.owned;
  }

  /** What belongs to a lane. */
  of(lane: number): T {
    return (this.lanes[lane] as Lane<T>).of;
  }

  /**
   * One more client on the lane of this key, which is made if it is new. If there are `most` already
   * the one that has been idle longest makes room; NO_LANE if none is idle. Of lanes that are one
   * client's own (`isOwn`) there may be `most` too.
   */
  enter(key: string, make: () => T, most: number, isOwn = false): number {
    let number = this.numbers.get(key) ?? NO_LANE;
    if (number === NO_LANE) {
      if (isOwn ? this.owned >= most : this.size >= most && !this.makeRoom()) return NO_LANE;
      number = this.lanes.indexOf(null);
      if (number < 0) number = this.lanes.length;
      this.lanes[number] = { key, of: make(), clients: 0, isOwn, idleSince: 0 };
      if (isOwn) this.owned++;
      this.numbers.set(key, number);
    }
    (this.lanes[number] as Lane<T>).clients++;
    return number;
  }

  /** One client less. A lane that is entered by nobody else stays until it is idle too long. */
  leave(number: number, now: number): void {
    const lane = this.lanes[number] as Lane<T>;
    if (--lane.clients > 0) return;
    lane.idleSince = now;
    if (lane.isOwn) this.close(number, lane);
  }

  /** Closes what nobody has used for `patience` ms. */
  tick(now: number, patience: number): void {
    for (const [number, lane] of this.lanes.entries()) {
      if (lane !== null && lane.clients === 0 && now - lane.idleSince >= patience) {
        this.close(number, lane);
      }
    }
  }

  private makeRoom(): boolean {
    let found = NO_LANE;
    for (const [number, lane] of this.lanes.entries()) {
      if (lane === null || lane.clients > 0) continue;
      const other = this.lanes[found];
      if (!other || lane.idleSince < other.idleSince) found = number;
    }
    if (found === NO_LANE) return false;
    this.close(found, this.lanes[found] as Lane<T>);
    return true;
  }

  private close(number: number, { key, isOwn }: Lane<T>): void {
    if (isOwn) this.owned--;
    this.numbers.delete(key);
    this.lanes[number] = null;
    this.closed(number);
  }
}
