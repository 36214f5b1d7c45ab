// Child processes: started on chosen cores, with as many open files as may be, and ended with the
// benchmark however it ends.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { connect as connectTls } from "node:tls";

/** The proxy has a core to itself; load and servers share the others. */
export const PROXY_CORES = "0";
export const LOAD_CORES = availableParallelism() > 2 ? `1-${availableParallelism() - 1}` : "1";

const RAISE = "ulimit -n 65536 2>/dev/null || ulimit -n $(ulimit -Hn)";

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** How many files a child may open. */
export function openFiles(): number {
  const { stdout } = spawnSync("sh", ["-c", `${RAISE}; ulimit -n`], { encoding: "utf8" });
  return Number(stdout) || 1024;
}

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The end of what it said on stderr and stdout. */
  said(): string;
  /** Calls `fn` with all that it says from now on. */
  listen(fn: (text: string) => void): void;
  /** Ends it and waits until it is gone. */
  stop(): Promise<void>;
}

/** Starts a command on `cores`; the shell and taskset are replaced by it, so `pid` is its own. */
export function start(command: readonly string[], cores: string, pipe = false): Child {
  const pinned = availableParallelism() > 1 ? ["taskset", "-c", cores, ...command] : command;
  const child = spawn("sh", ["-c", `${RAISE}; exec "$@"`, "sh", ...pinned], {
    stdio: [pipe ? "pipe" : "ignore", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  running.add(child);
  let said = "";
  let heard: (text: string) => void = () => {};
  const listen = (bytes: Uint8Array) => {
    said = (said + bytes).slice(-2000);
    heard(String(bytes));
  };
  child.stderr?.on("data", listen);
  if (!pipe) child.stdout?.on("data", listen);
  const gone = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  gone.then(() => running.delete(child));
  return {
    process: child,
    pid: child.pid ?? 0,
    said: () => said.trim(),
    listen: (fn) => heard = fn,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 1000);
      await gone;
      clearTimeout(timer);
    },
  };
}

let lastPort = 21000 + Math.floor(Math.random() * 4000);

/** A port that nobody listens on, below those the kernel gives to outgoing connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = ++lastPort;
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** Sends `bytes` and resolves with the first of the answer; rejects when there is none. */
export function ask(port: number, bytes: string, ms: number, tls = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect(port, "127.0.0.1");
    const fail = (why: string) => {
      socket.destroy();
      reject(new Error(why));
    };
    socket.setTimeout(ms, () => fail("no answer"));
    socket.once("error", (error) => fail(error.message));
    socket.once("close", () => fail("connection closed"));
    socket.once("data", (answer) => {
      resolve(answer.toString("latin1"));
      socket.destroy();
    });
    socket.write(bytes);
  });
}

/** Asks again and again until the answer begins with `answer`; says why when it never does. */
export async function untilAnswers(
  child: Child,
  port: number,
  question: string,
  answer: string,
  patienceMs: number,
  tls = false,
): Promise<string> {
  const end = Date.now() + patienceMs;
  let why = "";
  while (Date.now() < end && child.process.exitCode === null && child.process.signalCode === null) {
    try {
      const got = await ask(port, question, 1000, tls);
      if (got.startsWith(answer)) return "";
      why = `answered ${JSON.stringify(got.slice(0, 60))}`;
    } catch (error) {
      why = (error as Error).message;
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return complaint(child.said()) || why;
}

/** The line of a program's last words that most likely says what is wrong. */
export function complaint(said: string): string {
  const lines = said.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.find((line) => /error|cannot|could not|failed/i.test(line)) ?? lines.pop() ?? "";
}
