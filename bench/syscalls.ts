// `--syscalls`: which system calls a contestant makes per request, counted by strace. strace slows
// a process down many times over, so neither time nor CPU is measured at the same time.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, start } from "./child.ts";
import { executable } from "./packages.ts";
import { columns } from "./report.ts";
import { launch, load, type Session, stop } from "./session.ts";
import type { Workload } from "./workloads.ts";

/** Columns of the table; every other call is counted under "other". */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  read: ["read", "readv", "recv", "recvfrom", "recvmsg"],
  write: ["write", "writev", "send", "sendto", "sendmsg", "splice"],
  epoll_wait: ["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "io_uring_enter"],
  epoll_ctl: ["epoll_ctl"],
  futex: ["futex"],
  timer: ["timerfd_settime", "clock_gettime", "gettimeofday", "setitimer"],
};

const WINDOW_MS = 2000;

/** Prints one table per workload. */
export async function countSyscalls(
  session: Session,
  workloads: readonly Workload[],
): Promise<void> {
  if (executable("strace") === "") throw new Error("strace is not installed");
  for (const workload of workloads) {
    const servers = await session.servers.provide(workload.shape, workload.servers);
    const names = [...Object.keys(GROUPS), "other"];
    const lines = [[`${workload.name}: calls per request`, ...names, "all", "mostly other"]];
    for (const contestant of session.contestants) {
      try {
        const running = await launch(session, contestant, workload, servers);
        const [child] = running.children;
        if (child === undefined) continue;
        await load(session, running, workload, { windowMs: session.options.warmMs });
        const calls = await trace(session, child, async () => {
          const quick = { rampMs: 0, windowMs: WINDOW_MS };
          return (await load(session, running, workload, quick)).allRequests;
        });
        await stop(running);
        lines.push([`  ${contestant.title}`, ...perRequest(calls.counts, calls.requests)]);
      } catch (error) {
        console.log(`${contestant.title}: skipped: ${(error as Error).message}`);
      }
    }
    console.log(`${columns(lines)}\n`);
  }
}

interface Calls {
  readonly counts: Map<string, number>;
  readonly requests: number;
}

/** Runs `work` with strace attached to all threads of `child`. */
async function trace(session: Session, child: Child, work: () => Promise<number>): Promise<Calls> {
  const file = join(session.folder, `strace-${child.pid}`);
  const command = [executable("strace"), "-c", "-f", "-p", String(child.pid), "-o", file];
  const strace = start(command, "1");
  const end = Date.now() + 5000;
  while (!/attached/.test(strace.said())) {
    if (Date.now() > end) throw new Error(`strace: ${strace.said()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  let requests: number;
  try {
    requests = await work();
  } finally {
    await strace.stop();
  }
  return { counts: existsSync(file) ? parse(readFileSync(file, "utf8")) : new Map(), requests };
}

/** Lines are "% time, seconds, usecs/call, calls, [errors,] syscall". */
function parse(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of text.split("\n")) {
    const found = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$/.exec(line);
    if (found !== null && found[2] !== "total") counts.set(found[2], Number(found[1]));
  }
  return counts;
}

function perRequest(counts: Map<string, number>, requests: number): string[] {
  const rest = new Map(counts);
  const cells: string[] = [];
  let all = 0;
  for (const names of Object.values(GROUPS)) {
    let sum = 0;
    for (const name of names) {
      sum += rest.get(name) ?? 0;
      rest.delete(name);
    }
    all += sum;
    cells.push((sum / requests).toFixed(3));
  }
  const other = [...rest.values()].reduce((sum, n) => sum + n, 0);
  const [most] = [...rest].sort((a, b) => b[1] - a[1])[0] ?? [""];
  const share = other / requests;
  cells.push(share.toFixed(3), ((all + other) / requests).toFixed(3), share >= 0.01 ? most : "");
  return cells;
}
