// One workload from start to end: servers filled, contestants started, measured in turns
// A B C A B C ..., ended. Whatever goes wrong with one contestant is noted and the others go on.

import { type Child, complaint, freePort, PROXY_CORES, start, untilAnswers } from "./child.ts";
import { type Contestant, CONTESTANTS } from "./contestants.ts";
import type { Job, Loader, Outcome } from "./loader.ts";
import type { Options } from "./options.ts";
import { Pauses } from "./pauses.ts";
import { progress } from "./report.ts";
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
  /** Requests a second that nutcracker can do on its core, by protocol. */
  readonly capacities: Map<string, number>;
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

/** Measures all contestants on `workload`. */
export async function measure(session: Session, workload: Workload): Promise<Row> {
  const { options } = session;
  const contestants = session.contestants.filter((c) =>
    c.clients !== (workload.tls ? "plain" : "tls") && (c.takes?.(workload.shape) ?? true) &&
    (c.kind === "ringmux" || isForAll(workload) ||
      (workload.special === "near" && c.name.startsWith("answer-")))
  );
  const cells: Cell[] = contestants.map((c) => ({ contestant: c.name, runs: [], failure: "" }));
  const row: Row = { workload: workload.name, title: workload.title, cells };
  const { servers } = session;
  const ports = await (workload.cluster ? servers.cluster : servers)
    .provide(workload.shape, workload.servers);
  const still = workload.moving ? servers.cluster.move() : () => Promise.resolve();
  const running: (Running | null)[] = contestants.map(() => null);
  const rate = workload.load * (workload.load > 0 ? await capacity(session, workload, ports) : 0);
  const windowMs = workload.load > 0 ? options.openMs : options.windowMs;

  /** Runs `work`; a failure takes the contestant out of this workload. */
  const attempt = async (i: number, work: () => Promise<void>) => {
    if (cells[i].failure !== "") return;
    try {
      await work();
    } catch (error) {
      cells[i].failure = (error as Error).message;
      console.log(`${workload.name}  ${contestants[i].title}: skipped: ${cells[i].failure}`);
    }
  };

  try {
    for (let i = 0; i < contestants.length && !workload.fresh; i++) {
      await attempt(i, async () => {
        running[i] = await launch(session, contestants[i], workload, ports);
        // Compilers of the runtimes have then done their work.
        const batches = Math.min(workload.batches, 1);
        await load(session, running[i] as Running, workload, { windowMs: options.warmMs, batches });
      });
    }
    for (let round = 1; round <= options.rounds; round++) {
      for (let i = 0; i < contestants.length; i++) {
        await attempt(i, async () => {
          if (workload.fresh) running[i] = await launch(session, contestants[i], workload, ports);
          const rampMs = workload.fresh ? options.warmMs : options.rampMs;
          const job = { rampMs, rate, windowMs };
          (running[i] as Running).pauses.take();
          const run = await load(session, running[i] as Running, workload, job);
          cells[i].runs.push(run);
          if (options.gc) tellPauses(running[i] as Running);
          console.log(progress(workload, round, options.rounds, contestants[i].title, run));
        });
        if (workload.fresh && running[i] !== null) await stop(running[i] as Running);
      }
    }
  } finally {
    await still();
    await Promise.all(running.map((one) => one === null ? undefined : stop(one)));
  }
  return row;
}

/** What nutcracker could do if it had all of its core, from a closed loop. */
async function capacity(
  session: Session,
  workload: Workload,
  ports: readonly number[],
): Promise<number> {
  const { capacities, options } = session;
  const known = capacities.get(workload.shape.protocol);
  if (known !== undefined) return known;
  const nutcracker = CONTESTANTS.find(({ name }) => name === "nutcracker") as Contestant;
  const missing = nutcracker.missing();
  if (missing !== "") throw new Error(`${workload.name} needs nutcracker: ${missing}`);
  const running = await launch(session, nutcracker, workload, ports);
  try {
    const runs: number[] = [];
    for (let i = 0; i < 3; i++) {
      const { perSecond, busy } = await load(session, running, workload, {
        windowMs: Math.min(options.windowMs, 2000),
      });
      runs.push(perSecond / busy);
    }
    const found = runs.sort((a, b) => a - b)[1];
    console.log(`${workload.name}: nutcracker can do ${Math.round(found)} a second on its core`);
    capacities.set(workload.shape.protocol, found);
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
