// How long slow readers may hold up a link that others wait for: so much in all, whoever and how
// many they are. A bucket of time that is used up while somebody is held up and fills again slowly.

import type { Host, Timer } from "../host.ts";

/** The bucket (ms), and what flows back into it each second (ms): a twentieth of all time. */
const MOST = 50;
const BACK = 50;
/** How often (ms) it is looked while somebody is waited for. */
const STEP = 5;

export class Patience {
  private readonly host: Host;
  private left: number;
  /** When `left` was right. */
  private at: number;
  private timer: Timer | null;

  constructor(host: Host) {
    this.host = host;
    this.left = MOST;
    this.at = host.now();
    this.timer = null;
  }

  /**
   * Somebody is waited for, until `end`. Time counts while `harms()` is true; when none is left,
   * `over` is called. False when there is none.
   */
  begin(harms: () => boolean, over: () => void): boolean {
    const { host } = this;
    const now = host.now();
    this.left = Math.min(MOST, this.left + (now - this.at) * BACK / 1000);
    this.at = now;
    if (this.left < STEP) return false;
    this.timer = host.every(STEP, () => {
      const then = host.now();
      if (harms()) this.left -= then - this.at;
      this.at = then;
      if (this.left <= 0) over();
    });
    return true;
  }

  end(): void {
    this.timer?.cancel();
    this.timer = null;
  }
}
