// The lanes of a pool: which kinds of links (database, RESP version, dialect) its clients use, how
// many clients each, and which nobody has used for a while. A number stands for each, for arrays on
// the data path; the number of a lane that was closed is given to another. Knows no link: whoever
// has links of a lane closes them when `closed` says so.

/** `enter`: as many lanes as there may be are in use. */
export const NO_LANE = -1;

/**
 * Gives numbers to lanes. Pools that share one have one number for what is one lane to them: a
 * client of one of them may use links of another's servers (see route/prefix.ts).
 */
export class LaneNumbers {
  /** By number: its key, and how many pools have it. */
  private readonly taken:
    ({ readonly key: string; readonly isOwn: boolean; users: number } | null)[];

  constructor() {
    this.taken = [];
  }

  take(key: string, isOwn: boolean): number {
    if (!isOwn) {
      const known = this.taken.findIndex((one) => one !== null && !one.isOwn && one.key === key);
      if (known >= 0) return this.retake(known);
    }
    let number = this.taken.indexOf(null);
    if (number < 0) number = this.taken.length;
    this.taken[number] = { key, isOwn, users: 1 };
    return number;
  }

  /** One more pool has it. */
  retake(number: number): number {
    const one = this.taken[number];
    if (one) one.users++;
    return number;
  }

  release(number: number): void {
    const one = this.taken[number];
    if (one && --one.users === 0) this.taken[number] = null;
  }
}

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
  private readonly lanes: (Lane<T> | null | undefined)[];
  private readonly given: LaneNumbers;
  private readonly closed: (lane: number) => void;
  /** Lanes that are one client's own. */
  private owned: number;

  constructor(closed: (lane: number) => void, given: LaneNumbers = new LaneNumbers()) {
    this.numbers = new Map();
    this.lanes = [];
    this.given = given;
    this.closed = closed;
    this.owned = 0;
  }

  /** Lanes there are, in use or not, but for those that are one client's own. */
  get size(): number {
    return this.numbers.size - this.owned;
  }

  /** How many there are of which `fits` says so. */
  count(fits: (of: T) => boolean): number {
    let n = 0;
    for (const lane of this.lanes) if (lane && fits(lane.of)) n++;
    return n;
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
      number = this.given.take(key, isOwn);
      this.lanes[number] = { key, of: make(), clients: 0, isOwn, idleSince: 0 };
      if (isOwn) this.owned++;
      this.numbers.set(key, number);
    }
    (this.lanes[number] as Lane<T>).clients++;
    return number;
  }

  /** A lane that is one client's own, of another pool that shares the numbers: it has this one. */
  enterOwn(number: number, key: string, make: () => T): void {
    this.given.retake(number);
    this.lanes[number] = { key, of: make(), clients: 1, isOwn: true, idleSince: 0 };
    this.owned++;
    this.numbers.set(key, number);
  }

  /** Gives all numbers back; nobody asks for anything of it again. */
  dispose(): void {
    for (const [number, lane] of this.lanes.entries()) if (lane) this.given.release(number);
    this.lanes.length = 0;
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
      if (lane && lane.clients === 0 && now - lane.idleSince >= patience) {
        this.close(number, lane);
      }
    }
  }

  private makeRoom(): boolean {
    let found = NO_LANE;
    for (const [number, lane] of this.lanes.entries()) {
      if (!lane || lane.clients > 0) continue;
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
    this.given.release(number);
  }
}
