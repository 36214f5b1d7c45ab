// What publishes goes to its topic's server as it is; when that does not know of all clients that hear
// it, those it does not know of are added to the number it answers.

import type { Scan } from "../protocol/codec.ts";
import type { Publishing } from "../protocol/publishing.ts";
import type { Client } from "../client/client.ts";
import { sendToAll } from "./fan_out.ts";

/** False if the request is to be treated as any other. */
export function publish(
  client: Client,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): boolean {
  const { pool } = client;
  const words = pool.codec.publishing as Publishing;
  const kind = words.publishes(scan);
  if (kind < 0) return false;
  const renamed = words.renamed(scan, buf, at);
  const { census } = pool.topics;
  if (census.isExact && renamed === null) return false;
  const index = pool.pick(buf, at + scan.keyStart, at + scan.keyEnd);
  if (index < 0) return false;
  const server = pool.servers[index];
  const more = census.beyond(kind, words.topic(scan, buf, at), server);
  if (more === 0 && renamed === null) return false;
  const parent = pool.requests.takeParent(client, 0);
  parent.verb = scan.verb;
  parent.held = words.more(more);
  if (renamed === null) sendToAll(parent, [server], buf, at, length);
  else sendToAll(parent, [server], renamed, 0, renamed.length);
  return true;
}
