// The stats port: each connection gets one line of JSON, then FIN, as nutcracker does. Nothing is
// read. A peer that does not close is closed, so that it holds no descriptor for ever.

import { bytes, utf8 } from "../bytes.ts";
import type { Address, Host, Listener, Socket, SocketHandler, Timer } from "../host.ts";
import { Lateness } from "../lateness.ts";
import { BufferPool, OutBuffer } from "../wire/out_buffer.ts";

/** Most connections at a time: the oldest makes room for the next. */
export const MOST_STATS = 64;
/** How long (ms) one may take to read and to close. */
export const STATS_PATIENCE = 5000;
const TICK = 1000;

/** Listens. `line` is asked at each connection. */
export function listenForStats(
  host: Host,
  address: Address,
  reusePort: boolean,
  line: () => string | Promise<string>,
): Promise<Listener> {
  const readers = new Readers(host);
  const options = { backlog: 128, keepAlive: false, reusePort };
  return host.listen(address, options, (socket) => {
    const reader = new Reader(socket, readers, host.now() + STATS_PATIENCE);
    readers.add(reader);
    const told = line();
    // What is known at once is said at once.
    if (typeof told === "string") reader.say(told);
    else told.then((text) => reader.say(text), () => socket.close());
    return reader;
  });
}

/** All connections there are, the oldest first. */
class Readers {
  private readonly host: Host;
  private readonly open: Set<Reader>;
  private timer: Timer | null;
  private lateness: Lateness;

  constructor(host: Host) {
    this.host = host;
    this.lateness = new Lateness(TICK, 0);
    this.open = new Set();
    this.timer = null;
  }

  add(reader: Reader): void {
    if (this.open.size === MOST_STATS) {
      for (const oldest of this.open) {
        oldest.cut();
        break;
      }
    }
    this.open.add(reader);
    if (this.timer !== null) return;
    this.lateness = new Lateness(TICK, this.host.now());
    this.timer = this.host.every(TICK, () => this.tick());
  }

  remove(reader: Reader): void {
    this.open.delete(reader);
    if (this.open.size > 0) return;
    this.timer?.cancel();
    this.timer = null;
  }

  private tick(): void {
    const now = this.host.now();
    if (this.lateness.at(now) > 0) return; // they may have read, and gone, while we stood still
    for (const reader of this.open) if (now >= reader.until) reader.cut();
  }
}

class Reader implements SocketHandler {
  readonly until: number;
  private readonly socket: Socket;
  private readonly readers: Readers;
  private readonly out: OutBuffer;
  private closed: boolean;

  constructor(socket: Socket, readers: Readers, until: number) {
    this.until = until;
    this.socket = socket;
    this.readers = readers;
    this.out = new OutBuffer(new BufferPool());
    this.closed = false;
  }

  say(line: string): void {
    if (this.closed) return;
    const content = bytes(utf8(line));
    this.out.append(content, 0, content.length);
    if (this.out.flush(this.socket)) this.socket.shutdown();
  }

  /** `close` may not follow at once: it counts no more from here on. */
  cut(): void {
    this.readers.remove(this);
    if (!this.closed) this.socket.close();
  }

  open(): void {}
  data(): void {}
  drain(): void {
    if (this.out.drained(this.socket)) this.socket.shutdown();
  }
  end(): void {
    this.socket.close();
  }
  close(): void {
    this.closed = true;
    this.readers.remove(this);
  }
}
