// A control row: answers every GET from memory, on node:net. What one read and one write a batch
// cost without any server behind. Usage: node bench/answer/node.mjs <listen port>

import net from "node:net";
import { Answers } from "./replies.mjs";

net.createServer({ noDelay: true }, (socket) => {
  const answers = new Answers();
  socket.on("data", (bytes) => socket.write(answers.to(bytes, bytes.length).slice()));
  socket.on("error", () => {});
}).listen(Number(process.argv[2]), "127.0.0.1");
