// One of several workers: a proxy that does what its supervisor says, and ends when that ends.

import type { Host } from "../../core/host.ts";
import type { Hearings } from "../../core/exchange/census.ts";
import type { Fields } from "../../core/log.ts";
import { Proxy } from "../../core/proxy.ts";
import type { MapNews } from "../../core/topology/cluster.ts";
import { type Channel, type LogMethod, type Order, Peer } from "./channel.ts";
import type { System } from "../system/system.ts";
import { snapshotOf } from "../control/local_control.ts";
import type { Log } from "../log/log.ts";

/** The numbers of nutcracker's levels that core's messages have: see log.ts. */
const LEVELS: Readonly<Record<LogMethod, number>> = {
  error: 1,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
};

/** Runs a worker; resolves to its exit status when it is over. */
export function runWorker(host: Host, system: System, channel: Channel): Promise<number> {
  return new Promise((resolve) => {
    const worker = new Worker(host, channel, resolve);
    // The supervisor gets the signals of a terminal too, and says what is to be done.
    for (const signal of ["SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTIN", "SIGTTOU"]) {
      system.on(signal, () => {});
    }
    system.on("SIGTERM", () => worker.drain());
  });
}

class Worker {
  private readonly host: Host;
  private readonly peer: Peer;
  private readonly exit: (status: number) => void;
  private readonly log: Log;
  private proxy: Proxy | null;
  private quiet: boolean;
  /** Notices are left out: other workers give them. */
  private muted: boolean;
  private draining: boolean;

  constructor(host: Host, channel: Channel, exit: (status: number) => void) {
    this.host = host;
    this.exit = exit;
    this.proxy = null;
    this.quiet = false;
    this.muted = false;
    this.draining = false;
    this.log = this.makeLog();
    this.peer = new Peer(channel, {
      order: (order) => this.carryOut(order),
      hearings: (hearings, from) => this.proxy?.heard(from, hearings),
      map: (news) => this.proxy?.heardMap(news),
      closed: () => this.abandoned(),
    });
  }

  private makeLog(): Log {
    const say = (method: LogMethod) => (text: string, fields?: Fields): void => {
      if (this.log.level < LEVELS[method] || (this.muted && method === "notice")) return;
      this.peer.log(method, text, fields);
    };
    return {
      level: 5,
      error: say("error"),
      warn: say("warn"),
      notice: say("notice"),
      info: say("info"),
      debug: say("debug"),
    };
  }

  private carryOut(order: Order): unknown {
    const { proxy } = this;
    if (order.do === "start") return this.start(order);
    if (order.do === "drain") return this.drain();
    if (proxy === null) throw new Error("the worker has not started");
    switch (order.do) {
      case "reload":
        return this.quietly(() => proxy.reload(order.config));
      case "snapshot":
        return snapshotOf(proxy);
      case "rings":
        return proxy.rings(order.pool, order.key);
      case "migrations":
        return proxy.migrations();
      case "migrate":
        return proxy.migrate(order.pool, order.what);
      case "hot":
        return proxy.hot(order.pool);
      case "cluster":
        return proxy.askCluster(order.pool, order.what);
      case "hearings":
        return proxy.tellHearings();
      case "level":
        this.log.level = order.level;
        return null;
    }
  }

  private async start({ config, setup }: Order & { do: "start" }): Promise<void> {
    const { source, segment, reusePort, unixSockets, level, quiet } = setup;
    this.log.level = level;
    this.quiet = quiet;
    const options = { stats: null, source, limits: { segment }, reusePort, unixSockets };
    const hearings = (one: Hearings): void => this.peer.tellHearings(one);
    const maps = (news: MapNews): void => this.peer.tellMap(news);
    const proxy = new Proxy(this.host, config, { ...options, hearings, maps, log: this.log });
    await this.quietly(() => proxy.start());
    this.proxy = proxy;
  }

  private async quietly<T>(fn: () => Promise<T>): Promise<T> {
    this.muted = this.quiet;
    try {
      return await fn();
    } finally {
      this.muted = false;
    }
  }

  drain(): void {
    if (this.draining) return;
    this.draining = true;
    const { proxy } = this;
    if (proxy === null) return this.exit(0);
    // Nothing else may be left that keeps the process alive.
    const alive = setInterval(() => {}, 1000);
    proxy.drain(proxy.drainTimeout).then(() => {
      clearInterval(alive);
      this.exit(0);
    });
  }

  /** The supervisor is gone. */
  private abandoned(): void {
    if (this.draining) this.exit(1);
    else this.drain();
  }
}
