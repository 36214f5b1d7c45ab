// What one socket tells its link. A runtime may have more to tell of a socket after it was closed:
// that must not reach the socket which has taken its place.

import type { SocketHandler } from "../host.ts";

/** A link, as its socket tells it of itself. */
interface Told extends Omit<SocketHandler, "end"> {
  /** Closes because of `errno`. */
  abort(errno: string): void;
}

export class Ear implements SocketHandler {
  /** Null: the link has done with the socket. */
  private link: Told | null;

  constructor(link: Told) {
    this.link = link;
  }

  open(): void {
    this.link?.open();
  }

  data(buf: Uint8Array, start: number, end: number): void {
    this.link?.data(buf, start, end);
  }

  drain(): void {
    this.link?.drain();
  }

  end(): void {
    this.link?.abort("");
  }

  close(error: string): void {
    this.link?.close(error);
  }

  /** Nothing is heard of the socket any more. */
  stop(): void {
    this.link = null;
  }
}
