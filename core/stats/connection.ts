// A connection to the stats port: one line of JSON, then FIN, as nutcracker does. Reads nothing.

import { bytes, utf8 } from "../bytes.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { BufferPool, OutBuffer } from "../wire/out_buffer.ts";

export class StatsConnection implements SocketHandler {
  private readonly socket: Socket;
  private readonly out: OutBuffer;

  private closed: boolean;

  /** Without a line it waits for `say`. */
  constructor(socket: Socket, line?: string) {
    this.socket = socket;
    this.closed = false;
    this.out = new OutBuffer(new BufferPool());
    if (line !== undefined) this.say(line);
  }

  say(line: string): void {
    if (this.closed) return;
    const content = bytes(utf8(line));
    this.out.append(content, 0, content.length);
    if (this.out.flush(this.socket)) this.socket.shutdown();
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
  }
}
