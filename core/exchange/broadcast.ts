// Requests that every server gets.

import type { Scan } from "../protocol/codec.ts";
import { CLASS_OTHER } from "../stats/latency.ts";
import { NOBODY } from "../route/route.ts";
import type { Server } from "../server/server.ts";
import type { Caller } from "./request.ts";
import { addPart, openParent, sendToAll } from "./part.ts";

/** ALL: every server that takes part gets the request as it is. */
export function broadcast(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const servers = caller.context.route.all(caller.codec.intents[scan.verb + 1], caller);
  if (servers.length < 2) return caller.forward(servers[0] ?? NOBODY, scan, buf, at, length);
  const parent = openParent(caller, scan, 0);
  sendToAll(parent, servers, buf, at, length);
}

/** GATHER: every server gets the request, and the proxy has something of its own to say. */
export function gather(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const servers = caller.context.route.all(caller.codec.intents[scan.verb + 1], caller);
  const own = caller.context.codec.answer(scan, buf, at, caller.session);
  if (servers.length === 0) return caller.answer(own);
  const parent = openParent(caller, scan, 0);
  parent.held = own;
  sendToAll(parent, servers, buf, at, length);
}

/**
 * APART: over links of their own, which are closed once they have answered. The reply lists keys as
 * they are, and what a key has in it can be taken for the end of the list: what comes behind a false
 * end is nobody else's. Nothing of the client's is in flight: it has one such request at a time.
 */
export function broadcastApart(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const servers = caller.context.route.all(caller.codec.intents[scan.verb + 1], caller);
  if (servers.length === 0) return caller.forward(NOBODY, scan, buf, at, length);
  sendApart(caller, servers, caller.lane, scan, buf, at, length);
}

/**
 * RESCUE: it is to stop what others wait for (SCRIPT KILL), behind which it would never be read.
 * Whatever a server that runs a script for too long refuses (SELECT) does not go before it, and that
 * it is ejected for what it refuses is no reason not to reach it.
 */
export function rescue(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const { context } = caller;
  const servers = context.servers.length > 0 ? context.servers : context.route.all(CLASS_OTHER);
  if (servers.length === 0) return caller.forward(NOBODY, scan, buf, at, length);
  sendApart(caller, servers, context.bareLane, scan, buf, at, length);
}

function sendApart(
  caller: Caller,
  servers: readonly Server[],
  lane: number,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const parent = openParent(caller, scan, 0);
  for (const server of servers) {
    const link = server.takeExtra(lane);
    link.out.append(buf, at, at + length);
    addPart(parent, link, length);
    server.closeWhenAnswered(link);
  }
}
