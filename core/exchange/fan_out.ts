// Requests that concern several servers: split by key, sent to all, led from one to the next, or
// refused because their keys would have to be on one. See Codec for what a fragment looks like.

import {
  ASKED,
  FORWARD,
  type Keys,
  type Scan,
  type Together,
  type Walk,
} from "../protocol/codec.ts";
import type { Client } from "../client/client.ts";
import { type Request, SPECIAL } from "./request.ts";
import { SEVERAL } from "../pool.ts";
import type { Server } from "../server/server.ts";
import type { ServerConnection } from "../link/server_connection.ts";

/** Per server: its number of keys, zero between uses; then the index of its part. */
let counts = new Int32Array(64);
let partOf = new Int32Array(64);
/** Per part: its connection, and where in that connection's output it begins. */
const connections: ServerConnection[] = [];
const begins: number[] = [];

/** SPLIT: one fragment per server that has a key, sent in server order, as twemproxy does. */
export function fanOutKeys(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { pool } = client;
  const { servers } = pool;
  const keys = client.codec.keys as Keys;
  const nkeys = scan.nkeys;
  if (servers.length > counts.length) {
    counts = new Int32Array(servers.length);
    partOf = new Int32Array(servers.length);
  }
  const parent = pool.requests.takeParent(client, nkeys);
  const { picks } = parent;
  const only = pool.pickAll(scan, buf, at, picks);
  if (only !== SEVERAL) {
    pool.requests.give(parent);
    const connection = only < 0 ? null : servers[only].connectionFor(client);
    return client.send(connection, scan, buf, at, length);
  }
  for (let i = 0; i < nkeys; i++) counts[picks[i]]++;
  let nparts = 0;
  for (let s = 0; s < servers.length; s++) {
    if (counts[s] === 0) continue;
    const connection = servers[s].connectionFor(client);
    connections[nparts] = connection;
    begins[nparts] = connection.out.size;
    keys.begin(scan, buf, at, counts[s], connection.out);
    partOf[s] = nparts++;
    counts[s] = 0;
  }
  // Neighbours that go to one server are copied as one span.
  for (let i = 0; i < nkeys;) {
    const from = i;
    const server = picks[i];
    const part = partOf[server];
    do picks[i++] = part; while (i < nkeys && picks[i] === server);
    keys.add(scan, buf, at, from, i, connections[part].out);
  }
  setOrigin(parent, scan);
  parent.verb = scan.verb;
  client.push(parent);
  for (let p = 0; p < nparts; p++) {
    const { out } = connections[p];
    out.append(keys.end, 0, keys.end.length);
    const part = addPart(parent, connections[p], out.size - begins[p]);
    if (pool.slow.on) noteKey(part, p, scan, buf, at);
  }
}

/** For the slow log: the first key of part number `p`. */
function noteKey(part: Request, p: number, scan: Scan, buf: Uint8Array, at: number): void {
  const { client, parent } = part;
  const key = (parent as Request).picks.indexOf(p);
  (client.codec.keys as Keys).select(scan, key);
  client.pool.slow.note(part, buf, at + scan.keyStart, at + scan.keyEnd);
}

/** ALL: every live server gets the request as it is. */
export function fanOutAll(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { pool } = client;
  pool.readmit();
  const live = pool.servers.filter((server) => server.live);
  if (live.length < 2) {
    return client.send(live[0]?.connectionFor(client) ?? null, scan, buf, at, length);
  }
  const parent = pool.requests.takeParent(client, 0);
  setOrigin(parent, scan);
  parent.verb = scan.verb;
  parent.mute = scan.mute;
  sendToAll(parent, live, buf, at, length);
}

export function sendToAll(
  parent: Request,
  servers: readonly Server[],
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { client } = parent;
  client.push(parent);
  for (const server of servers) {
    const connection = server.connectionFor(client);
    connection.out.append(buf, at, at + length);
    addPart(parent, connection, length);
  }
}

export function setOrigin(request: Request, scan: Scan): void {
  request.tagHigh = scan.tagHigh;
  request.tagLow = scan.tagLow;
}

/** GATHER: every live server gets the request, and the proxy has something of its own to say. */
export function gather(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { pool } = client;
  pool.readmit();
  const live = pool.servers.filter((server) => server.live);
  const own = pool.codec.answer(scan, buf, at, client.session);
  if (live.length === 0) return client.answer(own);
  const parent = pool.requests.takeParent(client, 0);
  parent.verb = scan.verb;
  parent.held = own;
  sendToAll(parent, live, buf, at, length);
}

/** WALK: to the server at which the cursor stands, or the next one that is alive. */
export function walk(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { pool } = client;
  const { servers } = pool;
  const steps = pool.codec.walk as Walk;
  pool.readmit();
  let index = steps.to(scan, buf, at, servers.length);
  while (index < servers.length && !servers[index].live) index++;
  if (index >= servers.length) {
    // The end of a walk, unless there is nothing to walk over at all.
    if (servers.some((server) => server.live)) return client.answer(steps.end);
    return client.send(null, scan, buf, at, length);
  }
  const parent = pool.requests.takeParent(client, servers.length);
  parent.verb = scan.verb;
  parent.picks[0] = index;
  client.push(parent);
  const connection = servers[index].connectionFor(client);
  const begin = connection.out.size;
  steps.request(scan, buf, at, length, index, servers.length, connection.out);
  addPart(parent, connection, connection.out.size - begin);
}

/**
 * A command that the codec does not know: asks a server about it. The question has a place in the
 * client's queue and no reply. False when there is nothing to ask, or nobody.
 */
export function inquire(client: Client, scan: Scan, buf: Uint8Array, at: number): boolean {
  const { pool } = client;
  const inquiry = pool.codec.inquiries?.inquire(scan, buf, at) ?? null;
  const connection = inquiry === null ? null : pool.anyConnection(client);
  if (inquiry === null || connection === null) return false;
  const { request, name } = inquiry;
  const parent = pool.requests.takeParent(client, 0);
  parent.verb = ASKED;
  parent.held = name;
  client.push(parent);
  connection.out.append(request, 0, request.length);
  addPart(parent, connection, request.length);
  return true;
}

export function addPart(parent: Request, connection: ServerConnection, bytes: number): Request {
  const { client } = parent;
  const part = client.pool.requests.take(client);
  part.kind = SPECIAL;
  part.parent = parent;
  part.verb = parent.verb;
  part.noted = 0;
  parent.parts.push(part);
  parent.awaiting++;
  client.pool.counters.fragments++;
  connection.enqueue(part, bytes);
  if (connection.congested) client.stopReading(connection);
  return part;
}

/** `serverOf`: the request has no key. */
export const NO_KEY = -3;

/** The index of the server that has all keys of a request; -1, SEVERAL or NO_KEY if there is none. */
export function serverOf(client: Client, scan: Scan, buf: Uint8Array, at: number): number {
  const { pool, codec } = client;
  if (scan.action === FORWARD) return pool.pick(buf, at + scan.keyStart, at + scan.keyEnd);
  let first = NO_KEY;
  for (let i = 0; i < scan.nkeys; i++) {
    (codec.keys as Keys).select(scan, i);
    const server = pool.pick(buf, at + scan.keyStart, at + scan.keyEnd);
    if (i === 0) first = server;
    else if (server !== first) return SEVERAL;
  }
  return first;
}

/** TOGETHER: forwarded whole if all keys live on one server, else an error says so. */
export function together(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { pool } = client;
  const server = serverOf(client, scan, buf, at);
  if (server === NO_KEY) return client.send(pool.anyConnection(client), scan, buf, at, length);
  if (server === SEVERAL) return client.answer(crossServerError(client, scan, buf, at));
  const connection = server < 0 ? null : pool.servers[server].connectionFor(client);
  client.send(connection, scan, buf, at, length);
}

/** The error for keys that live on several servers: it names the first and one that is elsewhere. */
export function crossServerError(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): Uint8Array {
  const { pool, codec } = client;
  let first = -1;
  let server = -1;
  for (let i = 0; i < scan.nkeys && server === first; i++) {
    (codec.keys as Keys).select(scan, i);
    server = pool.pick(buf, at + scan.keyStart, at + scan.keyEnd);
    if (i === 0) first = server;
  }
  const { name } = pool.servers[first];
  return (codec.together as Together).crossServer(scan, buf, at, name, pool.servers[server].name);
}
