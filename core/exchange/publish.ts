// What publishes goes to its topic's server as it is; when that does not know of all clients that hear
// it, those it does not know of are added to the number it answers.

import type { Scan } from "../protocol/codec.ts";
import type { Publishing } from "../protocol/publishing.ts";
import { mainOf } from "../server/server.ts";
import type { Caller } from "./request.ts";
import { openParent, sendToAll } from "./part.ts";
import type { Topics } from "./topics.ts";

/** False if the request is to be treated as any other. */
export function publish(
  caller: Caller,
  topics: Topics,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): boolean {
  const { codec, route } = caller.context;
  const words = codec.publishing as Publishing;
  const kind = words.publishes(scan);
  if (kind < 0) return false;
  // Only a server can say who hears it.
  if (route.tells && isPlan(caller, scan, buf, at)) return true;
  const renamed = words.renamed(scan, buf, at);
  const { census } = topics;
  if (census.isExact && renamed === null) return false;
  const intent = codec.intents[scan.verb + 1];
  const server = mainOf(route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent));
  if (!server.available) return false;
  const more = census.beyond(kind, words.topic(scan, buf, at), server);
  if (more === 0 && renamed === null) return false;
  const parent = openParent(caller, scan, 0);
  parent.held = words.more(more);
  if (renamed === null) sendToAll(parent, [server], buf, at, length);
  else sendToAll(parent, [server], renamed, 0, renamed.length);
  return true;
}

/** Whether the channel's route is no server: then that is the answer. */
function isPlan(caller: Caller, scan: Scan, buf: Uint8Array, at: number): boolean {
  const { codec, route } = caller.context;
  const intent = codec.intents[scan.verb + 1];
  const target = mainOf(route.pick(buf, at + scan.keyStart, at + scan.keyEnd, intent));
  if (target.available || target.parking === null) return false;
  caller.answer(codec.failure(target.reason));
  return true;
}
