// What a link is given, and whom it tells of itself. Whose it is (a server's, a health check's, a
// subscriber's) it does not know.

import type { Host, Socket, SocketHandler } from "../host.ts";
import type { Codec, Handshake } from "../protocol/codec.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import type { Flushable, Turn } from "../wire/turn.ts";
import type { PushSetting } from "./pushes.ts";
import type { BigWatch } from "./big_watch.ts";
import type { SlowLog } from "./slow_log.ts";

/** What the links of a pool share. */
export interface LinkContext {
  readonly host: Host;
  readonly buffers: BufferPool;
  readonly turn: Turn<Flushable, Flushable>;
  readonly slow: SlowLog;
  readonly big: BigWatch;
  /** Coarse monotonic time (ms), renewed every tick. */
  readonly now: number;
  /** The protocol of a lane, and what its links say first. */
  codecOf(lane: number): Codec;
  handshakeOf(lane: number): Handshake | null;
  /** Who hears what servers push on the links of a lane; null: nobody. */
  pushesOf(lane: number): PushSetting | null;
}

/** Counters that links raise. */
export interface LinkCounters {
  server_connections: number;
  requests: number;
  request_bytes: number;
  responses: number;
  response_bytes: number;
}

/** For links whose cost nobody is shown. */
export function newLinkCounters(): LinkCounters {
  return {
    server_connections: 0,
    requests: 0,
    request_bytes: 0,
    responses: 0,
    response_bytes: 0,
  };
}

/** Whose a link is, and who hears of its life. */
export interface LinkOwner {
  /** For log lines: `pool "cache": server "a" (127.0.0.1:6379)`. */
  readonly label: string;
  /** The same for programs: pool, server, address. */
  readonly fields: Readonly<Record<string, string>>;
  readonly counters: LinkCounters;
  /** It wants to hear by `replied` how the server is. */
  readonly judges: boolean;
  /** Who gets what answers no request; null: nobody, it is a fault of the server's. */
  readonly listener: Listener | null;
  /** What is sent is kept until it is answered, so that it can be sent again: see `Link.sent`. */
  readonly keeps: boolean;
  /** Said behind the lane's greeting. */
  readonly greets?: Handshake | null;
  /** Opens a socket to the server. */
  open(handler: SocketHandler): Socket;
  connecting(): void;
  /** The greeting is over: requests go out now. */
  ready(): void;
  /** The server refuses the greeting. */
  refused(why: string): void;
  /** What the server sends cannot be used; the link closes. */
  broken(why: string): void;
  /**
   * The socket is gone, by the server's fault or wish. `errno` is "" if the server has closed it,
   * `text` the same for people; `lost` requests waited.
   */
  closed(errno: string, text: string, lost: number): void;
  /** `n` requests of one class took `ms` each. */
  answered(cls: number, ms: number, n: number): void;
  /** The first reply of a read; `verb` is its request's. */
  replied(codec: Codec, verb: number, buf: Uint8Array, start: number, end: number): void;
}

/** Hears what is published: each frame of a link that no request waits for. */
export interface Listener {
  /** A whole frame. The buffer is borrowed. */
  frame(buf: Uint8Array, start: number, end: number): void;
}
