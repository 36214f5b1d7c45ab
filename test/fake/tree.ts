// A front with routes to pools of one server each, on a FakeHost. Servers do nothing by themselves: a
// test reads what they received and says what they answer.

import { loadConfig } from "../../core/config/load.ts";
import type { Pool } from "../../core/pool.ts";
import { Proxy } from "../../core/proxy.ts";
import { FakeHost, type FakeSocket } from "./fake_host.ts";
import { Watch } from "./fixture.ts";

const FIRST_PORT = 7201;
export const FRONT_PORT = 7200;

export interface TreeSetting {
  memcached?: boolean;
  /** Lines of the targets' configuration. */
  config?: string[];
  /** More lines of the front's. */
  front?: string[];
}

export class TreeFixture {
  readonly host: FakeHost;
  readonly proxy: Proxy;
  readonly watch: Watch;
  readonly client: FakeSocket;
  readonly logged: string[];
  private readonly names: readonly string[];

  private constructor(
    host: FakeHost,
    proxy: Proxy,
    names: readonly string[],
    logged: string[],
  ) {
    this.logged = logged;
    this.host = host;
    this.proxy = proxy;
    this.names = names;
    this.watch = new Watch(this.front);
    this.client = host.client(FRONT_PORT);
  }

  /** `routes` in one line of YAML; pools of these names, each with one server. */
  static async start(
    routes: string,
    names: readonly string[] = ["a", "b", "c"],
    setting: TreeSetting = {},
  ): Promise<TreeFixture> {
    const host = new FakeHost();
    const logged: string[] = [];
    const note = (message: string) => void logged.push(message);
    const log = { error: note, warn: note, notice: note, info: note, debug: note };
    const text = TreeFixture.text(routes, names, setting);
    const proxy = new Proxy(host, loadConfig(text), { log, stats: null, source: "here" });
    await proxy.start();
    return new TreeFixture(host, proxy, names, logged);
  }

  static text(routes: string, names: readonly string[], setting: TreeSetting = {}): string {
    const redis = `  redis: ${setting.memcached !== true}\n`;
    const more = (lines: string[] = []) => lines.map((line) => `  ${line}\n`).join("");
    const targets = names.map((name, i) =>
      `${name}:\n  listen: 127.0.0.1:${7300 + i}\n${redis}${
        more(setting.config)
      }  servers: [10.0.0.1:${FIRST_PORT + i}:1 s${name}]\n`
    );
    return `front:\n  listen: 127.0.0.1:${FRONT_PORT}\n${redis}${more(setting.front)}` +
      `  routes: ${routes}\n${targets.join("")}`;
  }

  pool(name: string): Pool {
    return this.proxy.pools.find((pool) => pool.name === name) as Pool;
  }

  get front(): Pool {
    return this.pool("front");
  }

  /** The open connections to a pool's server. */
  sockets(name: string): FakeSocket[] {
    const remote = `10.0.0.1:${FIRST_PORT + this.names.indexOf(name)}`;
    return this.host.outgoing.filter((socket) => socket.remote === remote && !socket.gone);
  }

  /** What a pool's server has received since the last call. */
  received(name: string): string {
    return this.sockets(name).map((socket) => socket.received()).join("");
  }

  /** The client says something, and all that follows from it by itself happens. */
  say(data: string): void {
    this.client.send(data);
    this.host.settle();
  }

  /** A pool's server answers. */
  reply(name: string, data: string): void {
    const [socket] = this.sockets(name);
    if (socket === undefined) throw new Error(`nobody is connected to ${name}`);
    socket.send(data);
    this.host.settle();
  }

  /** The connections to a pool's server break. */
  fail(name: string, error = "ECONNRESET"): void {
    for (const socket of this.sockets(name)) socket.fail(error);
    this.host.settle();
  }

  /** From now on a pool's server refuses connections. */
  refuse(...names: string[]): void {
    const ports = names.map((name) => FIRST_PORT + this.names.indexOf(name));
    this.host.onConnect = (socket, address) =>
      this.host.later(() =>
        ports.includes(address.port) ? socket.fail("ECONNREFUSED") : socket.openNow()
      );
  }

  /** What the client has got since the last call. */
  got(): string {
    return this.client.received();
  }

  pass(ms: number): void {
    this.host.pass(ms);
    this.host.settle();
  }
}
