// Batching: connections that have output are marked, and each is written once at the end of the
// turn of the event loop. This is where a proxy earns its keep: the commands of many clients leave
// in one write.

import type { Host } from "../host.ts";

/** What can be marked: it has output. */
export interface Flushable {
  flush(): void;
}

// A proxy that is faster than its servers and clients is woken for every single event: a wake-up, a
// read and a write each, which are dear (a wake-up alone costs as much as two or three writes). While
// much is in flight and little of it comes at a time, a short nap at the end of a turn lets more of
// it gather, as a network card does that holds back its interrupts. It is short beside what the
// requests take anyway, so nobody notices. Figures: bench/README.md.

/** At most so many socket events in a turn, and at least so many requests in flight. */
const FEW = 32;
const MANY = 8;
/** Shortest and longest nap (ms), and the part of a request's usual time that it takes in between. */
const SHORTEST = 0.05;
const LONGEST = 0.4;
const PART = 1 / 16;
/** Requests that are answered sooner (ms) are not kept waiting. */
const QUICK = 0.2;

export class Turn<Link extends Flushable, Client extends Flushable> {
  private readonly host: Host;
  private links: Link[];
  private clients: Client[];
  private scheduled: boolean;
  private flushing: boolean;
  /** Socket events in this turn and in the one before. */
  private events: number;
  private eventsBefore: number;
  private readonly run: () => void;
  /** When this turn's first event came: monotonic milliseconds, with a fraction. */
  clock: number;
  /** What a request takes (ms), smoothed. */
  private usual: number;

  /** `inFlight` counts the requests that wait for replies. */
  constructor(host: Host, inFlight: () => number) {
    this.host = host;
    this.links = [];
    this.clients = [];
    this.scheduled = false;
    this.flushing = false;
    this.events = 0;
    this.eventsBefore = 0;
    this.clock = host.now();
    this.usual = 0;
    this.run = () => {
      this.scheduled = false;
      this.eventsBefore = this.events;
      this.events = 0;
      this.flush();
      if (this.eventsBefore <= FEW && this.usual > QUICK && inFlight() >= MANY) {
        host.nap(Math.min(LONGEST, Math.max(SHORTEST, this.usual * PART)));
      }
    };
  }

  markLink(link: Link): void {
    this.links.push(link);
    if (!this.scheduled) this.schedule();
  }

  markClient(client: Client): void {
    this.clients.push(client);
    if (!this.scheduled) this.schedule();
  }

  /** A request has taken so many milliseconds. */
  sample(ms: number): void {
    this.usual += (ms - this.usual) / 16;
  }

  /** A socket event begins. */
  enter(): void {
    if (this.events++ === 0) this.clock = this.host.now();
  }

  /**
   * A socket event has been handled. When nothing else goes on (one event in this turn, one in the
   * turn before) there is nothing to batch with: a lone request does not wait for the turn's end.
   */
  leave(): void {
    if (this.events === 1 && this.eventsBefore <= 1) this.flush();
    if (!this.scheduled) this.events = 0; // nothing to write: no end of the turn will come
  }

  private schedule(): void {
    this.scheduled = true;
    this.host.endOfTurn(this.run);
  }

  private flush(): void {
    // What is marked within a flush is in its loop: a second one would take the marks from under it.
    if (this.flushing) return;
    this.flushing = true;
    // A flush may mark others (a paused client goes on): they are appended and come in this loop too.
    const links = this.links;
    const clients = this.clients;
    let s = 0;
    let c = 0;
    while (s < links.length || c < clients.length) {
      while (s < links.length) links[s++].flush();
      while (c < clients.length) clients[c++].flush();
    }
    if (s > 0) links.length = 0;
    if (c > 0) clients.length = 0;
    this.flushing = false;
  }
}
