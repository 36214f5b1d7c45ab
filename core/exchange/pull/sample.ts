// Looks at some items of each memcached that keys are to leave, to tell what would move (../estimate.ts).
// Nothing is changed. The list is in the order of the server's hash table, so its beginning is a random
// part of it; the rest is not waited for.

import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import { type BigKey, type Estimate, estimateOf, Part } from "../estimate.ts";
import { shownKey } from "../migrate/tally.ts";
import { listKeys } from "./key_list.ts";
import type { Puller, PullerContext } from "./puller.ts";

/** Items of a server that are looked at. */
const MOST_SAMPLED = 5000;

export interface SampleContext extends PullerContext {
  readonly puller: Puller;
  readonly route: MigrateRoute;
}

/** What would move; why nobody can tell, if so. */
export async function sampleItems(context: SampleContext): Promise<Estimate | string> {
  const bigs: BigKey[] = [];
  const servers = context.route.old.all();
  const all = await Promise.all(servers.map((server) => sampleServer(context, server, bigs)));
  const wrong = all.find((one) => typeof one === "string");
  if (typeof wrong === "string") return wrong;
  return estimateOf(all as Part[], bigs, context.host.wallClock());
}

async function sampleServer(
  { puller, pulling, host, route, bigKey }: SampleContext,
  server: Server,
  bigs: BigKey[],
): Promise<Part | string> {
  const where = `server "${server.name}"`;
  const answer = await puller.asker(server).tell(pulling.stats);
  if (!(answer instanceof Uint8Array)) return `${where}: ${answer.why}`;
  const stats = pulling.readItems(answer);
  if (stats.is === "error") return `${where}: ${stats.why}`;
  const part = new Part(server.name, stats.items);
  const look = (key: Uint8Array, size: number): boolean => {
    const leaves = route.leaves(key, 0, key.length) === server;
    const goal = route.goal(key, 0, key.length);
    part.add(size, leaves && goal.available ? goal.name : "");
    if (leaves && bigKey > 0 && size > bigKey) {
      bigs.push({ server: server.name, key: shownKey(key), bytes: size });
    }
    return false;
  };
  const listed = await listKeys(host, server, pulling, look, MOST_SAMPLED);
  if (typeof listed === "string") return `${where}: ${listed}`;
  if (!listed.more) part.isWhole();
  return part;
}
