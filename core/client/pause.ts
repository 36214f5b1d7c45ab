// CLIENT PAUSE: for a while no client of the pool is served, or none that writes. What they send
// waits, what they have sent before is answered. (networking.c pauseClients)

import type { Host, Timer } from "../host.ts";
import type { Scan } from "../protocol/scan.ts";
import type { Codec } from "../protocol/codec.ts";

/** The longest time (ms) that timers take. */
const LONGEST = 0x7fffffff;

/** A client, as a pause sees it. */
export interface Paused {
  readonly codec: Codec;
  /** Its mode is another: the pause has begun. */
  settleMode(): void;
  /** It is over. */
  resume(): void;
}

export class Pause {
  /** It goes on. */
  isOn: boolean;
  private onlyWrites: boolean;
  private until: number;
  private timer: Timer | null;
  /** How many wait for something to be known without which nobody is served. */
  private holds: number;
  private readonly host: Host;
  private readonly clients: Iterable<Paused>;

  constructor(host: Host, clients: Iterable<Paused>) {
    this.isOn = false;
    this.onlyWrites = false;
    this.until = 0;
    this.timer = null;
    this.holds = 0;
    this.host = host;
    this.clients = clients;
  }

  /** For `ms` from now; one that goes on is not shortened, and does not let through more. */
  begin(ms: number, onlyWrites: boolean): void {
    const now = this.host.now();
    this.onlyWrites = onlyWrites && (this.onlyWrites || !this.isOn);
    this.until = Math.max(this.isOn ? this.until : 0, now + ms);
    if (this.until <= now) return;
    this.timer?.cancel();
    this.timer = this.host.every(Math.min(LONGEST, this.until - now), () => this.tick());
    this.switchOn();
  }

  private switchOn(): void {
    if (this.isOn) return;
    this.isOn = true;
    for (const client of this.clients) client.settleMode();
  }

  /** Nobody is served until `release`, whatever CLIENT PAUSE says. */
  hold(): void {
    if (!this.isOn) this.until = 0;
    this.holds++;
    this.switchOn();
  }

  release(): void {
    if (--this.holds === 0 && this.until <= this.host.now()) this.switchOff();
  }

  private tick(): void {
    if (this.host.now() >= this.until) this.end();
  }

  end(): void {
    this.until = 0;
    if (this.holds === 0) this.switchOff();
  }

  private switchOff(): void {
    this.timer?.cancel();
    this.timer = null;
    if (!this.isOn) return;
    this.isOn = false;
    for (const client of this.clients) client.resume();
  }

  /** Whether a request has to wait. */
  stops(codec: Codec, scan: Scan): boolean {
    return this.holds > 0 || !this.onlyWrites || codec.waits === null || codec.waits.mayWrite(scan);
  }
}
