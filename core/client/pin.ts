// A client's hold on a server connection of its own: for a transaction, for what it watches, or for
// one request that blocks. Where a transaction goes is known with its first key; until then it is
// held back. What the requests are called and what the answers say is the codec's: see Scan.pin.

import {
  ALL,
  ANY,
  APART,
  ASKED,
  FORWARD,
  GATHER,
  LOCAL,
  OWN,
  PIN,
  PIN_BLOCK,
  PIN_DISCARD,
  PIN_EXEC,
  PIN_MULTI,
  PIN_QUEUE,
  PIN_RESET,
  PIN_UNWATCH,
  PIN_WATCH,
  REFUSE,
  type Scan,
  SPLIT,
  TOGETHER,
  TOPICS,
  type Transactions,
  WALK,
} from "../protocol/codec.ts";
import type { Client } from "./client.ts";
import { crossServerError, NO_KEY, serverOf } from "../exchange/fan_out.ts";
import { SEVERAL } from "../pool.ts";
import { SPECIAL } from "../exchange/request.ts";
import type { ServerConnection } from "../link/server_connection.ts";

/** What became of a request: it is seen to; it has to wait for the earlier ones; it needs no pin. */
export const TAKEN = 0;
export const LATER = 1;
export const ORDINARY = 2;
/** The server of a pin that is not in the pool any more. */
const GONE = -4;

/** A transaction with more than this (bytes) before its first key goes to any server. */
const MOST_HELD = 65536;
const LOST = "the connection that was kept for this client is lost";

/** A request of a client that has a pin, or that may need one. */
export function pinned(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  if (client.session.locked) return ORDINARY;
  const pin = client.pin;
  if (pin !== null && pin.multi) return pin.inside(scan, buf, at, length);
  if (scan.action !== PIN) return pin === null ? ORDINARY : pin.beside(scan, buf, at, length);
  const words = client.pool.codec.transactions as Transactions;
  switch (scan.pin) {
    case PIN_EXEC:
      return answer(client, words.execWithout);
    case PIN_DISCARD:
      return answer(client, words.discardWithout);
    case PIN_UNWATCH:
      return pin === null ? answer(client, words.ok) : pin.unwatch(scan, buf, at, length);
    case PIN_MULTI:
      return (pin ?? new Pin(client)).begin(scan, buf, at, length);
    default:
      return watchOrBlock(client, scan, buf, at, length);
  }
}

function answer(client: Client, bytes: Uint8Array): number {
  client.answer(bytes);
  return TAKEN;
}

/**
 * The error for keys that are not all on one server, or not on the one that the client holds on to
 * (`held`). `server` is what `serverOf` has said.
 */
function misplaced(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  server: number,
  held: number,
): Uint8Array {
  const { codec, servers } = client.pool;
  if (server === SEVERAL) return crossServerError(client, scan, buf, at);
  if (server < 0) return codec.failure("Connection refused");
  const words = codec.transactions as Transactions;
  return words.astray(scan, buf, at, servers[held].name, servers[server].name);
}

/** Outside of a transaction: a request that needs a connection of its own at once. */
function watchOrBlock(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  const { pool } = client;
  const { codec } = pool;
  let server = serverOf(client, scan, buf, at);
  if (server === NO_KEY) server = pool.pickAny(); // a wrong count: for a server to refuse
  let pin = client.pin;
  if (pin !== null && !pin.alive()) {
    // What it watched is watched no more, and it has to be told.
    pin.drop();
    return answer(client, codec.failure(LOST));
  }
  if (server === SEVERAL || (pin !== null && server !== pin.server)) {
    return answer(client, misplaced(client, scan, buf, at, server, pin?.server ?? server));
  }
  if (pin === null) {
    if (client.head !== null) return LATER;
    pin = new Pin(client);
    const error = pin.take(server);
    if (error !== "") return answer(client, codec.failure(error));
    // Nothing is left on the connection of a request that only waits.
    pin.over = pin.clean = scan.pin === PIN_BLOCK;
  }
  return pin.send(scan, buf, at, length);
}

export class Pin {
  /** Index of the server; -1 until it is known. */
  server: number;
  /** In a transaction. */
  multi: boolean;
  /** Requests that its transaction has by now. */
  queued: number;
  /** A request of the client's waits at the server. */
  blocking: boolean;
  /** Given back when all is answered, and then: the server keeps nothing of the client's for it. */
  over: boolean;
  clean: boolean;
  private readonly client: Client;
  private readonly words: Transactions;
  private connection: ServerConnection | null;
  /** `connection.losses` when it was taken. */
  private losses: number;
  /** The transaction cannot be carried out any more. */
  private doomed: boolean;
  /** The client's latest requests went over other connections. */
  private elsewhere: boolean;
  /** The beginning of a transaction that has had no key yet. */
  private held: Uint8Array[];
  private heldBytes: number;

  constructor(client: Client) {
    this.server = -1;
    this.multi = false;
    this.queued = 0;
    this.blocking = false;
    this.over = false;
    this.clean = false;
    this.client = client;
    this.words = client.pool.codec.transactions as Transactions;
    this.connection = null;
    this.losses = 0;
    this.doomed = false;
    this.elsewhere = false;
    this.held = [];
    this.heldBytes = 0;
  }

  /** The server still knows what it was told over the connection, and it is the one to use. */
  alive(): boolean {
    const { connection } = this;
    return connection !== null && connection.losses === this.losses && !connection.retired &&
      connection.lane === this.client.lane;
  }

  /** Takes a connection to a server; returns what is wrong, "" if nothing is. */
  take(server: number): string {
    const { client } = this;
    if (server < 0) return "Connection refused";
    const { config, servers } = client.pool;
    const connection = servers[server].takePinned(client.lane);
    if (connection === null) {
      return `too many transactions and blocking commands: all ${config.pinned_connections} ` +
        "pinned_connections of the server are in use";
    }
    this.server = server;
    this.connection = connection;
    this.losses = connection.losses;
    client.setPin(this);
    return "";
  }

  /** Sends a request over the connection, which is alive. */
  send(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client } = this;
    const connection = this.connection as ServerConnection;
    if (this.elsewhere && client.head !== null) return LATER;
    this.elsewhere = false;
    client.send(connection, scan, buf, at, length);
    if (!this.multi && scan.action === PIN && scan.pin === PIN_BLOCK) {
      this.blocking = true;
      connection.patience = scan.wait;
      client.emptyListening();
    }
    return TAKEN;
  }

  /** Sends a request of the proxy's own. */
  private sendOwn(bytes: Uint8Array): void {
    const { client } = this;
    const connection = this.connection as ServerConnection;
    const request = client.pool.requests.take(client);
    request.mute = OWN;
    request.verb = ASKED;
    request.kind = SPECIAL;
    client.push(request);
    connection.enqueue(request, bytes.length);
    connection.out.append(bytes, 0, bytes.length);
  }

  /** A request outside of a transaction, of a client that watches keys. */
  beside(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client } = this;
    switch (scan.action) {
      case LOCAL:
        return scan.pin === PIN_RESET ? this.reset() : ORDINARY;
      case FORWARD:
      case SPLIT:
      case TOGETHER:
        if (this.alive() && serverOf(client, scan, buf, at) === this.server) {
          return this.send(scan, buf, at, length);
        }
        break;
      case ALL:
      case ANY:
      case APART:
      case GATHER:
      case WALK:
        break;
      default:
        return ORDINARY;
    }
    if (!this.elsewhere && client.head !== null) return LATER;
    this.elsewhere = true;
    return ORDINARY;
  }

  unwatch(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    if (!this.alive()) {
      this.drop();
      return answer(this.client, this.words.ok);
    }
    const how = this.send(scan, buf, at, length);
    if (how === TAKEN) this.end(true);
    return how;
  }

  /** A transaction begins. */
  begin(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    if (this.alive()) {
      const how = this.send(scan, buf, at, length);
      if (how === TAKEN) this.multi = true;
      return how;
    }
    this.multi = true;
    if (this.connection !== null) this.doomed = true; // it has lost what it watched
    else this.keep(buf, at, length);
    this.client.setPin(this);
    return answer(this.client, this.words.ok);
  }

  private keep(buf: Uint8Array, at: number, length: number): void {
    this.held.push(buf.slice(at, at + length));
    this.heldBytes += length;
  }

  /** A request in a transaction. */
  inside(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client, words } = this;
    switch (scan.action) {
      case REFUSE:
        return scan.pin === PIN_EXEC ? this.abort(scan.error) : this.doomBy(scan.error);
      case LOCAL:
        if (scan.pin === PIN_RESET) return this.reset();
        if (scan.pin !== PIN_QUEUE) return this.doomBy(words.refused(scan));
        return this.queueKeyless(scan, buf, at, length);
      case ANY:
        return this.queueKeyless(scan, buf, at, length);
      case ALL:
      case APART:
      case GATHER:
      case WALK:
        if (client.pool.servers.length > 1) {
          return this.doomBy(words.everyServer(scan));
        }
        return this.queueKeyless(scan, buf, at, length);
      case PIN:
        switch (scan.pin) {
          case PIN_MULTI:
            return answer(client, words.nested);
          case PIN_WATCH:
            return answer(client, words.watchInside);
          case PIN_UNWATCH:
            return this.queueKeyless(scan, buf, at, length);
          case PIN_EXEC:
            return this.exec(scan, buf, at, length);
          case PIN_DISCARD:
            return this.discard(scan, buf, at, length);
        }
        return this.queue(scan, buf, at, length);
      case TOPICS:
        return this.doomBy(words.refused(scan));
      case FORWARD:
      case SPLIT:
      case TOGETHER:
        return this.queue(scan, buf, at, length);
      default:
        return ORDINARY;
    }
  }

  /** A transaction, if it is one, is not carried out. */
  doom(): void {
    if (this.multi) this.doomed = true;
  }

  /** The answer to a request that cannot be part of the transaction, which is thereby lost. */
  private doomBy(error: Uint8Array): number {
    this.doom();
    return answer(this.client, error);
  }

  private queue(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client } = this;
    const server = serverOf(client, scan, buf, at);
    if (server === NO_KEY) return this.queueKeyless(scan, buf, at, length);
    const elsewhere = this.connection !== null && server !== this.server && this.alive();
    if (server === SEVERAL || elsewhere) {
      return this.doomBy(misplaced(client, scan, buf, at, server, this.server));
    }
    if (this.connection === null && !this.doomed) {
      const how = this.settle(server);
      if (how !== ORDINARY) return how;
    }
    return this.queueThere(scan, buf, at, length);
  }

  private queueKeyless(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    if (this.connection === null && !this.doomed) {
      if (this.heldBytes < MOST_HELD) {
        this.keep(buf, at, length);
        this.queued++;
        return answer(this.client, this.words.queued);
      }
      const how = this.settle(this.client.pool.pickAny());
      if (how !== ORDINARY) return how;
    }
    return this.queueThere(scan, buf, at, length);
  }

  private queueThere(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const { client } = this;
    // Redis too says so, and queues nothing.
    if (this.doomed) return answer(client, this.words.queued);
    if (!this.alive()) return this.doomBy(client.pool.codec.failure(LOST));
    const how = this.send(scan, buf, at, length);
    if (how === TAKEN) this.queued++;
    return how;
  }

  /** The server is known: it gets what was held back. ORDINARY when all is well. */
  private settle(server: number): number {
    const { client } = this;
    if (client.head !== null) return LATER;
    const error = this.take(server);
    if (error !== "") return this.doomBy(client.pool.codec.failure(error));
    for (const bytes of this.held) this.sendOwn(bytes);
    this.held = [];
    this.heldBytes = 0;
    return ORDINARY;
  }

  private exec(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    if (this.connection === null && !this.doomed) {
      const how = this.settle(this.client.pool.pickAny());
      if (how === LATER) return LATER;
      if (how === TAKEN) {
        this.end(false);
        return TAKEN;
      }
    }
    if (this.doomed || !this.alive()) return this.abort(this.words.aborted);
    this.send(scan, buf, at, length);
    this.end(true);
    return TAKEN;
  }

  /** The transaction ends and is not carried out. */
  private abort(error: Uint8Array): number {
    const alive = this.alive();
    if (alive) this.sendOwn(this.words.discard);
    this.client.answer(error);
    this.end(alive);
    return TAKEN;
  }

  private discard(scan: Scan, buf: Uint8Array, at: number, length: number): number {
    const alive = this.alive();
    if (alive) this.send(scan, buf, at, length);
    else this.client.answer(this.words.ok);
    this.end(alive);
    return TAKEN;
  }

  /** The client wants to start afresh; the request itself is answered as always. */
  private reset(): number {
    if (this.client.head !== null) return LATER;
    this.drop();
    return ORDINARY;
  }

  private end(clean: boolean): void {
    this.over = true;
    this.clean = clean;
    if (this.client.head === null) this.drop();
    else this.client.emptyListening();
  }

  /** The pool's servers have changed, and with them their numbers. */
  serversChanged(): void {
    if (this.connection === null) return;
    const { server } = this.connection;
    this.server = server.removed ? GONE : server.index;
  }

  /** The client was waiting for its replies and has them all. */
  answered(): void {
    if (this.blocking) {
      this.blocking = false;
      if (this.connection !== null) this.connection.patience = 0;
    }
    if (this.over) this.drop();
  }

  /** The hold ends. */
  drop(): void {
    const { client, connection } = this;
    client.setPin(null);
    this.connection = null;
    if (connection === null) return;
    // A connection that was lost is as good as new.
    const clean = this.clean || connection.losses !== this.losses;
    connection.server.givePinned(connection, clean);
  }
}
