// The far end of the connections in contract.ts: a Node process of its own, so that what a runtime
// makes of a connection is seen from outside. Takes orders as lines of JSON, answers each with one.
// Ends with its standard input. Plain Node, nothing but node: modules.

import net from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import tls from "node:tls";

/** Byte `i` of all that is sent, either way. */
const pattern = Buffer.alloc(1 << 20);
for (let i = 0; i < pattern.length; i++) pattern[i] = (i ^ (i >>> 8) ^ (i >>> 16)) & 255;

const connections = [];
const servers = [];

class Connection {
  constructor(socket, reading) {
    this.id = connections.push(this) - 1;
    this.socket = socket;
    this.received = 0;
    /** Sent and taken by the kernel. */
    this.sent = 0;
    this.good = true;
    this.ended = false;
    this.closed = false;
    this.error = "";
    this.wake = () => {};
    if (reading) this.read();
    socket.on("end", () => this.change(() => this.ended = true));
    socket.on("error", (error) => this.change(() => this.error ||= error.code ?? error.message));
    socket.on("close", () => this.change(() => this.closed = true));
  }

  read() {
    this.socket.on("data", (chunk) => this.change(() => this.keep(chunk)));
    this.socket.resume();
  }

  keep(chunk) {
    for (let at = 0; at < chunk.length;) {
      const from = (this.received + at) % pattern.length;
      const n = Math.min(chunk.length - at, pattern.length - from);
      this.good &&= chunk.subarray(at, at + n).equals(pattern.subarray(from, from + n));
      at += n;
    }
    this.received += chunk.length;
  }

  change(fn) {
    fn();
    this.wake();
  }

  async until(check) {
    while (!check()) await new Promise((resolve) => this.wake = resolve);
  }

  send(n) {
    for (let at = 0; at < n;) {
      const from = (this.sent + at) % pattern.length;
      const size = Math.min(n - at, pattern.length - from);
      this.socket.write(pattern.subarray(from, from + size), (error) => {
        if (!error) this.change(() => this.flushed = (this.flushed ?? 0) + size);
      });
      at += size;
    }
    this.sent += n;
  }

  state() {
    const { id, received, good, ended, closed, error, flushed = 0 } = this;
    return { id, received, good, ended, closed, error, flushed };
  }
}

function listen({ where, secure, take = true }) {
  return new Promise((resolve, reject) => {
    const options = { allowHalfOpen: true, pauseOnConnect: !secure, ...secure };
    const server = { accepted: [], wake() {} };
    const add = (socket) => {
      if (!take) return;
      server.accepted.push(new Connection(socket, false));
      server.wake();
    };
    server.net = secure ? tls.createServer(options, add) : net.createServer(options, add);
    server.net.on("tlsClientError", () => {});
    server.net.once("error", reject);
    server.net.listen(where, () => {
      const bound = server.net.address();
      resolve({ server: servers.push(server) - 1, port: bound.port ?? 0 });
    });
  });
}

function connect({ where, secure, reading = true }) {
  const options = { ...where, ...secure, allowHalfOpen: true };
  const socket = secure ? tls.connect(options) : net.connect(options);
  const made = new Connection(socket, reading);
  return new Promise((resolve) => {
    socket.once(secure ? "secureConnect" : "connect", () => resolve(made.state()));
    socket.once("close", () => resolve(made.state()));
  });
}

/** How many of `n` connections are made before one is made to `done`, or `ms` have passed. */
async function crowd({ where, n, ms, keep = false }) {
  let made = 0;
  const sockets = [];
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
    for (let i = 0; i < n; i++) {
      const socket = net.connect(where, () => ++made === n && resolve());
      socket.on("error", () => {});
      sockets.push(socket);
    }
  });
  if (!keep) { for (const socket of sockets) socket.destroy(); }
  return { made };
}

const orders = {
  listen,
  connect,
  crowd,
  unlisten: ({ server }) => void servers[server].net.close(),
  async accepted({ server, reading = true }) {
    const one = servers[server];
    while (one.accepted.length === 0) await new Promise((resolve) => one.wake = resolve);
    const made = one.accepted.shift();
    if (reading) made.read();
    return made.state();
  },
  async expect({ id, bytes }) {
    const it = connections[id];
    await it.until(() => it.received >= bytes || it.ended || it.closed);
    return it.state();
  },
  async ended({ id }) {
    const it = connections[id];
    await it.until(() => it.ended || it.closed);
    return it.state();
  },
  async closed({ id }) {
    const it = connections[id];
    await it.until(() => it.closed);
    return it.state();
  },
  async flushed({ id }) {
    const it = connections[id];
    await it.until(() => it.flushed >= it.sent || it.closed);
    return it.state();
  },
  state: ({ id }) => connections[id].state(),
  send: ({ id, bytes }) => connections[id].send(bytes),
  read: ({ id }) => connections[id].read(),
  end: ({ id }) => void connections[id].socket.end(),
  destroy: ({ id }) => void connections[id].socket.destroy(),
  reset: ({ id }) => void (connections[id].socket.resetAndDestroy?.()),
};

let last;
for await (const line of createInterface({ input: process.stdin })) {
  const { n, order, args } = JSON.parse(line);
  const answer = (reply) => process.stdout.write(`${JSON.stringify({ n, ...reply })}\n`);
  last = Promise.resolve().then(() => orders[order](args)).then(
    (value) => answer({ value: value ?? null }),
    (error) => answer({ error: String(error?.message ?? error) }),
  );
}
if (connections.length === 0) await last;
process.exit(0);
