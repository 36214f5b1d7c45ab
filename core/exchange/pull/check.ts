// Whether servers of memcached can do what is wanted of them when keys move.

import type { MigrateRoute } from "../../route/migrate.ts";
import { text } from "../../bytes.ts";
import type { Server } from "../../server/server.ts";
import { listKeys } from "./key_list.ts";
import type { Puller, PullerContext } from "./puller.ts";

/** What is wrong; "" if nothing is. */
export async function checkServers(
  context: PullerContext & { readonly puller: Puller },
  route: MigrateRoute,
): Promise<string> {
  const old = new Set(route.old.all());
  for (const server of route.everyone()) {
    const wrong = await checkServer(context, server, !old.has(server));
    if (wrong !== "") return `server "${server.name}" ${wrong}`;
  }
  return "";
}

async function checkServer(
  { puller, pulling, host }: PullerContext & { readonly puller: Puller },
  server: Server,
  isNew: boolean,
): Promise<string> {
  const asker = puller.asker(server);
  const version = await asker.tell(pulling.version);
  if (!(version instanceof Uint8Array)) return `does not answer: ${version.why}`;
  const wrong = pulling.readVersion(version);
  if (wrong !== "") return wrong;
  for (const { request, answer } of pulling.trials) {
    const reply = await asker.tell(request);
    if (!(reply instanceof Uint8Array)) return `does not answer: ${reply.why}`;
    const said = text(reply, 0, reply.length).trimEnd();
    if (!said.startsWith(answer)) {
      const asked = text(request, 0, request.length).split("\r\n", 1)[0];
      return `says "${said}" to "${asked}": keys move between servers of memcached 1.6 or later, ` +
        "which have the meta commands";
    }
  }
  let seen = 0;
  const listed = await listKeys(host, server, pulling, () => {
    seen++;
    return false;
  });
  if (typeof listed === "string") {
    return `: ${listed} (\`lru_crawler metadump\` is needed, of memcached 1.6 or later)`;
  }
  return isNew && seen > 0
    ? `has ${seen} keys already; new servers have to be empty (flush_all, if they are nobody's)`
    : "";
}
