// Several cores: as many worker processes as wanted, each a whole proxy on the same ports. The
// supervisor serves no clients. It starts workers anew that die, passes on what it is told, and
// adds up what they count.

import type { Config } from "../../core/config/schema.ts";
import type { Hearings } from "../../core/exchange/census.ts";
import type { Address, Host, Listener } from "../../core/host.ts";
import { listening, placeOf } from "../../core/listener.ts";
import { type HotView, mergeHot } from "../../core/hot_view.ts";
import type { ClusterAnswer } from "../../core/topology/cluster_answer.ts";
import type { RingView } from "../../core/ring_view.ts";
import { listenForStats } from "../../core/stats/listener.ts";
import { statsLine } from "../../core/stats/report.ts";
import { mergeSnapshots, type Snapshot } from "../../core/stats/snapshot.ts";
import { VERSION } from "../../core/version.ts";
import { Peer } from "./channel.ts";
import type { Running } from "../control/running.ts";
import type { Control, MigrationStatus } from "../control/control.ts";
import { usage } from "../control/local_control.ts";
import type { Log } from "../log/log.ts";
import type { Spawner, WorkerProcess } from "./spawn.ts";

/** Milliseconds before a worker is started again that has died; doubled up to the other. */
const SOONEST = 100;
const LATEST = 5000;
/** A worker that has lived so long (ms) had started well. */
const SETTLED = 10_000;
/** Milliseconds after which an address that was probed is free again. */
const LETTING_GO = 20;
/** How long (ms) a worker may take to tell its counters. */
const PATIENCE = 2000;

export interface SupervisorOptions {
  readonly host: Host;
  readonly log: Log;
  readonly spawner: Spawner;
  readonly workers: number;
  readonly source: string;
  readonly segment: number;
  readonly stats: Address;
  /** Another ringmux may have the ports: do not find fault with that. */
  readonly takeover: boolean;
  /** Reads the configuration file again: see Start. */
  readonly reload: () => Promise<string[]>;
}

/** The place of one worker, whichever process it is. */
interface Slot {
  readonly number: number;
  process: WorkerProcess | null;
  peer: Peer | null;
  /** What it runs; null while it does not. */
  config: Config | null;
  delay: number;
}

export class Supervisor implements Running {
  readonly control: Control;
  private readonly options: SupervisorOptions;
  private readonly slots: Slot[];
  private readonly startedAt: number;
  private config: Config;
  private statsListener: Listener | null;
  private running: boolean;
  private stopping: boolean;

  constructor(config: Config, options: SupervisorOptions) {
    this.options = options;
    this.config = config;
    this.startedAt = options.host.now();
    this.statsListener = null;
    this.running = false;
    this.stopping = false;
    this.slots = Array.from({ length: options.workers }, (_, i) => ({
      number: i + 1,
      process: null,
      peer: null,
      config: null,
      delay: SOONEST,
    }));
    this.control = {
      ready: () => this.ready(),
      snapshot: () => this.snapshot(),
      rings: (pool, key) => this.rings(pool, key),
      migrations: () => this.migrations(),
      migrate: (pool, order) => this.migrate(pool, order),
      hot: (pool) => this.hot(pool),
      cluster: (pool, what) => this.askCluster(pool, what),
      reload: () => options.reload(),
    };
  }

  /** Starts all workers; rejects, with none left, when one cannot start. */
  async start(): Promise<void> {
    const { host, log, stats, takeover, workers, spawner } = this.options;
    try {
      // The stats port may be shared, as the pools' are: with the ringmux that takes over later.
      const shared = spawner.reusePort;
      if (!takeover) await probe(host, this.config, shared ? stats : null);
      await this.clearUnixSockets(this.config);
      await Promise.all(this.slots.map((slot) => this.startWorker(slot)));
      const line = () => this.snapshot().then(statsLine);
      const attempt = listenForStats(host, stats, shared, line);
      this.statsListener = await listening(attempt, "stats", `${stats.host}:${stats.port}`);
      log.notice(`stats on ${stats.host}:${this.statsListener.port}`);
      this.running = true;
      const pids = this.slots.map(({ process }) => process?.pid).join(", ");
      log.notice(`${workers} workers: pids ${pids}`);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Where workers share the socket none of them may remove its file. */
  private async clearUnixSockets(
    config: Config,
    before: ReadonlySet<string> = new Set(),
  ): Promise<void> {
    if (!this.options.spawner.shareUnixSockets) return;
    for (const { name, listen, listen_text } of config.pools) {
      if (listen.path === "" || before.has(listen.path)) continue;
      // Who listens removes what nobody answers at, and its own file when it ends.
      const options = { backlog: 1, keepAlive: false, reusePort: false };
      const attempt = this.options.host.listen(listen, options, () => null);
      (await listening(attempt, `pool "${name}"`, listen_text)).close();
    }
  }

  private async startWorker(slot: Slot): Promise<void> {
    const { log, spawner, source, segment } = this.options;
    const process = spawner.start(slot.number);
    const startedAt = this.options.host.now();
    const peer = new Peer(process.channel, {
      log: (method, text, fields) =>
        log[method](`worker ${slot.number}: ${text}`, {
          ...fields,
          worker: slot.number,
          pid: process.pid,
        }),
      hearings: (hearings) => this.passOn(slot, hearings),
      map: (news) => this.othersOf(slot).forEach((other) => other.tellMap(news)),
      closed: () => {},
    });
    // In a pipe of its own: nobody who does not read our stderr can stop a worker.
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n")) {
        if (line.trim() !== "") log.error(`worker ${slot.number} (pid ${process.pid}): ${line}`);
      }
    });
    slot.process = process;
    slot.peer = peer;
    void process.exited.then((how) => this.ended(slot, how, startedAt));
    const { config } = this;
    const setup = {
      source,
      segment,
      reusePort: spawner.reusePort,
      unixSockets: spawner.shareUnixSockets || slot.number === 1,
      level: log.level,
      quiet: slot.number > 1,
    };
    const started = peer.ask({ do: "start", config: this.share(config), setup });
    const died = process.exited.then((how) => {
      throw new Error(`worker ${slot.number} ended at once (${how})`);
    });
    try {
      await Promise.race([started, died]);
    } catch (error) {
      // What it says itself tells more than how it ended.
      await started.catch((why) => {
        if (!String(why).includes("worker has ended")) throw why;
      });
      throw error;
    }
    slot.config = config;
    for (const other of this.othersOf(slot)) other.ask({ do: "hearings" }).catch(() => {});
    // The configuration may have changed meanwhile.
    if (this.running && this.config !== config) await this.change(slot, this.config);
  }

  private othersOf(slot: Slot): Peer[] {
    return this.peers().filter((peer) => peer !== slot.peer);
  }

  /** What a worker tells of subscribed clients is for the others. */
  private passOn(slot: Slot, hearings: Hearings): void {
    for (const other of this.othersOf(slot)) other.tellHearings(hearings, slot.number);
  }

  /** What is limited for all workers together is divided among them. */
  private share(config: Config): Config {
    const { workers } = this.options;
    const pools = config.pools.map((pool) => ({
      ...pool,
      client_connections: Math.ceil(pool.client_connections / workers),
    }));
    return { ...config, pools };
  }

  private ended(slot: Slot, how: string, startedAt: number): void {
    const pid = slot.process?.pid;
    slot.process = null;
    slot.peer = null;
    slot.config = null;
    for (const { name } of this.config.pools) {
      this.passOn(slot, { pool: name, all: true, topics: [] });
    }
    if (!this.running || this.stopping) return;
    const { host, log } = this.options;
    if (host.now() - startedAt > SETTLED) slot.delay = SOONEST;
    log.error(`worker ${slot.number} (pid ${pid}) ended: ${how}; another in ${slot.delay} ms`);
    setTimeout(() => {
      if (this.stopping) return;
      this.startWorker(slot).then(
        () => log.notice(`worker ${slot.number} started again, pid ${slot.process?.pid}`),
        (error) => {
          log.error(`worker ${slot.number} cannot start: ${error.message}`);
          slot.process?.kill("SIGKILL");
        },
      );
    }, slot.delay);
    slot.delay = Math.min(LATEST, 2 * slot.delay);
  }

  private ready(): boolean {
    return this.running && !this.stopping && this.slots.some(({ config }) => config !== null);
  }

  /** The peers of all workers that run. */
  private peers(): Peer[] {
    return this.slots.flatMap(({ peer, config }) => peer === null || config === null ? [] : [peer]);
  }

  private async snapshot(): Promise<Snapshot> {
    const { host, source } = this.options;
    const asked = this.peers().map((peer) => peer.ask({ do: "snapshot" }, PATIENCE));
    const told = await Promise.allSettled(asked);
    const all = told.flatMap((one) => one.status === "fulfilled" ? [one.value as Snapshot] : []);
    return mergeSnapshots({
      source,
      version: VERSION,
      runtime: host.runtime,
      uptime: Math.floor((host.now() - this.startedAt) / 1000),
      time: host.wallClock(),
      ...usage(),
    }, all);
  }

  /** One worker's: which servers are ejected is each worker's own opinion. */
  private async rings(pool?: string, key?: string): Promise<RingView[]> {
    const [peer] = this.peers();
    if (peer === undefined) return [];
    return await peer.ask({ do: "rings", pool, key }) as RingView[];
  }

  /** Every worker's; one that does not run is there too, as null. */
  private async migrations(): Promise<(MigrationStatus[] | null)[]> {
    const told = this.slots.map(async ({ peer, config }) => {
      if (peer === null || config === null) return null;
      return await peer.ask({ do: "migrations" }, PATIENCE).catch(() => null);
    });
    return await Promise.all(told) as (MigrationStatus[] | null)[];
  }

  /** What is agreed on is kept by the servers: one worker tells them, all read it there. */
  private async migrate(pool: string, what: string): Promise<string> {
    const [peer] = this.peers();
    if (peer === undefined) return "no worker runs";
    return await peer.ask({ do: "migrate", pool, what }) as string;
  }

  /** Of all workers together. */
  private async hot(pool?: string): Promise<HotView[]> {
    const asked = this.peers().map((peer) => peer.ask({ do: "hot", pool }, PATIENCE));
    const told = await Promise.allSettled(asked);
    return mergeHot(
      told.flatMap((one) => one.status === "fulfilled" ? [one.value as HotView[]] : []),
    );
  }

  /** One worker asks: the nodes are the same for all. */
  private async askCluster(pool: string, what: string): Promise<ClusterAnswer> {
    const [peer] = this.peers();
    if (peer === undefined) throw new Error("no worker runs");
    return await peer.ask({ do: "cluster", pool, what }) as ClusterAnswer;
  }

  /** All workers go over to another configuration, or none does. */
  async reload(config: Config): Promise<string[]> {
    const before = this.config;
    const places = new Set(before.pools.map(placeOf));
    await probe(this.options.host, config, null, places);
    await this.clearUnixSockets(config, places);
    const slots = this.slots.filter((slot) => slot.config !== null);
    const results = await Promise.allSettled(slots.map((slot) => this.change(slot, config)));
    // A worker that has died meanwhile starts again with what holds then.
    const refusal = results.find(isRefusal);
    if (refusal !== undefined) {
      await Promise.allSettled(
        slots.filter((slot) => slot.config === config).map((slot) => this.change(slot, before)),
      );
      throw (refusal as PromiseRejectedResult).reason;
    }
    this.config = config;
    const first = results.find((result) => result.status === "fulfilled");
    return (first as PromiseFulfilledResult<string[]> | undefined)?.value ?? [];
  }

  private async change(slot: Slot, config: Config): Promise<string[]> {
    const { peer } = slot;
    if (peer === null) return [];
    const lines = await peer.ask({ do: "reload", config: this.share(config) }) as string[];
    slot.config = config;
    return lines;
  }

  levelChanged(): void {
    const { level } = this.options.log;
    for (const peer of this.peers()) peer.ask({ do: "level", level }).catch(() => {});
  }

  /** All workers drain. One that does not end in time is killed. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.statsListener?.close();
    this.statsListener = null;
    const timer = setTimeout(() => this.abort(), this.config.global.drain_timeout + PATIENCE);
    await Promise.all(this.slots.map(({ process, peer }) => {
      peer?.ask({ do: "drain" }).catch(() => {});
      return process?.exited;
    }));
    clearTimeout(timer);
  }

  abort(): void {
    this.stopping = true;
    this.statsListener?.close();
    this.statsListener = null;
    for (const { process } of this.slots) process?.kill("SIGKILL");
  }
}

/** It said no, rather than that it died. */
function isRefusal(result: PromiseSettledResult<unknown>): boolean {
  return result.status === "rejected" && !String(result.reason).includes("the worker has ended");
}

/**
 * With SO_REUSEPORT another program's port would be shared without a word: each is listened on once
 * without it. `stats`: null if it is not shared. `before` are places that are ours already.
 */
export async function probe(
  host: Host,
  config: Config,
  stats: Address | null,
  before: ReadonlySet<string> = new Set(),
): Promise<void> {
  const free = async (address: Address, who: string, where: string): Promise<void> => {
    const options = { backlog: 1, keepAlive: false, reusePort: false };
    const attempt = host.listen(address, options, () => null);
    (await listening(attempt, who, where)).close();
  };
  for (const { name, listen, listen_text } of config.pools) {
    if (listen.path !== "" || listen_text === "") continue;
    if (before.has(placeOf({ listen, listen_text }))) continue;
    await free(listen, `pool "${name}"`, listen_text);
  }
  if (stats !== null) await free(stats, "stats", `${stats.host}:${stats.port}`);
  // Deno lets go of a listener a moment after it was closed.
  await new Promise((resolve) => setTimeout(resolve, LETTING_GO));
}
