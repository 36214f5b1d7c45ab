// Looks at some keys of each server that keys are to leave, to tell what would move (../estimate.ts).
// Nothing is changed, and nothing counts as used. A page of SCAN is a random one: where keys are in a
// server's table is a matter of their hash.

import type { Migrating } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import { type BigKey, type Estimate, estimateOf, Part } from "../estimate.ts";
import type { Asker } from "./asker.ts";
import { shownKey } from "./tally.ts";

/** Keys of a server that are looked at, and how many at a time. */
const MOST_SAMPLED = 5000;
const PAGE = 100;
/** Pages of a database at most: a table may be nearly empty. */
const MOST_PAGES = 1000;
/** Pages of a database at least, however few of the server's keys it has. */
const LEAST_PAGES = 2;

export interface SampleContext {
  readonly host: { wallClock(): number };
  readonly words: Migrating;
  readonly route: MigrateRoute;
  readonly bigKey: number;
  asker(server: Server): Asker;
}

/** What would move; why nobody can tell, if so. */
export async function sampleKeys(context: SampleContext): Promise<Estimate | string> {
  const bigs: BigKey[] = [];
  const sources = context.route.sources();
  const all = await Promise.all(sources.map((server) => sampleServer(context, server, bigs)));
  const wrong = all.find((one) => typeof one === "string");
  if (typeof wrong === "string") return wrong;
  return estimateOf((all as Part[][]).flat(), bigs, context.host.wallClock());
}

async function sampleServer(
  context: SampleContext,
  server: Server,
  bigs: BigKey[],
): Promise<Part[] | string> {
  const { words } = context;
  const answer = await context.asker(server).tell(words.keyspace);
  if (!(answer instanceof Uint8Array)) return `server "${server.name}": ${answer.why}`;
  const dbs = words.readKeyspace(answer);
  if ("is" in dbs) return `server "${server.name}": ${dbs.why}`;
  const total = dbs.reduce((sum, { keys }) => sum + keys, 0);
  // One that has no keys is told of, too.
  const parts = [new Part(server.name, 0)];
  for (const { db, keys } of dbs) {
    const part = new Part(server.name, keys);
    parts.push(part);
    const most = Math.max(LEAST_PAGES * PAGE, Math.ceil(MOST_SAMPLED * keys / total));
    const wrong = await sampleDatabase(context, server, db, most, part, bigs);
    if (wrong !== "") return `server "${server.name}": ${wrong}`;
  }
  return parts;
}

async function sampleDatabase(
  context: SampleContext,
  server: Server,
  db: number,
  most: number,
  part: Part,
  bigs: BigKey[],
): Promise<string> {
  const { words, route, bigKey } = context;
  let cursor = "0";
  let pages = 0;
  do {
    const answer = await context.asker(server).tell(words.sizes(db, cursor, PAGE));
    if (!(answer instanceof Uint8Array)) return answer.why;
    const page = words.readSizes(answer);
    if ("is" in page) return page.why;
    cursor = page.cursor;
    for (const { key, bytes } of page.keys) {
      if (words.isOwn(key)) continue;
      const leaves = route.leaves(key, 0, key.length) === server;
      part.add(bytes, leaves ? goalOf(route, key) : "");
      if (leaves && bigKey > 0 && bytes > bigKey) {
        bigs.push({ server: server.name, key: shownKey(key, db), bytes });
      }
    }
    if (cursor === "0") part.isWhole();
  } while (cursor !== "0" && part.sampled < most && ++pages < MOST_PAGES);
  return "";
}

function goalOf(route: MigrateRoute, key: Uint8Array): string {
  const goal = route.goal(key, 0, key.length);
  return goal.available ? goal.name : "?";
}
