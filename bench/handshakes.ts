// What a TLS handshake costs the proxy, with a session of its own and with one that is resumed: `openssl
// s_time` opens connections one after the other for some seconds. `npm run bench -- handshakes`.
//
//   --seconds N   of each measurement (2)
//   --with NAMES  contestants, of those that take TLS (all)

import { spawn } from "node:child_process";
import { LOAD_CORES, openFiles } from "./child.ts";
import { type Contestant, CONTESTANTS } from "./contestants.ts";
import { Loader } from "./loader.ts";
import { cpuNanos, family } from "./measure.ts";
import { type Options, parseOptions } from "./options.ts";
import { executable } from "./packages.ts";
import { columns } from "./report.ts";
import { Servers } from "./servers.ts";
import { launch, type Running, type Session, stop } from "./session.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

/** TLS 1.3 sends its tickets behind the handshake, where s_time does not look for them. */
const KINDS: readonly [title: string, args: readonly string[]][] = [
  ["TLS 1.3, new", ["-tls1_3", "-new"]],
  ["TLS 1.2, new", ["-tls1_2", "-new"]],
  ["TLS 1.2, resumed", ["-tls1_2", "-reuse"]],
];

/** Microseconds of CPU for each, and how many a second. */
interface Cost {
  readonly micros: number;
  readonly perSecond: number;
}

function timed(port: number, args: readonly string[], seconds: number): Promise<number> {
  const command = ["openssl", "s_time", "-connect", `127.0.0.1:${port}`, "-time", String(seconds)];
  return new Promise((resolve, reject) => {
    const child = spawn("taskset", ["-c", LOAD_CORES, ...command, ...args]);
    let said = "";
    child.stdout.on("data", (text) => said += text);
    child.stderr.on("data", (text) => said += text);
    child.once("error", reject);
    child.once("exit", () => {
      const found = /(\d+) connections in \d+ real seconds/.exec(said);
      if (found === null) reject(new Error(`openssl s_time: ${said.slice(-200).trim()}`));
      else resolve(Number(found[1]));
    });
  });
}

async function cost(
  { port, children }: Running,
  args: readonly string[],
  seconds: number,
): Promise<Cost> {
  const pids = children.map(({ pid }) => pid);
  const [before, begun] = [cpuNanos(family(pids)), performance.now()];
  const n = await timed(port, args, seconds);
  const micros = (cpuNanos(family(pids)) - before) / 1000 / n;
  return { micros, perSecond: n / ((performance.now() - begun) / 1000) };
}

async function line(session: Session, contestant: Contestant, seconds: number): Promise<string[]> {
  const workload = WORKLOADS.find(({ name }) => name === "tls-churn") as Workload;
  const ports = await session.servers.provide(workload.shape, workload.servers);
  const running = await launch(session, contestant, workload, ports);
  try {
    await timed(running.port, ["-new"], 1);
    const costs: Cost[] = [];
    for (const [, args] of KINDS) costs.push(await cost(running, args, seconds));
    return [
      contestant.title,
      ...costs.map(({ micros, perSecond }) => `${micros.toFixed(0)} (${perSecond.toFixed(0)}/s)`),
    ];
  } finally {
    await stop(running);
  }
}

export async function main(args: readonly string[], folder: string): Promise<number> {
  const rest = args.slice(1);
  const at = rest.indexOf("--seconds");
  const seconds = at < 0 ? 2 : Number(rest.splice(at, 2)[1]);
  let options: Options | null;
  try {
    options = parseOptions(rest);
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
  if (options === null) return 0;
  if (executable("openssl") === "") {
    console.error("openssl is not installed");
    return 1;
  }
  const asked = rest.includes("--with") ? options.contestants : CONTESTANTS;
  const contestants = asked.filter((c) =>
    c.clients !== "plain" && !c.name.startsWith("base-") && c.missing() === ""
  );
  const loader = new Loader();
  const servers = new Servers(loader, folder);
  const files = openFiles();
  const session: Session = { options, contestants, loader, servers, folder, files };
  try {
    const lines = [["CPU µs a handshake", ...KINDS.map(([title]) => title)]];
    for (const contestant of contestants) lines.push(await line(session, contestant, seconds));
    console.log(columns(lines));
  } finally {
    await loader.stop();
    await servers.stop();
  }
  return 0;
}
