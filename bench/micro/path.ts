// What a request costs ringmux from socket to socket and back, without any socket: a runtime made
// of memory, 50 clients, canned servers. A task is one turn with the requests of all clients and one
// with all replies; the kernel's and the runtime's part is all that is missing.

import type { Bench } from "tinybench";
import { viewed } from "../../core/bytes.ts";
import { loadConfig } from "../../core/config/load.ts";
import type { Host, Socket, SocketHandler } from "../../core/host.ts";
import { Proxy } from "../../core/proxy.ts";

declare const process: { versions: Record<string, string> };

const CLIENTS = 50;
const SLOTS = 16384;
/** Bytes of one read. */
const READ = 65536;
const VALUE = "v".repeat(32);

const encoder = new TextEncoder();

/** As the adapters give what they have read; on Bun `deliver` copies, too. */
function asRead(text: string): Uint8Array {
  return viewed(encoder.encode(text));
}
const isBun = process.versions.bun !== undefined;
const readBuffer = viewed(new Uint8Array(READ));
const decoder = new TextDecoder();

/** Takes everything; `seen` is what came since it was last emptied, if that is to be kept. */
class MemorySocket implements Socket {
  readonly remote = "memory";
  readonly copies = true;
  handler: SocketHandler | null = null;
  keeps = true;
  seen: Uint8Array[] = [];

  write(buf: Uint8Array, start: number, end: number): number {
    if (this.keeps) this.seen.push(buf.slice(start, end));
    return end - start;
  }
  pause(): void {}
  resume(): void {}
  shutdown(): void {}
  close(): void {}

  take(): string {
    const text = this.seen.map((part) => decoder.decode(part)).join("");
    this.seen = [];
    return text;
  }
}

class MemoryHost implements Host {
  readonly runtime = "memory";
  readonly servers: MemorySocket[] = [];
  accept: ((socket: Socket) => SocketHandler | null) | null = null;
  private waiting: (() => void)[] = [];
  private clock = 0;

  listen(_: unknown, __: unknown, accept: (socket: Socket) => SocketHandler | null) {
    this.accept = accept;
    return Promise.resolve({ port: 1, close() {} });
  }
  connect(_: unknown, handler: SocketHandler): Socket {
    const socket = new MemorySocket();
    socket.handler = handler;
    this.servers.push(socket);
    return socket;
  }
  now(): number {
    return this.clock += 0.1;
  }
  wallClock(): number {
    return 0;
  }
  every() {
    return { cancel() {} };
  }
  endOfTurn(fn: () => void): void {
    this.waiting.push(fn);
  }
  nap(): void {}
  random(): number {
    return 0;
  }

  turn(): void {
    while (this.waiting.length > 0) (this.waiting.shift() as () => void)();
  }
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const array = (...words: string[]): string => `*${words.length}\r\n${words.map(bulk).join("")}`;
const key = (i: number): string => `key:${String(i * 7919 % 10000).padStart(12, "0")}`;

/** The replies of a Redis server to a stream of GET, SET, MGET and MSET. */
function redisReplies(requests: string): string {
  let replies = "";
  const words = requests.split("\r\n");
  for (let at = 0; at + 1 < words.length;) {
    const count = Number(words[at].slice(1));
    const name = words[at + 2].toLowerCase();
    if (name === "get") replies += bulk(VALUE);
    else if (name === "mget") replies += array(...new Array(count - 1).fill(VALUE));
    else replies += "+OK\r\n";
    at += 1 + 2 * count;
  }
  return replies;
}

/** The replies of a memcached server to a stream of get. */
function memcachedReplies(requests: string): string {
  return requests.split("\r\n").slice(0, -1).map((line) =>
    line.trim().split(" ").slice(1)
      .map((name) => `VALUE ${name} 0 ${VALUE.length}\r\n${VALUE}\r\n`).join("") + "END\r\n"
  ).join("");
}

interface Delivery {
  readonly to: MemorySocket;
  readonly bytes: Uint8Array;
}

function deliver(deliveries: readonly Delivery[], host: MemoryHost): void {
  for (const { to, bytes } of deliveries) {
    const handler = to.handler as SocketHandler;
    for (let at = 0; at < bytes.length; at += READ) {
      const end = Math.min(bytes.length, at + READ);
      if (!isBun || bytes.length < 128 || bytes.length > READ) handler.data(bytes, at, end);
      else {
        readBuffer.set(bytes);
        handler.data(readBuffer, 0, end);
      }
    }
  }
  host.turn();
}

/** Answers the first question of the pool: the nodes have slots in turn. */
function tellMap(host: MemoryHost, servers: number): void {
  const [asked] = host.servers;
  asked.handler?.open();
  host.turn();
  asked.take();
  const lines = Array.from({ length: servers }, (_, i) => {
    const from = Math.floor(i * SLOTS / servers);
    const to = Math.floor((i + 1) * SLOTS / servers) - 1;
    const role = i === 0 ? "myself,master" : "master";
    const id = String(i).padStart(40, "0");
    return `${id} 127.0.0.1:${6400 + i}@${16400 + i} ${role} - 0 0 ${i} connected ${from}-${to}\n`;
  });
  const answer = asRead(bulk(lines.join("")));
  asked.handler?.data(answer, 0, answer.length);
  host.turn();
  asked.keeps = false;
}

/** A turn of requests and one of replies, ready to be played again and again. */
async function scene(
  redis: boolean,
  servers: number,
  request: (client: number) => string,
  cluster = false,
) {
  const lines = Array.from({ length: servers }, (_, i) => `   - 127.0.0.1:${6400 + i}:1\n`);
  const more = cluster ? "  distribution: cluster\n" : "";
  const config = loadConfig(
    `p:\n  listen: 127.0.0.1:1\n  redis: ${redis}\n${more}  servers:\n${lines.join("")}`,
  );
  const host = new MemoryHost();
  const nobody = { error() {}, warn() {}, notice() {}, info() {}, debug() {} };
  const proxy = new Proxy(host, config, { log: nobody, stats: null, source: "" });
  void proxy.start();
  if (cluster) {
    tellMap(host, servers);
    while (host.accept === null) await Promise.resolve();
  }
  const requests: Delivery[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const to = new MemorySocket();
    to.handler = host.accept?.(to) ?? null;
    requests.push({ to, bytes: asRead(request(i)) });
  }
  deliver(requests, host); // connects to the servers
  for (const server of host.servers) server.handler?.open();
  host.turn();
  const answer = redis ? redisReplies : memcachedReplies;
  const replies = () =>
    host.servers.filter(({ keeps }) => keeps).map((to) => ({
      to,
      bytes: asRead(answer(to.take())),
    }));
  deliver(replies(), host);
  for (const { to } of requests) to.take();
  deliver(requests, host);
  const canned = replies();
  deliver(canned, host);
  check(redis, requests);
  for (const { to } of requests) to.keeps = false;
  for (const server of host.servers) server.keeps = false;
  return () => {
    deliver(requests, host);
    deliver(canned, host);
  };
}

/** Every client has as many replies as a server that holds all keys would give it. */
function check(redis: boolean, requests: readonly Delivery[]): void {
  const answer = redis ? redisReplies : memcachedReplies;
  for (const { to, bytes } of requests) {
    if (to.take() !== answer(decoder.decode(bytes))) throw new Error("a reply is wrong");
  }
}

const several = (n: number, from: number, one: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => one(from * n + i)).join("");
const keys = (n: number, from: number): string[] =>
  Array.from({ length: n }, (_, i) => key(from * n + i));

export const suite = async (bench: Bench): Promise<void> => {
  const add = async (
    name: string,
    commands: number,
    redis: boolean,
    servers: number,
    request: (client: number) => string,
    cluster = false,
  ) => {
    const play = await scene(redis, servers, request, cluster);
    bench.add(`${name}, ${commands * CLIENTS} commands`, play);
  };
  const get = (i: number) => array("GET", key(i));
  const set = (i: number) => array("SET", key(i), VALUE);
  await add("GET", 1, true, 2, get);
  await add("GET pipelined by 16", 16, true, 2, (c) => several(16, c, get));
  await add("SET pipelined by 16", 16, true, 2, (c) => several(16, c, set));
  await add("GET pipelined by 16 to 64 servers", 16, true, 64, (c) => several(16, c, get));
  await add("MGET of 10 keys", 1, true, 4, (c) => array("MGET", ...keys(10, c)));
  await add("MGET of 100 keys", 1, true, 4, (c) => array("MGET", ...keys(100, c)));
  await add(
    "MGET of 100 keys of a cluster",
    1,
    true,
    3,
    (c) => array("MGET", ...keys(100, c)),
    true,
  );
  await add(
    "MSET of 10 keys",
    1,
    true,
    4,
    (c) => array("MSET", ...keys(10, c).flatMap((k) => [k, VALUE])),
  );
  await add("memcached get", 1, false, 2, (c) => `get ${key(c)}\r\n`);
  await add(
    "memcached get pipelined by 16",
    16,
    false,
    2,
    (c) => several(16, c, (i) => `get ${key(i)}\r\n`),
  );
  await add("memcached get of 50 keys", 1, false, 4, (c) => `get ${keys(50, c).join(" ")}\r\n`);
};
