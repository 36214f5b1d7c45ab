// When the server of a link has had its time. The proxy's own time is not the server's: while the
// proxy was busy or stopped nothing was read, and what has come meanwhile is still to be read. So a
// tick that comes late accuses, and only the next one condemns.

/** What is waited for. */
interface Waited {
  readonly sentAt: number;
}

export class Deadline {
  /** Bytes have come since the last tick. */
  heard: boolean;
  /** Time (ms) in which the proxy was not there since the last byte. */
  private excused: number;
  /** What was overdue at a late tick. */
  private suspect: Waited | null;
  /** What came late because we did not read has not timed out: since when (ms) we do again. */
  readsSince: number;

  constructor() {
    this.heard = false;
    this.excused = 0;
    this.suspect = null;
    this.readsSince = 0;
  }

  /**
   * A tick. Whether `oldest`, for which `allowed` ms may pass (Infinity: any time), has waited too
   * long. `late` is how late (ms) the tick comes, 0 if it does not.
   */
  isOver(now: number, oldest: Waited | null, allowed: number, late: number): boolean {
    const { heard } = this;
    this.heard = false;
    if (heard) this.excused = 0;
    if (oldest === null) {
      this.suspect = null;
      return false;
    }
    this.excused += late;
    const waited = now - Math.max(oldest.sentAt, this.readsSince) - this.excused;
    if (waited <= allowed) return false;
    if (late === 0 || (!heard && this.suspect === oldest)) return true;
    this.suspect = oldest;
    return false;
  }

  reset(): void {
    this.excused = 0;
    this.suspect = null;
  }
}
