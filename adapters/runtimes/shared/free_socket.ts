// The file of a unix socket outlives whoever listened on it, and has to go before the next one can
// listen. Only a socket is removed, and only one at which nobody answers.

import { lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";

/** Rejects, with the file left as it is, when `path` is somebody's. */
export async function freeSocket(path: string): Promise<void> {
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch {
    return; // not there; or it cannot be seen, and listening will tell why
  }
  if (!isSocket) throw new Error("a file is there that is no socket; ringmux does not remove it");
  const code = await knock(path);
  if (code === "ENOENT") return;
  if (code !== "ECONNREFUSED") {
    // Bound to a datagram socket, full, or not ours to connect to: somebody has it.
    throw Object.assign(new Error("somebody listens there"), { code: "EADDRINUSE" });
  }
  unlinkSync(path);
}

/** Connects and hangs up: why it cannot, or "". */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve("");
    });
    socket.once("error", (error: Error & { code?: string }) => resolve(error.code ?? "EIO"));
  });
}
