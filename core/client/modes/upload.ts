// A request too large to be gathered: its bytes are passed on as they come. It has a link of its own
// for that long, so that a slow client holds up nobody else, and nothing of the client's may overtake
// it or be overtaken.
//
//   | event                        | next                                                     |
//   | all of it has come           | the client waits for its answer, then the mode before    |
//   | the client leaves            | its link, which has half a request, is closed            |
//   | the server refuses, is lost  | what still comes is dropped                              |

import { type Caller, MANAGED, type Request } from "../../exchange/request.ts";
import type { Link } from "../../link/link.ts";
import { FORWARD, type Scan } from "../../protocol/codec.ts";
import type { Server } from "../../server/server.ts";
import type { ClientContext } from "../context.ts";

/** Requests longer than this (bytes) are not gathered. */
export const UPLOAD = 1 << 20;

/** Whether the unfinished request, of which `have` bytes are there, can be passed on. */
export function isPassable({ action, length, left, keyEnd }: Scan, have: number): boolean {
  return length > UPLOAD && action === FORWARD && left > 0 && keyEnd <= have;
}

/** A client, as far as it uploads. */
interface UploadingClient extends Caller {
  readonly context: ClientContext;
}

/**
 * Begins to pass on the unfinished request at `buf[start...]`; null if there is no server for it. Its
 * bytes are given to `feed`.
 */
export function beginUpload(
  client: UploadingClient,
  scan: Scan,
  buf: Uint8Array,
  start: number,
): Upload | null {
  const { context: { route, requests, slow, big }, codec, lane } = client;
  const { verb, length } = scan;
  const keyStart = start + scan.keyStart;
  const keyEnd = start + scan.keyEnd;
  const server = route.pick(buf, keyStart, keyEnd, codec.intents[verb + 1], client);
  if (!server.available) return null;
  const link = server.takeExtra(lane);
  const request = requests.take(client);
  request.tagHigh = scan.tagHigh;
  request.tagLow = scan.tagLow;
  request.verb = verb;
  if (route.redirects !== null) {
    request.kind = MANAGED;
    request.place = route.place;
  }
  if (slow.on) slow.note(request, buf, keyStart, keyEnd);
  if (length > big.bytes) big.request(codec, scan, buf, start, length);
  client.push(request);
  link.enqueue(request, length);
  return new Upload(server, link, request, length);
}

export class Upload {
  readonly link: Link;
  private readonly server: Server;
  readonly request: Request;
  /** Bytes still to come from the client. */
  left: number;
  /** All of it went to the server; otherwise the link is of no more use. */
  private whole: boolean;

  constructor(server: Server, link: Link, request: Request, length: number) {
    this.link = link;
    this.server = server;
    this.request = request;
    this.left = length;
    this.whole = true;
    link.unfinished = true;
  }

  /**
   * Passes on what of `buf[start, end)` belongs to the request; returns where the rest begins. When
   * the server is lost or has refused the request meanwhile, the client has been told.
   */
  feed(buf: Uint8Array, start: number, end: number, clock: number): number {
    const to = Math.min(end, start + this.left);
    this.left -= to - start;
    const { link, request } = this;
    if (link.head === request) {
      request.sentAt = clock; // the timeout is the server's, not the client's
      link.pass(buf, start, to);
      link.touch();
    } else {
      this.whole = false;
    }
    if (this.left === 0) {
      link.unfinished = false;
      if (!this.whole) link.discard();
    }
    return to;
  }

  /** The answer is there, or the client is gone: the link goes back. */
  end(): void {
    this.link.unfinished = false;
    // Half a request is on it: it is of no more use.
    if (this.left > 0) this.link.discard();
    this.server.giveExtra(this.link);
  }
}
