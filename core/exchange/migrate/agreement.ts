// What all processes of all proxies have agreed on: a text at a server (the first of the old ring: the
// arbiter), changed by compare and swap, and copied to all others. Every process reads it again and
// again; nobody has to be told. So a process that starts, at whatever moment, knows where it is, and no
// two ever differ on more than a barrier.
//
//     "move 1a2b3c paused soon": the phase, of which migration, whether it pauses, and whether a barrier
//     comes soon, for which all look out more often
//
// A barrier is left only when every server has the text of that barrier (`isNotedBy`): a copy is never
// older than the last barrier.

import type { Host } from "../../host.ts";
import type { Migrating } from "../../protocol/migrating.ts";
import type { Server } from "../../server/server.ts";
import { after } from "./after.ts";
import type { Answer, Asker } from "./asker.ts";
import { BACK, BARRIER, DONE, MOVE, type Phase, PREPARE, RETREAT } from "./phases.ts";

/** How long (ms) a server may take to tell the state. */
const MOST_READ = 2000;
/** Said when a migration is not (any more) under way. */
const NONE = "none";
const PAUSED = "paused";
const SOON = "soon";

export interface AgreementContext {
  readonly host: Host;
  readonly words: Migrating;
  asker(server: Server): Asker;
  /** All that have the state, the arbiter first. */
  keepers(): readonly Server[];
}

export class Agreement {
  /** Which migration: the same in all processes that move the same keys. */
  readonly id: string;
  /** The arbiter's text, as last read. */
  text: string;
  /** Why nobody knows more; "" if there is nothing to tell. */
  why: string;
  private readonly context: AgreementContext;

  constructor(context: AgreementContext, id: string) {
    this.id = id;
    this.text = "";
    this.why = "no server has been asked yet";
    this.context = context;
  }

  private get arbiter(): Server {
    return this.context.keepers()[0];
  }

  get isPaused(): boolean {
    return this.has(PAUSED);
  }

  /** A barrier comes soon. */
  get isAnnounced(): boolean {
    return this.has(SOON) && this.isOurs(this.text);
  }

  private has(word: string): boolean {
    return this.text.split(" ").slice(2).includes(word);
  }

  /** The text of a phase. */
  saying(phase: Phase, paused = false, soon = false): string {
    const words = [phase === PREPARE ? NONE : phase, this.id];
    if (paused) words.push(PAUSED);
    if (soon) words.push(SOON);
    return words.join(" ");
  }

  phaseOf(text: string): Phase {
    const [phase, id] = text.split(" ");
    if (id !== this.id) return PREPARE;
    const known: readonly Phase[] = [BARRIER, MOVE, DONE, RETREAT, BACK];
    return known.find((one) => one === phase) ?? PREPARE;
  }

  /** Whether a text is of this migration at all. */
  isOurs(text: string): boolean {
    return text.split(" ")[1] === this.id;
  }

  isOthers(text: string): boolean {
    const [phase] = text.split(" ");
    return text !== "" && !this.isOurs(text) && phase !== DONE && phase !== NONE;
  }

  /** What a server has; null: it does not say. */
  async read(server: Server): Promise<string | null> {
    const { words } = this.context;
    const answer = await this.inTime(this.context.asker(server).tell(words.state));
    if (!(answer instanceof Uint8Array)) {
      this.why = `server "${server.name}": ${answer.why}`;
      return null;
    }
    const state = words.readState(answer);
    if (typeof state === "string") return state;
    this.why = `server "${server.name}": ${state.why}`;
    return null;
  }

  readArbiter(): Promise<string | null> {
    return this.read(this.arbiter);
  }

  /** A server that hangs must not keep us from looking after those who wait. */
  private inTime(answer: Promise<Answer>): Promise<Answer> {
    const why = `no answer within ${MOST_READ} ms`;
    const late = new Promise<Answer>((resolve) => {
      after(this.context.host, MOST_READ, () => resolve({ is: "lost", unsent: false, why }));
    });
    return Promise.race([answer, late]);
  }

  /**
   * Of a start: what is agreed; null while that is not known. The arbiter's word counts; if it says
   * nothing, one server that knows of keys on their way is enough, else all have to say no.
   */
  async learn(): Promise<string | null> {
    const states = await Promise.all(this.context.keepers().map((server) => this.read(server)));
    const [first] = states;
    if (first !== null && this.isOurs(first)) return first;
    const ours = states.flatMap((one) => one !== null && this.isOurs(one) ? [one] : []);
    const sure = ours.find((one) => ([MOVE, DONE, BACK] as Phase[]).includes(this.phaseOf(one)));
    if (sure !== undefined) return sure;
    if (states.includes(null)) return null;
    const other = states.find((one) => one !== null && this.isOthers(one));
    if (other !== undefined) {
      this.why = `another migration has not come to its end here: "${other}"`;
      return null;
    }
    const amid = ours.find((one) => this.phaseOf(one) === RETREAT);
    if (amid !== undefined) {
      this.why = `server "${this.arbiter.name}" has lost the state, others say "${amid}"`;
      return null;
    }
    return first;
  }

  /** The arbiter has lost its memory. */
  remind(): void {
    this.put(this.arbiter, this.text);
  }

  /** `from` becomes `to` at the arbiter, then everywhere; what is wrong, "" if nothing is. */
  async swap(from: string, to: string): Promise<string> {
    const { words } = this.context;
    const { arbiter } = this;
    const answer = await this.inTime(this.context.asker(arbiter).tell(words.swap(from, to)));
    if (!(answer instanceof Uint8Array)) return `server "${arbiter.name}": ${answer.why}`;
    const state = words.readState(answer);
    if (typeof state !== "string") return `server "${arbiter.name}": ${state.why}`;
    if (state !== to) return `the state is "${state}" by now`;
    // Nobody has to wait for that: see isNotedBy.
    for (const server of this.context.keepers().slice(1)) this.put(server, to);
    return "";
  }

  private put(server: Server, text: string): void {
    this.context.asker(server).ask(this.context.words.put(text), () => {});
  }

  /** Whether every server has this text; else which has not. Those that have not get it. */
  async isNotedBy(text: string): Promise<string> {
    const servers = this.context.keepers();
    const states = await Promise.all(servers.map((server) => this.read(server)));
    const { why } = this;
    for (const [i, server] of servers.entries()) {
      const state = states[i];
      if (state === text) continue;
      if (state !== null) this.put(server, text);
      return state === null ? why : `server "${server.name}" has not noted it yet`;
    }
    return "";
  }
}
