// `ringmux migrate`: drives a migration through the admin addresses of all proxies. What it decides
// on, the servers keep: it may be ended at any moment and run again.

import { parseHostPort } from "../../core/config/address.ts";
import type { MigrationStatus } from "../control/control.ts";
import type { Terminal } from "./look.ts";
import { planOf, shownPlan } from "./migrate_plan.ts";
import { shown, sum, type Told } from "./migrate_status.ts";

const USAGE = `Usage: ringmux migrate plan|start|status|pause|resume|abort|finish
               --admin host:port [--admin host:port ...] [--pool name] [--watch] [--json]
               [--paused]

  plan    : what would move, told from a sample, and whether the servers can do all
            that it needs; changes nothing
  start   : begins, once all proxies have agreed; name every proxy that serves the pool;
            --paused: and pauses at once
  status  : how far it is; --watch: again and again until it is done
  pause   : moves no more keys but those that clients ask for
  resume  : goes on
  abort   : takes back a start, and moves back what has moved already
  finish  : what is to be changed in the configuration when all keys have moved
`;

const VERBS = ["plan", "start", "status", "pause", "resume", "abort", "finish"];
/** How long (ms) proxies may take to let nothing be on its way. */
const PATIENCE = 10_000;
const PACE = 10;
/** What may be left of a migration at Redis servers. */
const NOTES = ["state", "moved", "backs"].map((name) => `ringmux:migrate:${name}`);
const WATCH_PACE = 1000;
/** So often in a row may looks be in vain while it is watched. */
const MOST_SILENT = 5;
const ANSWER = 15_000;
/** And how long (ms) one may take that only tells how it is. */
const LOOK = 3000;

interface Wanted {
  readonly verb: string;
  readonly admins: string[];
  readonly pool: string;
  readonly watch: boolean;
  readonly json: boolean;
  readonly paused: boolean;
}

/** Carries it out; the exit status. */
export async function runMigrate(argv: readonly string[], terminal: Terminal): Promise<number> {
  const wanted = parse(argv);
  if (typeof wanted === "string") {
    if (wanted === "") terminal.out(USAGE);
    else terminal.err(`ringmux: migrate: ${wanted}\n${USAGE}`);
    return wanted === "" ? 0 : 1;
  }
  const drive = new Drive(wanted, terminal);
  try {
    return await drive.run();
  } catch (error) {
    terminal.err(`ringmux: migrate: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

function parse(argv: readonly string[]): Wanted | string {
  const admins: string[] = [];
  let [verb, pool, watch, json, paused] = ["", "", false, false, false];
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = argv[i].split("=", 2);
    const value = (): string => inline ?? argv[++i] ?? "";
    if (name === "--admin") admins.push(value());
    else if (name === "--pool") pool = value();
    else if (name === "--watch") watch = true;
    else if (name === "--json") json = true;
    else if (name === "--paused") paused = true;
    else if (name === "--help" || name === "-h") return "";
    else if (name.startsWith("-")) return `option "${name}" is not known`;
    else if (verb !== "") return `one of ${VERBS.join(", ")} is enough: "${verb}", "${name}"`;
    else verb = name;
  }
  if (verb === "") return `what to do is missing (${VERBS.join(", ")})`;
  if (!VERBS.includes(verb)) return `"${verb}" is not known (${VERBS.join(", ")})`;
  if (admins.length === 0) return "--admin host:port is missing";
  const wrong = admins.find((admin) => typeof parseHostPort(admin) === "string");
  return wrong === undefined
    ? { verb, admins, pool, watch, json, paused }
    : `--admin "${wrong}" has to be host:port`;
}

class Drive {
  private readonly wanted: Wanted;
  private readonly terminal: Terminal;
  private pool: string;

  constructor(wanted: Wanted, terminal: Terminal) {
    this.wanted = wanted;
    this.terminal = terminal;
    this.pool = wanted.pool;
  }

  async run(): Promise<number> {
    const all = await this.look();
    switch (this.wanted.verb) {
      case "plan":
        return await this.plan(all);
      case "start":
        return await this.start(all);
      case "status":
        return await this.status(all);
      case "finish":
        return this.finish(all);
      case "abort":
        return await this.abort(all);
      default:
        return await this.order(this.wanted.verb, `${this.wanted.verb}: done`);
    }
  }

  private async ask(admin: string, path: string, method: "GET" | "POST"): Promise<unknown> {
    const signal = AbortSignal.timeout(method === "GET" ? LOOK : ANSWER);
    const reply = await fetch(`http://${admin}${path}`, { method, signal }).catch((error) => {
      throw new Error(`${admin}: no answer: ${error.cause?.message ?? error.message}`);
    });
    if (reply.status === 404) throw new Error(`${admin}: it knows of no migrations`);
    return await reply.json().catch(() => {
      throw new Error(`${admin}: no ringmux answers there`);
    });
  }

  /** Every process of every proxy. Throws when one does not answer. */
  private async look(): Promise<Told[]> {
    const all: Told[] = [];
    const { admins } = this.wanted;
    const answers = await Promise.all(admins.map((admin) => this.ask(admin, "/migrate", "GET")));
    for (const [i, admin] of admins.entries()) {
      const { processes } = answers[i] as { processes: (MigrationStatus[] | null)[] };
      for (const statuses of processes) {
        if (statuses === null) throw new Error(`${admin}: a worker does not run now`);
        const names = statuses.map(({ pool }) => pool).join(", ");
        if (statuses.length === 0) throw new Error(`${admin}: no pool has migrate`);
        if (this.pool === "" && statuses.length > 1) throw new Error(`--pool: one of ${names}`);
        if (this.pool === "") this.pool = statuses[0].pool;
        const status = statuses.find(({ pool }) => pool === this.pool);
        if (status === undefined) {
          throw new Error(`${admin}: pool "${this.pool}" has no migrate (${names})`);
        }
        all.push({ admin, status });
      }
    }
    const other = all.find(({ status }) => status.id !== all[0].status.id);
    if (other !== undefined) {
      throw new Error(
        `${other.admin}: its pool "${this.pool}" has other rings than that of ${all[0].admin}; ` +
          "servers, weights, hash, hash_tag and distribution have to be the same everywhere",
      );
    }
    return all;
  }

  /** Gives an order to one process: what it says to the servers, the others read there. */
  private async tell(order: string): Promise<string> {
    const path = `/migrate?pool=${encodeURIComponent(this.pool)}&do=${order}`;
    const { error } = await this.ask(this.wanted.admins[0], path, "POST") as { error: string };
    return error;
  }

  private async order(order: string, said: string): Promise<number> {
    const error = await this.tell(order);
    if (error !== "") throw new Error(error);
    this.terminal.out(`${said}\n`);
    return 0;
  }

  /** One process looks; which of its proxy's it was shows by what it knows then. */
  private async plan(all: Told[]): Promise<number> {
    const { phase } = all[0].status;
    const wrong = phase === "prepare" ? await this.tell("check") : "";
    const unseen = await this.tell("estimate");
    const [admin] = this.wanted.admins;
    const own = (await this.look()).filter((one) => one.admin === admin);
    const newest = own.reduce((a, b) =>
      (b.status.estimate?.at ?? 0) > (a.status.estimate?.at ?? 0) ? b : a
    );
    const plan = planOf(newest.status, wrong);
    this.terminal.out(this.wanted.json ? `${JSON.stringify(plan)}\n` : shownPlan(plan));
    if (unseen !== "") throw new Error(`what would move is not known: ${unseen}`);
    return wrong === "" ? 0 : 1;
  }

  private async start(all: Told[]): Promise<number> {
    const not = all.find(({ status }) => status.phase !== "prepare");
    if (not !== undefined) {
      throw new Error(
        `${not.admin}: the phase is ${not.status.phase}, not prepare ${not.status.why}`,
      );
    }
    const wrong = await this.tell("start");
    if (wrong !== "") throw new Error(wrong);
    const why = await this.agree(this.wanted.paused ? "commit-paused" : "commit");
    if (why === "") {
      this.terminal.out("start: all proxies have agreed; keys move\n");
      return 0;
    }
    const undone = await this.tell("abort");
    throw new Error(`not started: ${why}${undone === "" ? "" : `; abort: ${undone}`}`);
  }

  private async abort(all: Told[]): Promise<number> {
    const wrong = await this.tell("abort");
    if (wrong !== "") throw new Error(wrong);
    if (all.every(({ status }) => status.phase !== "move")) {
      this.terminal.out("abort: done\n");
      return 0;
    }
    const why = await this.agree(this.wanted.paused ? "commit-paused" : "commit");
    if (why === "") {
      this.terminal.out("abort: all proxies have agreed; keys move back\n");
      return 0;
    }
    const undone = await this.tell("resume");
    throw new Error(
      `not aborted, keys move on: ${why}${undone === "" ? "" : `; resume: ${undone}`}`,
    );
  }

  /** Until all processes have nothing on its way, and `commit` is carried out; else why not. */
  private async agree(commit: string): Promise<string> {
    let until = Date.now() + PATIENCE;
    let why = "";
    while (Date.now() < until) {
      try {
        const now = await this.look();
        if (now.some(({ status }) => status.preparing)) until = Date.now() + PATIENCE;
        const late = now.find(({ status }) => !status.parked);
        if (late === undefined) {
          why = await this.tell(commit);
          if (why === "") return "";
        } else {
          const { phase, why: said } = late.status;
          why = `${late.admin}: ${said || phase}`;
          if (phase === "prepare" || phase === "move") {
            why = `${late.admin}: it has not read the state yet`;
          }
        }
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
        break; // who does not answer is not waited for
      }
      await new Promise((resolve) => setTimeout(resolve, PACE));
    }
    return why;
  }

  private async status(all: Told[]): Promise<number> {
    let now = all;
    let silent = 0;
    for (;;) {
      const total = sum(now);
      if (silent === 0) {
        this.terminal.out(this.wanted.json ? `${JSON.stringify(total)}\n` : shown(total));
      }
      if (!this.wanted.watch || total.phase === "done") return 0;
      await new Promise((resolve) => setTimeout(resolve, WATCH_PACE));
      try {
        now = await this.look();
        silent = 0;
      } catch (error) {
        // It may only be busy, or start anew.
        if (++silent === MOST_SILENT) throw error;
        this.terminal.err(`${(error as Error).message}\n`);
      }
    }
  }

  private finish(all: Told[]): number {
    const total = sum(all);
    if (total.phase !== "done") {
      throw new Error(
        `not all keys have moved: the phase is ${total.phase} (ringmux migrate status)`,
      );
    }
    const { to, servers } = all[0].status;
    this.terminal.out(
      `All keys of pool "${this.pool}" are on the servers of "${to}". In the configuration of every ` +
        `proxy give the pool these servers and the hash, hash_tag and distribution of "${to}", take ` +
        "`migrate` out, and reload (all in one change):\n" +
        servers.map((line) => `  - ${line}\n`).join("") +
        "When no configuration has the migration any more, remove what it was noted by:\n" +
        all[0].status.addresses.map((at) =>
          all[0].status.memcached
            ? `  delete ringmux:migrate:state    (to ${at})\n`
            : `  redis-cli -u redis://${at} DEL ${NOTES.join(" ")}\n`
        )
          .join(""),
    );
    return 0;
  }
}
