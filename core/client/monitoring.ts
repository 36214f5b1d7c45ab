// A client that hears all that the pool's servers are asked (MONITOR). It has a link of its own to
// each; their lines come as they come, between replies.

import { type Caller, type Request, SPECIAL } from "../exchange/request.ts";
import type { PushListener } from "../link/pushes.ts";
import type { Publishing } from "../protocol/publishing.ts";
import type { MonitorLink, MonitorListener } from "../server/monitor_link.ts";
import type { Server } from "../server/server.ts";
import type { ClientContext } from "./context.ts";

/** How long (ms) servers may take to agree where the pool has no timeout. */
const PATIENCE = 10_000;

/** A client, as far as it monitors. */
export interface MonitoringClient extends Caller, PushListener {
  readonly context: ClientContext;
  monitoring: Monitoring | null;
  advance(): void;
  /** Takes no further requests until all earlier ones are answered, but sees it when it leaves. */
  emptyListening(): void;
}

/** MONITOR: what was parsed is `verb`. */
export function monitor(client: MonitoringClient, verb: number): void {
  const { context } = client;
  const user = client.session.user?.name ?? "";
  if (client.monitoring !== null) return client.answer(context.codec.failure("is monitoring"));
  const servers: Server[] = [];
  for (const server of context.servers) {
    const why = server.reserve(user);
    if (why === "") servers.push(server);
    else {
      for (const one of servers) one.release(user);
      return client.answer(context.codec.failure(why));
    }
  }
  client.monitoring = new Monitoring(client, servers, user, verb);
}

export class Monitoring implements MonitorListener {
  private readonly client: MonitoringClient;
  private readonly servers: readonly Server[];
  private readonly user: string;
  private readonly links: readonly MonitorLink[];
  /** Its place in the client's queue, until all servers have agreed. */
  private request: Request | null;
  private awaiting: number;
  private readonly since: number;

  constructor(client: MonitoringClient, servers: readonly Server[], user: string, verb: number) {
    const { context } = client;
    this.client = client;
    this.servers = servers;
    this.user = user;
    this.awaiting = servers.length;
    this.since = context.now;
    this.request = context.requests.take(client);
    this.request.kind = SPECIAL;
    this.request.verb = verb;
    client.push(this.request);
    client.emptyListening();
    const { monitor: request } = context.codec.publishing as Publishing;
    this.links = servers.map((server) => server.monitor(request, this));
    context.clients.monitors(this, true);
    for (const link of this.links) link.connect();
  }

  confirmed(reply: Uint8Array, isError: boolean): void {
    this.awaiting--;
    if (isError || this.awaiting === 0) this.answer(reply);
    if (isError) this.drop();
  }

  told(buf: Uint8Array, start: number, end: number): void {
    if (this.request === null) this.client.pushed(buf, start, end);
  }

  gone(why: string): void {
    if (this.client.monitoring !== this) return;
    if (this.request === null) return this.client.cutOff(`monitored a server that is lost: ${why}`);
    this.answer(this.client.context.codec.failure(why));
    this.drop();
  }

  /** Called every tick; see Link.tick for `late`. */
  tick(now: number, timeout: number, late: number): void {
    const { servers, client } = this;
    const current = client.context.servers;
    if (current.length !== servers.length || servers.some((server, i) => server !== current[i])) {
      return client.cutOff("monitored servers that are others now");
    }
    if (this.request === null || late > 0) return;
    if (now - this.since > (timeout > 0 ? timeout : PATIENCE)) this.gone("Connection timed out");
  }

  private answer(reply: Uint8Array): void {
    const { request } = this;
    if (request === null) return;
    this.request = null;
    request.held = reply;
    request.heldEnd = reply.length;
    request.ready = true;
    this.client.advance();
  }

  /** It hears no more. */
  drop(): void {
    const { client, request, user } = this;
    if (client.monitoring !== this) return;
    client.monitoring = null;
    if (request !== null && client.isClosed) client.context.requests.give(request);
    this.request = null;
    client.context.clients.monitors(this, false);
    for (const link of this.links) link.close();
    for (const server of this.servers) server.release(user);
  }
}
