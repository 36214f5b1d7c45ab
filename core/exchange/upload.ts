// A request too large to be gathered: its bytes are passed on as they come. It has a connection of
// its own for that long, so that a slow client holds up nobody else, and nothing of the client's
// may overtake it or be overtaken (see Client.startUpload).

import type { Request } from "./request.ts";
import type { ServerConnection } from "../link/server_connection.ts";

/** Requests longer than this (bytes) are not gathered. */
export const UPLOAD = 1 << 20;

export class Upload {
  readonly connection: ServerConnection;
  private readonly request: Request;
  /** Bytes still to come from the client. */
  left: number;
  /** All of it went to the server; otherwise the connection is of no more use. */
  whole: boolean;

  constructor(connection: ServerConnection, request: Request, length: number) {
    this.connection = connection;
    this.request = request;
    this.left = length;
    this.whole = true;
  }

  /**
   * Passes on what of `buf[start, end)` belongs to the request; returns where the rest begins.
   * When the server is lost or has refused the request meanwhile, the client has been told, and
   * what still comes is dropped.
   */
  feed(buf: Uint8Array, start: number, end: number): number {
    const to = Math.min(end, start + this.left);
    this.left -= to - start;
    const { connection, request } = this;
    if (connection.head === request) {
      request.sentAt = connection.pool.turn.clock; // the timeout is the server's, not the client's
      connection.pass(buf, start, to);
      connection.touch();
    } else {
      this.whole = false;
    }
    return to;
  }
}
