// Pools whose servers are found: asks for them, and has the proxy go over to a configuration that has
// them, as a reload does. One process asks, for all workers. What is made of an answer:
// core/topology/discovery.ts.

import type { ServerConfig } from "../../core/config/address.ts";
import type { DiscoveryConfig } from "../../core/config/groups.ts";
import type { Config, PoolConfig } from "../../core/config/schema.ts";
import type { DiscoverySnapshot } from "../../core/stats/discovery.ts";
import type { Snapshot } from "../../core/stats/snapshot.ts";
import { DiscoveredSet, MOST_SERVERS, type Provider } from "../../core/topology/discovery.ts";
import type { Control, RingView } from "../control/control.ts";
import type { Log } from "../log/log.ts";
import { addressProvider, srvProvider } from "./dns.ts";
import { etcdProvider } from "./etcd.ts";
import { fileProvider } from "./file.ts";

/** How long (ms) the start, or a reload, waits for the first answer. */
const PATIENCE = 5000;
/** Between two questions when there was no answer. */
const RETRY = 5000;
const LONGEST = 2 ** 31 - 1;

/** `folder`: where relative paths begin. */
function providerOf(config: DiscoveryConfig, folder: string): Provider {
  const { srv, dns, port, file, resolver } = config;
  if (srv !== "") return srvProvider(srv, resolver);
  if (dns !== "") return addressProvider(dns, port, resolver);
  return file !== "" ? fileProvider(file, folder) : etcdProvider(config);
}

/** Looks for the servers of one pool. */
class Finder {
  readonly config: DiscoveryConfig;
  readonly set: DiscoveredSet;
  readonly provider: Provider;
  /** There was an answer, or the first question was in vain. */
  readonly asked: Promise<void>;
  private readonly pool: string;
  private readonly label: string;
  private readonly log: Log;
  private readonly changed: () => void;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watcher: { stop(): void } | null;
  private asking: boolean;
  /** There is news while it is asked. */
  private again: boolean;
  private stopped: boolean;
  private told: string;

  constructor(
    pool: PoolConfig,
    config: DiscoveryConfig,
    provider: Provider,
    log: Log,
    changed: () => void,
    before: readonly ServerConfig[],
  ) {
    this.config = config;
    this.set = new DiscoveredSet(before);
    this.provider = provider;
    this.pool = pool.name;
    this.label = `pool "${pool.name}": discovery (${provider.label})`;
    this.log = log;
    this.changed = changed;
    this.timer = undefined;
    this.watcher = null;
    this.asking = false;
    this.again = false;
    this.stopped = false;
    this.told = "";
    if (config.dns !== "") {
      log.warn(
        `${this.label}: servers are named by their addresses: keys move whenever one gets another; ` +
          "SRV records give names that stay",
        { event: "discovery_by_address", pool: pool.name },
      );
    }
    this.asked = this.ask();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.watcher?.stop();
  }

  private async ask(): Promise<void> {
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    clearTimeout(this.timer);
    const wait = await this.askOnce();
    this.asking = false;
    if (this.stopped) return;
    this.watcher ??= this.provider.watch?.(() => void this.ask()) ?? null;
    const next = this.again ? this.config.min : wait;
    this.again = false;
    if (next === Infinity) return;
    this.timer = setTimeout(() => void this.ask(), Math.min(LONGEST, next));
    this.timer.unref?.();
  }

  /** How long (ms) to wait before the next question. */
  private async askOnce(): Promise<number> {
    const { provider, set, pool, label, config: { min, max_loss } } = this;
    try {
      const { servers, ttl } = await provider.ask();
      if (this.stopped) return Infinity;
      if (servers.length === 0) throw new Error("the answer is empty");
      if (servers.length > MOST_SERVERS) {
        throw new Error(`the answer has ${servers.length} servers (at most ${MOST_SERVERS})`);
      }
      const lost = set.lost(servers);
      const outcome = set.answered(servers, max_loss, Date.now());
      if (outcome === "refused") {
        this.log.warn(
          `${label}: the answer has ${servers.length} servers and loses ${lost.length} of ` +
            `${set.servers.length}, more than max_loss ${max_loss}: kept until three answers agree`,
          { event: "discovery_refused", pool, servers: servers.length, lost: lost.length },
        );
        return min;
      }
      if (this.told !== "") {
        this.log.notice(`${label}: answers again`, { event: "discovery_answers", pool });
      }
      this.told = "";
      if (outcome === "changed") {
        this.log.notice(`${label}: ${describe(set.servers)}`, {
          event: "discovery_changed",
          pool,
          servers: set.servers.length,
        });
        this.changed();
      }
      return Math.max(min, ttl);
    } catch (error) {
      const { message } = error as Error;
      if (this.stopped) return Infinity;
      set.failed(message);
      if (message !== this.told) {
        const kept = set.servers.length === 0
          ? "no servers yet"
          : `the ${set.servers.length} servers stay`;
        this.log.warn(`${label}: ${message}; ${kept}`, {
          event: "discovery_failed",
          pool,
          reason: message,
        });
      }
      this.told = message;
      return Math.max(min, RETRY);
    }
  }

  snapshot(): DiscoverySnapshot {
    const { at, servers, changes, failures, refused, error } = this.set;
    const { label: source } = this.provider;
    return { source, at, size: servers.length, changes, failures, refused, error };
  }
}

function describe(servers: readonly ServerConfig[]): string {
  const shown = servers.slice(0, 8).map(({ name }) => name).join(", ");
  const more = servers.length > 8 ? `, and ${servers.length - 8} more` : "";
  return `${servers.length} servers: ${shown}${more}`;
}

export class Discovery {
  private readonly log: Log;
  private readonly folder: string;
  private readonly make: (config: DiscoveryConfig, folder: string) => Provider;
  private finders: Map<string, Finder>;
  /** As the file has it. */
  private config: Config | null;
  private apply: ((config: Config) => Promise<unknown> | void) | null;
  /** One change at a time. */
  private last: Promise<unknown>;
  private changing: boolean;

  constructor(log: Log, folder: string, make = providerOf) {
    this.log = log;
    this.folder = folder;
    this.make = make;
    this.finders = new Map();
    this.config = null;
    this.apply = null;
    this.last = Promise.resolve();
    this.changing = false;
  }

  /** The configuration to start with. */
  async start(config: Config): Promise<Config> {
    const { finders } = this.findersFor(config);
    this.finders = finders;
    this.config = config;
    await this.answers(finders);
    return withServers(config, finders);
  }

  /** From now on changes are carried out by this. */
  begin(apply: (config: Config) => Promise<unknown> | void): void {
    this.apply = apply;
    if (this.config !== null && this.finders.size > 0) this.changed();
  }

  /** Another configuration file; rejects, with nothing changed, when it cannot be taken over. */
  reload(config: Config): Promise<unknown> {
    return this.inTurn(async () => {
      const { finders, fresh } = this.findersFor(config);
      try {
        await this.answers(finders);
        await this.apply?.(withServers(config, finders));
      } catch (error) {
        for (const finder of fresh) finder.stop();
        throw error;
      }
      for (const finder of this.finders.values()) {
        if (![...finders.values()].includes(finder)) finder.stop();
      }
      this.finders = finders;
      this.config = config;
    });
  }

  stop(): void {
    for (const finder of this.finders.values()) finder.stop();
    this.apply = null;
  }

  /** The same, with what is known of discovery where pools are shown. */
  shownBy(control: Control): Control {
    const seen = <T extends { readonly discovery?: DiscoverySnapshot }>(name: string, of: T): T => {
      const finder = this.finders.get(name);
      return finder === undefined ? of : { ...of, discovery: finder.snapshot() };
    };
    // All else is asked of it as it is.
    return Object.assign(Object.create(control) as Control, {
      snapshot: async (): Promise<Snapshot> => {
        const all = await control.snapshot();
        return { ...all, pools: all.pools.map((pool) => seen(pool.name, pool)) };
      },
      rings: async (pool?: string, key?: string): Promise<RingView[]> =>
        (await control.rings(pool, key)).map((ring) => seen(ring.pool, ring)),
    });
  }

  private changed(): void {
    if (this.changing || this.apply === null) return;
    this.changing = true;
    this.inTurn(async () => {
      this.changing = false;
      if (this.config !== null) await this.apply?.(withServers(this.config, this.finders));
    }).catch((error) => {
      this.log.error(`discovery: the servers could not be changed: ${(error as Error).message}`);
    });
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.last.then(work);
    this.last = result.catch(() => {});
    return result;
  }

  /** Who looks for the servers of which pool: those that do so already go on. */
  private findersFor(config: Config): { finders: Map<string, Finder>; fresh: Finder[] } {
    const finders = new Map<string, Finder>();
    const fresh: Finder[] = [];
    for (const pool of config.pools) {
      if (pool.discovery === undefined) continue;
      const old = this.finders.get(pool.name);
      if (old !== undefined && JSON.stringify(old.config) === JSON.stringify(pool.discovery)) {
        finders.set(pool.name, old);
        continue;
      }
      const provider = this.make(pool.discovery, this.folder);
      // It is another source: what the one before knew is kept until this one answers.
      const before = old?.set.servers ?? [];
      const changed = (): void => this.changed();
      const finder = new Finder(pool, pool.discovery, provider, this.log, changed, before);
      finders.set(pool.name, finder);
      fresh.push(finder);
    }
    return { finders, fresh };
  }

  /** Each has been asked once; not longer than PATIENCE. */
  private async answers(finders: ReadonlyMap<string, Finder>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, PATIENCE));
    await Promise.race([late, Promise.all([...finders.values()].map(({ asked }) => asked))]);
    clearTimeout(timer);
  }
}

function withServers(config: Config, finders: ReadonlyMap<string, Finder>): Config {
  const pools = config.pools.map((pool) => {
    const finder = finders.get(pool.name);
    return finder === undefined ? pool : { ...pool, servers: [...finder.set.servers] };
  });
  return { ...config, pools };
}
