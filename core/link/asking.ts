// A link of the proxy's own, over which something is asked off the request path: what is the same of
// all who do so. Who asks says where it goes, what is asked, and what becomes of the answers.

import type { Socket, SocketHandler } from "../host.ts";
import { type Attempt, type Carrier, HOLD, type Sink } from "./attempt.ts";
import type { Link } from "./link.ts";
import { type LinkCounters, type LinkOwner, newLinkCounters } from "./owner.ts";

export abstract class Asking implements LinkOwner, Sink {
  readonly label: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Nobody sees what it costs. */
  readonly counters: LinkCounters;
  readonly judges: boolean;
  readonly listener: null;
  readonly keeps: boolean;
  readonly remote: string;
  /** Made when it is needed; null: it is not there. */
  protected link: Link | null;
  /** Why the link is about to close; "" while nobody has said. */
  protected why: string;

  constructor(label: string, fields: Readonly<Record<string, string>>, remote: string) {
    this.label = label;
    this.fields = fields;
    this.counters = newLinkCounters();
    this.judges = false;
    this.listener = null;
    this.keeps = false;
    this.remote = remote;
    this.link = null;
    this.why = "";
  }

  abstract open(handler: SocketHandler): Socket;

  abstract part(
    attempt: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void;

  abstract reply(
    attempt: Attempt,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void;

  abstract lost(attempt: Attempt, link: Carrier, text: string): void;

  connecting(): void {}

  ready(): void {}

  answered(): void {}

  replied(): void {}

  refused(why: string): void {
    this.why = `it refuses the password: ${why}`;
  }

  broken(why: string): void {
    this.why = why;
  }

  closed(_errno: string, _text: string, _lost: number): void {}

  accept(): number {
    return HOLD;
  }

  pass(): void {}

  advance(): void {}

  /** The next question goes over a new link. */
  protected disconnect(): void {
    const { link } = this;
    this.link = null;
    link?.dispose();
  }
}
