// The Redis Cluster behind the cluster rows: nodes without replicas, each with its third of the slots
// and the keys in them, and slots that move while a row runs.

import { connect } from "node:net";
import { slotOf } from "../core/hash/slot.ts";
import { ask, type Child, freePort, LOAD_CORES, start, untilAnswers } from "./child.ts";
import { executable } from "./packages.ts";
import { keyName, type Shape, value } from "./requests.ts";

const SLOTS = 16384;
const PATIENCE_MS = 10000;
const PAUSE_MS = 20;
const ascii = new TextEncoder();

interface Node {
  readonly child: Child;
  readonly port: number;
  /** For its talk with the others. */
  readonly bus: number;
  id: string;
}

function request(...words: (string | number)[]): string {
  const args = words.map((word) => `$${String(word).length}\r\n${word}\r\n`);
  return `*${words.length}\r\n${args.join("")}`;
}

/** Throws when the answer is an error. */
async function tell({ port }: Node, ...words: (string | number)[]): Promise<string> {
  const answer = await ask(port, request(...words), PATIENCE_MS);
  if (answer.startsWith("-")) throw new Error(`${words.join(" ")}: ${answer.trim()}`);
  return answer;
}

export class BenchCluster {
  /** Where the nodes keep what they know of each other. */
  private readonly folder: string;
  private nodes: Node[];
  /** By slot: the number of its owner. */
  private readonly owners: Uint8Array;
  private filled: string;

  constructor(folder: string) {
    this.folder = folder;
    this.nodes = [];
    this.owners = new Uint8Array(SLOTS);
    this.filled = "";
  }

  /** Ports of `count` nodes that have agreed and hold the keys of `shape`. */
  async provide(shape: Shape, count: number): Promise<number[]> {
    if (this.nodes.length !== count) {
      await this.stop();
      await this.begin(count);
    }
    await this.fill(shape);
    return this.nodes.map(({ port }) => port);
  }

  private async begin(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.nodes.push(await this.startNode());
    for (const [i, node] of this.nodes.entries()) {
      const [from, to] = [i, i + 1].map((part) => Math.floor(part * SLOTS / count));
      this.owners.fill(i, from, to);
      await tell(node, "CLUSTER", "ADDSLOTSRANGE", from, to - 1);
      if (i > 0) {
        await tell(node, "CLUSTER", "MEET", "127.0.0.1", this.nodes[0].port, this.nodes[0].bus);
      }
      node.id = (await tell(node, "CLUSTER", "MYID")).split("\r\n")[1];
    }
    const end = Date.now() + PATIENCE_MS;
    for (const node of this.nodes) {
      for (;;) {
        const info = await tell(node, "CLUSTER", "INFO");
        if (info.includes("state:ok") && info.includes(`known_nodes:${count}`)) break;
        if (Date.now() > end) throw new Error("the nodes of the cluster do not agree");
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  private async startNode(): Promise<Node> {
    const program = executable("redis-server");
    if (program === "") throw new Error("redis-server is not installed");
    const [port, bus] = [await freePort(), await freePort()];
    const child = start([
      ...[program, "--port", String(port), "--cluster-port", String(bus), "--bind", "127.0.0.1"],
      ...["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", this.folder],
      ...["--maxclients", "15000", "--tcp-backlog", "1024", "--cluster-enabled", "yes"],
      ...["--cluster-config-file", `nodes-${port}.conf`],
    ], LOAD_CORES);
    const node: Node = { child, port, bus, id: "" };
    this.nodes.push(node);
    const why = await untilAnswers(child, port, "PING\r\n", "+PONG", 5000);
    this.nodes.pop();
    if (why === "") return node;
    await child.stop();
    throw new Error(`a node of the cluster does not start: ${why}`);
  }

  /** Every key at its own node. */
  private async fill(shape: Shape): Promise<void> {
    const content = `${shape.size} ${shape.keyspace}`;
    if (this.filled === content) return;
    for (const node of this.nodes) await tell(node, "FLUSHALL");
    const parts: string[][] = this.nodes.map(() => []);
    for (let key = 0; key < shape.keyspace; key++) {
      const name = ascii.encode(keyName(key));
      const owner = this.owners[slotOf(name, 0, name.length)];
      parts[owner].push(request("SET", keyName(key), value(key, shape.size)));
    }
    await Promise.all(parts.map((sets, i) => this.send(this.nodes[i], sets)));
    this.filled = content;
  }

  private send({ port }: Node, sets: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(sets.join("")));
      let left = sets.length * "+OK\r\n".length;
      socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error("no answer")));
      socket.on("error", reject);
      socket.on("data", (bytes) => {
        left -= bytes.length;
        if (left > 0) return;
        socket.destroy();
        resolve();
      });
      if (left === 0) socket.end(resolve);
    });
  }

  /** Moves slots from node to node, some 50 a second, until it is told to stop. */
  move(): () => Promise<void> {
    let stopped = false;
    const moving = (async () => {
      for (let slot = 0; !stopped; slot = (slot + 1) % SLOTS) {
        await this.moveOne(slot);
        // It shares its core with the load and the servers.
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    })();
    moving.catch((error) => console.log(`slots do not move any more: ${error.message}`));
    return async () => {
      stopped = true;
      await moving.catch(() => {});
    };
  }

  private async moveOne(slot: number): Promise<void> {
    const from = this.nodes[this.owners[slot]];
    const next = (this.owners[slot] + 1) % this.nodes.length;
    const to = this.nodes[next];
    await tell(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
    await tell(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
    const keys = (await tell(from, "CLUSTER", "GETKEYSINSLOT", slot, 1000)).split("\r\n")
      .filter((line) => line.startsWith("key:"));
    if (keys.length > 0) {
      await tell(from, "MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", ...keys);
    }
    for (const node of [to, from]) await tell(node, "CLUSTER", "SETSLOT", slot, "NODE", to.id);
    this.owners[slot] = next;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map(({ child }) => child.stop()));
    this.filled = "";
  }
}
