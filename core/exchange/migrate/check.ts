// Whether servers can do what a migration wants of them, and the new ones are empty: asked before one
// begins. Nothing is changed.

import type { Migrating, Value } from "../../protocol/migrating.ts";
import type { MigrateRoute } from "../../route/migrate.ts";
import type { Server } from "../../server/server.ts";
import type { Agreement } from "./agreement.ts";
import type { Answer } from "./asker.ts";
import type { Mover } from "./mover.ts";

export interface CheckContext {
  readonly words: Migrating;
  readonly route: MigrateRoute;
  readonly mover: Mover;
  readonly agreement: Agreement;
  /** The new servers have database 0 only, and say whose a key is. */
  readonly isCluster: boolean;
  /** Why the new servers cannot be used now; "" if they can. */
  readonly notReady: string;
}

/** What is wrong; "" if nothing is. */
export async function check(context: CheckContext): Promise<string> {
  const { route, notReady, isCluster } = context;
  if (notReady !== "") return notReady;
  const olds = route.old.all();
  if (olds.length < route.old.places) return "not all old servers are live";
  const news = route.next.all(0).filter((server) => !olds.includes(server));
  const values: [Server, Value][] = [];
  for (const server of isCluster ? olds : [...olds, ...news]) {
    const value = await tried(context, server);
    if (typeof value === "string") return value;
    values.push([server, value]);
  }
  for (const server of isCluster ? olds : []) {
    const wrong = await outsideOfFirst(context, server);
    if (wrong !== "") return wrong;
  }
  for (const server of news) {
    const wrong = await notEmpty(context, server);
    if (wrong !== "") return `server "${server.name}" ${wrong}`;
  }
  return await takesAll(context, news, values);
}

/** What a server gives in a trial of all that a migration does; else what is wrong. */
async function tried(context: CheckContext, server: Server): Promise<Value | string> {
  const { words, mover, agreement } = context;
  const where = `server "${server.name}"`;
  const state = await agreement.read(server);
  if (state === null) return agreement.why;
  if (agreement.isOthers(state)) return `${where}: another migration is not at its end: "${state}"`;
  const answer = await mover.asker(server).tell(words.trial);
  if (!(answer instanceof Uint8Array)) return `${where}: ${answer.why}`;
  const value = words.readTrial(answer);
  return "is" in value
    ? `${where} refuses what a migration does (EVAL, Redis 7): ${value.why}`
    : value;
}

/** The new servers have the functions of the old ones, and take their values. */
async function takesAll(
  context: CheckContext,
  news: readonly Server[],
  values: readonly [Server, Value][],
): Promise<string> {
  const { words, mover, route, isCluster } = context;
  const [first] = route.old.all();
  const library = await mover.asker(first).tell(words.library);
  const modules = await modulesOf(context, route.old.all());
  for (const server of route.next.all(0)) {
    const there = await modulesOf(context, [server]);
    const missing = [...modules].find(([name]) => !there.has(name));
    if (missing !== undefined) {
      const [name, from] = missing;
      return `server "${server.name}" has not the module ${name} of "${from}": it could not take ` +
        "values of its types (MODULE LOAD there, or MODULE UNLOAD where no key needs it)";
    }
    const own = await mover.asker(server).tell(words.library);
    if (news.includes(server) && !isEqual(own, library)) {
      return `server "${server.name}" has not the functions of "${first.name}" (FUNCTION LOAD)`;
    }
    for (const [from, value] of values) {
      const answer = await mover.asker(server).tell(words.tryValue(value));
      const why = answer instanceof Uint8Array ? words.errorOf(answer) : answer.why;
      // A node of a cluster has some keys only: that it is not this one's shows that it would.
      if (why === "" || (isCluster && why.startsWith("MOVED "))) continue;
      return `server "${server.name}" takes no values of "${from.name}": ${why}`;
    }
  }
  return "";
}

/** What servers have loaded, each with one that has it. */
async function modulesOf(
  { words, mover }: CheckContext,
  servers: readonly Server[],
): Promise<Map<string, string>> {
  const all = new Map<string, string>();
  for (const server of servers) {
    const answer = await mover.asker(server).tell(words.modules);
    const names = answer instanceof Uint8Array ? words.readModules(answer) : [];
    for (const name of names) all.set(name, server.name);
  }
  return all;
}

function isEqual(a: Answer, b: Answer): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return false;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

async function keyspaceOf(
  { words, mover }: CheckContext,
  server: Server,
): Promise<{ db: number; keys: number }[] | null> {
  const answer = await mover.asker(server).tell(words.keyspace);
  const dbs = answer instanceof Uint8Array ? words.readKeyspace(answer) : null;
  return dbs === null || "is" in dbs ? null : dbs;
}

async function notEmpty(context: CheckContext, server: Server): Promise<string> {
  const { words, mover } = context;
  const dbs = await keyspaceOf(context, server);
  if (dbs === null) return "does not say what it has";
  for (const { db, keys } of dbs) {
    const first = await mover.asker(server).tell(words.scan(db, "0", 1000));
    const page = first instanceof Uint8Array ? words.readPage(first) : null;
    const own = page === null || "is" in page ? 0 : page.keys.filter((k) => words.isOwn(k)).length;
    if (keys > own) {
      return `has ${keys - own} keys in database ${db} already; new servers have to be empty`;
    }
  }
  return "";
}

async function outsideOfFirst(context: CheckContext, server: Server): Promise<string> {
  const dbs = await keyspaceOf(context, server);
  if (dbs === null) return `server "${server.name}" does not say what it has`;
  const other = dbs.find(({ db }) => db !== 0);
  return other === undefined
    ? ""
    : `server "${server.name}" has ${other.keys} keys in database ${other.db}; a Redis Cluster has ` +
      "database 0 only";
}
