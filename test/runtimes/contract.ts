// What core/host.ts promises of sockets, as tests that every runtime passes: over TCP, unix sockets
// and TLS, against a process that is none of ours (peer.mjs). A runtime's file calls `contract`.
// Needs the program node, and openssl for TLS.

import { Buffer } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  type Address,
  type ConnectTls,
  type Host,
  type Listener,
  type ListenOptions,
  type ListenTls,
  PENDING,
  type Socket,
  type SocketHandler,
} from "../../core/host.ts";
import { PATIENCE, Peer, type Where } from "./peer.ts";

/** A look at what has come of something, in milliseconds. */
const MOMENT = 10;
/** More than all the buffers between two processes hold. */
const MUCH = 24 << 20;
const BOTH = "during a large write while paused";
/** More than one read or write takes. */
const SOME = 3 << 20;

const root = process.env.RINGMUX_ROOT ?? process.cwd();
const script = path.join(root, "test/runtimes/peer.mjs");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-contract-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }));

let serial = 0;
const fresh = (name: string): string => path.join(folder, `${++serial}-${name}`);

/** Byte `i` of all that is sent, either way. */
const pattern = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i ^ (i >>> 8) ^ (i >>> 16)) & 255);

/** Waits for `check`, which is looked at whenever something has happened. */
class Waiter {
  private readonly wakes: Set<() => void> = new Set();

  changed(): void {
    for (const wake of this.wakes) wake();
  }

  until(what: string, check: () => boolean): Promise<void> {
    if (check()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.wakes.delete(look);
        reject(new Error(`waited ${PATIENCE} ms in vain: ${what}`));
      }, PATIENCE);
      const look = (): void => {
        if (!check()) return;
        clearTimeout(timer);
        this.wakes.delete(look);
        resolve();
      };
      this.wakes.add(look);
    });
  }
}

/** The owner of a socket: keeps what it is told, sends what it is asked to, holds the socket to its word. */
class Owner implements SocketHandler {
  socket!: Socket;
  received: number;
  readonly events: string[];
  error: string;
  /** Called at every event, before it is known to who waits. */
  on: (event: string) => void;
  private readonly waiter: Waiter;
  private toSend: number;
  private sent: number;
  private held: Uint8Array | null;
  private blocked: boolean;
  private moments: number;

  constructor() {
    this.received = 0;
    this.events = [];
    this.error = "";
    this.on = () => {};
    this.waiter = new Waiter();
    this.toSend = 0;
    this.sent = 0;
    this.held = null;
    this.blocked = false;
    this.moments = 0;
  }

  private tell(event: string): void {
    if (this.has("close")) event += " after close";
    if (this.events.at(-1) !== event || event === "close") this.events.push(event);
    this.on(event);
    this.waiter.changed();
  }

  has(event: string): boolean {
    return this.events.includes(event);
  }

  until(what: string, check: () => boolean): Promise<void> {
    return this.waiter.until(`${what}; so far: ${this.events}; ${this.received} bytes`, check);
  }

  /** Until something is told, or a moment has gone by. */
  soon(): Promise<void> {
    if (++this.moments > PATIENCE / MOMENT) throw new Error(`in vain; so far: ${this.events}`);
    return new Promise((resolve) => setTimeout(resolve, MOMENT));
  }

  event(name: string): Promise<void> {
    return this.until(name, () => this.has(name));
  }

  bytes(n: number): Promise<void> {
    return this.until(`${n} bytes`, () => this.received >= n);
  }

  open(): void {
    this.tell("open");
  }

  data(buf: Uint8Array, start: number, end: number): void {
    let same = start < end;
    for (let at = start; at < end;) {
      const from = this.received % pattern.length;
      const n = Math.min(end - at, pattern.length - from);
      same &&= Buffer.compare(buf.subarray(at, at + n), pattern.subarray(from, from + n)) === 0;
      this.received += n;
      at += n;
    }
    this.tell(same ? "data" : "wrong data");
  }

  drain(): void {
    if (!this.blocked) return this.tell("drain that nobody waits for");
    this.blocked = false;
    if (this.held !== null) {
      this.sent += this.held.length;
      this.held.fill(0x21); // it has let go of it
      this.held = null;
    }
    this.tell("drain");
    this.write();
  }

  end(): void {
    this.tell("end");
  }

  close(error: string): void {
    this.error = error;
    this.tell("close");
  }

  /** Sends `n` bytes more, as fast as the socket takes them. */
  send(n: number): void {
    this.toSend += n;
    this.write();
  }

  get allSent(): boolean {
    return this.sent === this.toSend;
  }

  private write(): void {
    while (!this.blocked && !this.allSent && !this.has("close")) {
      const from = this.sent % pattern.length;
      const n = Math.min(this.toSend - this.sent, pattern.length - from, 300_000);
      const copy = pattern.slice(from, from + n);
      const taken = this.socket.write(copy, 0, n);
      if (taken === PENDING) {
        if (this.socket.copies) this.tell("PENDING of a socket that copies");
        this.held = copy;
      } else {
        if (taken < 0 || taken > n) this.tell(`write gives ${taken} of ${n}`);
        this.sent += taken;
        copy.fill(0x21); // it is ours again
      }
      this.blocked = taken !== n;
    }
  }

  /** `close` came once, with this, and nothing behind it. */
  closedWith(error: string): void {
    assert.is(this.error, error, `events: ${this.events}`);
    assert.is(this.events.indexOf("close"), this.events.length - 1, `events: ${this.events}`);
  }
}

/** TCP, unix sockets or TLS. */
interface Kind {
  readonly name: string;
  address(): Address;
  listenTls?(): ListenTls;
  connectTls?(): ConnectTls;
  /** How the far end listens or connects. */
  readonly peerServer?: Record<string, unknown>;
  readonly peerClient?: Record<string, unknown>;
}

const tcp = (port = 0, host = "127.0.0.1"): Address => ({ host, port, path: "", mode: -1 });
const unix = (file: string, mode = -1): Address => ({ host: "", port: 0, path: file, mode });

function certificate(): { cert: string; key: string } {
  const [cert, key] = [fresh("cert.pem"), fresh("key.pem")];
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"],
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
  ], { stdio: ["ignore", "ignore", "pipe"] });
  return { cert: fs.readFileSync(cert, "utf8"), key: fs.readFileSync(key, "utf8") };
}

function kinds(): Kind[] {
  const all: Kind[] = [
    { name: "TCP", address: () => tcp() },
    { name: "unix socket", address: () => unix(fresh("sock")) },
  ];
  if (spawnSync("openssl", ["version"]).status !== 0) return all;
  const { cert, key } = certificate();
  const none = { cert: "", key: "", server_name: "", insecure: false };
  return [...all, {
    name: "TLS",
    address: () => tcp(),
    listenTls: () => ({ cert, key, ca: "", require_client_cert: false, handshake_timeout: 3000 }),
    connectTls: () => ({ ca: cert, ...none }),
    peerServer: { cert, key },
    peerClient: { ca: cert, servername: "localhost" },
  }];
}

/** One connection of the host under test to the far end, which one it is. */
interface Pair {
  readonly owner: Owner;
  readonly far: number;
  readonly peer: Peer;
}

/** All tests of sockets, for `host`. */
export function contract(host: Host): void {
  const peers: Peer[] = [];
  const listeners: Listener[] = [];
  const makePeer = (): Peer => {
    const peer = new Peer(script);
    peers.push(peer);
    return peer;
  };
  const peer = makePeer();
  test.after(() => {
    for (const one of listeners) one.close();
    for (const one of peers) one.stop();
    // Nothing of it may keep the process alive, but what is under test might.
    setTimeout(() => process.exit(), 100);
  });

  /** Listens, and gives the owners of accepted sockets in their order. */
  async function listen(
    address: Address,
    options: Partial<ListenOptions> = {},
    prepare: (owner: Owner) => boolean = () => true,
  ): Promise<{ where: Where; next: () => Promise<Owner>; listener: Listener }> {
    const owners: Owner[] = [];
    const waiter = new Waiter();
    const all = { backlog: 512, keepAlive: true, reusePort: false, ...options };
    const listener = await host.listen(address, all, (socket) => {
      const owner = new Owner();
      owner.socket = socket;
      owners.push(owner);
      const wanted = prepare(owner);
      waiter.changed();
      return wanted ? owner : null;
    });
    listeners.push(listener);
    const { path } = address;
    return {
      where: path !== "" ? { path } : { host: "127.0.0.1", port: listener.port },
      listener,
      async next() {
        await waiter.until("a client", () => owners.length > 0);
        return owners.shift() as Owner;
      },
    };
  }

  /** A client of the host's. */
  async function accepted(
    kind: Kind,
    { by = peer, reading = true, prepare = (_: Owner): boolean => true } = {},
  ): Promise<Pair> {
    const { where, next } = await listen(kind.address(), { tls: kind.listenTls?.() }, prepare);
    const far = await by.ask("connect", { where, secure: kind.peerClient, reading });
    assert.is(far.error, "");
    return { owner: await next(), far: far.id, peer: by };
  }

  function connect(address: Address, tls?: ConnectTls, owner = new Owner()): Owner {
    owner.socket = host.connect(address, owner, tls);
    return owner;
  }

  /** A server the host has connected to. */
  async function connected(
    kind: Kind,
    { by = peer, reading = true, prepare = (_: Owner): void => {} } = {},
  ): Promise<Pair> {
    const address = kind.address();
    const where = address.path !== "" ? { path: address.path } : { host: "127.0.0.1", port: 0 };
    const { server, port } = await by.ask<{ server: number; port: number }>("listen", {
      where,
      secure: kind.peerServer,
    });
    const owner = new Owner();
    prepare(owner);
    connect(address.path !== "" ? address : tcp(port), kind.connectTls?.(), owner);
    await owner.event("open");
    const far = await by.ask("accepted", { server, reading });
    return { owner, far: far.id, peer: by };
  }

  const only = process.env.RINGMUX_CONTRACT ?? "";
  for (const kind of kinds().filter(({ name }) => name.startsWith(only))) {
    for (const [way, make] of [["client", accepted], ["server", connected]] as const) {
      pairTests(`${kind.name}, ${way}`, (options) => make(kind, options));
    }
  }

  if (only === "" || only === "listen") listenTests();

  function listenTests(): void {
    test("listen: who comes is named, and the address that it came to", async () => {
      for (const kind of kinds().filter(({ name }) => name !== "unix socket")) {
        const { owner } = await accepted(kind);
        assert.match(owner.socket.remote, /^127\.0\.0\.1:\d+$/, kind.name);
        assert.is(owner.socket.localHost?.(), "127.0.0.1", kind.name);
      }
      const local = await accepted({ name: "unix", address: () => unix(fresh("sock")) });
      assert.is(local.owner.socket.remote, "");
      assert.is(local.owner.socket.localHost?.(), "");
    });

    test("listen: who is not wanted is closed", async () => {
      for (const address of [tcp(), unix(fresh("sock"))]) {
        const { where } = await listen(address, {}, () => false);
        const { id } = await peer.ask("connect", { where });
        assert.is((await peer.ask("ended", { id })).received, 0);
      }
    });

    test("listen: an owner may pause before the first byte", async () => {
      const { where, next } = await listen(tcp(), {}, (owner) => {
        owner.socket.pause();
        return true;
      });
      const { id } = await peer.ask("connect", { where });
      const owner = await next();
      await peer.ask("send", { id, bytes: MUCH });
      await peer.ask("state", { id });
      assert.is(owner.received, 0);
      owner.socket.resume();
      await owner.bytes(MUCH);
    });

    test("listen: the file of a unix socket has its mode, and replaces one left over", async () => {
      const file = fresh("sock");
      const dies = "process.kill(process.pid, 'SIGKILL')";
      const script = `require("node:net").createServer().listen(process.argv[1], () => ${dies})`;
      spawnSync("node", ["-e", script, file]);
      assert.ok(fs.statSync(file).isSocket(), "it is left over");
      await listen(unix(file, 0o640));
      assert.ok(fs.statSync(file).isSocket());
      assert.is(fs.statSync(file).mode & 0o777, 0o640);
    });

    test("listen: what is no socket is left where it is", async () => {
      const file = fresh("sock");
      fs.writeFileSync(file, "somebody's");
      const why = await listen(unix(file)).then(() => "listens", ({ message }) => message);
      assert.match(why, /a file is there that is no socket/);
      assert.is(fs.readFileSync(file, "utf8"), "somebody's");
    });

    test("listen: an address that is taken, or cannot be, is an error with its name", async () => {
      const { port } = (await listen(tcp())).listener;
      const code = (address: Address): Promise<string> =>
        listen(address).then(() => "listens", ({ code, message }) => code ?? message);
      assert.is(await code(tcp(port)), "EADDRINUSE");
      assert.is(await code(tcp(0, "192.0.2.1")), "EADDRNOTAVAIL");
      assert.is(await code(unix(path.join(folder, "none", "sock"))), "ENOENT");
    });

    test("listen: two share a port if they both want to", async () => {
      if (host.runtime.startsWith("node 20")) return; // cannot
      const { port } = (await listen(tcp(), { reusePort: true })).listener;
      await listen(tcp(port), { reusePort: true });
    });

    test("listen: a closed listener takes nobody, and lets those live who are in", async () => {
      const { where, next, listener } = await listen(tcp());
      const { id } = await peer.ask("connect", { where });
      const owner = await next();
      listener.close();
      const again = async () => (await peer.ask("connect", { where })).error;
      while (await again() === "") await owner.soon();
      assert.is(await again(), "ECONNREFUSED");
      owner.send(SOME);
      assert.ok((await peer.ask("expect", { id, bytes: SOME })).good);
    });

    test("listen: * is the loopback address, as it is to nutcracker", async () => {
      // A port that is free on one of the two addresses may be taken on the other.
      const both = (): ReturnType<typeof listen> =>
        listen(tcp(0, "*")).catch((error) => {
          assert.is(error.code, "EADDRINUSE");
          return both();
        });
      const { where, next } = await both();
      assert.is((await peer.ask("connect", { where })).error, "");
      await next();
      const { port } = where as { port: number };
      const owner = connect(tcp(port, "*"));
      await owner.event("open");
      owner.socket.close();
      const six = Object.values(os.networkInterfaces()).flat().some((one) =>
        one?.address === "::1"
      );
      if (!six) return;
      assert.is((await peer.ask("connect", { where: { host: "::1", port } })).error, "");
    });

    for (const kind of [kinds()[0], kinds().at(-1) as Kind]) {
      test(`listen: the backlog is how many may wait (${kind.name})`, async () => {
        const crowd = async (backlog: number, n: number, ms: number): Promise<number> => {
          const { where } = await listen(kind.address(), { backlog, tls: kind.listenTls?.() });
          // While this process stands still nobody is accepted.
          const order = JSON.stringify({ n: 1, order: "crowd", args: { where, n, ms } });
          const { stdout } = spawnSync("node", [script], { input: order, encoding: "utf8" });
          return JSON.parse(stdout).value.made;
        };
        assert.is(await crowd(512, 40, PATIENCE), 40);
        // Linux takes one or two more than it is told; those whose SYN is not answered try again.
        const made = await crowd(5, 40, 300);
        assert.ok(made < 12, `${made} connected`);
      });
    }

    test("connect: errors have names", async () => {
      const error = async (address: Address, tls?: ConnectTls): Promise<string> => {
        const owner = connect(address, tls);
        await owner.event("close");
        assert.equal(owner.events, ["close"]);
        return owner.error;
      };
      const { listener: free, where } = await listen(tcp());
      free.close();
      while ((await peer.ask("connect", { where })).error === "") await new Owner().soon();
      assert.is(await error(tcp(free.port)), "ECONNREFUSED");
      assert.is(await error(tcp(free.port, "localhost")), "ECONNREFUSED");
      assert.is(await error(unix(fresh("sock"))), "ENOENT");
      assert.match(await error(tcp(free.port, "nobody.invalid")), /^(ENOTFOUND|EAI_AGAIN)$/);
      const secure = kinds().at(-1) as Kind;
      if (secure.connectTls === undefined) return;
      assert.is(await error(tcp(free.port), secure.connectTls()), "ECONNREFUSED");
      assert.is(await error(tcp(free.port, "localhost"), secure.connectTls()), "ECONNREFUSED");
      const stranger = await listen(secure.address(), { tls: secure.listenTls?.() });
      const other = { ...secure.connectTls(), ca: certificate().cert };
      assert.match(await error(tcp(stranger.listener.port), other), /^TLS: certificate/);
    });

    test("connect: a reset has its name", async () => {
      for (const make of [accepted, connected]) {
        const { owner, far } = await make({ name: "TCP", address: () => tcp() });
        await peer.ask("reset", { id: far });
        await owner.event("close");
        owner.closedWith("ECONNRESET");
      }
    });

    for (const kind of kinds()) {
      test(`connect: closed before the connection is there (${kind.name})`, async () => {
        const { where, next, listener } = await listen(kind.address(), {
          tls: kind.listenTls?.(),
        });
        const address = "path" in where ? unix(where.path) : tcp(listener.port);
        const owner = connect(address, kind.connectTls?.());
        owner.socket.close();
        await owner.event("close");
        owner.closedWith("");
        // Whoever comes next is served: nothing is left of the other.
        const second = connect(address, kind.connectTls?.());
        await second.event("open");
        await next();
        owner.closedWith("");
        second.socket.close();
        await second.event("close");
      });
    }

    test("connect: closed while nobody answers", async () => {
      const by = makePeer();
      const { port } = await by.ask<{ port: number }>("listen", {
        where: { host: "127.0.0.1", port: 0, backlog: 1 },
      });
      by.stand();
      // Until the queue is full.
      await peer.ask("crowd", { where: { host: "127.0.0.1", port }, n: 10, ms: 300, keep: true });
      const owner = connect(tcp(port));
      await owner.soon();
      assert.equal(owner.events, []);
      owner.socket.close();
      await owner.event("close");
      owner.closedWith("");
      await by.kill();
    });
  }

  /** What holds of every connection, however it came to be. */
  function pairTests(
    name: string,
    make: (options?: { by?: Peer; reading?: boolean }) => Promise<Pair>,
  ): void {
    test(`${name}: bytes go both ways, in order and whole`, async () => {
      const { owner, far } = await make();
      owner.send(SOME);
      await peer.ask("send", { id: far, bytes: SOME });
      const state = await peer.ask("expect", { id: far, bytes: SOME });
      assert.is(state.received, SOME);
      assert.ok(state.good);
      await owner.bytes(SOME);
      assert.is(owner.received, SOME);
      assert.not.ok(owner.has("wrong data"));
      owner.socket.close();
      await owner.event("close");
      owner.closedWith("");
    });

    test(`${name}: the far end's FIN leaves the other way open`, async () => {
      const { owner, far } = await make();
      await peer.ask("send", { id: far, bytes: 100 });
      await peer.ask("end", { id: far });
      await owner.event("end");
      assert.is(owner.received, 100);
      owner.send(SOME);
      assert.is((await peer.ask("expect", { id: far, bytes: SOME })).received, SOME);
      await owner.until("all to be sent", () => owner.allSent);
      owner.socket.shutdown();
      await owner.event("close");
      owner.closedWith("");
      const { good, ended, error } = await peer.ask("ended", { id: far });
      assert.equal({ good, ended, error }, { good: true, ended: true, error: "" });
    });

    test(`${name}: a FIN of ours leaves the other way open`, async () => {
      const { owner, far } = await make();
      owner.send(1000);
      await owner.until("all to be sent", () => owner.allSent);
      owner.socket.shutdown();
      const state = await peer.ask("ended", { id: far });
      assert.equal([state.received, state.ended, state.error], [1000, true, ""]);
      await peer.ask("send", { id: far, bytes: SOME });
      await owner.bytes(SOME);
      await peer.ask("end", { id: far });
      await owner.event("close");
      assert.ok(owner.has("end"));
      owner.closedWith("");
    });

    test(`${name}: a far end that reads nothing holds the writer up, and loses nothing`, async () => {
      const { owner, far } = await make({ reading: false });
      owner.send(MUCH);
      assert.not.ok(owner.allSent);
      // It goes no further: what comes is waited for with an answer of the far end's in between.
      await peer.ask("state", { id: far });
      assert.not.ok(owner.allSent);
      await peer.ask("read", { id: far });
      const state = await peer.ask("expect", { id: far, bytes: MUCH });
      assert.equal([state.received, state.good], [MUCH, true]);
      await owner.until("all to be sent", () => owner.allSent);
      owner.socket.close();
      await owner.event("close");
    });

    test(`${name}: while paused the far end is held up; then all comes, FIN last`, async () => {
      const { owner, far } = await make();
      owner.on = (event) => {
        if (event === "data" && owner.received < MUCH / 2) owner.socket.pause();
      };
      await peer.ask("send", { id: far, bytes: MUCH });
      await peer.ask("end", { id: far });
      await owner.event("data");
      // Data that had been read may still come, but not all of it.
      await peer.ask("state", { id: far });
      const before = owner.received;
      assert.ok(before < MUCH / 2, `${before} bytes`);
      assert.ok((await peer.ask("state", { id: far })).flushed < MUCH);
      assert.not.ok(owner.has("end"));
      owner.on = () => {};
      owner.socket.resume();
      await owner.event("end");
      assert.is(owner.received, MUCH);
      assert.not.ok(owner.has("wrong data"));
      owner.socket.close();
      await owner.event("close");
      owner.closedWith("");
    });

    test(`${name}: paused and resumed at every piece`, async () => {
      const { owner, far } = await make();
      owner.on = (event) => {
        if (event !== "data") return;
        owner.socket.pause();
        host.endOfTurn(() => owner.has("close") || owner.socket.resume());
      };
      await peer.ask("send", { id: far, bytes: 1 << 20 });
      await peer.ask("end", { id: far });
      await owner.event("end");
      assert.is(owner.received, 1 << 20);
      owner.socket.close();
      await owner.event("close");
      owner.closedWith("");
    });

    for (const when of ["data", "end", "drain"]) {
      test(`${name}: closed in the call of ${when}`, async () => {
        const { owner, far } = await make({ reading: when !== "drain" });
        owner.on = (event) => {
          if (event === when) owner.socket.close();
        };
        if (when === "drain") {
          owner.send(MUCH);
          await peer.ask("read", { id: far });
        } else {
          await peer.ask("send", { id: far, bytes: 100 });
          await peer.ask("end", { id: far });
        }
        await owner.event("close");
        await peer.ask("ended", { id: far });
        owner.closedWith("");
      });
    }

    test(`${name}: closed twice, and used after that`, async () => {
      const { owner, far } = await make();
      owner.socket.close();
      owner.socket.close();
      const bytes = new Uint8Array(10);
      for (let i = 0; i < 2; i++) {
        owner.socket.write(bytes, 0, 10);
        owner.socket.pause();
        owner.socket.resume();
        owner.socket.shutdown();
        owner.socket.close();
        await owner.event("close");
      }
      assert.is((await peer.ask("ended", { id: far })).received, 0);
      owner.closedWith("");
    });

    // A far end that is killed with bytes unread resets the connection.
    for (const finished of [false, true]) {
      const moments = [...["while nothing happens", "during a large write", "while paused"], BOTH];
      for (const what of moments) {
        const title = finished ? "that has sent FIN and dies" : "that dies";
        test(`${name}: a far end ${title} ${what} is gone`, async () => {
          const by = makePeer();
          const { owner, far } = await make({ by, reading: false });
          if (what === "while paused" || what === BOTH) {
            owner.on = (event) => event === "data" && owner.socket.pause();
            await by.ask("send", { id: far, bytes: SOME });
            await owner.event("data");
          }
          if (finished) await by.ask("end", { id: far });
          const reads = what !== "while paused" && what !== BOTH;
          if (finished && reads) await owner.event("end");
          owner.send(what === "during a large write" || what === BOTH ? MUCH : 1000);
          await by.ask("state", { id: far });
          await by.kill();
          // Nobody has to hear of it who neither reads nor writes: a write tells.
          while (!owner.has("close")) {
            owner.send(1000);
            await owner.soon();
          }
          owner.closedWith(owner.error);
          assert.match(owner.error, /^(ECONNRESET|EPIPE|)$/);
        });
      }
    }
  }
}
