// One client: takes its commands apart and sends each on its way.
//
//   socket ═▶ data ─▶ process ─▶ route.pick ─▶ link            its replies: queue.ts
//                       └▶ mode ─▶ dispatch.ts ─▶ exchange     when it is read: stops.ts
//                                                              how it ends: life.ts
//
// What may be done with a command is said by its mode: see modes/mode.ts.

import { inquire } from "../exchange/inquire.ts";
import { HELD_UP } from "../exchange/meter.ts";
import { ANSWERED, ELSEWHERE, type NearCache } from "../exchange/near_cache.ts";
import { MANAGED, type Request } from "../exchange/request.ts";
import type { Topic } from "../exchange/topic.ts";
import type { Socket, SocketHandler } from "../host.ts";
import type { Carrier } from "../link/attempt.ts";
import type { Link } from "../link/link.ts";
import {
  BAD,
  type Codec,
  FORWARD,
  LOCAL,
  MORE,
  type Peer,
  REFUSE,
  Scan,
  type Session,
} from "../protocol/codec.ts";
import type { Redirects } from "../route/route.ts";
import { NO_LANE } from "../server/lanes.ts";
import type { ClientContext } from "./context.ts";
import { carryOut } from "./dispatch.ts";
import { protocolError } from "./journal.ts";
import { ClientLife, DOOMED, FINISHING, OPEN } from "./life.ts";
import { type Hold, type ModeClient, TRANSACTION } from "./modes/hold.ts";
import { modeBelow, modeOf } from "./modes/layers.ts";
import type { Mode } from "./modes/mode.ts";
import { heldLoss, heldReply } from "./modes/moving.ts";
import { BESIDE, NEAR } from "./modes/near.ts";
import { SHARED } from "./modes/shared.ts";
import { LATER, ORDINARY } from "./modes/taken.ts";
import { beginUpload, isPassable, type Upload } from "./modes/upload.ts";
import { renew } from "./renewed.ts";
import { Sampling } from "./sampling.ts";
import { FULL, LISTENED, MAX_QUEUED, PAUSED } from "./stops.ts";

/** Least number of bytes taken at a time to complete an unfinished request. */
const STITCH = 512;
/** An unfinished request longer than this keeps its parser state instead of being parsed again. */
const KEEP_SCAN = 4096;
/** A kept request at least this long is handed to the link without a copy. */
const ADOPT = 16384;

export class Client extends ClientLife implements SocketHandler, ModeClient, Peer {
  private mode: Mode;
  /** When it last sent something (pool time). */
  private heardAt: number;
  /** Parser state of a long unfinished request; null when the pool's shared one does. */
  private scan: Scan | null;
  /** The last request that was looked at (`taken`): see exchange/meter.ts. */
  private metered: number;
  /** The route's epoch when its queue was last empty: see Route.redirects. */
  private epoch: number;
  private readonly sampling: Sampling;

  constructor(context: ClientContext, socket: Socket, id: number) {
    super(context, socket, id);
    this.mode = SHARED;
    this.heardAt = context.now;
    this.scan = null;
    this.metered = 0;
    this.epoch = context.route.epoch;
    this.sampling = new Sampling(context.hot);
    this.settleMode();
  }

  open(): void {}

  data(buf: Uint8Array, start: number, end: number): void {
    if (this.phase >= FINISHING) return; // after QUIT or a protocol error nothing more is read
    const { turn } = this.context;
    turn.enter();
    this.heardAt = this.context.now;
    this.received += end - start;
    if (this.upload !== null) start = this.feed(this.upload, buf, start, end);
    if (start === end) return turn.leave();
    if (this.firstByte < 0) {
      this.begin(buf[start]);
      if (this.phase >= FINISHING) return turn.leave();
    }
    if (this.stops.any) this.keepUnhandled(buf, start, end);
    else if (this.input.end === 0) this.take(buf, start, end);
    else this.complete(buf, start, end);
    turn.leave();
  }

  private keepUnhandled(buf: Uint8Array, start: number, end: number): void {
    this.input.keep(buf, start, end);
    if (this.input.size >= LISTENED) this.stops.listen(false);
  }

  /** The first byte tells which of a port's dialects the client speaks. */
  private begin(byte: number): void {
    this.firstByte = byte;
    const { context } = this;
    // A TLS record; no request of either protocol begins like that.
    if (byte === 22) {
      context.handshakeFailed(this.socket.remote, "it speaks TLS, and the pool has no tls");
      this.finish();
    }
    this.codec = this.dialect;
    if (this.codec === context.codec) return;
    const lane = context.enterLane(this.session, this.codec);
    if (lane === NO_LANE) return this.cutOff("there are too many kinds of connections");
    context.leaveLane(this.lane);
    this.lane = lane;
    if (context.near !== null) this.settleMode(); // what is kept is for the other dialect
  }

  /** The one of the pool that it speaks; the pool's own until its first byte has come. */
  private get dialect(): Codec {
    const { codec } = this.context;
    return this.firstByte < 0 ? codec : codec.dialects?.of(this.firstByte) ?? codec;
  }

  /** Handles what is complete and keeps the rest. */
  private take(buf: Uint8Array, start: number, end: number): void {
    const done = this.process(buf, start, end);
    if (done < end && this.phase < FINISHING) this.input.keep(buf, done, end);
  }

  /**
   * Completes the request in `input`. Only as much is copied behind it as is likely to be needed,
   * so that a long read is not copied because one request was cut by its start.
   */
  private complete(buf: Uint8Array, start: number, end: number): void {
    const { input } = this;
    let pos = start;
    while (pos < end) {
      const old = input.size;
      const want = input.expected > old ? input.expected - old : Math.max(STITCH, old);
      const to = Math.min(end, pos + want);
      input.keep(buf, pos, to);
      const carry = input.buf;
      const from = input.start;
      const used = this.process(carry, from, input.end) - from;
      if (this.phase >= FINISHING) return;
      if (this.upload !== null) {
        // All that was kept has been passed on; what follows it is of the same request.
        input.drop();
        return input.keep(buf, this.feed(this.upload, buf, to, end), end);
      }
      if (this.stops.any) {
        if (input.buf === carry) input.start += used;
        return input.keep(buf, to, end);
      }
      if (used >= old) {
        input.drop();
        return this.take(buf, pos + used - old, end);
      }
      input.start += used;
      pos = to;
    }
  }

  /** Handles the complete requests in `buf[start, end)`; returns where the first unfinished begins. */
  protected process(buf: Uint8Array, start: number, end: number): number {
    const { context, codec } = this;
    const { route, requests } = context;
    // With limits or faults every request is looked at.
    const shared = context.meter === null ? SHARED : null;
    const scan = this.scan ?? context.scan;
    const slow = context.slow.on ? context.slow : null;
    const managed = route.redirects !== null;
    const tells = managed || route.tells;
    // Consecutive commands for one link are copied as one span.
    let spanLink: Link | null = null;
    let spanStart = 0;
    // Where a large request may be, all are looked at.
    const all = end - start > context.big.bytes;
    let sampleAt = all ? 0 : this.sampling.next;
    let pos = start;
    while (pos < end) {
      let result = codec.parseRequest(scan, buf, pos, end);
      const direct = this.mode === shared;
      if (!direct && result !== BAD && this.isTooMuch(scan, buf, pos, end)) result = BAD;
      if (result <= MORE) {
        if (result === BAD) {
          if (spanLink !== null) spanLink.out.append(buf, spanStart, pos);
          this.reject(scan.error);
          return end;
        }
        break;
      }
      this.taken++;
      if (direct && scan.action === FORWARD && scan.scratch === null) {
        const intent = tells ? codec.intents[scan.verb + 1] : 0;
        const server = route.pick(buf, pos + scan.keyStart, pos + scan.keyEnd, intent, this);
        if (managed && this.mustEmpty()) {
          if (spanLink !== null) spanLink.out.append(buf, spanStart, pos);
          spanLink = null;
          this.taken--;
          this.emptyFirst();
          break;
        }
        if (server.available) {
          const link = server.linkFor(this);
          if (link !== spanLink) {
            if (spanLink !== null) spanLink.out.append(buf, spanStart, pos);
            spanLink = link;
            spanStart = pos;
          }
          const request = requests.take(this);
          if (managed) {
            request.kind = MANAGED;
            request.place = route.place;
            this.sent++;
          }
          request.tagHigh = scan.tagHigh;
          request.tagLow = scan.tagLow;
          request.verb = scan.verb;
          if (slow !== null) slow.note(request, buf, pos + scan.keyStart, pos + scan.keyEnd);
          if (this.taken >= sampleAt) {
            sampleAt = this.sampling.look(this, scan, buf, pos, request, all);
          }
          link.enqueue(request, scan.length);
          if (this.head === null) this.head = request;
          else (this.last as Request).next = request;
          this.last = request;
          pos += scan.length;
          if (++this.queued < MAX_QUEUED && !link.congested) continue;
          this.stopFor(link);
          break;
        }
      }
      if (spanLink !== null) {
        spanLink.out.append(buf, spanStart, pos);
        spanLink = null;
      }
      if (scan.action === REFUSE && !this.session.locked && this.asks(scan, buf, pos)) break;
      this.guard(scan, buf, pos);
      const at = pos;
      pos += scan.length;
      // Before it is carried out: what is split in slices takes the scan with it.
      if (this.taken >= sampleAt) sampleAt = this.sampling.look(this, scan, buf, at, null, all);
      const taken = scan.scratch === null
        ? this.special(scan, buf, at, scan.length)
        : this.special(scan, scan.scratch, 0, scan.scratchLength);
      if (!taken) {
        // Its turn comes when the earlier ones are answered.
        this.taken--;
        this.emptyFirst();
        pos = at;
        break;
      }
      if (this.phase >= FINISHING) return end;
      if (this.queued >= MAX_QUEUED) this.stops.add(FULL);
      if (this.stops.any) break;
    }
    if (spanLink !== null) this.sendSpan(spanLink, buf, spanStart, pos);
    if (pos < end && !this.stops.any) {
      if (isPassable(scan, end - pos) && this.startUpload(scan, buf, pos, end)) return end;
      this.remember(scan, end - pos);
    } else if (this.scan !== null) {
      this.scan = null;
    }
    return pos;
  }

  /** The place that the route gave last is newer than what is in flight: see Route. */
  private mustEmpty(): boolean {
    const { route } = this.context;
    if (this.head === null) {
      this.epoch = route.epoch;
      return false;
    }
    return route.picked > this.epoch;
  }

  /** As `mustEmpty`, of any place: a request may have several. */
  private isBehind(): boolean {
    const { route } = this.context;
    if (this.head === null) this.epoch = route.epoch;
    return route.epoch > this.epoch;
  }

  /** It would be carried out before earlier ones, which are at other servers of the same keys. */
  private overtakes(redirects: Redirects, { action, verb }: Scan): boolean {
    if (this.head === null || action === LOCAL || redirects.overtakes === undefined) return false;
    return redirects.overtakes(this.codec.intents[verb + 1], this);
  }

  /** The last span of a read. A long kept request is handed over as it is, without a copy. */
  private sendSpan(to: Link, buf: Uint8Array, start: number, end: number): void {
    const { input } = this;
    if (end - start < ADOPT) return to.out.append(buf, start, end);
    if (buf !== input.buf || end !== input.end) return to.pass(buf, start, end);
    to.out.adopt(buf, start, end);
    input.lose();
  }

  /**
   * Everything but the plain case: `buf[at, at + length)` is the request as the server is to get it.
   * False when it has to wait until all earlier ones are answered.
   */
  private special(scan: Scan, buf: Uint8Array, at: number, length: number): boolean {
    const { meter, route, near } = this.context;
    if (meter !== null && this.metered !== this.taken) {
      this.metered = this.taken;
      const how = meter.check(this, scan, buf, at);
      if (how === HELD_UP) return false;
      if (how !== null) {
        this.hold?.doom();
        if (scan.mute === 0 || !this.codec.quiet?.muted(scan.mute, how, 0)) this.answer(how);
        return true;
      }
    }
    const { redirects } = route;
    if (redirects !== null && (this.isBehind() || this.overtakes(redirects, scan))) return false;
    if (near !== null && !this.session.locked) return this.nearBy(near, scan, buf, at, length);
    return this.carriedOut(scan, buf, at, length);
  }

  private carriedOut(scan: Scan, buf: Uint8Array, at: number, length: number): boolean {
    let how = this.mode.take(this, scan, buf, at, length);
    if (how === ORDINARY) how = carryOut(this, scan, buf, at, length);
    return how !== LATER;
  }

  /** Where there is a near cache: it may have the answer, and sees what is written. */
  private nearBy(
    near: NearCache,
    scan: Scan,
    buf: Uint8Array,
    at: number,
    length: number,
  ): boolean {
    if (this.mode === NEAR) {
      const how = near.read(this, scan, buf, at);
      if (how !== ELSEWHERE) return how === ANSWERED;
    }
    const before = this.queued;
    const written = near.write(this, scan, buf, at);
    const taken = this.carriedOut(scan, buf, at, length);
    if (written !== null) {
      if (this.queued > before) written.goesWith(this.last as Request);
      else written.done();
    }
    if (written !== null || this.nearBlind < 0) this.nearWrote = this.pushes;
    return taken;
  }

  /** A client that has not said who it is cannot make the proxy keep much for it. */
  private isTooMuch(scan: Scan, buf: Uint8Array, start: number, end: number): boolean {
    return this.session.locked && this.codec.tooMuch(scan, buf, start, end);
  }

  /** Whether the client may make this request is said before anything is done with it. */
  private guard(scan: Scan, buf: Uint8Array, start: number): void {
    const { session } = this;
    if (!session.locked && session.user === null) return;
    if (scan.scratch === null) this.codec.guard(scan, buf, start, session);
    else this.codec.guard(scan, scan.scratch, 0, session);
  }

  /** Whether the request has to wait for what a server says about its command. */
  private asks(scan: Scan, buf: Uint8Array, at: number): boolean {
    const { scratch } = scan;
    const asked = scratch === null ? inquire(this, scan, buf, at) : inquire(this, scan, scratch, 0);
    if (asked) {
      this.taken--; // it will be parsed again
      this.emptyFirst();
    }
    return asked;
  }

  /** A request is unfinished: `have` bytes of it are there. */
  private remember(scan: Scan, have: number): void {
    const { context } = this;
    this.input.expected = scan.length;
    if (have > context.limits.request) {
      return this.reject(this.codec.failure("request too large", scan));
    }
    if (have > KEEP_SCAN) {
      if (this.scan === null) {
        this.scan = scan;
        context.scan = new Scan();
      }
      return;
    }
    scan.reset();
    this.scan = null;
  }

  /** Answers a broken stream, after what came before it, and closes. */
  private reject(error: Uint8Array): void {
    this.context.counters.client_err++;
    this.why = "protocol error";
    protocolError(this);
    this.answer(error);
    this.finish();
  }

  // ---------------------------------------------------------------- uploads

  /**
   * Passes on the unfinished request at `buf[start, end)` instead of gathering it. False when it is
   * to be kept: because it has to be gathered, or because earlier requests are not answered yet,
   * which it might overtake on its own link.
   */
  private startUpload(scan: Scan, buf: Uint8Array, start: number, end: number): boolean {
    const { mode, context: { meter, route, near } } = this;
    if ((mode !== SHARED && mode !== NEAR && mode !== BESIDE) || meter !== null) return false;
    if (this.head !== null) {
      this.emptyFirst();
      return false;
    }
    this.epoch = route.epoch;
    const upload = beginUpload(this, scan, buf, start);
    if (upload === null) return false;
    this.taken++;
    const written = near?.write(this, scan, buf, start) ?? null;
    if (written !== null) {
      written.goesWith(upload.request);
      this.nearWrote = this.pushes;
    }
    this.upload = upload;
    scan.reset();
    this.scan = null;
    this.feed(upload, buf, start, end);
    return true;
  }

  private feed(upload: Upload, buf: Uint8Array, start: number, end: number): number {
    if (upload.left === 0) return start;
    const pos = upload.feed(buf, start, end, this.context.turn.clock);
    if (upload.link.congested) this.stopFor(upload.link);
    if (upload.left === 0) this.emptyFirst();
    return pos;
  }

  // ---------------------------------------------------------------- modes

  /** The session, the hold or the subscriptions are others now; or what the whole pool does is. */
  settleMode(): void {
    this.mode = modeOf(this);
  }

  passOn(from: Mode, scan: Scan, buf: Uint8Array, at: number, length: number): number {
    return modeBelow(from, this).take(this, scan, buf, at, length);
  }

  carryOut(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    return carryOut(this, scan, buf, at, length);
  }

  /** The pool is not paused any more. */
  resume(): void {
    this.settleMode();
    if (this.stops.has(PAUSED)) this.stops.end(PAUSED);
  }

  beginHold(hold: Hold): void {
    this.hold = hold;
    this.context.clients.holds(this, true);
    this.settleMode();
  }

  get isBound(): boolean {
    return this.hold !== null || this.session.ownLinks;
  }

  endHold(): void {
    this.hold = null;
    this.context.route.redirects?.released?.(this);
    this.context.clients.holds(this, false);
    this.settleMode();
  }

  /**
   * Goes on with the pool's new codec: see renewed.ts. `reconnect`: its links are others, too.
   * Replies to what is in flight are the same by both codecs.
   */
  changeCodec(old: Session, now: Session, reconnect: boolean): void {
    if (this.phase >= FINISHING) return;
    const { context, session } = this;
    this.codec = this.dialect;
    this.scan = null; // parsed again from its first byte
    const why = renew(this, old, now);
    if (why !== "") return this.drop(why);
    this.settleMode();
    if (!reconnect) return;
    const lane = context.enterLane(session, this.codec, this);
    if (lane === NO_LANE) return this.cutOff("there are too many kinds of connections");
    this.lane = lane;
    this.renewals++;
    // Later requests take other links: they must not overtake the earlier ones. (After a huge
    // request they never do.)
    if (this.head !== null && !this.isUploading) this.emptyFirst();
  }

  /** The pool has servers of another kind. */
  leaveServers(): void {
    this.hold?.leaveServer();
  }

  moveOver(): void {
    this.standings = null;
    this.hold?.moveOver();
  }

  heldReply(
    request: Request,
    redirects: Redirects,
    link: Carrier,
    buf: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    return this.hold !== null &&
      heldReply(this.hold, request, redirects, link, buf, start, end);
  }

  heldLoss(
    request: Request,
    redirects: Redirects,
    link: Carrier,
    text: string,
    unsent: boolean,
  ): boolean {
    return this.hold !== null && heldLoss(this.hold, request, redirects, link, text, unsent);
  }

  get isDoomed(): boolean {
    return this.phase === DOOMED;
  }

  get queuedInMulti(): number {
    const { hold } = this;
    return hold !== null && hold.state === TRANSACTION ? hold.queued : -1;
  }

  get idle(): number {
    return this.context.now - this.heardAt;
  }

  unblock(withError: boolean): boolean {
    return this.hold !== null && this.hold.unblock(withError);
  }

  kill(asks: boolean): void {
    if (!asks) this.drop("");
    else if (this.phase === OPEN) this.phase = DOOMED;
  }

  hear(topic: Topic, buf: Uint8Array, start: number, end: number): void {
    this.subscriptions?.deliver(topic, buf, start, end);
  }

  /** QUIT: `bytes` are the last ones. */
  sayGoodbye(bytes: Uint8Array): void {
    this.answer(bytes);
    this.why = "quit";
    this.finish();
  }
}
