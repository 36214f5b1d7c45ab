// Requests about all keys (KEYS, RANDOMKEY, DBSIZE, FLUSHALL, FLUSHDB) of a pool whose keys may move. The
// servers that keys leave are asked first, then those they come to: a key that goes on between is seen at
// the second. While no key moves those are asked that have them all.

import type { Host } from "../../host.ts";
import { type Migrating, WHOLE_FLUSH, WHOLE_KEYS } from "../../protocol/migrating.ts";
import type { Scan } from "../../protocol/scan.ts";
import type { Session } from "../../protocol/session.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import { after } from "./after.ts";
import type { Asker } from "./asker.ts";

/** Most bytes of answers that are gathered for one request. */
const MOST = 256 << 20;

export interface WholeContext {
  readonly host: Host;
  readonly words: Migrating;
  readonly route: MigrateRoute;
  /** The new servers have nothing of the migration's own. */
  readonly isCluster: boolean;
  asker(server: Server): Asker;
  failure(text: string): Uint8Array;
}

/** Carries out the request at `buf[at...]`, of which nothing is kept; resolves to the reply. */
export function askWhole(
  context: WholeContext,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  session: Session,
): Promise<Uint8Array> {
  const { words } = context;
  const whole = words.wholeOf(scan);
  const db = words.dbOf(session);
  if (!context.route.isBoth) {
    return runStill(context, whole, words.whole(scan, buf, at, db, "still"), session);
  }
  const request = words.whole(scan, buf, at, db, "moving");
  const plain = context.isCluster ? words.whole(scan, buf, at, db, "plain") : request;
  return run(context, whole, request, plain, session);
}

async function runStill(
  context: WholeContext,
  whole: number,
  request: Uint8Array,
  session: Session,
): Promise<Uint8Array> {
  const all = await askAll(context, context.route.all(0), request);
  return typeof all === "string" ? context.failure(all) : joined(context, whole, all, session);
}

function joined(
  context: WholeContext,
  whole: number,
  all: readonly Uint8Array[],
  session: Session,
): Uint8Array {
  const size = all.reduce((sum, { length }) => sum + length, 0);
  if (size > MOST) return context.failure(`the reply is larger than ${MOST} bytes`);
  return context.words.joinWhole(whole, all, session);
}

async function run(
  context: WholeContext,
  whole: number,
  request: Uint8Array,
  plain: Uint8Array,
  session: Session,
): Promise<Uint8Array> {
  const { route, words, host, isCluster } = context;
  const sources = route.sources();
  const first = await askAll(context, sources, request);
  if (typeof first === "string") return context.failure(first);
  if (whole === WHOLE_FLUSH && isCluster) {
    // A cluster does not know of the flush what has been taken before; it has come when this is over.
    const lease = Math.max(0, ...first.map((reply) => words.readLease(reply)));
    if (lease > 0) await new Promise<void>((resolve) => void after(host, lease, resolve));
  }
  const twice = whole === WHOLE_KEYS || whole === WHOLE_FLUSH;
  const goals = route.goals().filter((server) => twice || !sources.includes(server));
  const then = await askAll(context, goals, plain);
  if (typeof then === "string") return context.failure(then);
  return joined(context, whole, [...first, ...then], session);
}

async function askAll(
  context: WholeContext,
  servers: readonly Server[],
  request: Uint8Array,
): Promise<Uint8Array[] | string> {
  const answers = await Promise.all(servers.map(async (server) => {
    const answer = await context.asker(server).tell(request);
    return answer instanceof Uint8Array ? answer : `server "${server.name}": ${answer.why}`;
  }));
  const lost = answers.find((answer) => typeof answer === "string");
  return typeof lost === "string" ? lost : answers as Uint8Array[];
}
