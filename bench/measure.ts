// What a process used, from /proc: CPU time, memory now and at its peak. Processes are summed with
// all their children, so that a proxy of several workers counts whole. Formats: proc(5) and the
// kernel's Documentation/scheduler/sched-stats.rst. Runs on Node and on Bun.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Units of utime and stime in /proc/<pid>/stat: USER_HZ, 100 on every Linux in use. */
const NANOS_PER_TICK = 1e7;

/** `pids` and all their descendants. */
export function family(pids: readonly number[]): number[] {
  const all = [...pids];
  for (const pid of all) {
    for (const task of tasks(pid)) {
      const children = read(`/proc/${pid}/task/${task}/children`);
      for (const child of children.split(" ")) if (child !== "") all.push(Number(child));
    }
  }
  return all;
}

/** CPU time of `pids` so far, user and system, in nanoseconds. */
export function cpuNanos(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    let nanos = 0;
    // The file of the process itself shows its main thread only.
    for (const task of tasks(pid)) {
      nanos += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(" ")[0]);
    }
    // Ticks are coarse, but threads that have ended are in them.
    sum += Math.max(nanos, cpuTicks(pid) * NANOS_PER_TICK);
  }
  return sum;
}

/** User and system time in ticks of 10 ms: for kernels without schedstat. */
function cpuTicks(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may hold spaces: count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.length > 12 ? Number(fields[11]) + Number(fields[12]) : 0;
}

/** Resident memory in kilobytes. */
export function residentKb(pids: readonly number[]): number {
  return statusSum(pids, "VmRSS");
}

/** Peak of resident memory since the start or the last `resetPeak`, in kilobytes. */
export function peakKb(pids: readonly number[]): number {
  return statusSum(pids, "VmHWM");
}

/** Sets the peak of resident memory back to what is resident now. */
export function resetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
    } catch {
      // Not permitted: the peak then counts from the start of the process.
    }
  }
}

function statusSum(pids: readonly number[], field: string): number {
  let sum = 0;
  for (const pid of pids) {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(read(`/proc/${pid}/status`));
    if (found !== null) sum += Number(found[1]);
  }
  return sum;
}

function tasks(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** A file of /proc, "" when the process is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
