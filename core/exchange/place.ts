// Where the keys of a request are: on one server, on none, on several.

import { FORWARD, type Keys, type Scan, type Together } from "../protocol/codec.ts";
import { mainOf, type Target } from "../server/server.ts";
import type { Caller } from "./request.ts";

/** The keys live on more than one server; the request has no key. */
export const SEVERAL = "several";
export const NO_KEY = "no key";

export type Whereabouts = Target | typeof SEVERAL | typeof NO_KEY;

/**
 * The server that has all keys of a request. `by`: whose it is, where any server that has them will
 * do; else the one that they are written at.
 */
export function serverOf(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  by?: Caller,
): Whereabouts {
  const { codec, context } = caller;
  const { route } = context;
  const intent = codec.intents[scan.verb + 1];
  const keys = codec.keys as Keys;
  if (scan.action === FORWARD) {
    return mainOf(route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent, by));
  }
  let first: Whereabouts = NO_KEY;
  for (let i = 0; i < scan.nkeys; i++) {
    keys.select(scan, i);
    const server = mainOf(route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent, by));
    if (i === 0) first = server;
    else if (server !== first) return SEVERAL;
  }
  if (route.redirects !== null && !route.isOnePlace(scan, buf, at, keys)) return SEVERAL;
  return first;
}

/** TOGETHER: forwarded whole if all keys live on one server, else an error says so. */
export function together(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): void {
  const server = serverOf(caller, scan, buf, at, caller);
  if (server === SEVERAL) return caller.answer(crossServerError(caller, scan, buf, at));
  const target = server === NO_KEY ? caller.context.route.any() : server;
  const plan = caller.context.route.tells && server !== NO_KEY
    ? planOf(caller, scan, buf, at)
    : null;
  caller.forward(plan ?? target, scan, buf, at, length);
}

/** What the route makes of all keys of a request beside their server (a mirror); null for nothing. */
function planOf(caller: Caller, scan: Scan, buf: Uint8Array, at: number): Target | null {
  const { codec, context: { route } } = caller;
  if (codec.publishing !== null && codec.publishing.publishes(scan) >= 0) return null;
  const intent = codec.intents[scan.verb + 1];
  const pick = () => route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent);
  if (scan.action === FORWARD) return pick();
  let first: Target | null = null;
  for (let i = 0; i < scan.nkeys; i++) {
    (codec.keys as Keys).select(scan, i);
    const target = pick();
    if (i === 0) first = target;
    else if (target !== first) return null;
  }
  return first;
}

/** The error for keys that live on several servers: it names the first and one that is elsewhere. */
export function crossServerError(
  caller: Caller,
  scan: Scan,
  buf: Uint8Array,
  at: number,
): Uint8Array {
  const { codec, context } = caller;
  const intent = codec.intents[scan.verb + 1];
  const keys = codec.keys as Keys;
  let first = "";
  let other = "";
  for (let i = 0; i < scan.nkeys && other === first; i++) {
    keys.select(scan, i);
    const server = mainOf(
      context.route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent),
    );
    if (!server.available) {
      if (server.waits) continue;
      return codec.failure(server.reason);
    }
    if (i === 0) first = server.name;
    other = server.name;
  }
  return (codec.together as Together).crossServer(scan, buf, at, first, other);
}
