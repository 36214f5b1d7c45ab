// Health checks of one server: now and then it is asked something simple on a connection of its
// own. So a dead server is ejected without spending a client's request on it, and readmitted only
// when it answers again. Driven by the pool's tick; what is asked is the codec's.

import { errnoText } from "../errno.ts";
import type { Socket, SocketHandler } from "../host.ts";
import { OutBuffer } from "../wire/out_buffer.ts";
import { ReplyScan } from "../protocol/codec.ts";
import { Backoff } from "../link/backoff.ts";
import { checkFailed } from "../journal.ts";
import type { Pool } from "../pool.ts";
import type { Server } from "./server.ts";

/** More (bytes) than the replies to a check and to what comes before the first one. */
const INPUT = 4096;

/** What one socket tells; one that was given up is not listened to. */
class CheckLink implements SocketHandler {
  private readonly check: HealthCheck;

  constructor(check: HealthCheck) {
    this.check = check;
  }

  open(): void {
    if (this.check.link === this) this.check.open();
  }

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.check.link === this) this.check.data(buf, start, end);
  }

  drain(): void {
    if (this.check.link === this) this.check.drain();
  }

  end(): void {
    if (this.check.link === this) this.check.lost("");
  }

  close(error: string): void {
    if (this.check.link === this) this.check.lost(error);
  }
}

export class HealthCheck {
  /** The current socket's; null when there is none. */
  link: CheckLink | null;
  private socket: Socket | null;
  private readonly server: Server;
  private readonly pool: Pool;
  private readonly backoff: Backoff;
  private readonly out: OutBuffer;
  private readonly scan: ReplyScan;
  /** The replies so far: input[0, filled). */
  private readonly input: Uint8Array;
  private filled: number;
  /** Replies still to come: to the handshake, if there is one, and to the check. */
  private left: number;
  /** A check goes on. */
  private asking: boolean;
  private startedAt: number;
  private dueAt: number;
  /** Checks that failed in a row. */
  private failures: number;

  constructor(pool: Pool, server: Server) {
    this.link = null;
    this.socket = null;
    this.server = server;
    this.pool = pool;
    this.backoff = new Backoff((n) => pool.host.random(n));
    this.out = new OutBuffer(pool.buffers);
    this.scan = new ReplyScan();
    this.input = new Uint8Array(INPUT);
    this.filled = 0;
    this.left = 0;
    this.asking = false;
    this.startedAt = 0;
    this.dueAt = 0;
    this.failures = 0;
  }

  /** Called every tick. */
  tick(now: number, timeout: number): void {
    if (this.asking) {
      if (now - this.startedAt > timeout) this.fail(`no answer in ${timeout} ms`);
    } else if (now >= this.dueAt) {
      this.begin(now);
    }
  }

  private begin(now: number): void {
    this.asking = true;
    this.startedAt = now;
    if (this.socket !== null) return this.ask(1);
    this.link = new CheckLink(this);
    this.socket = this.server.open(this.link);
  }

  open(): void {
    const handshake = this.pool.handshakeOf(this.pool.lane);
    if (handshake === null) return this.ask(1);
    this.out.append(handshake.bytes, 0, handshake.bytes.length);
    this.ask(handshake.replies + 1);
  }

  private ask(replies: number): void {
    const probe = this.pool.codec.probe as Uint8Array;
    this.left = replies;
    this.filled = 0;
    this.out.append(probe, 0, probe.length);
    this.out.flush(this.socket as Socket);
  }

  drain(): void {
    this.out.drained(this.socket as Socket);
  }

  data(buf: Uint8Array, start: number, end: number): void {
    // Nobody asked, or there is more than an answer: this connection is not to be trusted.
    if (!this.asking || this.filled + end - start > INPUT) return this.lost("EINVAL");
    this.input.set(buf.subarray(start, end), this.filled);
    this.filled += end - start;
    const { codec } = this.pool;
    const { input, scan } = this;
    let pos = 0;
    while (this.left > 0 && pos < this.filled) {
      scan.reset();
      const next = codec.parseReply(scan, input, pos, this.filled);
      if (scan.bad) return this.fail("sent what is no reply");
      if (!scan.done) break;
      const wrong = this.left === 1
        ? codec.serverErrors?.probeError(input, pos, next) ?? ""
        : codec.isError(input, pos)
        ? `refused redis_auth or redis_db: ${codec.errorText(input, pos, next)}`
        : "";
      if (wrong !== "") return this.fail(wrong);
      this.left--;
      pos = next;
    }
    input.copyWithin(0, pos, this.filled);
    this.filled -= pos;
    if (this.left === 0) this.passed();
  }

  /** The connection is no more. */
  lost(error: string): void {
    if (this.asking) return this.fail(error === "" ? "connection closed" : errnoText(error));
    // An idle connection may be closed for many reasons: whether it means something shows at once.
    this.close();
    this.dueAt = this.pool.now;
  }

  private passed(): void {
    const { server, pool } = this;
    const { health_check } = pool.config;
    this.asking = false;
    this.failures = 0;
    this.backoff.reset();
    this.dueAt = this.startedAt + (health_check?.interval ?? 0);
    // What was asked before it was ejected proves nothing.
    if (!server.live && this.startedAt >= server.ejectedAt) server.readmit();
  }

  private fail(why: string): void {
    const { pool, server } = this;
    const { health_check, server_failure_limit } = pool.config;
    this.asking = false;
    this.close();
    // Soon again, to be sure; then at longer intervals, but never longer than the checks' own.
    this.dueAt = pool.now + this.backoff.next(health_check?.interval);
    this.failures++;
    checkFailed(server, why, this.failures);
    if (server.live && this.failures >= server_failure_limit) {
      server.eject(`health check failed: ${why}`);
    }
  }

  private close(): void {
    const { socket } = this;
    this.link = null;
    this.socket = null;
    this.left = 0;
    this.filled = 0;
    this.out.clear();
    socket?.close();
  }

  /** No more checks, until the next tick. */
  stop(): void {
    this.asking = false;
    this.failures = 0;
    this.dueAt = 0;
    this.backoff.reset();
    this.close();
  }
}
