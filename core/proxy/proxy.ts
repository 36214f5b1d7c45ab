// The whole proxy: all pools of a configuration and the stats port, on one runtime.

import type { Config } from "../config/schema.ts";
import { errnoText } from "../errno.ts";
import type { Address, Host, Listener } from "../host.ts";
import type { Log } from "../log.ts";
import { statsLine } from "../stats/report.ts";
import { StatsConnection } from "../stats/connection.ts";
import type { Snapshot } from "../stats/snapshot.ts";
import { VERSION } from "../version.ts";
import { type Limits, Pool } from "./pool.ts";

export interface ProxyOptions {
  readonly log: Log;
  /** Where the stats JSON is served; null for nowhere. */
  readonly stats: Address | null;
  /** Host name shown in the stats. */
  readonly source: string;
  /** Bounds on memory; defaults where absent. */
  readonly limits?: Partial<Limits>;
  /** Several processes listen on the same ports. */
  readonly reusePort?: boolean;
}

const DEFAULT_LIMITS: Limits = {
  request: 1 << 30, // Redis's own client-query-buffer-limit
  clientOutput: 256 << 20, // as Redis's client-output-buffer-limit for replicas
  segment: 65536,
};

/** Says in an error which address it was that cannot be had, in the same words on every runtime. */
async function listening<T>(attempt: Promise<T>, who: string, where: string): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const why = code === undefined || errnoText(code) === code ? message : errnoText(code);
    throw new Error(`${who}: cannot listen on ${where}: ${why}`);
  }
}

export class Proxy {
  readonly pools: readonly Pool[];
  private readonly host: Host;
  private readonly options: ProxyOptions;
  private readonly startedAt: number;
  private statsListener: Listener | null;

  constructor(host: Host, config: Config, options: ProxyOptions) {
    this.host = host;
    this.options = options;
    this.startedAt = host.now();
    this.statsListener = null;
    this.pools = config.pools.map((pool) =>
      new Pool(pool, {
        host,
        log: options.log,
        limits: { ...DEFAULT_LIMITS, ...options.limits },
        version: VERSION,
        startedAt: this.startedAt,
        reusePort: options.reusePort ?? false,
      })
    );
  }

  /** Listens everywhere. Rejects, with nothing left listening, when one address cannot be had. */
  async start(): Promise<void> {
    const { log, stats } = this.options;
    try {
      for (const pool of this.pools) {
        await listening(pool.start(), pool.label, pool.config.listen_text);
        log.notice(
          `${pool.label}: listening on ${pool.config.listen_text} for ` +
            `${pool.config.redis ? "redis" : "memcached"}, ${pool.servers.length} servers`,
        );
      }
      if (stats !== null) {
        const options = {
          backlog: 128,
          keepAlive: false,
          reusePort: this.options.reusePort ?? false,
        };
        const listener = this.host.listen(
          stats,
          options,
          (socket) => new StatsConnection(socket, this.stats()),
        );
        this.statsListener = await listening(listener, "stats", `${stats.host}:${stats.port}`);
        log.notice(`stats on ${stats.host}:${this.statsListener.port}`);
      }
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Closes everything at once. */
  stop(): void {
    this.statsListener?.close();
    this.statsListener = null;
    for (const pool of this.pools) pool.stop();
  }

  /** Port of the stats; 0 when they are not served. */
  get statsPort(): number {
    return this.statsListener?.port ?? 0;
  }

  /** The stats JSON, with its line end. */
  stats(): string {
    return statsLine(this.snapshot());
  }

  snapshot(): Snapshot {
    return {
      source: this.options.source,
      version: VERSION,
      runtime: this.host.runtime,
      uptime: Math.floor((this.host.now() - this.startedAt) / 1000),
      time: this.host.wallClock(),
      workers: 1,
      pools: this.pools.map((pool) => pool.snapshot()),
    };
  }
}
