// The command line against nutcracker's, and the command itself run on a system made of memory.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultOptions } from "../../adapters/command/args.ts";
import { type CliOptions, parseArgs, runCommand } from "../../adapters/command/cli.ts";
import type { Running } from "../../adapters/control/running.ts";
import { type Sink, TextLog } from "../../adapters/log/log.ts";
import type { System } from "../../adapters/system/system.ts";
import { describeCounters } from "../../core/stats/counters.ts";
import { VERSION } from "../../core/version.ts";

const root = process.env.RINGMUX_ROOT ?? process.cwd();

/** Arguments as one would type them; no quoting. */
function parse(line: string) {
  return parseArgs(line === "" ? [] : line.split(" "), "test 1.0");
}

function options(line: string): CliOptions {
  const found = parse(line);
  if ("exit" in found) throw new Error(`${line}: ${found.stderr}`);
  return found;
}

/** First line on stderr of arguments that end the command, without the name. */
function refusal(line: string): string {
  const found = parse(line);
  if (!("exit" in found)) throw new Error(`${line}: accepted`);
  assert.is(found.exit, 1, line);
  assert.match(found.stderr, "Usage: ringmux", line);
  return found.stderr.split("\n")[0].replace(/^ringmux: /, "");
}

// --------------------------------------------------------------------------------------- arguments

test("no arguments give nutcracker's defaults, but stats for this machine only", () => {
  assert.equal(options(""), {
    testConf: false,
    daemonize: false,
    verbosity: 5,
    verbosityGiven: false,
    outputFile: "",
    confFile: "conf/nutcracker.yml",
    statsPort: 22222,
    statsAddress: "127.0.0.1",
    statsInterval: 30000,
    pidFile: "",
    mbufSize: 16384,
    workers: "",
    takeover: false,
    admin: "",
    title: "",
    askServers: false,
  });
});

test("every short option is taken", () => {
  assert.equal(options("-t -d -v 6 -o log -c conf -s 1234 -i 500 -a 127.0.0.1 -p pid -m 512"), {
    testConf: true,
    daemonize: true,
    verbosity: 6,
    verbosityGiven: true,
    outputFile: "log",
    confFile: "conf",
    statsPort: 1234,
    statsAddress: "127.0.0.1",
    statsInterval: 500,
    pidFile: "pid",
    mbufSize: 512,
    workers: "",
    takeover: false,
    admin: "",
    title: "",
    askServers: false,
  });
});

test("every long option is taken, with = or without, and shortened", () => {
  const all = "-t -d -v 6 -o log -c conf -s 1234 -i 500 -a 127.0.0.1 -p pid -m 512";
  const expected = options(all);
  assert.equal(
    options(
      "--test-conf --daemonize --verbose=6 --output=log --conf-file=conf --stats-port=1234 " +
        "--stats-interval=500 --stats-addr=127.0.0.1 --pid-file=pid --mbuf-size=512",
    ),
    expected,
  );
  assert.equal(
    options(
      "--test-conf --daemonize --verbose 6 --output log --conf-file conf --stats-port 1234 " +
        "--stats-interval 500 --stats-addr 127.0.0.1 --pid-file pid --mbuf-size 512",
    ),
    expected,
  );
  assert.equal(
    options(
      "--t --da --verb 6 --o=log --c conf --stats-p=1234 --stats-i 500 --stats-a=127.0.0.1 --p pid --m 512",
    ),
    expected,
  );
});

test("short options cluster, the last one with its argument", () => {
  assert.equal(options("-dv6"), {
    ...defaultOptions(),
    daemonize: true,
    verbosity: 6,
    verbosityGiven: true,
  });
  assert.equal(options("-v6"), { ...defaultOptions(), verbosity: 6, verbosityGiven: true });
  assert.equal(options("-tdc file"), {
    ...defaultOptions(),
    testConf: true,
    daemonize: true,
    confFile: "file",
  });
  assert.is(options("-cfile").confFile, "file");
  assert.is(options("-c -t").confFile, "-t");
});

test("the last of two equal options counts", () => {
  assert.is(options("-v 1 -v 2").verbosity, 2);
});

test("an argument that is no option is the configuration file", () => {
  assert.is(options("my.yml").confFile, "my.yml");
  assert.equal(options("my.yml -t"), { ...defaultOptions(), confFile: "my.yml", testConf: true });
  assert.is(options("-- -odd.yml").confFile, "-odd.yml");
  assert.is(refusal("a.yml b.yml"), "one configuration file is enough: 'a.yml', 'b.yml'");
});

test("the log level is held between 0 and 11", () => {
  assert.is(options("-v 0").verbosity, 0);
  assert.is(options("-v 99").verbosity, 11);
});

/** Lines on which nutcracker has to say the same. */
const REFUSED: [string, string][] = [
  ["-x", "invalid option -- 'x'"],
  ["-?", "invalid option -- '?'"],
  ["-dz", "invalid option -- 'z'"],
  ["-V -x", "invalid option -- 'x'"],
  ["--version=3", "invalid option -- 'V'"],
  ["-s", "option -s requires a number"],
  ["-s abc", "option -s requires a number"],
  ["-s -5", "option -s requires a number"],
  ["-s 1x", "option -s requires a number"],
  ["-s 0", "option -s value 0 is not a valid port"],
  ["-s 65536", "option -s value 65536 is not a valid port"],
  ["--stats-port=70000", "option -s value 70000 is not a valid port"],
  ["--stats-port", "option -s requires a number"],
  ["-i", "option -i requires a number"],
  ["-i abc", "option -i requires a number"],
  ["-v", "option -v requires a number"],
  ["-tv", "option -v requires a number"],
  ["-v -1", "option -v requires a number"],
  ["--verbose=abc", "option -v requires a number"],
  ["-m", "option -m requires a number"],
  ["--mbuf", "option -m requires a number"],
  ["-m abc", "option -m requires a non-zero number"],
  ["-m 0", "option -m requires a non-zero number"],
  ["-m 511", "mbuf chunk size must be between 512 and 16777216 bytes"],
  ["-m 16777217", "mbuf chunk size must be between 512 and 16777216 bytes"],
  ["-o", "option -o requires a file name"],
  ["-c", "option -c requires a file name"],
  ["-p", "option -p requires a file name"],
  ["-a", "option -a requires a string"],
];

test("wrong arguments are refused in nutcracker's words, with the usage and status 1", () => {
  for (const [line, text] of REFUSED) assert.is(refusal(line), text, line);
});

test("--ask-servers goes with -t, in whatever order", () => {
  assert.ok(options("-t --ask-servers").askServers);
  assert.ok(options("--ask-servers --test-conf a.yml").askServers);
  assert.is(options("-t").askServers, false);
  const alone = parseArgs(["--ask-servers"]);
  assert.match("exit" in alone ? alone.stderr : "", "option --ask-servers goes with -t");
});

test("--workers takes a number or auto, --takeover nothing", () => {
  const found = options("--workers 4 --takeover");
  assert.equal([found.workers, found.takeover], ["4", true]);
  assert.is(options("--workers=auto").workers, "auto");
  assert.is(refusal("--workers 0"), "option --workers requires auto or a number from 1 to 9999");
  assert.is(refusal("--workers"), "option --workers requires a number or auto");
});

test("--title takes a name of up to 15 characters, which the process then has", async () => {
  assert.is(options("--title ringmux").title, "ringmux");
  for (const wrong of ["a/b", "x".repeat(16)]) {
    assert.match(refusal(`--title ${wrong}`), `option --title value ${wrong} has to be 1 to 15`);
  }
  const { createSystem } = await import("../../adapters/system/system.ts");
  const comm = "/proc/self/comm";
  const args = "/proc/self/cmdline";
  if (!fs.existsSync(comm)) return;
  const [before, line] = [fs.readFileSync(comm, "utf8"), fs.readFileSync(args, "utf8")];
  try {
    assert.is(createSystem().setTitle?.("ringmux"), true);
    assert.is(fs.readFileSync(comm, "utf8"), "ringmux\n");
    assert.is(fs.readFileSync(args, "utf8"), line);
  } finally {
    fs.writeFileSync(comm, before.trim());
  }
});

test("--admin takes host:port or off", () => {
  assert.is(options("--admin 127.0.0.1:9").admin, "127.0.0.1:9");
  assert.is(options("--admin=[::1]:9").admin, "[::1]:9");
  assert.is(options("--admin off").admin, "off");
  for (const wrong of ["nowhere", "/a/path", "host:0", "on"]) {
    const text = `option --admin value ${wrong} has to be host:port or off`;
    assert.is(refusal(`--admin ${wrong}`), text);
  }
  assert.is(refusal("--admin"), "option --admin requires a host:port");
});

test("an unknown or ambiguous long option is named", () => {
  assert.is(refusal("--bogus"), "invalid option -- 'bogus'");
  assert.is(refusal("--ver"), "option --ver is ambiguous (--version, --verbose)");
  assert.is(refusal("-i 99999999999"), "option -i value 99999999999 is more than 2147483647");
});

test("-V, -h and -D answer on stderr with status 0", () => {
  const version = `This is ringmux-${VERSION}\nasync event backend: test 1.0\n\n`;
  assert.equal(parse("-V"), { exit: 0, stderr: version });
  assert.equal(parse("-t -V"), { exit: 0, stderr: version });
  assert.equal(parse("-D"), { exit: 0, stderr: version + describeCounters() });
  const help = parse("-h");
  if (!("exit" in help)) return assert.unreachable();
  assert.is(help.exit, 0);
  assert.ok(help.stderr.startsWith(`${version}Usage: ringmux [-?hVdDt]`));
  assert.match(help.stderr, "ringmux hot|route|migrate");
});

test("the version is that of package.json", () => {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
  assert.is(VERSION, version);
});

function nutcracker(args: string[]): { status: number | null; stderr: string } | null {
  for (const program of ["nutcracker", "/usr/sbin/nutcracker"]) {
    const done = spawnSync(program, args, { encoding: "utf8" });
    if (done.error === undefined) return { status: done.status, stderr: String(done.stderr) };
  }
  return null;
}

const installed = nutcracker(["-V"]) !== null;
if (!installed) console.log("nutcracker is not installed: comparison with it skipped");
const compared = installed ? test : test.skip;

compared("nutcracker refuses the same arguments with the same first line", () => {
  for (const [line, text] of REFUSED) {
    const found = nutcracker(line.split(" "));
    assert.is(found?.status, 1, line);
    assert.is(found?.stderr.split("\n")[0].trim(), `nutcracker: ${text}`, line);
  }
});

compared("the descriptions of the counters are nutcracker's", () => {
  const found = nutcracker(["-D"])?.stderr.replace(/\r/g, "") ?? "";
  assert.is(found.slice(found.indexOf("pool stats:")), describeCounters());
});

compared("the usage has nutcracker's options", () => {
  const letters = (text: string) => [...text.matchAll(/^ {2}-(.), (--\S+)/gm)].map((m) => m[0]);
  const help = parse("-h");
  if (!("exit" in help)) return assert.unreachable();
  assert.equal(letters(help.stderr), letters(nutcracker(["-h"])?.stderr ?? ""));
});

// --------------------------------------------------------------------------------------------- log

test("a log line has local time in milliseconds, and the level decides", () => {
  let text = "";
  const sink: Sink = { write: (line) => text += line, reopen() {}, close() {} };
  const log = new TextLog(sink, 5, () => new Date(2026, 10, 3, 4, 5, 6, 78));
  log.error("e");
  log.warn("w");
  log.notice("n");
  log.info("i");
  log.debug("d");
  const at = "[2026-11-03 04:05:06.078]";
  assert.is(text, `${at} e\n${at} w\n${at} n\n`);
  text = "";
  log.level = 99;
  assert.is(log.level, 11);
  log.info("i");
  log.debug("d");
  assert.is(text, `${at} i\n${at} d\n`);
  text = "";
  log.level = -3;
  assert.is(log.level, 0);
  log.error("e");
  assert.is(text, "");
});

// ------------------------------------------------------------------------------------- the command

const GOOD = "p:\n  listen: 127.0.0.1:1\n  servers:\n   - 127.0.0.1:2:1\n";

/** A system made of memory. */
function fake(files: Record<string, string>) {
  const signals = new Map<string, () => void>();
  const state = { err: "", logs: "", reopened: 0, daemons: 0, ready: 0, files, signals };
  const system: System = {
    args: [],
    pid: 4711,
    hostname: "host",
    runtime: "test 1.0",
    platform: "Testix 1 x64",
    isDaemon: false,
    readTextFile: (name) =>
      name in files
        ? Promise.resolve(files[name])
        : Promise.reject(new Error("no such file or directory")),
    writeFile(name, text) {
      if (name.startsWith("/nowhere/")) throw new Error("no such file or directory");
      files[name] = text;
    },
    removeFile: (name) => void delete files[name],
    openLog(name) {
      if (name.startsWith("/nowhere/")) throw new Error("no such file or directory");
      return {
        write: (t) => void (state.logs += t),
        reopen: () => void state.reopened++,
        close() {},
      };
    },
    stderr: (text) => void (state.err += text),
    on: (signal, fn) => void signals.set(signal, fn),
    signalNumber: () => 9,
    daemonize() {
      state.daemons++;
      return Promise.resolve(0);
    },
    daemonReady: () => void state.ready++,
    exit() {
      throw new Error("exit");
    },
  };
  return { state, system };
}

function started(running: Partial<Running> = {}) {
  let up: () => void = () => {};
  const ready = new Promise<void>((resolve) => up = resolve);
  const start = () => {
    // Signals are listened to only after this has returned.
    setTimeout(up, 0);
    return Promise.resolve({ stop: () => Promise.resolve(), ...running });
  };
  return { ready, start };
}

const never = () => Promise.reject(new Error("must not start"));

test("-t says every mistake, then the verdict", async () => {
  const { state, system } = fake({ good: GOOD, bad: GOOD.replace("listen", "lisen") });
  assert.is(await runCommand(system, ["-t", "-c", "good"], never), 0);
  assert.is(state.err, "ringmux: configuration file 'good' syntax is ok\n");
  state.err = "";
  assert.is(await runCommand(system, ["-t", "bad"], never), 1);
  assert.equal(state.err.split("\n"), [
    'bad:1: pool "p": listen is missing',
    'bad:2: pool "p": key "lisen" is not known; did you mean listen?',
    "ringmux: configuration file 'bad' syntax is invalid",
    "",
  ]);
  state.err = "";
  assert.is(await runCommand(system, ["-t", "none"], never), 1);
  assert.is(
    state.err,
    "none: cannot be read: no such file or directory\n" +
      "ringmux: configuration file 'none' syntax is invalid\n",
  );
});

test("a wrong file stops the start, and is told to the log file too", async () => {
  const { state, system } = fake({ bad: "p: x\n" });
  assert.is(await runCommand(system, ["-c", "bad", "-o", "log", "-d"], never), 1);
  assert.match(state.err, 'bad:1: pool "p": has to be a mapping');
  assert.match(state.logs, '] bad:1: pool "p": has to be a mapping');
  assert.is(state.daemons, 0);
});

test("a log or pid file that cannot be opened stops the start", async () => {
  const { state, system } = fake({ good: GOOD });
  assert.is(await runCommand(system, ["good", "-o", "/nowhere/log"], never), 1);
  assert.is(state.err, "opening log file '/nowhere/log' failed: no such file or directory\n");
  state.err = "";
  assert.is(await runCommand(system, ["good", "-p", "/nowhere/pid"], never), 1);
  assert.is(
    state.err,
    "ringmux: opening pid file '/nowhere/pid' failed: no such file or directory\n",
  );
});

test("a failed start removes the pid file and says why", async () => {
  const { state, system } = fake({ good: GOOD });
  const start = () => Promise.reject(new Error("address already in use"));
  assert.is(await runCommand(system, ["good", "-p", "pid"], start), 1);
  assert.match(state.err, "ringmux: address already in use\n");
  assert.not.ok("pid" in state.files);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  test(`${signal} stops the proxy: status 0, pid file removed`, async () => {
    const { state, system } = fake({ good: GOOD });
    let stops = 0;
    const { ready, start } = started({ stop: () => Promise.resolve(void stops++) });
    const over = runCommand(system, ["-c", "good", "-p", "pid", "-o", "log"], start);
    await ready;
    assert.is(state.files.pid, "4711");
    state.signals.get(signal)?.();
    assert.is(await over, 0);
    assert.is(stops, 1);
    assert.not.ok("pid" in state.files);
    assert.match(
      state.logs,
      `] ringmux-${VERSION} built for test 1.0 on Testix 1 x64 started on pid 4711\n`,
    );
    assert.match(state.logs, `] signal 9 (${signal}) received, exiting\n`);
    assert.is(state.err, "");
  });
}

test("a second SIGINT does not wait for the first", async () => {
  const { state, system } = fake({ good: GOOD });
  const { ready, start } = started({ stop: () => new Promise(() => {}) });
  const over = runCommand(system, ["good"], start);
  await ready;
  state.signals.get("SIGINT")?.();
  state.signals.get("SIGINT")?.();
  assert.is(await over, 1);
});

test("the pid file of a successor is left alone", async () => {
  const { state, system } = fake({ good: GOOD });
  const { ready, start } = started();
  const over = runCommand(system, ["good", "-p", "pid"], start);
  await ready;
  state.files.pid = "4712";
  state.signals.get("SIGTERM")?.();
  await over;
  assert.is(state.files.pid, "4712");
});

test("SIGTTIN and SIGTTOU change the level, SIGHUP reopens the log", async () => {
  const { state, system } = fake({ good: GOOD });
  let level = (): number => 0;
  const over = new Promise<number>((resolve) => {
    runCommand(system, ["good", "-o", "log", "-v", "10"], (_config, _options, log) => {
      level = () => log.level;
      setTimeout(() => {
        for (let i = 0; i < 3; i++) state.signals.get("SIGTTIN")?.();
        assert.is(level(), 11);
        for (let i = 0; i < 4; i++) state.signals.get("SIGTTOU")?.();
        assert.is(level(), 7);
        state.signals.get("SIGHUP")?.();
        assert.is(state.reopened, 1);
        state.signals.get("SIGTERM")?.();
      }, 0);
      return Promise.resolve({ stop: () => Promise.resolve() });
    }).then(resolve);
  });
  assert.is(await over, 0);
});

for (const signal of ["SIGUSR1", "SIGUSR2"]) {
  test(`${signal} hands over the changed file, unless it is wrong`, async () => {
    const { state, system } = fake({ good: GOOD });
    const names: string[] = [];
    let seen: () => void = () => {};
    const { ready, start } = started({
      reload(config) {
        names.push(config.pools[0].name);
        seen();
      },
    });
    const over = runCommand(system, ["good", "-o", "log"], start);
    await ready;
    state.files.good = GOOD.replace("p:", "q:");
    const reloaded = new Promise<void>((resolve) => seen = resolve);
    state.signals.get(signal)?.();
    await reloaded;
    assert.equal(names, ["q"]);
    state.files.good = GOOD.replace("listen", "lisen");
    state.signals.get(signal)?.();
    while (!state.logs.includes("configuration not reloaded")) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assert.match(state.logs, 'good:2: pool "p": key "lisen" is not known');
    assert.equal(names, ["q"]);
    state.signals.get("SIGTERM")?.();
    assert.is(await over, 0);
  });
}

test("-d starts a daemon and leaves with its status; the daemon itself does not", async () => {
  const { state, system } = fake({ good: GOOD });
  assert.is(await runCommand(system, ["-d", "good"], never), 0);
  assert.is(state.daemons, 1);
  const { ready, start } = started();
  const over = runCommand({ ...system, isDaemon: true }, ["-d", "good"], start);
  await ready;
  assert.is(state.ready, 1);
  assert.is(state.daemons, 1);
  state.signals.get("SIGTERM")?.();
  assert.is(await over, 0);
});

test.run();
