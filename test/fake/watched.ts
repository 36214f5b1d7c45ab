// A pool of one shard, "a", that Sentinels watch over, on a FakeHost: Sentinels that say what the test
// tells them to, and servers a, b, c in its hands, but for what they say of their role.

import { FarEnd, nameAt, portOf } from "./far_end.ts";
import type { FakeSocket } from "./fake_host.ts";
import { bulk, command, type Setting } from "./fixture.ts";

const HOST = "10.0.0.1";
/** Where Sentinels are. */
export const SENTINEL_PORTS = [7901, 7902, 7903];

/** What a Sentinel says of the shard, and of itself. */
export class Saying {
  primary = "a";
  epoch = 1;
  flags = "master";
  isTilted = false;
  /** Ports of the others that it knows. */
  others: number[] = [];
}

export class Watched extends FarEnd {
  /** By port. */
  readonly sayings = new Map<number, Saying>();
  /** Servers that say they are primaries. */
  readonly primaries = new Set(["a"]);
  /** Who was asked for its view of the shard; whose role was asked for. */
  readonly asked: number[] = [];
  readonly roles: string[] = [];
  /** Connections that are subscribed to a Sentinel's events; Sentinels that take no subscription. */
  readonly ears = new Map<number, FakeSocket>();
  readonly deaf = new Set<number>();

  /** Sentinels of the configuration, and more that are there. */
  static async start(
    config: string[] = [],
    configured: number[] = [SENTINEL_PORTS[0]],
    before: (watched: Watched) => void = () => {},
    more: Setting = {},
  ): Promise<Watched> {
    const watched = new Watched();
    for (const port of SENTINEL_PORTS) watched.sayings.set(port, new Saying());
    before(watched);
    const lines = [...config, Watched.line(configured)];
    await watched.begin({ servers: ["a"], config: lines, ...more });
    watched.host.pass(500); // until it hears their events
    return watched;
  }

  /** The pool's line that names Sentinels. */
  static line(ports: readonly number[]): string {
    return `sentinels: [${ports.map((port) => `"${HOST}:${port}:1"`).join(", ")}]`;
  }

  /** Every Sentinel says so. */
  say(change: Partial<Saying>): void {
    for (const saying of this.sayings.values()) Object.assign(saying, change);
  }

  /** A Sentinel publishes something. */
  publish(port: number, channel: string, text: string): void {
    this.ears.get(port)?.send(command("message", channel, text));
    this.host.settle();
  }

  protected answerTo(words: readonly string[], socket: FakeSocket): string | null {
    const port = Number(socket.remote.split(":")[1]);
    const saying = this.sayings.get(port);
    if (saying !== undefined) return this.sentinelsAnswer(words, port, saying, socket);
    if (words[0] !== "ROLE") return null;
    const name = nameAt(port);
    this.roles.push(name);
    return command(this.primaries.has(name) ? "master" : "slave", "0");
  }

  private sentinelsAnswer(
    [what, which = ""]: readonly string[],
    port: number,
    saying: Saying,
    socket: FakeSocket,
  ): string {
    switch (`${what} ${which}`.toUpperCase().trim()) {
      case "SENTINEL MYID":
        return bulk(`id${port}`);
      case "INFO SENTINEL":
        return bulk(`# Sentinel\r\nsentinel_tilt:${saying.isTilted ? 1 : 0}\r\n`);
      case "SENTINEL MASTER":
        this.asked.push(port);
        return command("config-epoch", String(saying.epoch), "flags", saying.flags);
      case "SENTINEL GET-MASTER-ADDR-BY-NAME":
        return command(HOST, String(portOf(saying.primary)));
      case "SENTINEL SLAVES":
        return "*0\r\n";
      case "SENTINEL SENTINELS":
        return `*${saying.others.length}\r\n` +
          saying.others.map((other) => command("ip", HOST, "port", String(other))).join("");
      case "PING": // of a subscriber
        return `*2\r\n${bulk("pong")}${bulk("")}`;
      default: // SUBSCRIBE
        if (this.deaf.has(port)) return "";
        this.ears.set(port, socket);
        return `*3\r\n${bulk("subscribe")}${bulk(which)}:1\r\n`;
    }
  }
}
