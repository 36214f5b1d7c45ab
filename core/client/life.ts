// How a client is read, and how it ends.
//
//   | phase     | event                                                  | next                 |
//   | OPEN      | its own request ends it (CLIENT KILL)                  | DOOMED               |
//   | OPEN      | QUIT, broken protocol, FIN when all it sent is handled | FINISHING            |
//   | DOOMED    | that request is answered                               | FINISHING            |
//   | FINISHING | every reply is written                                 | LINGERING, or CLOSED after its FIN |
//   | LINGERING | its FIN, or a second has passed                        | CLOSED               |
//   | any       | the socket is lost, it is cut off                      | CLOSED               |
//
// While OPEN it is read unless there are reasons against it: see stops.ts.

import { errnoText } from "../errno.ts";
import type { Request } from "../exchange/request.ts";
import type { Socket } from "../host.ts";
import type { Carrier } from "../link/attempt.ts";
import type { Link, Waiter } from "../link/link.ts";
import type { ClientContext } from "./context.ts";
import { Input } from "./input.ts";
import { clientClosed, clientFails } from "./journal.ts";
import { BLOCKED, type Hold } from "./modes/hold.ts";
import type { Upload } from "./modes/upload.ts";
import type { Monitoring } from "./monitoring.ts";
import { ReplyQueue } from "./queue.ts";
import { FULL, HIGH_WATER, MAX_QUEUED, PAUSED, Stops, UNREAD, WORKING } from "./stops.ts";
import type { Subscriptions } from "./subscriptions.ts";

export const OPEN = 0;
export const DOOMED = 1;
export const FINISHING = 2;
const LINGERING = 3;
const CLOSED = 4;

/** How it is to end when it is read to the end of what it has sent (`farewell`). */
const STAYS = 0;
/** We want it to leave. */
const LEAVES = 1;
/** It has sent FIN. */
const ENDED = 2;

/** How long (ms) a new client may take to send its first command when the proxy stops. */
const FRESH = 1000;
/** How long (ms) a client we are done with may take to close its side. */
const LINGER = 1000;

export abstract class ClientLife extends ReplyQueue {
  protected phase: number;
  /** Why it is not read from. */
  protected readonly stops: Stops;
  private farewell: number;
  /** For the log: requests and bytes taken, and why it was closed. */
  taken: number;
  received: number;
  protected why: string;
  /** Its hold on a link of its own; null for none. */
  hold: Hold | null;
  /** What it is subscribed to; null until it first is. */
  subscriptions: Subscriptions | null;
  /** The servers' commands that it hears; null for none. */
  monitoring: Monitoring | null;
  /** The huge request that is passed on, until it is answered; null when there is none. */
  protected upload: Upload | null;
  protected readonly input: Input;
  /** Its first byte, which tells the dialect; -1 until it has come. */
  protected firstByte: number;
  /** Since when it lingers (pool time). */
  private lingersSince: number;
  /** Unread bytes that the pool has been told of. */
  private unread: number;

  constructor(context: ClientContext, socket: Socket, id: number) {
    super(context, socket, id);
    this.phase = OPEN;
    this.stops = new Stops(this, socket);
    this.farewell = STAYS;
    this.taken = 0;
    this.received = 0;
    this.why = "";
    this.hold = null;
    this.subscriptions = null;
    this.monitoring = null;
    this.upload = null;
    this.input = new Input(context.buffers);
    this.firstByte = -1;
    this.lingersSince = 0;
    this.unread = 0;
  }

  /** The session, the hold or the subscriptions are others now. */
  abstract settleMode(): void;

  /** For how long it has sent nothing (ms). */
  abstract get idle(): number;

  /** Handles the requests that were kept in `input[start, end)`; returns where the rest begins. */
  protected abstract process(buf: Uint8Array, start: number, end: number): number;

  get isClosed(): boolean {
    return this.phase === CLOSED;
  }

  /** No more of its requests are taken. */
  get isFinishing(): boolean {
    return this.phase >= FINISHING;
  }

  /** It waits at a server. */
  get isBlocked(): boolean {
    return this.hold !== null && this.hold.state === BLOCKED;
  }

  /** It is to end what it has begun with a server of its own. */
  get holdsOn(): boolean {
    return this.hold !== null && this.hold.goesOn;
  }

  /** It waits at a server, which its key is to leave. */
  get isBlockedAway(): boolean {
    return this.hold !== null && this.hold.waitsForMoved;
  }

  loseHold(): void {
    this.hold?.lose();
  }

  freeWait(): boolean {
    return this.hold !== null && this.hold.freeWait(this.context.host.now());
  }

  /** A reply that says its wait was ended, for the request to be made again elsewhere. */
  override reply(
    request: Request,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    const again = this.hold?.again ?? null;
    if (again !== null && again.request === request) {
      if (!this.isClosed && this.head === request && again.isUnblocked(buf, start, end)) {
        this.shift(request);
        this.input.putBack(again.rest(this.context.host.now()));
        return this.touch();
      }
    }
    super.reply(request, link, buf, start, end);
  }

  get isMonitoring(): boolean {
    return this.monitoring !== null;
  }

  /** Bytes of a huge request are still to come. */
  protected get isUploading(): boolean {
    return this.upload !== null && this.upload.left > 0;
  }

  /** End of turn: writes the replies; goes on reading, or closes, if that is what waits for it. */
  flush(): void {
    this.dirty = false;
    if (this.phase === CLOSED) return;
    if (this.subscriptions !== null) this.subscriptions.release();
    if (!this.out.flush(this.socket) && !this.afterShortWrite()) return;
    this.goOn();
  }

  drain(): void {
    if (this.phase === CLOSED) return; // the runtime has not told of the close yet
    this.out.drained(this.socket);
    this.tellUnread();
    if (this.out.size === 0) this.subscriptions?.allRead();
    this.goOn();
  }

  /** Something has been written. */
  protected goOn(): void {
    if (this.holdsUp !== null && this.out.size < HIGH_WATER) this.letGo();
    if (this.stops.any) this.readOn();
    if (this.phase === FINISHING && this.head === null && this.out.size === 0) this.linger();
  }

  /** Tells the pool how much is unread; not asked while all is taken at once. */
  private tellUnread(): void {
    const more = this.out.size - this.unread;
    if (more === 0) return;
    this.unread += more;
    this.context.clients.unread(more);
  }

  /** The client does not take its replies as fast as they come; false when it was cut off. */
  protected afterShortWrite(): boolean {
    this.tellUnread();
    if (this.isClosed) return false; // all together are too many, and it had the most
    const { subscriptions, context } = this;
    const { size } = this.out;
    if (subscriptions !== null && subscriptions.total > 0) {
      const bytes = size + subscriptions.heldBytes;
      const most = context.config.pubsub_output_limit;
      const why = most > 0 ? subscriptions.tooSlow(bytes, most, context.now) : "";
      if (why !== "") {
        const unread = `${bytes} bytes of messages${why} (pubsub_output_limit: ${most})`;
        this.cutOff(`subscriber did not read ${unread}`);
        return false;
      }
    }
    if (size > context.limits.clientOutput) {
      this.cutOff(`did not read ${size} bytes of replies`);
      return false;
    }
    if (size > HIGH_WATER && this.phase < FINISHING) this.stops.add(UNREAD);
    return true;
  }

  /** Stops because its queue is full, or because `link` is congested. */
  protected stopFor(link: Link): void {
    if (link.congested) this.waitForLink(link);
    if (this.queued >= MAX_QUEUED) this.stops.add(FULL);
  }

  waitForLink(link: Link): void {
    this.stops.waitForLink(link);
  }

  waitsForLink(waiter: Waiter): boolean {
    return this.stops.waitsForLink(waiter);
  }

  stopForWork(): void {
    this.stops.add(WORKING);
  }

  workDone(): void {
    this.stops.end(WORKING);
  }

  /** The pool is paused: what comes waits until it is not. */
  pauseReading(): void {
    this.stops.add(PAUSED);
  }

  /** Takes no further requests until all earlier ones are answered. */
  emptyFirst(): void {
    this.stops.emptyFirst();
  }

  /** As `emptyFirst`, but sees it at once when the client leaves. */
  emptyListening(): void {
    // It empties behind an upload anyway; until then it is read as its link takes that.
    if (this.isUploading) return;
    this.stops.emptyListening(this.input.size);
  }

  /** Reads on after a stop, if nothing speaks against it any more. */
  protected readOn(): void {
    const { stops } = this;
    if (!stops.emptied(this.head === null)) return;
    if (this.head === null) this.allAnswered();
    stops.ease(this.queued, this.out.size);
    if (stops.any) return;
    const { input } = this;
    if (input.size > 0) {
      const carry = input.buf;
      const used = this.process(carry, input.start, input.end);
      if (this.phase >= FINISHING) return stops.listen(true); // what still comes is dropped
      if (input.buf === carry) {
        input.start = used;
        if (used === input.end) input.drop();
      }
      // It has left, or is to leave, and would be blocked.
      if (this.isBlocked && this.farewell !== STAYS) return this.drop("");
      if (stops.any) return;
    } else {
      input.drop();
    }
    if (this.farewell === ENDED) this.finish();
    else if (this.farewell === LEAVES) this.leaveNow();
    else stops.listen(true);
  }

  /** Every request is answered that was sent before it stopped. */
  protected allAnswered(): void {
    if (this.upload !== null && this.upload.left === 0) {
      this.upload.end();
      this.upload = null;
    }
    this.hold?.answered();
  }

  /** Takes no more requests; closes when all replies are written. */
  finish(): void {
    if (this.phase >= FINISHING) return;
    this.phase = FINISHING;
    this.subscriptions?.drop();
    this.monitoring?.drop();
    this.input.drop();
    this.touch();
  }

  /**
   * The proxy stops, or the pool is removed: what the client has sent is answered, then it is
   * closed; at once if there is nothing to answer. May be called again and again.
   */
  leave(): void {
    if (this.phase >= FINISHING || this.farewell !== STAYS) return;
    // It may have connected with a command on its way: it gets the time to send that.
    const { host } = this.context;
    if (this.firstByte < 0 && host.wallClock() - this.session.since < FRESH) return;
    // What blocks may never be answered. The server lets go of it when its connection closes.
    if (this.isBlocked) return this.drop("");
    this.farewell = LEAVES;
    // A huge request that is half there is waited for; and see readOn.
    if (!this.stops.any && this.upload === null) this.leaveNow();
  }

  protected leaveNow(): void {
    if (this.head === null && this.out.size === 0) return this.drop("");
    this.finish();
  }

  /** All is said: FIN, then wait a moment for the client's (a close at once could lose the reply). */
  protected linger(): void {
    if (this.farewell === ENDED) return this.socket.close();
    this.phase = LINGERING;
    this.lingersSince = this.context.now;
    this.context.clients.lingers(this);
    this.stops.listen(true);
    this.socket.shutdown();
  }

  /** Called every tick while it lingers. Its FIN may still be unread when a tick comes `late`. */
  tick(now: number, late: number): void {
    if (late === 0 && now - this.lingersSince > LINGER) this.socket.close();
  }

  /**
   * Called every tick while it has a link of its own: with one that it has not used for `most` ms
   * it is closed. What waits for us (or for a server, or the end of a pause) uses it.
   */
  tickHold(now: number, most: number, late: number): void {
    const hold = this.hold as Hold;
    if (hold.state === BLOCKED || this.head !== null || this.stops.has(PAUSED)) {
      hold.usedAt = now;
    } else if (late === 0 && now - hold.usedAt > most && this.idle > most) {
      this.cutOff(`kept a connection to a server and sent nothing for ${most} ms`);
    }
  }

  /** The client sent FIN: it gets the replies it still waits for. */
  end(): void {
    if (this.phase === CLOSED) return;
    this.context.counters.client_eof++;
    this.farewell = ENDED;
    if (this.phase === LINGERING) return this.socket.close();
    if (this.isUploading) return this.drop(""); // half a request gets no reply
    // Redis too hangs up on a client that is blocked and sends FIN: it has most likely left.
    if (this.isBlocked) return this.drop("");
    // Requests that wait in `input` because of a stop are handled first: see readOn.
    if (!this.stops.any) this.finish();
  }

  /** Closes at once, with unwritten replies; that is worth a line in the log. */
  cutOff(why: string): void {
    if (this.phase === CLOSED) return;
    clientFails(this, why);
    this.context.counters.client_err++;
    this.drop(why);
  }

  /** Closes at once; `why` is for the log. */
  drop(why: string): void {
    if (this.why === "") this.why = why;
    this.socket.close();
    this.close("");
  }

  /** The one end: the socket is gone. */
  close(error: string): void {
    if (this.phase === CLOSED) return;
    this.phase = CLOSED;
    const { context } = this;
    if (error !== "") context.counters.client_err++;
    clientClosed(this, this.why || (error === "" ? "eof" : errnoText(error)));
    this.letGo();
    this.upload?.end();
    this.upload = null;
    this.input.drop();
    this.out.clear();
    this.tellUnread();
    let request = this.head;
    while (request !== null) {
      const next: Request | null = request.next;
      // What is ready is in no link's queue; the rest is given back when its reply comes.
      if (request.ready) context.requests.give(request);
      request = next;
    }
    this.head = null;
    this.last = null;
    this.hold?.drop();
    this.subscriptions?.drop();
    context.migration?.forget(this);
    this.monitoring?.drop();
    context.leaveLane(this.lane);
    context.closed(this);
  }
}
