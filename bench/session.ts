// One workload from start to end: servers filled, contestants started, measured in turns
// A B C A B C ..., ended. Whatever goes wrong with one contestant is noted and the others go on.

import { type Child, complaint, freePort, PROXY_CORES, start, untilAnswers } from "./child.ts";
import { type Contestant, CONTESTANTS } from "./contestants.ts";
import type { Job, Loader, Outcome } from "./loader.ts";
import type { Options, Times } from "./options.ts";
import { Pauses } from "./pauses.ts";
import { progress } from "./report.ts";
import type { Protocol } from "./requests.ts";
import type { Cell, Row } from "./results.ts";
import type { Servers } from "./servers.ts";
import type { Workload } from "./workloads.ts";

export interface Session {
  readonly options: Options;
  readonly contestants: readonly Contestant[];
  readonly loader: Loader;
  readonly servers: Servers;
  /** For temporary files. */
  readonly folder: string;
  /** Most open files of a child. */
  readonly files: number;
}

/** A contestant that runs, with its processes: none for "no proxy". */
export interface Running {
  readonly port: number;
  readonly children: readonly Child[];
  readonly pauses: Pauses;
}

/** Of the time since `pauses.take()`. */
function tellPauses({ pauses }: Running): void {
  const { count, longest, sum } = pauses.take();
  if (count === 0) return;
  const ms = `${sum.toFixed(1)} ms in all`;
  console.log(`    garbage collection: ${count} pauses, longest ${longest.toFixed(2)} ms, ${ms}`);
}

const START_PATIENCE_MS = 8000;

/** Whether others than ringmux can do it. */
function isForAll({ cluster, special }: Workload): boolean {
  return !cluster && special === "";
}

/** One contestant on one workload. */
interface Entrant {
  readonly workload: Workload;
  readonly contestant: Contestant;
  readonly cell: Cell;
  readonly ports: readonly number[];
  /** Requests a second of an open loop, in this round; 0: a closed one. */
  rate: number;
  running: Running | null;
}

function takesPart(contestant: Contestant, workload: Workload): boolean {
  return contestant.clients !== (workload.tls ? "plain" : "tls") &&
    (contestant.takes?.(workload.shape) ?? true) &&
    (contestant.kind === "ringmux" || isForAll(workload) ||
      (workload.special === "near" && contestant.name.startsWith("answer-")));
}

/**
 * Measures all contestants on workloads that are to be compared with each other, in turns: each
 * contestant's windows of all of them, one after the other, in every round.
 */
export async function measure(session: Session, workloads: readonly Workload[]): Promise<Row[]> {
  const entrants: Entrant[] = [];
  const rows: Row[] = [];
  for (const workload of workloads) {
    const cells: Cell[] = [];
    const ports = await provide(session, workload);
    for (const contestant of session.contestants) {
      if (!takesPart(contestant, workload)) continue;
      const cell: Cell = { contestant: contestant.name, runs: [], failure: "" };
      cells.push(cell);
      entrants.push({ workload, contestant, cell, ports, rate: 0, running: null });
    }
    rows.push({ workload: workload.name, title: workload.title, cells });
  }
  const { contestants, options } = session;
  entrants.sort((a, b) => contestants.indexOf(a.contestant) - contestants.indexOf(b.contestant));
  try {
    for (const entrant of entrants) {
      if (!entrant.workload.fresh) await attempt(entrant, () => warmUp(session, entrant));
    }
    for (let round = 1; round <= options.rounds; round++) {
      await setRates(session, entrants);
      for (const entrant of entrants) await attempt(entrant, () => turn(session, entrant, round));
    }
  } finally {
    await Promise.all(entrants.map(({ running }) => running === null ? undefined : stop(running)));
  }
  return rows;
}

/** Ports of the servers of `workload`, filled. */
function provide({ servers }: Session, { cluster, shape, servers: count }: Workload) {
  return (cluster ? servers.cluster : servers).provide(shape, count);
}

/** Runs `work`; a failure takes the contestant out of this workload. */
async function attempt(entrant: Entrant, work: () => Promise<void>): Promise<void> {
  const { cell, workload, contestant } = entrant;
  if (cell.failure !== "") return;
  try {
    await work();
  } catch (error) {
    cell.failure = (error as Error).message;
    console.log(`${workload.name}  ${contestant.title}: skipped: ${cell.failure}`);
  }
}

/** Afterwards the compilers of the runtimes have done their work. */
async function warmUp(session: Session, entrant: Entrant): Promise<void> {
  const { workload, contestant, ports } = entrant;
  entrant.running = await launch(session, contestant, workload, ports);
  const windowMs = timesOf(session, workload).warmMs;
  const batches = Math.min(workload.batches, 1);
  await load(session, entrant.running, workload, { windowMs, batches });
}

async function turn(session: Session, entrant: Entrant, round: number): Promise<void> {
  const { options, servers } = session;
  const { workload, contestant, ports, rate, cell } = entrant;
  if (workload.fresh) entrant.running = await launch(session, contestant, workload, ports);
  const running = entrant.running as Running;
  const still = workload.moving ? servers.cluster.move() : () => Promise.resolve();
  try {
    const times = timesOf(session, workload);
    const rampMs = workload.fresh ? options.warmMs : times.rampMs;
    const { windowMs } = times;
    running.pauses.take();
    const run = await load(session, running, workload, { rampMs, rate, windowMs });
    cell.runs.push(run);
    if (options.gc) tellPauses(running);
    console.log(progress(workload, round, options.rounds, contestant.title, run));
  } finally {
    await still();
    if (workload.fresh) {
      entrant.running = null;
      await stop(running);
    }
  }
}

/** The rates of open loops, for a round: the machine is not always as fast. */
async function setRates(session: Session, entrants: readonly Entrant[]): Promise<void> {
  const capacities = new Map<Protocol, number>();
  for (const entrant of entrants) {
    const { workload, ports } = entrant;
    if (workload.load === 0) continue;
    const { protocol } = workload.shape;
    const most = capacities.get(protocol) ?? await capacity(session, workload, ports);
    capacities.set(protocol, most);
    entrant.rate = workload.load * most;
  }
}

function timesOf({ options }: Session, { load }: Workload): Times {
  return load > 0 ? options.open : options;
}

/** What nutcracker could do if it had all of its core, from a closed loop. */
async function capacity(
  session: Session,
  workload: Workload,
  ports: readonly number[],
): Promise<number> {
  const nutcracker = CONTESTANTS.find(({ name }) => name === "nutcracker") as Contestant;
  const missing = nutcracker.missing();
  if (missing !== "") throw new Error(`${workload.name} needs nutcracker: ${missing}`);
  const running = await launch(session, nutcracker, workload, ports);
  try {
    const runs: number[] = [];
    for (let i = 0; i < 3; i++) {
      const { perSecond, busy } = await load(session, running, workload, {
        windowMs: Math.min(session.options.windowMs, 2000),
      });
      runs.push(perSecond / busy);
    }
    const found = runs.sort((a, b) => a - b)[1];
    console.log(`${workload.name}: nutcracker can do ${Math.round(found)} a second on its core`);
    return found;
  } finally {
    await stop(running);
  }
}

/** Starts a contestant and waits until it answers a request. Throws when it does not. */
export async function launch(
  session: Session,
  contestant: Contestant,
  workload: Workload,
  servers: readonly number[],
): Promise<Running> {
  const clients = workload.clients + workload.idle;
  const files = clients * contestant.filesPerClient + servers.length + 100;
  if (files > session.files) {
    throw new Error(`needs ${files} open files, the limit is ${session.files}`);
  }
  const { protocol, size } = workload.shape;
  const [port, statsPort, innerPort] = [await freePort(), await freePort(), await freePort()];
  const { folder } = session;
  const { tls, cluster, special } = workload;
  const setup = {
    ...{
      protocol,
      port,
      statsPort,
      innerPort,
      servers,
      folder,
      files: session.files,
      tls,
      cluster,
      special,
    },
    gc: session.options.gc,
  };
  const pauses = new Pauses();
  const command = contestant.command(setup);
  if (command === null) return { port: servers[0], children: [], pauses };
  const behind = contestant.behind === undefined
    ? []
    : [start(contestant.behind(setup), PROXY_CORES)];
  const child = start(command, PROXY_CORES);
  child.listen((text) => pauses.hear(text));
  const running = { port, children: [child, ...behind], pauses };
  const key = "key:000000000000";
  // STRLEN rather than GET: a value of 64 MB must not pass through before it is measured.
  const [question, answer] = protocol === "redis"
    ? [`*2\r\n$6\r\nSTRLEN\r\n$${key.length}\r\n${key}\r\n`, `:${size}\r\n`]
    : [`get ${key}\r\n`, "VALUE"];
  const why = await untilAnswers(child, port, question, answer, START_PATIENCE_MS, tls);
  if (why !== "") {
    await stop(running);
    throw new Error(`does not start: ${why}`);
  }
  return running;
}

export async function stop({ children }: Running): Promise<void> {
  await Promise.all(children.map((child) => child.stop()));
}

/** Puts `workload` on a contestant once. Throws when replies are wrong or missing. */
export async function load(
  session: Session,
  running: Running,
  workload: Workload,
  changes: Partial<Job>,
): Promise<Outcome> {
  const { shape, clients, idle, batches } = workload;
  const outcome = await session.loader.run({
    port: running.port,
    ...{ shape, clients, idle, batches },
    rampMs: session.options.rampMs,
    windowMs: session.options.windowMs,
    rate: 0,
    churn: workload.churn,
    tls: workload.tls,
    fill: false,
    pids: running.children.map((child) => child.pid),
    ...changes,
  });
  if (outcome.error !== undefined) {
    const last = complaint(running.children[0]?.said() ?? "");
    throw new Error(outcome.error + (last === "" ? "" : ` (${last})`));
  }
  // Let it see that its clients are gone before another one is measured on the same core.
  await new Promise((resolve) => setTimeout(resolve, 30 + clients / 10));
  return outcome;
}
