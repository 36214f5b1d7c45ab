// The bytes that are sent and the bytes that must come back. Everything is built before the clock
// runs: keys and values have fixed lengths, so every batch of a shape has a reply of one known
// length, and the loader has only to count bytes. Knows nothing of sockets.

export type Protocol = "redis" | "memcached";

/** One kind of request. */
export interface Shape {
  readonly protocol: Protocol;
  readonly op: "get" | "set";
  /** Bytes of a value. */
  readonly size: number;
  /** How many different keys there are. */
  readonly keyspace: number;
  /** Keys in one command: above 1 it is MGET, MSET or a memcached multi-get. */
  readonly keys: number;
  /** Commands sent in one go, before any reply is awaited. */
  readonly pipeline: number;
}

/** Bytes of prepared requests and prepared commands, at most (but always one batch). */
const MOST_BYTES = 32 << 20;
const MOST_COMMANDS = 16384;

const ascii = new TextEncoder();

/** Same width for every key: "key:000000012345", as redis-benchmark writes them. */
export function keyName(key: number): string {
  return `key:${String(key).padStart(12, "0")}`;
}

/** Starts with the key's number, so that a reply given to the wrong request is noticed. */
export function value(key: number, size: number): string {
  return String(key).padStart(12, "0").padEnd(size, "x").slice(0, size);
}

function command(shape: Shape, keys: readonly number[]): string {
  const { protocol, op, size } = shape;
  if (protocol === "memcached") {
    if (op === "get") return `get ${keys.map(keyName).join(" ")}\r\n`;
    return `set ${keyName(keys[0])} 0 0 ${size}\r\n${value(keys[0], size)}\r\n`;
  }
  const many = keys.length > 1;
  const args = [(many ? "M" : "") + op.toUpperCase()];
  for (const key of keys) {
    args.push(keyName(key));
    if (op === "set") args.push(value(key, size));
  }
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join("")}`;
}

function reply(shape: Shape, keys: readonly number[]): string {
  const { protocol, op, size } = shape;
  if (op === "set") return protocol === "redis" ? "+OK\r\n" : "STORED\r\n";
  if (protocol === "memcached") {
    const found = keys.map((key) => `VALUE ${keyName(key)} 0 ${size}\r\n${value(key, size)}\r\n`);
    return `${found.join("")}END\r\n`;
  }
  const bulks = keys.map((key) => `$${size}\r\n${value(key, size)}\r\n`).join("");
  return keys.length > 1 ? `*${keys.length}\r\n${bulks}` : bulks;
}

/** Ready-made batches of one shape. */
export class Batches {
  readonly shape: Shape;
  readonly count: number;
  /** Length of the reply to any one batch. */
  readonly replyLength: number;
  private readonly requests: Uint8Array[];
  private readonly keys: number[][][];

  /** `inOrder`: the batches hold every key once, for filling the servers. */
  constructor(shape: Shape, inOrder = false) {
    this.shape = shape;
    this.requests = [];
    this.keys = [];
    let seed = 1;
    let next = 0;
    let bytes = 0;
    const wanted = inOrder
      ? Math.ceil(shape.keyspace / (shape.keys * shape.pipeline))
      : Math.max(1, Math.floor(MOST_COMMANDS / (shape.keys * shape.pipeline)));
    while (this.requests.length < wanted && (inOrder || bytes < MOST_BYTES)) {
      const batch: number[][] = [];
      for (let i = 0; i < shape.pipeline; i++) {
        const keys: number[] = [];
        for (let k = 0; k < shape.keys; k++) {
          // The same "random" keys for every contestant (a linear congruential generator).
          seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
          keys.push((inOrder ? next++ : seed >>> 4) % shape.keyspace);
        }
        batch.push(keys);
      }
      const request = ascii.encode(batch.map((keys) => command(shape, keys)).join(""));
      bytes += request.length;
      this.requests.push(request);
      this.keys.push(batch);
    }
    this.count = this.requests.length;
    this.replyLength = this.expected(0).length;
  }

  request(i: number): Uint8Array {
    return this.requests[i];
  }

  /** The whole reply to batch `i`, for comparing byte by byte. */
  expected(i: number): Uint8Array {
    return ascii.encode(this.keys[i].map((keys) => reply(this.shape, keys)).join(""));
  }
}
