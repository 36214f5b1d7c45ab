// A control row: answers every GET from memory, on Bun's own sockets. What one read and one write a
// batch cost without any server behind. Usage: bun bench/answer/bun.mjs <listen port>

import { Answers } from "./replies.mjs";

Bun.listen({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  socket: {
    open(socket) {
      socket.data = new Answers();
    },
    data(socket, bytes) {
      const reply = socket.data.to(bytes, bytes.length);
      if (socket.write(reply) < reply.length) socket.terminate(); // the load reads at once
    },
  },
});
