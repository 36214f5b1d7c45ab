// TLS sockets by node:tls, which Deno, Bun and Node share. Sockets without TLS are each runtime's own
// business: see node.ts, bun.ts, deno.ts. Certificates and keys come as texts.

import { existsSync, readFileSync } from "node:fs";
import net from "node:net";
import process from "node:process";
import tls from "node:tls";
import {
  type Address,
  type ConnectTls,
  type Listener,
  type ListenOptions,
  type ListenTls,
  PENDING,
  type Preface,
  type Socket,
  type SocketHandler,
} from "../../../core/host.ts";
import { nameOf } from "./listen.ts";
import { Authorities } from "./resumed.ts";
import { tlsReason } from "./tls_reason.ts";
import { reread } from "./read_buffer.ts";

/** How long (ms) a server may take for all of it, the connecting included. */
const CONNECT = 5000;

class TlsSocket implements Socket {
  remote: string;
  readonly copies = false;
  handler: SocketHandler | null;
  private readonly socket: tls.TLSSocket;
  private closed: boolean;
  private readonly onWritten: () => void;

  constructor(remote: string, socket: tls.TLSSocket, handler: SocketHandler | null) {
    this.remote = remote;
    this.handler = handler;
    this.socket = socket;
    this.closed = false;
    this.onWritten = () => this.handler?.drain();
    socket.on("data", (chunk: Uint8Array) => this.handler?.data(reread(chunk), 0, chunk.length));
    socket.on("end", () => this.handler?.end());
    socket.on("error", (error: NodeJS.ErrnoException) => this.failed(errorOf(error)));
    socket.on("close", () => this.failed(""));
  }

  localHost(): string {
    return this.socket.localAddress ?? "";
  }

  /** The first reason is the true one: after an alert an orderly end follows. */
  failed(error: string): void {
    const owner = this.handler;
    this.handler = null;
    this.socket.destroy();
    owner?.close(this.closed ? "" : error);
  }

  write(buf: Uint8Array, start: number, end: number): number {
    // Whether the bytes are done with at once is not the same everywhere: only the callback tells.
    this.socket.write(buf.subarray(start, end), this.onWritten);
    return PENDING;
  }

  pause(): void {
    this.socket.pause();
    if (READS_ON) connectionOf(this.socket)?.readStop();
  }

  resume(): void {
    if (READS_ON && this.socket.isPaused()) connectionOf(this.socket)?.readStart();
    this.socket.resume();
  }

  shutdown(): void {
    this.socket.end();
  }

  close(): void {
    this.closed = true;
    this.socket.destroy();
  }
}

/** Deno's TLS reads on while its stream is paused, and keeps all of it: the connection must stop. */
const READS_ON = "Deno" in globalThis;

interface Reading {
  readStop(): void;
  readStart(): void;
}

/** The connection below TLS. */
function connectionOf(socket: tls.TLSSocket): Reading | null | undefined {
  return (socket as unknown as { _handle: { _parent?: Reading } | null })._handle?._parent;
}

/** An errno name as it is; what went wrong with TLS in words. */
function errorOf(error: NodeJS.ErrnoException): string {
  const { code = "EIO", syscall } = error;
  return syscall !== undefined || /^E[A-Z0-9]+$/.test(code) ? code : `TLS: ${tlsReason(error)}`;
}

function remoteOf({ remoteAddress, remotePort }: net.Socket): string {
  return remoteAddress === undefined ? "" : `${remoteAddress}:${remotePort}`;
}

// ---------------------------------------------------------------------------------- listening

type Accept = (socket: Socket) => SocketHandler | null;

/**
 * Plain sockets are accepted here and handed to a tls.Server that does not listen itself: another
 * one takes its place when certificates change, and what is connected does not notice.
 */
export function listenTls(
  address: Address,
  options: ListenOptions,
  accept: Accept,
): Promise<Listener & { readonly fd?: number }> {
  return new Promise((resolve, reject) => {
    const { host, port, path } = address;
    let material = options.tls as ListenTls;
    const handshakes = new Handshakes(options);
    /** Whose connections peers pass on, by the peer. */
    const announced = new Map<string, string>();
    const announcedBy = (remote: string): string => announced.get(remote) ?? remote;
    let secure = serve(material, options, handshakes, accept, announcedBy);
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      const now = options.tls;
      if (now !== undefined && now !== material) {
        material = now;
        try {
          secure = serve(now, options, handshakes, accept, announcedBy);
        } catch (error) {
          // Only a program that has not read them by resolveCertificates gets here.
          options.refused?.("", `new certificates cannot be used: ${(error as Error).message}`);
        }
      }
      const remote = remoteOf(socket);
      remotes.set(socket, remote);
      socket.on("error", () => {}); // told by the TLS socket around it
      socket.setNoDelay(true);
      if (options.keepAlive) socket.setKeepAlive(true);
      const { handshake_timeout } = material;
      const begin = (): void => {
        const shown = announcedBy(remote);
        const late = () => options.refused?.(shown, notInTime(handshake_timeout));
        if (!handshakes.begin(socket, remote, handshake_timeout, late, shown)) return;
        secure.emit("connection", socket);
      };
      const preface = options.preface?.(remote) ?? null;
      if (preface === null) return begin();
      if (!handshakes.begin(socket, remote, preface.timeout, () => preface.late())) return;
      readPreface(socket, preface, () => {
        handshakes.over(remote || socket);
        announced.set(remote, preface.remote);
        socket.once("close", () => announced.delete(remote));
        begin();
      });
    });
    server.once("error", reject);
    const where = path !== "" ? { path } : { host, port };
    server.listen({ ...where, backlog: options.backlog, reusePort: options.reusePort }, () => {
      server.off("error", reject);
      server.on("error", () => {}); // of one connection that could not be accepted
      const bound = server.address();
      resolve({
        port: typeof bound === "object" && bound !== null ? bound.port : 0,
        fd: (server as unknown as { _handle?: { fd?: number } })._handle?.fd,
        close: () => void server.close(),
      });
    });
  });
}

function notInTime(ms: number): string {
  return `the handshake was not completed in ${ms / 1000} s`;
}

/** What comes before TLS is taken from the socket; the rest is put back, which TLS then begins with. */
function readPreface(socket: net.Socket, preface: Preface, then: () => void): void {
  const end = (): void => {
    preface.ended();
    socket.destroy();
  };
  const data = (chunk: Uint8Array): void => {
    const at = preface.take(chunk, 0, chunk.length);
    if (at === -1) return;
    socket.off("data", data);
    socket.off("end", end);
    if (at < 0) return void socket.destroy();
    socket.pause();
    if (at < chunk.length) socket.unshift(chunk.subarray(at));
    then();
  };
  socket.on("data", data);
  socket.on("end", end);
  socket.resume();
}

/** Clients in the middle of their handshake: they count as clients do, and may not take for ever. */
class Handshakes {
  private readonly options: ListenOptions;
  /** By the peer's address; by the socket where it has none. */
  private readonly timers: Map<string | object, ReturnType<typeof setTimeout>>;
  private readonly late: WeakSet<object>;

  constructor(options: ListenOptions) {
    this.options = options;
    this.timers = new Map();
    this.late = new WeakSet();
  }

  /** False, and the socket closed, when there is no room. */
  begin(
    socket: net.Socket,
    remote: string,
    ms: number,
    tell: () => void,
    shown = remote,
  ): boolean {
    const { options, timers } = this;
    if (options.room?.(shown, timers.size) === false) {
      socket.destroy();
      return false;
    }
    const key = remote || socket;
    const late = (): void => {
      timers.delete(key);
      this.late.add(socket);
      tell();
      socket.destroy();
    };
    timers.set(key, setTimeout(late, ms));
    socket.once("close", () => this.over(key));
    return true;
  }

  ended(inner: tls.TLSSocket): void {
    const parent = parentOf(inner);
    this.over(peerOf(inner));
    if (parent !== undefined) this.over(parent);
  }

  wasLate(inner: tls.TLSSocket): boolean {
    const parent = parentOf(inner);
    return parent !== undefined && this.late.has(parent);
  }

  over(key: string | object): void {
    clearTimeout(this.timers.get(key));
    this.timers.delete(key);
  }
}

const STRANGE = "TLS: it resumes a session, and its certificate is not signed by a known authority";

/** Peers of accepted sockets: when TLS fails the address is not to be had any more. */
const remotes = new WeakMap<object, string>();

function serve(
  material: ListenTls,
  options: ListenOptions,
  handshakes: Handshakes,
  accept: Accept,
  announcedBy: (remote: string) => string,
): tls.Server {
  const { cert, key, ca, require_client_cert, handshake_timeout } = material;
  const server = tls.createServer({
    ...{ cert, key, minVersion: "TLSv1.2", allowHalfOpen: true },
    // Ours comes first: the runtimes do not agree on how they tell of theirs.
    handshakeTimeout: Math.min(2 ** 31 - 1, handshake_timeout + 1000),
    ...(ca === "" ? {} : { ca, requestCert: true, rejectUnauthorized: require_client_cert }),
  });
  const authorities = ca === "" ? null : new Authorities(ca);
  server.on("secureConnection", (inner) => {
    handshakes.ended(inner);
    if (inner.isSessionReused() && authorities?.admit(inner, require_client_cert) === false) {
      options.refused?.(announcedBy(peerOf(inner)), STRANGE);
      return void inner.destroy();
    }
    const socket = new TlsSocket(announcedBy(peerOf(inner)), inner, null);
    const handler = accept(socket);
    if (handler === null) inner.destroySoon();
    else socket.handler = handler;
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException, inner) => {
    handshakes.ended(inner);
    if (handshakes.wasLate(inner)) return void inner.destroy(); // told already
    // What Node thinks of a client's certificate it keeps to itself.
    const code = inner.authorizationError as unknown as string | undefined;
    const why = tlsReason(code ? Object.assign(new Error(code), { code }) : error);
    options.refused?.(announcedBy(peerOf(inner)), why);
    inner.destroy();
  });
  return server;
}

function parentOf(inner: tls.TLSSocket): object | undefined {
  return (inner as unknown as { _parent?: object })._parent;
}

function peerOf(inner: tls.TLSSocket): string {
  const parent = parentOf(inner);
  return (parent && remotes.get(parent)) || remoteOf(inner);
}

// --------------------------------------------------------------------------------- connecting

/** Made once for what is the same in all connections of a pool. */
const contexts = new WeakMap<ConnectTls, tls.SecureContext>();

function contextOf(material: ConnectTls): tls.SecureContext {
  const known = contexts.get(material);
  if (known !== undefined) return known;
  const { ca, cert, key } = material;
  const made = tls.createSecureContext({
    minVersion: "TLSv1.2",
    ca: ca !== "" ? ca : systemAuthorities(),
    ...(cert === "" ? {} : { cert, key }),
  });
  contexts.set(material, made);
  return made;
}

const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/** The authorities that the system trusts; undefined (the runtime's own list) where it tells none. */
function systemAuthorities(): string | undefined {
  const file = [process.env.SSL_CERT_FILE ?? "", ...BUNDLES].find((name) => existsSync(name));
  return file === undefined ? undefined : readFileSync(file, "utf8");
}

export function connectTls(address: Address, handler: SocketHandler, material: ConnectTls): Socket {
  const { host, port, path } = address;
  const { server_name, insecure } = material;
  const inner = tls.connect({
    ...(path !== "" ? { path } : { host: nameOf(host), port }),
    ...shownName(host, server_name),
    secureContext: contextOf(material),
    rejectUnauthorized: !insecure,
    allowHalfOpen: true,
  } as unknown as tls.ConnectionOptions);
  inner.setNoDelay(true);
  const socket = new TlsSocket(path !== "" ? path : `${host}:${port}`, inner, handler);
  const timer = setTimeout(() => {
    socket.failed(`TLS: no handshake within ${CONNECT / 1000} s; does it speak TLS?`);
  }, CONNECT);
  inner.once("close", () => clearTimeout(timer));
  inner.once("secureConnect", () => {
    clearTimeout(timer);
    socket.handler?.open();
  });
  return socket;
}

/** SNI is for names only. */
function shownName(host: string, name: string): tls.ConnectionOptions {
  if (name === "") return net.isIP(host) === 0 && host !== "" ? { servername: host } : {};
  if (net.isIP(name) === 0) return { servername: name };
  return { checkServerIdentity: (_host, cert) => tls.checkServerIdentity(name, cert) };
}
