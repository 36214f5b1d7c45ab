// What the processes that move keys of memcached have agreed on: a text at every server of both rings,
// of which the newest counts. It is changed at one server (the arbiter) by compare and swap and copied
// to the others; whoever finds a server without it, or with an older one, puts it there again, so that
// it outlives what memcached forgets (evictions, flush_all, restarts) as long as one server or one
// process has it.
//
//   "12 pull 1x2y3z paused": the number of the change, the phase, of which migration, whether it pauses

import type { Host } from "../../host.ts";
import type { Note, Pulling, Reply } from "../../protocol/pulling.ts";
import type { Server } from "../../server/server.ts";
import type { Answer, Asker } from "../migrate/asker.ts";
import { after } from "../migrate/after.ts";

/** How long (ms) a server may take to tell the state. */
const MOST_READ = 2000;

export interface State {
  /** The greater one is newer. */
  readonly change: number;
  readonly phase: string;
  readonly id: string;
  readonly paused: boolean;
}

export const NOTHING: State = { change: 0, phase: "", id: "", paused: false };

export interface AgreedContext {
  readonly host: Pick<Host, "every">;
  readonly pulling: Pulling;
  asker(server: Server): Asker;
}

/** What a look around has found. */
export interface Look {
  readonly newest: State;
  /** Why servers have not told theirs; "" if all have. */
  readonly why: string;
}

export class Agreed {
  private readonly context: AgreedContext;
  private readonly servers: readonly Server[];

  /** The first of `servers` is the arbiter. */
  constructor(context: AgreedContext, servers: readonly Server[]) {
    this.context = context;
    this.servers = servers;
  }

  /** Asks all servers; those that know less than `mine` are told it. */
  async look(mine: State): Promise<Look> {
    const { servers } = this;
    const notes = await Promise.all(servers.map((server) => this.read(server)));
    let newest = NOTHING;
    let why = "";
    for (const [i, note] of notes.entries()) {
      if (note.is !== "note") {
        why = `server "${servers[i].name}": ${note.why}`;
        continue;
      }
      const state = stateOf(note.text);
      if (state.change > newest.change) newest = state;
      if (state.change < mine.change) this.write(servers[i], mine, note.cas);
    }
    return { newest, why };
  }

  /** `from` becomes `to` at the arbiter, then everywhere; what is wrong, "" if nothing is. */
  async swap(from: State, to: State): Promise<string> {
    const { pulling } = this.context;
    const [arbiter, ...others] = this.servers;
    const where = `server "${arbiter.name}"`;
    const note = await this.read(arbiter);
    if (note.is !== "note") return `${where}: ${note.why}`;
    const there = stateOf(note.text);
    if (there.change > from.change) return `the state is "${note.text}" by now`;
    const reply = await this.ask(arbiter, pulling.setNote(textOf(to), note.cas));
    if (!(reply instanceof Uint8Array)) return `${where}: ${reply.why}`;
    const done = pulling.readFilled(reply);
    if (done.is === "other") return "another process has changed the state";
    if (done.is !== "done") return `${where} does not keep the state`;
    await Promise.all(others.map(async (server) => {
      const own = await this.read(server);
      if (own.is === "note") await this.ask(server, pulling.setNote(textOf(to), own.cas));
    }));
    return "";
  }

  private write(server: Server, state: State, cas: string): void {
    const { context } = this;
    context.asker(server).ask(context.pulling.setNote(textOf(state), cas), () => {});
  }

  private async read(server: Server): Promise<Reply<Note>> {
    const { pulling } = this.context;
    const reply = await this.ask(server, pulling.note);
    return reply instanceof Uint8Array ? pulling.readNote(reply) : reply;
  }

  /** A server that hangs must not keep us from looking after those who wait. */
  private ask(server: Server, request: Uint8Array): Promise<Answer> {
    const { host } = this.context;
    const why = `no answer within ${MOST_READ} ms`;
    const late = new Promise<Answer>((resolve) => {
      after(host, MOST_READ, () => resolve({ is: "lost", unsent: false, why }));
    });
    return Promise.race([this.context.asker(server).tell(request), late]);
  }

  /** Takes or keeps the lock of who copies, for so long (s); whether it is ours. */
  async lock(who: string, seconds: number): Promise<boolean> {
    const { pulling } = this.context;
    const [arbiter] = this.servers;
    const reply = await this.ask(arbiter, pulling.lock);
    const held = reply instanceof Uint8Array ? pulling.readNote(reply) : reply;
    if (held.is !== "note" || (held.text !== "" && held.text !== who)) return false;
    const set = await this.ask(arbiter, pulling.setLock(who, held.cas, seconds));
    return set instanceof Uint8Array && pulling.readFilled(set).is === "done";
  }
}

function textOf({ change, phase, id, paused }: State): string {
  return `${change} ${phase} ${id}${paused ? " paused" : ""}`;
}

function stateOf(text: string): State {
  const [change, phase = "", id = "", paused = ""] = text.split(" ");
  return /^\d+$/.test(change)
    ? { change: Number(change), phase, id, paused: paused === "paused" }
    : NOTHING;
}
