// The list of all keys of a memcached server, over a connection of its own: it is read as fast as it
// comes (the server has one such list at a time, and drops who reads too slowly), and of it is kept
// what somebody wants, in one buffer.

import { EMPTY } from "../../bytes.ts";
import { errnoText } from "../../errno.ts";
import type { Host, Socket, SocketHandler, Timer } from "../../host.ts";
import type { Pulling } from "../../protocol/pulling.ts";
import type { Server } from "../../server/server.ts";
import { after } from "../migrate/after.ts";

/** How long (ms) nothing may come. */
const SILENCE = 10_000;
/** It makes one list at a time, and looks through its keys for itself now and then: that passes. */
const BUSY = "it lists no keys now (BUSY)";
/** For how long (ms) it is asked again, and how often. */
const MOST_BUSY = 10_000;
const PAUSE = 100;
/** Most bytes of keys that are kept at a time: the rest is found the next time. */
export const MOST_KEPT = 32 << 20;
/** A line of the list is shorter. */
const LONGEST_LINE = 4096;
const LF = 10;

/** What was wanted of a list. */
export interface Keys {
  readonly keys: KeyStore;
  /** Keys that the server has. */
  readonly seen: number;
  /** There are more of them than may be kept. */
  readonly more: boolean;
}

/** Keys one behind the other, each with its length before it. */
export class KeyStore {
  private buf: Uint8Array;
  private end: number;
  count: number;

  constructor() {
    this.buf = EMPTY;
    this.end = 0;
    this.count = 0;
  }

  /** False: there is no room for it. */
  add(key: Uint8Array): boolean {
    const need = this.end + 1 + key.length;
    if (key.length > 255 || need > MOST_KEPT) return false;
    if (need > this.buf.length) {
      const larger = new Uint8Array(Math.min(MOST_KEPT, Math.max(4096, 2 * need)));
      larger.set(this.buf.subarray(0, this.end));
      this.buf = larger;
    }
    this.buf[this.end++] = key.length;
    this.buf.set(key, this.end);
    this.end += key.length;
    this.count++;
    return true;
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let at = 0; at < this.end; at += 1 + this.buf[at]) {
      yield this.buf.slice(at + 1, at + 1 + this.buf[at]);
    }
  }
}

/** Looks at a key and at how large it is with all that belongs to it: whether it is wanted. */
export type Wants = (key: Uint8Array, size: number) => boolean;

/** The keys of a server for which `wants`; why there is no list, if there is none. `most`: are seen. */
export async function listKeys(
  host: Pick<Host, "every" | "now">,
  server: Server,
  pulling: Pulling,
  wants: Wants,
  most = Infinity,
): Promise<Keys | string> {
  const until = host.now() + MOST_BUSY;
  for (;;) {
    const listed = await new Promise<Keys | string>((resolve) =>
      new KeyList(host, server, pulling, wants, most, resolve)
    );
    if (listed !== BUSY || host.now() >= until) return listed;
    await new Promise<void>((resolve) => void after(host, PAUSE, resolve));
  }
}

class KeyList implements SocketHandler {
  private readonly pulling: Pulling;
  private readonly wants: Wants;
  private readonly most: number;
  private readonly done: (keys: Keys | string) => void;
  private readonly socket: Socket;
  private readonly timer: Timer;
  private readonly keys: KeyStore;
  private seen: number;
  private more: boolean;
  /** The beginning of a line. */
  private rest: Uint8Array;
  private heard: boolean;
  private isOver: boolean;

  constructor(
    host: Pick<Host, "every">,
    server: Server,
    pulling: Pulling,
    wants: Wants,
    most: number,
    done: (keys: Keys | string) => void,
  ) {
    this.pulling = pulling;
    this.wants = wants;
    this.most = most;
    this.done = done;
    this.keys = new KeyStore();
    this.seen = 0;
    this.more = false;
    this.rest = EMPTY;
    this.heard = true;
    this.isOver = false;
    this.timer = host.every(SILENCE, () => {
      if (!this.heard) this.finish(`it has said nothing for ${SILENCE} ms`);
      this.heard = false;
    });
    this.socket = server.open(this);
  }

  open(): void {
    const { keys } = this.pulling;
    this.socket.write(keys, 0, keys.length);
  }

  data(buf: Uint8Array, start: number, end: number): void {
    this.heard = true;
    let at = start;
    let from = buf;
    let to = end;
    if (this.rest.length > 0) {
      from = new Uint8Array(this.rest.length + end - start);
      from.set(this.rest);
      from.set(buf.subarray(start, end), this.rest.length);
      at = 0;
      to = from.length;
    }
    while (at < to && !this.isOver) {
      let lf = at;
      while (lf < to && from[lf] !== LF) lf++;
      if (lf === to) break;
      this.line(from, at, lf);
      at = lf + 1;
    }
    if (to - at > LONGEST_LINE) return this.finish("its list of keys is not understood");
    this.rest = at < to ? from.slice(at, to) : EMPTY;
  }

  private line(buf: Uint8Array, start: number, end: number): void {
    const { pulling } = this;
    const last = pulling.endOfKeys(buf, start, end);
    if (last !== "") {
      if (last.startsWith("BUSY")) return this.finish(BUSY);
      if (last !== "END") return this.finish(`it lists no keys: ${last}`);
      const { keys, seen, more } = this;
      return this.finish({ keys, seen, more });
    }
    const line = pulling.readKeyLine(buf, start, end);
    if (line === null) return;
    if (this.seen >= this.most) {
      const { keys, seen } = this;
      return this.finish({ keys, seen, more: true });
    }
    this.seen++;
    if (pulling.isOwn(line.key, 0, line.key.length) || !this.wants(line.key, line.size)) return;
    if (!this.keys.add(line.key)) this.more = true;
  }

  drain(): void {}

  end(): void {
    this.finish("it has closed the connection amid its list of keys");
  }

  close(error: string): void {
    if (this.isOver) return;
    const { keys } = this;
    // Nobody is there: nothing is in its memory.
    if (error === "ECONNREFUSED") this.finish({ keys, seen: 0, more: false });
    else this.finish(error === "" ? "it has closed the connection" : errnoText(error));
  }

  private finish(keys: Keys | string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.timer.cancel();
    this.socket?.close();
    this.done(keys);
  }
}
