// A bare TCP relay on Deno's own API: every client gets one connection to one backend and bytes
// are passed on unread. A control row: what the runtime's sockets cost before a proxy does work.
// Usage: deno run -A bench/relay/deno.ts <listen port> <backend port>

const [listenPort, backendPort] = Deno.args.map(Number);

async function pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buf = new Uint8Array(65536);
  try {
    for (;;) {
      const n = await from.read(buf);
      if (n === null) break;
      for (let at = 0; at < n;) at += await to.write(buf.subarray(at, n));
    }
    await to.closeWrite();
  } catch {
    // One side is gone: its partner's read ends the other direction.
  }
}

async function serve(client: Deno.TcpConn): Promise<void> {
  let backend: Deno.TcpConn | null = null;
  try {
    backend = await Deno.connect({ hostname: "127.0.0.1", port: backendPort });
    client.setNoDelay(true);
    backend.setNoDelay(true);
    await Promise.all([pass(client, backend), pass(backend, client)]);
  } catch {
    // The backend refused.
  }
  client.close();
  backend?.close();
}

for await (const client of Deno.listen({ hostname: "127.0.0.1", port: listenPort })) {
  serve(client);
}
