// Machines of their own for servers: network namespaces on a bridge, which can be cut off from one
// another and from us. Linux, and for root only.

import { execFileSync } from "node:child_process";
import process from "node:process";
import { canConnect } from "./ports.ts";
import { closers, Running, until, which } from "./processes.ts";
import type { ServerProcess } from "./servers.ts";

/** Number of the machine that the tests run on. */
export const US = 0;

export class Network {
  private readonly name: string;
  private readonly subnet: string;
  private readonly machines: number;

  private constructor(machines: number) {
    this.name = `rmx${process.pid % 100_000}`;
    this.subnet = `10.213.${process.pid % 250}`;
    this.machines = machines;
  }

  /** `n` machines, numbered from 1; or why there are none. */
  static make(n: number): Network | string {
    if (process.getuid?.() !== 0) return "needs root";
    if (which("ip") === "") return "needs ip (iproute2)";
    const network = new Network(n);
    const end = (): void => network.end();
    closers.add(end);
    try {
      network.build();
      return network;
    } catch (error) {
      end();
      closers.delete(end);
      return `no network namespaces: ${String((error as Error).message).trim().split("\n").pop()}`;
    }
  }

  private ip(...words: string[]): void {
    execFileSync(which("ip"), words, { stdio: ["ignore", "ignore", "pipe"] });
  }

  private build(): void {
    const { name, machines } = this;
    this.ip("link", "add", name, "type", "bridge");
    this.ip("addr", "add", `${this.address(US)}/24`, "dev", name);
    this.ip("link", "set", name, "up");
    for (let n = 1; n <= machines; n++) {
      const space = this.space(n);
      this.ip("netns", "add", space);
      this.ip(
        "link",
        "add",
        `${name}v${n}`,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        space,
      );
      this.ip("link", "set", `${name}v${n}`, "master", name, "up");
      this.ip("-n", space, "addr", "add", `${this.address(n)}/24`, "dev", "eth0");
      this.ip("-n", space, "link", "set", "eth0", "up");
      this.ip("-n", space, "link", "set", "lo", "up");
    }
  }

  private space(n: number): string {
    return `${this.name}n${n}`;
  }

  address(n: number): string {
    return `${this.subnet}.${n === US ? 254 : n}`;
  }

  /** What machine `n` sends to the others is lost; what they send to it too, but for what we do. */
  cut(n: number, others: readonly number[]): void {
    this.change("add", n, others);
  }

  join(n: number, others: readonly number[]): void {
    this.change("del", n, others);
  }

  private change(how: "add" | "del", n: number, others: readonly number[]): void {
    const route = (space: number, to: number): void =>
      this.ip("-n", this.space(space), "route", how, "blackhole", `${this.address(to)}/32`);
    for (const other of others) {
      route(n, other);
      if (other !== US) route(other, n);
    }
  }

  /** A redis-server on machine `n`. */
  async startRedis(
    n: number,
    port: number,
    args: string[],
    folder: string,
  ): Promise<ServerProcess> {
    const running = new Running("redis-server", which("ip"), [
      ...["netns", "exec", this.space(n), which("redis-server"), "--port", String(port)],
      ...["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "no"],
      ...["--daemonize", "no", "--dir", folder, ...args],
    ]) as ServerProcess;
    running.port = port;
    await until(
      "redis-server to listen",
      async () => running.gone || await canConnect({ host: this.address(n), port }),
    );
    if (running.gone) throw new Error(`redis-server does not start: ${running.output()}`);
    return running;
  }

  private end(): void {
    for (let n = 1; n <= this.machines; n++) this.tryTo("netns", "del", this.space(n));
    this.tryTo("link", "del", this.name);
  }

  private tryTo(...words: string[]): void {
    try {
      this.ip(...words);
    } catch {
      // it was never there
    }
  }
}
