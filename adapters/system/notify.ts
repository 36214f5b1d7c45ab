// Tells systemd how things stand (sd_notify(3), for Type=notify): ready, reloading, stopping. The
// protocol is a datagram to a unix socket, which node: modules cannot send, so systemd's own program
// does it. Does nothing where systemd has not asked to be told.

import { spawn } from "node:child_process";
import process from "node:process";

/** Longest time (ms) one message may take; systemd-notify itself waits 5 s for its receipt. */
const PATIENCE = 6_000;
/** Where systemd listens. */
const SOCKET = "NOTIFY_SOCKET";

export type Notify = (...state: string[]) => Promise<void>;

/** Returns what sends assignments such as "READY=1", in the order of the calls; resolves when told. */
export function createNotifier(failed: (why: string) => void): Notify {
  const socket = process.env[SOCKET];
  // Processes that this one starts (workers) have nothing to tell.
  delete process.env[SOCKET];
  if (socket === undefined || socket === "") return () => Promise.resolve();
  let last: Promise<void> = Promise.resolve();
  return (...state) => {
    last = last.then(() => send(socket, state)).catch((error) => failed(error.message));
    return last;
  };
}

function send(socket: string, state: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("systemd-notify", state, {
      env: { ...process.env, [SOCKET]: socket },
      stdio: "ignore",
      timeout: PATIENCE,
    });
    child.on("error", () => reject(new Error(`systemd-notify cannot be run (${state.join(" ")})`)));
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`systemd-notify ended with ${code} (${state.join(" ")})`));
    });
  });
}
