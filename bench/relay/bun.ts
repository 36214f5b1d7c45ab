// A bare TCP relay on Bun's own API: every client gets one connection to one backend and bytes
// are passed on unread. A control row: what the runtime's sockets cost before a proxy does work.
// Usage: bun bench/relay/bun.ts <listen port> <backend port>

interface BunSocket {
  data: Side;
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  end(): void;
}

/** What one socket knows: its partner, and what the kernel has not yet taken from it. */
interface Side {
  peer: BunSocket | null;
  pending: Uint8Array[];
}

declare const Bun: {
  listen(options: unknown): unknown;
  connect(options: unknown): Promise<unknown>;
};
declare const process: { argv: string[] };

const [listenPort, backendPort] = process.argv.slice(2).map(Number);

function send(to: BunSocket, bytes: Uint8Array): boolean {
  if (to.data.pending.length === 0) {
    const taken = to.write(bytes);
    if (taken === bytes.length) return true;
    // Bun takes a prefix and forgets the rest; `bytes` is ours only during this call.
    bytes = bytes.subarray(Math.max(taken, 0));
  }
  to.data.pending.push(bytes.slice());
  return false;
}

const relay = {
  data(socket: BunSocket, bytes: Uint8Array): void {
    const peer = socket.data.peer;
    if (peer === null) socket.data.pending.push(bytes.slice());
    else if (!send(peer, bytes)) socket.pause();
  },
  drain(socket: BunSocket): void {
    const side = socket.data;
    const waiting = side.pending;
    if (side.peer === null || waiting.length === 0) return;
    side.pending = [];
    let all = true;
    for (const bytes of waiting) all = send(socket, bytes) && all;
    if (all) side.peer.resume();
  },
  close(socket: BunSocket): void {
    socket.data.peer?.end();
  },
  error(socket: BunSocket): void {
    socket.data.peer?.end();
  },
};

Bun.listen({
  hostname: "127.0.0.1",
  port: listenPort,
  socket: {
    ...relay,
    open(client: BunSocket): void {
      client.data = { peer: null, pending: [] };
      Bun.connect({
        hostname: "127.0.0.1",
        port: backendPort,
        data: { peer: client, pending: [] },
        socket: {
          ...relay,
          open(backend: BunSocket): void {
            // Until now `pending` of the client held what came from it, not what goes to it.
            const early = client.data.pending;
            client.data = { peer: backend, pending: [] };
            for (const bytes of early) send(backend, bytes);
          },
        },
      }).catch(() => client.end());
    },
  },
});
