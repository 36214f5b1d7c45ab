// The command line, read as getopt_long reads nutcracker's (nc.c nc_get_options): the same
// options, defaults and messages. New: a configuration file may be named without -c, and options
// with a long name only. Pure: knows nothing of runtimes, files or processes.

import { parseHostPort } from "../../core/config/address.ts";
import { describeCounters } from "../../core/stats/counters.ts";
import { VERSION } from "../../core/version.ts";
import { DEFAULT_ADMIN } from "../admin/address.ts";
import { levelOf, MAX_LEVEL } from "../log/log.ts";

export interface CliOptions {
  /** -t: check the configuration file and exit. */
  testConf: boolean;
  /** -d */
  daemonize: boolean;
  /** -v: 0 to 11. */
  verbosity: number;
  /** -v was given: it goes before the configuration's log_level. */
  verbosityGiven: boolean;
  /** -o: the log file; "" for stderr. */
  outputFile: string;
  /** -c, or the argument that is no option. */
  confFile: string;
  /** -s */
  statsPort: number;
  /** -a */
  statsAddress: string;
  /** -i: milliseconds. */
  statsInterval: number;
  /** -p: "" for none. */
  pidFile: string;
  /** -m: bytes. Four such chunks are the most that is gathered before it is written. */
  mbufSize: number;
  /** "auto" or a number; "" = as the configuration says. */
  workers: string;
  /** Takes the place of the ringmux whose pid file it is given. */
  takeover: boolean;
  /** --admin: host:port, or off; "" leaves it to the configuration. */
  admin: string;
  /** --title: the process's name; "" leaves the runtime's. */
  title: string;
  /** --ask-servers, with -t: servers that are followed are asked whether they serve all keys. */
  askServers: boolean;
}

/** The command is over before it began: what to say on stderr, and the status. */
export interface Exit {
  readonly exit: number;
  readonly stderr: string;
}

const MAX_INT = 0x7fffffff;
const MBUF_MIN = 512;
const MBUF_MAX = 16777216;

type Argument = "" | "file name" | "number" | "string" | "number or auto" | "host:port";

/** Letter, long name, kind of argument: "" for a switch. Some have no letter, but their name. */
const OPTIONS: readonly (readonly [string, string, Argument])[] = [
  ["h", "help", ""],
  ["V", "version", ""],
  ["t", "test-conf", ""],
  ["d", "daemonize", ""],
  ["D", "describe-stats", ""],
  ["v", "verbose", "number"],
  ["o", "output", "file name"],
  ["c", "conf-file", "file name"],
  ["s", "stats-port", "number"],
  ["i", "stats-interval", "number"],
  ["a", "stats-addr", "string"],
  ["p", "pid-file", "file name"],
  ["m", "mbuf-size", "number"],
  ["workers", "workers", "number or auto"],
  ["takeover", "takeover", ""],
  ["admin", "admin", "host:port"],
  ["title", "title", "string"],
  ["ask-servers", "ask-servers", ""],
];

/** An option as messages name it. */
function shown(letter: string): string {
  return letter.length > 1 ? `--${letter}` : `-${letter}`;
}

export function defaultOptions(): CliOptions {
  return {
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
  };
}

/** Reads the arguments; `runtime` is named by --version. */
export function parseArgs(argv: readonly string[], runtime = "unknown"): CliOptions | Exit {
  const reader = new ArgReader();
  const wrong = reader.read(argv) || reader.together();
  if (wrong !== "") return { exit: 1, stderr: `ringmux: ${wrong}\n${usage()}` };
  if (!reader.version) return reader.options;
  const text = `This is ringmux-${VERSION}\nasync event backend: ${runtime}\n\n` +
    (reader.help ? usage() : "") + (reader.describe ? describeCounters() : "");
  return { exit: 0, stderr: text };
}

class ArgReader {
  readonly options: CliOptions;
  help: boolean;
  /** -V, which -h and -D imply. */
  version: boolean;
  describe: boolean;
  /** Where the configuration file was named; "" while it was not. */
  private positional: string;

  constructor() {
    this.options = defaultOptions();
    this.help = false;
    this.version = false;
    this.describe = false;
    this.positional = "";
  }

  /** Returns what is wrong; "" if nothing is. */
  read(argv: readonly string[]): string {
    let onlyNames = false;
    for (let i = 0; i < argv.length; i++) {
      const arg = argv[i];
      let wrong = "";
      if (onlyNames || arg === "-" || !arg.startsWith("-")) {
        wrong = this.name(arg);
      } else if (arg === "--") {
        onlyNames = true;
      } else {
        const next = i + 1 < argv.length ? argv[i + 1] : null;
        const result = arg.startsWith("--") ? this.long(arg, next) : this.cluster(arg, next);
        wrong = result.wrong;
        if (result.usedNext) i++;
      }
      if (wrong !== "") return wrong;
    }
    return "";
  }

  /** What is wrong with options together. */
  together(): string {
    const { askServers, testConf } = this.options;
    return askServers && !testConf && !this.version ? "option --ask-servers goes with -t" : "";
  }

  private name(arg: string): string {
    if (this.positional !== "") {
      return `one configuration file is enough: '${this.positional}', '${arg}'`;
    }
    this.positional = arg;
    this.options.confFile = arg;
    return "";
  }

  /** `-dv6`: switches, then perhaps one option with its argument behind it or in `next`. */
  private cluster(arg: string, next: string | null): { wrong: string; usedNext: boolean } {
    for (let at = 1; at < arg.length; at++) {
      const option = OPTIONS.find(([letter]) => letter === arg[at]);
      if (option === undefined) return done(`invalid option -- '${arg[at]}'`);
      if (option[2] === "") {
        this.apply(option[0], "");
        continue;
      }
      const behind = arg.slice(at + 1);
      if (behind !== "") return done(this.apply(option[0], behind));
      if (next === null) return done(`option -${option[0]} requires a ${option[2]}`);
      return { wrong: this.apply(option[0], next), usedNext: true };
    }
    return done("");
  }

  /** `--stats-port 1`, `--stats-port=1`, or the beginning of only one name. */
  private long(arg: string, next: string | null): { wrong: string; usedNext: boolean } {
    const equals = arg.indexOf("=");
    const name = arg.slice(2, equals < 0 ? arg.length : equals);
    const all = OPTIONS.filter(([, long]) => long.startsWith(name));
    // What is short for an option of nutcracker's stays so.
    const theirs = all.filter(([letter, long]) => letter.length === 1 || long === name);
    const found = theirs.length > 0 ? theirs : all;
    const option = found.find(([, long]) => long === name) ?? found[0];
    if (option === undefined) return done(`invalid option -- '${name}'`);
    if (found.length > 1 && option[1] !== name) {
      const names = found.map(([, long]) => `--${long}`).join(", ");
      return done(`option --${name} is ambiguous (${names})`);
    }
    const [letter, , kind] = option;
    if (kind === "") {
      return done(equals < 0 ? this.apply(letter, "") : `invalid option -- '${letter}'`);
    }
    if (equals >= 0) return done(this.apply(letter, arg.slice(equals + 1)));
    if (next === null) return done(`option ${shown(letter)} requires a ${kind}`);
    return { wrong: this.apply(letter, next), usedNext: true };
  }

  /** Takes one option; returns what is wrong with its value. */
  private apply(letter: string, value: string): string {
    const options = this.options;
    switch (letter) {
      case "h":
        this.version = true;
        this.help = true;
        return "";
      case "V":
        this.version = true;
        return "";
      case "D":
        this.version = true;
        this.describe = true;
        return "";
      case "t":
        options.testConf = true;
        return "";
      case "d":
        options.daemonize = true;
        return "";
      case "o":
        options.outputFile = value;
        return "";
      case "c":
        options.confFile = value;
        return "";
      case "a":
        options.statsAddress = value;
        return "";
      case "p":
        options.pidFile = value;
        return "";
      case "takeover":
        options.takeover = true;
        return "";
      case "ask-servers":
        options.askServers = true;
        return "";
      case "workers":
        if (!/^(auto|[1-9][0-9]{0,3})$/.test(value)) {
          return "option --workers requires auto or a number from 1 to 9999";
        }
        options.workers = value;
        return "";
      case "title":
        options.title = value;
        return /^[A-Za-z0-9_.-]{1,15}$/.test(value)
          ? ""
          : `option --title value ${value} has to be 1 to 15 letters, digits, ".", "_" or "-"`;
      case "admin":
        options.admin = value;
        return value === "off" || typeof parseHostPort(value) !== "string"
          ? ""
          : `option --admin value ${value} has to be host:port or off`;
      default:
        return this.number(letter, value);
    }
  }

  private number(letter: string, value: string): string {
    const options = this.options;
    const digits = /^[0-9]+$/.test(value);
    if (letter === "m") {
      if (!digits || Number(value) === 0) return "option -m requires a non-zero number";
      if (Number(value) < MBUF_MIN || Number(value) > MBUF_MAX) {
        return `mbuf chunk size must be between ${MBUF_MIN} and ${MBUF_MAX} bytes`;
      }
      options.mbufSize = Number(value);
      return "";
    }
    if (letter === "v" && levelOf(value) >= 0) {
      options.verbosity = levelOf(value);
      options.verbosityGiven = true;
      return "";
    }
    if (!digits) return `option -${letter} requires a number`;
    const n = Number(value);
    if (letter === "s") {
      if (n < 1 || n > 65535) return `option -s value ${value} is not a valid port`;
      options.statsPort = n;
    } else {
      if (n > MAX_INT) return `option -i value ${value} is more than ${MAX_INT}`;
      options.statsInterval = n;
    }
    return "";
  }
}

function done(wrong: string): { wrong: string; usedNext: boolean } {
  return { wrong, usedNext: false };
}

function usage(): string {
  const o = defaultOptions();
  return `Usage: ringmux [-?hVdDt] [-v verbosity level] [-o output file]
               [-c conf file] [-s stats port] [-a stats addr]
               [-i stats interval] [-p pid file] [-m mbuf size]
               [--workers number] [--takeover] [--admin host:port]
               [--title name] [--ask-servers] [conf file]
       ringmux hot|route|migrate ... (of a running ringmux: --help behind it says how)

Options:
  -h, --help             : this help
  -V, --version          : show version and exit
  -t, --test-conf        : test configuration for syntax errors and exit
  -d, --daemonize        : run as a daemon
  -D, --describe-stats   : print stats description and exit
  -v, --verbose=N        : set logging level (default: ${o.verbosity}, min: 0, max: ${MAX_LEVEL}), or its name
  -o, --output=S         : set logging file (default: stderr)
  -c, --conf-file=S      : set configuration file (default: ${o.confFile})
  -s, --stats-port=N     : set stats monitoring port (default: ${o.statsPort})
  -a, --stats-addr=S     : set stats monitoring ip (default: ${o.statsAddress})
  -i, --stats-interval=N : set stats aggregation interval in msec (default: ${o.statsInterval} msec)
  -p, --pid-file=S       : set pid file (default: off)
  -m, --mbuf-size=N      : set size of mbuf chunk in bytes (default: ${o.mbufSize} bytes)
  --workers=N            : set number of worker processes, or auto: one a core (default: 1)
  --takeover             : take over the ports from the ringmux of the pid file, then stop it
  --admin=S              : set address of metrics, health and live page, or off (default: ${DEFAULT_ADMIN})
  --title=S              : set name of the process, as ps -e, pgrep -x and killall know it
  --ask-servers          : with -t, ask Redis Clusters and Sentinels too whether all keys are served

`;
}
