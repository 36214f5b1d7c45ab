// A bare TCP relay on Node's own API: every client gets one connection to one backend and bytes
// are passed on unread. A control row: what the runtime's sockets cost before a proxy does work.
// Usage: node bench/relay/node.mjs <listen port> <backend port>

import { connect, createServer } from "node:net";

const [listenPort, backendPort] = process.argv.slice(2).map(Number);

function pass(from, to) {
  from.on("data", (bytes) => {
    if (!to.write(bytes)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
}

createServer({ noDelay: true }, (client) => {
  const backend = connect({ host: "127.0.0.1", port: backendPort, noDelay: true });
  pass(client, backend);
  pass(backend, client);
}).listen(listenPort, "127.0.0.1");
