// One value on its way to a near cache, for all clients that ask for it meanwhile: how long it will
// live is asked first, so that it is known when the value comes.

import { EMPTY } from "../bytes.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "../link/attempt.ts";
import { Question } from "../link/question.ts";
import type { NearLink } from "./near_link.ts";
import type { NearEntry } from "./near_table.ts";
import type { Request } from "./request.ts";

/** Who is told how it ends. */
export interface FillOwner {
  /** The whole reply to the question for the value. */
  filled(fill: NearFill, link: Carrier, buf: Uint8Array, start: number, end: number): void;
  /** It is too large for the cache, or will not come: its clients have to be served otherwise. */
  failed(fill: NearFill, isLarge: boolean): void;
}

/** A reply of more bytes than this is not gathered. */
export const LARGEST = 1 << 20;

export class NearFill implements Sink {
  readonly remote: string;
  readonly entry: NearEntry<NearFill, NearLink>;
  readonly link: NearLink;
  /** Clients' requests. */
  readonly waiters: Request[];
  /** The reply to the question for its life. */
  lifeBuf: Uint8Array;
  /** When it was asked for (ms). */
  readonly askedAt: number;
  /** The key may have changed since: the value is not to be kept. */
  isVoid: boolean;
  private readonly owner: FillOwner;
  private readonly life: Attempt;
  private readonly value: Attempt;
  /** held[0, size): of a reply that goes on. */
  private held: Uint8Array;
  private size: number;
  private isLarge: boolean;

  constructor(
    owner: FillOwner,
    entry: NearEntry<NearFill, NearLink>,
    link: NearLink,
    askedAt: number,
  ) {
    this.remote = "near cache";
    this.entry = entry;
    this.link = link;
    this.waiters = [];
    this.lifeBuf = EMPTY;
    this.askedAt = askedAt;
    this.isVoid = false;
    this.owner = owner;
    this.life = new Question(this);
    this.value = new Question(this);
    this.held = EMPTY;
    this.size = 0;
    this.isLarge = false;
  }

  /** `life`: null if that is not asked. */
  ask(life: Uint8Array | null, value: Uint8Array): void {
    if (life !== null) this.link.send(this.life, life);
    this.link.send(this.value, value);
  }

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  part(
    attempt: Attempt,
    _link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
    left: number,
  ): void {
    this.link.heard();
    if (this.isLarge || attempt === this.life) return;
    if (this.size + end - start + left > LARGEST) {
      this.isLarge = true;
      this.held = EMPTY;
      this.owner.failed(this, true);
    } else this.keep(buf, start, end, left);
  }

  private keep(buf: Uint8Array, start: number, end: number, left: number): void {
    const n = this.size + end - start;
    if (n > this.held.length) {
      const larger = new Uint8Array(n + Math.max(0, left) + 64);
      larger.set(this.held.subarray(0, this.size));
      this.held = larger;
    }
    this.held.set(buf.subarray(start, end), this.size);
    this.size = n;
  }

  reply(attempt: Attempt, link: Carrier, buf: Uint8Array, start: number, end: number): void {
    this.link.heard();
    if (attempt === this.life) {
      this.lifeBuf = buf.slice(start, end);
      return;
    }
    if (this.isLarge) return;
    if (this.size === 0) return this.owner.filled(this, link, buf, start, end);
    this.keep(buf, start, end, 0);
    this.owner.filled(this, link, this.held, 0, this.size);
  }

  lost(attempt: Attempt): void {
    if (attempt === this.value && !this.isLarge) this.owner.failed(this, false);
  }
}
