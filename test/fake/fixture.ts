// A proxy with one pool on a FakeHost, and watchers over what it borrows: a buffer or a Request
// that is given back twice, or used after it was, is an error. Servers do nothing by themselves:
// a test reads what they received and says what they answer.

import { loadConfig } from "../../core/config/load.ts";
import type { Pool, Routing } from "../../core/pool.ts";
import { Proxy } from "../../core/proxy.ts";
import type { Request } from "../../core/exchange/request.ts";
import type { Limits } from "../../core/client/context.ts";
import { bytes } from "../../core/bytes.ts";
import { FakeHost, type FakeSocket } from "./fake_host.ts";

export const PORT = 7000;
/** Port of the first server; the next one's is one more. */
const SERVER_PORT = 7101;

export interface Setting {
  /** Names of the servers; one unless told. */
  servers?: string[];
  /** Names of replicas, by server. */
  replicas?: Record<string, string[]>;
  /** More lines of the pool's configuration. */
  config?: string[];
  memcached?: boolean;
  limits?: Partial<Limits>;
  host?: FakeHost;
  /** Another route than the ring. */
  routing?: Routing;
  /** More pools. */
  more?: string;
  /** For `reload`: another port; the pool is removed. */
  port?: number;
  gone?: boolean;
}

/** The configuration of a pool; a server's port is told by its place in `known`. */
export function poolLines(
  name: string,
  port: number,
  setting: Setting,
  servers: string[],
  known: string[],
): string[] {
  return [
    `${name}:`,
    `  listen: 127.0.0.1:${port}`,
    `  redis: ${setting.memcached !== true}`,
    ...(setting.config ?? []).map((line) => `  ${line}`),
    "  servers:",
    ...servers.map((server) => {
      const [bare, weight] = server.split("*");
      const place = (one: string) => `10.0.0.1:${SERVER_PORT + known.indexOf(one)}`;
      const line = `${place(bare)}:${weight ?? 1} ${bare}`;
      const replicas = setting.replicas?.[bare]?.map((one) => `"${place(one)}"`);
      return replicas === undefined
        ? `   - ${line}`
        : `   - {server: "${line}", replicas: [${replicas}]}`;
    }),
  ];
}

export class Fixture {
  readonly host: FakeHost;
  readonly proxy: Proxy;
  readonly pool: Pool;
  readonly logged: string[];
  readonly watch: Watch;
  private readonly names: string[];

  private constructor(host: FakeHost, proxy: Proxy, names: string[], logged: string[]) {
    this.host = host;
    this.proxy = proxy;
    this.pool = proxy.pools[0];
    this.names = names;
    this.logged = logged;
    this.watch = new Watch(this.pool);
  }

  static async start(setting: Setting = {}): Promise<Fixture> {
    const host = setting.host ?? new FakeHost();
    const servers = setting.servers ?? ["a"];
    const names = [...servers, ...Object.values(setting.replicas ?? {}).flat()];
    const lines = poolLines("p", PORT, setting, servers, names);
    const logged: string[] = [];
    const note = (level: string) => (message: string) => void logged.push(`${level} ${message}`);
    const log = {
      error: note("error"),
      warn: note("warn"),
      notice: note("notice"),
      info: note("info"),
      debug: note("debug"),
    };
    const options = {
      log,
      stats: null,
      source: "here",
      limits: setting.limits,
      routing: setting.routing,
    };
    const proxy = new Proxy(
      host,
      loadConfig(`${lines.join("\n")}\n${setting.more ?? ""}`),
      options,
    );
    const fixture = new Fixture(host, proxy, names, logged);
    await proxy.start();
    return fixture;
  }

  /**
   * Goes over to other settings of the pool, and to more pools if `more` has any. A server that had
   * a name before keeps its address; `name*3` is one of weight 3.
   */
  async reload(setting: Setting, more = ""): Promise<string[]> {
    const names = setting.servers ?? this.names;
    for (const name of [...names, ...Object.values(setting.replicas ?? {}).flat()]) {
      const [bare] = name.split("*");
      if (!this.names.includes(bare)) this.names.push(bare);
    }
    const port = setting.port ?? PORT;
    const lines = setting.gone ? [] : poolLines("p", port, setting, names, this.names);
    return await this.proxy.reload(loadConfig(`${lines.join("\n")}\n${more}`));
  }

  client(): FakeSocket {
    return this.host.client(PORT);
  }

  /** Connections to a server, oldest first, those that are gone left out. */
  connections(name: string): FakeSocket[] {
    const remote = this.remote(name);
    return this.host.outgoing.filter((socket) => socket.remote === remote && !socket.gone);
  }

  /** How often the proxy has connected to a server. */
  attempts(name: string): number {
    const remote = this.remote(name);
    return this.host.outgoing.filter((socket) => socket.remote === remote).length;
  }

  /** The one connection to a server. */
  server(name: string): FakeSocket {
    const open = this.connections(name);
    if (open.length !== 1) throw new Error(`server ${name} has ${open.length} connections`);
    return open[0];
  }

  private remote(name: string): string {
    return `10.0.0.1:${SERVER_PORT + this.names.indexOf(name)}`;
  }

  /** The name of the server that has a key now; "" when none is alive. */
  owner(key: string): string {
    const server = this.pool.route.pick(bytes(key), 0, key.length, 0);
    return server.available ? server.name : "";
  }

  /** The `n`th of the keys that a server has. */
  key(name: string, n = 0): string {
    for (let i = 0; i < 100_000; i++) {
      const key = `key${i}`;
      if (this.owner(key) === name && n-- === 0) return key;
    }
    throw new Error(`server ${name} has no key`);
  }

  settle(): void {
    this.host.settle();
  }

  /** A client says something, and all that follows from it by itself happens. */
  say(client: FakeSocket, data: string | Uint8Array): void {
    client.send(data);
    this.settle();
  }
}

/** Watches over the pool's buffers and requests. */
export class Watch {
  /** Buffers and requests that somebody holds. */
  readonly buffers: Set<Uint8Array>;
  readonly requests: Set<Request>;

  constructor(pool: Pool) {
    this.buffers = new Set();
    this.requests = new Set();
    this.watchBuffers(pool.buffers);
    this.watchRequests(pool.requests);
  }

  private watchBuffers(pool: Pool["buffers"]): void {
    const take = pool.take.bind(pool);
    const give = pool.give.bind(pool);
    pool.take = (size) => {
      const buf = take(size);
      if (buf.length < size) throw new Error("a buffer is too small");
      if (this.buffers.has(buf)) throw new Error("a buffer was given out twice");
      buf.fill(0x23);
      this.buffers.add(buf);
      return buf;
    };
    pool.give = (buf) => {
      if (!this.buffers.delete(buf)) throw new Error("a buffer was given back twice");
      buf.fill(0x21);
      give(buf);
    };
  }

  private watchRequests(pool: Pool["requests"]): void {
    const { requests } = this;
    const took = (request: Request): Request => {
      if (requests.has(request)) throw new Error("a request was given out twice");
      if (request.ready || request.chunk !== null || request.failure !== "" || request.mute !== 0) {
        throw new Error("a used request was given out");
      }
      requests.add(request);
      return request;
    };
    const gave = (request: Request): void => {
      if (!requests.delete(request)) throw new Error("a request was given back twice");
    };
    const take = pool.take.bind(pool);
    const takeParent = pool.takeParent.bind(pool);
    const give = pool.give.bind(pool);
    const givePlain = pool.givePlain.bind(pool);
    pool.take = (client) => took(take(client));
    pool.takeParent = (client, nkeys) => took(takeParent(client, nkeys));
    pool.give = (request) => {
      gave(request);
      give(request);
    };
    pool.givePlain = (request) => {
      gave(request);
      givePlain(request);
    };
  }
}

/** A command as an array of bulk strings. */
export function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map(bulk).join("")}`;
}

export function bulk(value: string): string {
  return `$${value.length}\r\n${value}\r\n`;
}
