// WAIT and WAITAOF: a client waits until what it has written is where it is to be. A server answers
// for what it had done when it last carried out a command of the connection that asks (server.c sets
// `c->woff` then). So once the client's earlier commands are answered, PING and then WAIT over a link
// of its own wait for its writes at least, whichever links those took.
//
//   | event                     | next                                       |
//   | WAIT, WAITAOF             | BLOCKED, at every server that takes part   |
//   | all have answered         | (none); WATCHING, if it was that before    |
//   | the client leaves         | closed: the servers let go of it           |

import { addPart, openParent } from "../../exchange/part.ts";
import type { Link } from "../../link/link.ts";
import type { Scan } from "../../protocol/scan.ts";
import { CLASS_OTHER } from "../../stats/latency.ts";
import { NOBODY } from "../../route/route.ts";
import type { Server } from "../../server/server.ts";
import { BLOCKED, ENDING, Hold, type ModeClient, WATCHING } from "./hold.ts";
import { sendOwn } from "./own.ts";
import { LATER, TAKEN } from "./taken.ts";

const WHILE_WATCHING = "WAIT is not possible while keys are watched on one of several servers";

export function wait(
  client: ModeClient,
  scan: Scan,
  buf: Uint8Array,
  at: number,
  length: number,
): number {
  if (client.head !== null) return LATER;
  const { codec, route } = client.context;
  const servers = route.all(CLASS_OTHER);
  let { hold } = client;
  if (hold !== null && (!hold.isAlive() || servers.length !== 1)) {
    return client.replied(codec.failure(WHILE_WATCHING));
  }
  if (servers.length === 0) {
    client.forward(NOBODY, scan, buf, at, length);
    return TAKEN;
  }
  if (hold === null) {
    const fresh = new Waiting(client);
    const error = fresh.acquireAll(servers);
    if (error !== "") return client.replied(codec.failure(error));
    hold = fresh;
  }
  hold.after = hold instanceof Waiting ? ENDING : WATCHING;
  hold.state = BLOCKED;
  hold.sent = null;
  const links = hold instanceof Waiting ? hold.links : [hold.link as Link];
  for (const link of links) {
    touch(client, link);
    link.patience = scan.wait;
  }
  if (links.length === 1) client.sendOver(links[0], scan, buf, at, length);
  else {
    const parent = openParent(client, scan, 0);
    for (const link of links) {
      link.out.append(buf, at, at + length);
      addPart(parent, link, length);
    }
  }
  client.emptyListening();
  return TAKEN;
}

/** The server is to see that the link has been used now. Nobody gets the reply. */
function touch(client: ModeClient, link: Link): void {
  sendOwn(client, link, client.context.codec.probe as Uint8Array, false);
}

/** A hold on links to several servers. */
class Waiting extends Hold {
  /** Those besides its first. */
  private others: { readonly server: Server; readonly link: Link }[];

  constructor(client: ModeClient) {
    super(client);
    this.clean = true; // nothing is left on links that only wait
    this.others = [];
  }

  get links(): Link[] {
    return [this.link as Link, ...this.others.map(({ link }) => link)];
  }

  /** Takes a link to each of them; returns what is wrong, "" if nothing is. */
  acquireAll(servers: readonly Server[]): string {
    const [first, ...rest] = servers;
    const error = this.acquire(first);
    if (error !== "") return error;
    for (const server of rest) {
      const link = server.takePinned(this.client.lane, this.user);
      if (typeof link === "string") {
        this.drop();
        return link;
      }
      this.others.push({ server, link });
    }
    return "";
  }

  override drop(): void {
    const { others } = this;
    this.others = [];
    for (const { server, link } of others) server.givePinned(link, true, this.user);
    super.drop();
  }
}
