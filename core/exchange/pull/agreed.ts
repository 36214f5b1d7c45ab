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
import { BARRIER, DONE, DRAIN, PULL } from "../migrate/phases.ts";
import { isRefused } from "./key_pull.ts";

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

/** What was told to one that nobody runs was in its memory. */
const FORGOTTEN: Note = { is: "note", text: "", cas: "" };

/** In their order: of two changes that have the same number the further one counts. */
const PHASES: readonly string[] = ["", "none", BARRIER, PULL, DRAIN, DONE];

/** Whether `a` came after `b`. */
export function isNewer(a: State, b: State): boolean {
  if (a.change !== b.change) return a.change > b.change;
  return PHASES.indexOf(a.phase) > PHASES.indexOf(b.phase);
}

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
    const notes = await this.readAll();
    let newest = NOTHING;
    let why = "";
    for (const [i, note] of notes.entries()) {
      if (note.is !== "note") {
        why = `server "${servers[i].name}": ${note.why}`;
        continue;
      }
      const state = stateOf(note.text);
      if (isNewer(state, newest)) newest = state;
      if (isNewer(mine, state)) this.write(servers[i], mine, note.cas);
    }
    return { newest, why };
  }

  /** `from` becomes `to` at the arbiter, then everywhere; what is wrong, "" if nothing is. */
  async swap(from: State, to: State): Promise<string> {
    const { pulling } = this.context;
    const [arbiter, ...others] = this.servers;
    const where = `server "${arbiter.name}"`;
    // All of them: the arbiter may have lost its memory.
    const [note, ...notes] = await this.readAll();
    for (const one of [note, ...notes]) {
      if (one.is !== "note") continue;
      if (isNewer(stateOf(one.text), from)) return `the state is "${one.text}" by now`;
    }
    if (note.is !== "note") return `${where}: ${note.why}`;
    const reply = await this.ask(arbiter, pulling.setNote(textOf(to), note.cas));
    if (!(reply instanceof Uint8Array)) return `${where}: ${reply.why}`;
    const done = pulling.readFilled(reply);
    if (done.is === "other") return "another process has changed the state";
    if (done.is !== "done") return `${where} does not keep the state`;
    // Who has changed meanwhile is told by the next look of anybody.
    await Promise.all(others.map((server, i) => {
      const own = notes[i];
      return own.is === "note" ? this.ask(server, pulling.setNote(textOf(to), own.cas)) : null;
    }));
    return "";
  }

  private readAll(): Promise<Reply<Note>[]> {
    return Promise.all(this.servers.map((server) => this.read(server)));
  }

  private write(server: Server, state: State, cas: string): void {
    const { context } = this;
    context.asker(server).ask(context.pulling.setNote(textOf(state), cas), () => {});
  }

  private async read(server: Server): Promise<Reply<Note>> {
    const { pulling } = this.context;
    const reply = await this.ask(server, pulling.note);
    if (reply instanceof Uint8Array) return pulling.readNote(reply);
    return isRefused(reply) ? FORGOTTEN : reply;
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

  /** Takes or keeps the lock of who copies, for so long (s). `why`: nobody can say who has it; or "". */
  async lock(who: string, seconds: number): Promise<{ isOurs: boolean; why: string }> {
    const { pulling } = this.context;
    const [arbiter] = this.servers;
    const fails = (why: string) => ({ isOurs: false, why: `server "${arbiter.name}": ${why}` });
    const reply = await this.ask(arbiter, pulling.lock);
    const held = reply instanceof Uint8Array ? pulling.readNote(reply) : reply;
    if (held.is !== "note") return fails(held.why);
    if (held.text !== "" && held.text !== who) return { isOurs: false, why: "" };
    const set = await this.ask(arbiter, pulling.setLock(who, held.cas, seconds));
    if (!(set instanceof Uint8Array)) return fails(set.why);
    const done = pulling.readFilled(set);
    if (done.is === "error") return fails(done.why);
    return { isOurs: done.is === "done", why: "" };
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
