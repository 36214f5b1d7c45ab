// The command `ringmux`: arguments, configuration file, log, pid file and signals around a running
// proxy. Portable: a runtime enters through System, the proxy through `start`. What nutcracker
// does is in nc.c and nc_signal.c.

import { checkConfig, formatMistake } from "../../core/config/load.ts";
import type { Config } from "../../core/config/schema.ts";
import { resolveCertificates } from "../../core/config/certificates.ts";
import { resolveSecrets } from "../../core/config/secrets.ts";
import { printable } from "../log/printable.ts";
import { VERSION } from "../../core/version.ts";
import type { Running } from "../control/running.ts";
import { type CliOptions, parseArgs } from "./args.ts";
import { runMigrate } from "./migrate.ts";
import type { Verdict } from "./check_sentinels.ts";
import { runHot } from "./hot.ts";
import { runRoute } from "./route.ts";
import { levelOf, type Log, type Sink, TextLog } from "../log/log.ts";
import { type Reading, Reloader } from "./reload.ts";
import { secretsBeside } from "../system/secrets.ts";
import type { System } from "../system/system.ts";
import { pemBeside } from "../system/tls_files.ts";

export { type CliOptions, type Exit, parseArgs } from "./args.ts";

/** `reload` reads the file again and returns what is wrong with it, if it was not taken over. */
export type Start = (
  config: Config,
  options: CliOptions,
  log: Log,
  reload: () => Promise<string[]>,
) => Promise<Running>;

/** Asks the servers of a configuration how they are. */
export type Check = (config: Config) => Promise<Verdict>;

/** Runs the command; resolves to its exit status when it is over. */
export async function runCommand(
  system: System,
  argv: readonly string[],
  start: Start,
  check: Check = () => Promise.resolve({ ok: true, lines: [] }),
): Promise<number> {
  if (argv[0] === "migrate") {
    const out = (text: string): void => system.stdout?.(text);
    return await runMigrate(argv.slice(1), { out, err: (text) => system.stderr(text) });
  }
  if (argv[0] === "hot") {
    const out = (text: string): void => system.stdout?.(text);
    return await runHot(argv.slice(1), { out, err: (text) => system.stderr(text) });
  }
  if (argv[0] === "route") {
    const out = (text: string): void => system.stdout?.(text);
    return await runRoute(argv.slice(1), { out, err: (text) => system.stderr(text) });
  }
  const options = parseArgs(argv, system.runtime);
  if ("exit" in options) {
    system.stderr(options.stderr);
    return options.exit;
  }
  const reading = await readConfig(system, options.confFile);
  const { config } = reading;
  // They quote the file, which may hold anything.
  const lines = reading.lines.map(printable);
  const verdict = `ringmux: configuration file '${options.confFile}' syntax is`;
  if (options.testConf) {
    system.stderr(lines.map((line) => `${line}\n`).join(""));
    system.stderr(`${verdict} ${config === null ? "invalid" : "ok"}\n`);
    if (config === null) return 1;
    if (!options.askServers) return 0;
    const servers = await check(config);
    system.stderr(servers.lines.map((line) => `${printable(line)}\n`).join(""));
    return servers.ok ? 0 : 1;
  }

  const log = openLog(system, options);
  if (log === null) return 1;
  if (config !== null) adjustLog(log, options, config);
  if (config === null) {
    system.stderr(lines.map((line) => `${line}\n`).join("") + `${verdict} invalid\n`);
    if (options.outputFile !== "") lines.forEach((line) => log.error(line));
    return 1;
  }
  if (options.daemonize && !system.isDaemon) return await system.daemonize();
  for (const line of lines) log.warn(line);
  if (options.title !== "" && system.setTitle?.(options.title) === false) {
    log.warn(`--title ${options.title}: ${system.runtime} cannot name its process here`);
  }
  return await run(system, options, config, reading.state, log, start);
}

async function run(
  system: System,
  options: CliOptions,
  config: Config,
  state: string,
  log: TextLog,
  start: Start,
): Promise<number> {
  const fail = (text: string): number => {
    system.stderr(`ringmux: ${text}\n`);
    if (options.outputFile !== "") log.error(text);
    return 1;
  };
  const { pidFile } = options;
  const old = options.takeover ? await findOld(system, pidFile, log) : 0;
  if (typeof old === "string") return fail(old);
  try {
    // The old one's stays until this one listens.
    if (old === 0 && pidFile !== "") system.writeFile(pidFile, String(system.pid));
  } catch (error) {
    return fail(`opening pid file '${pidFile}' failed: ${reason(error)}`);
  }
  const built = `built for ${system.runtime} on ${system.platform}`;
  log.always(`ringmux-${VERSION} ${built} started on pid ${system.pid}`);

  let running: Running | null = null;
  // Signals count from the beginning: one that comes while it starts must not leave the pid file.
  const reloader = new Reloader(
    options.confFile,
    log,
    () => readConfig(system, options.confFile),
    (known, changed) => system.watchFile?.(options.confFile, known, changed) ?? { stop() {} },
  );
  const stopped = untilSignal(system, options, log, () => running, reloader);
  try {
    const started = start(config, options, log, () => reloader.reload());
    running = await Promise.race([started, stopped.then(() => null)]);
    if (old !== 0 && running !== null) handOver(system, old, pidFile, log);
  } catch (error) {
    await removePidFile(system, pidFile);
    return fail(reason(error));
  }
  if (running !== null) {
    const target = running;
    reloader.begin(async (next) => {
      await (target.reload === undefined ? unsupported() : target.reload(next));
      adjustLog(log, options, next);
      target.levelChanged?.();
    });
    reloader.watching(config.global.watch, state);
  }
  if (running !== null && system.isDaemon) system.daemonReady();
  if (running !== null) system.notify?.("READY=1");
  const status = await stopped;
  reloader.stop();
  await removePidFile(system, pidFile);
  log.always(`ringmux-${VERSION} stopped`);
  await log.sink.close();
  return status;
}

/** Acts on signals until one of them ends the proxy; resolves to the exit status. */
function untilSignal(
  system: System,
  options: CliOptions,
  log: TextLog,
  running: () => Running | null,
  reloader: Reloader,
): Promise<number> {
  const on = (signal: string, action: string, fn: () => void): void =>
    system.on(signal, () => {
      log.always(`signal ${system.signalNumber(signal)} (${signal}) received${action}`);
      fn();
    });
  const turn = (by: number) => (): void => {
    log.level += by;
    running()?.levelChanged?.();
  };
  on("SIGTTIN", ", up logging level", turn(1));
  on("SIGTTOU", ", down logging level", turn(-1));
  on("SIGHUP", ", reopening log file", () => {
    try {
      log.sink.reopen();
    } catch (error) {
      log.error(`reopening log file '${options.outputFile}' failed: ${reason(error)}`);
    }
  });
  // Deno (since 2.9.2) also opens its debugger at SIGUSR1, listener or not, so there are two.
  for (const signal of ["SIGUSR1", "SIGUSR2"]) {
    const reload = () => announced(system, () => reloader.reload());
    on(signal, ", reloading configuration", () => void reload());
  }
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (): void => {
      // Whoever asks twice does not want to wait for the clients.
      if (stopping) {
        running()?.abort?.();
        return resolve(1);
      }
      stopping = true;
      const told = system.notify?.("STOPPING=1");
      reloader.stop();
      const ended = running()?.stop().then(() => 0, (error) => {
        log.error(`stopping failed: ${reason(error)}`);
        return 1;
      });
      // What is told in turn, behind a reload, must not die with the process.
      Promise.all([ended ?? 0, told]).then(([status]) => resolve(status));
    };
    on("SIGINT", ", exiting", stop);
    on("SIGTERM", ", exiting", stop);
  });
}

/** systemctl reload waits until it is over, whatever came of it. */
async function announced(system: System, work: () => Promise<unknown>): Promise<void> {
  system.notify?.("RELOADING=1");
  await work();
  system.notify?.("READY=1");
}

/**
 * The process that is to be taken over from: 0 when there is none, and a text when it cannot be
 * known.
 */
async function findOld(
  system: System,
  pidFile: string,
  log: TextLog,
): Promise<number | string> {
  if (pidFile === "") return "--takeover needs the pid file of the running ringmux (-p)";
  const text = await system.readTextFile(pidFile).catch(() => "");
  const pid = /^[0-9]+\s*$/.test(text) ? Number(text) : 0;
  // A pid may be another program's by now: the one that is meant was started with this pid file.
  const name = pidFile.slice(pidFile.lastIndexOf("/") + 1);
  if (pid > 1 && pid !== system.pid && system.commandLine?.(pid).includes(name)) return pid;
  log.notice(`nothing to take over: no ringmux runs with pid file '${pidFile}'`);
  return 0;
}

/** This process listens: the old one may go. */
function handOver(system: System, old: number, pidFile: string, log: TextLog): void {
  system.writeFile(pidFile, String(system.pid));
  log.notice(`taking over from pid ${old}`);
  try {
    system.signal?.(old, "SIGTERM");
  } catch (error) {
    log.warn(`pid ${old} could not be told to stop: ${reason(error)}`);
  }
}

/** The checked file with its secrets, and lines of warnings; or null and a line for every mistake. */
async function readConfig(
  system: System,
  file: string,
): Promise<Reading> {
  const state = system.fileState?.(file) ?? "";
  let text: string;
  try {
    text = await system.readTextFile(file);
  } catch (error) {
    return { state, config: null, lines: [`${file}: cannot be read: ${reason(error)}`] };
  }
  const { config, mistakes } = checkConfig(text, file);
  if (config === null) return { state, config, lines: mistakes.map(formatMistake) };
  const resolved = await resolveSecrets(config, secretsBeside(file), text, file);
  const pem = await resolveCertificates(
    ...[resolved.config, pemBeside(file), Date.now(), text, file] as const,
  );
  const errors = [...resolved.errors, ...pem.errors];
  const warnings = [...resolved.warnings, ...pem.warnings];
  if (errors.length > 0) return { state, config: null, lines: [...errors, ...warnings] };
  return { state, config: pem.config, lines: warnings };
}

/** Makes the log as the configuration wants it. The command line goes before it. */
export function adjustLog(log: TextLog, options: CliOptions, { global }: Config): void {
  log.format = global.log_format;
  if (!options.verbosityGiven) log.level = levelOf(global.log_level);
}

/** The log as options want it; null (and a line on stderr) when its file cannot be opened. */
function openLog(system: System, options: CliOptions): TextLog | null {
  let sink: Sink;
  try {
    sink = system.openLog(options.outputFile);
  } catch (error) {
    system.stderr(`opening log file '${options.outputFile}' failed: ${reason(error)}\n`);
    return null;
  }
  const log = new TextLog(sink, options.verbosity);
  log.common = { pid: system.pid };
  return log;
}

/** Removes the pid file unless another process has put its own there meanwhile. */
async function removePidFile(system: System, path: string): Promise<void> {
  if (path === "") return;
  try {
    if (await system.readTextFile(path) === String(system.pid)) system.removeFile(path);
  } catch {
    // Gone already: what was wanted.
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function unsupported(): Promise<never> {
  return Promise.reject(new Error("not supported"));
}
