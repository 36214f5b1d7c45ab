// What the commands share that look into a running ringmux by its admin address: their options, the
// question, and how it is told that they cannot.

import { parseHostPort } from "../../core/config/address.ts";
import { DEFAULT_ADMIN } from "../admin/address.ts";
import { printable } from "../log/printable.ts";

/** How long (ms) an answer may take. */
const PATIENCE = 5000;

/** Where a command writes. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** What the command line asks for. */
export interface Look {
  admin: string;
  pool: string;
  json: boolean;
  /** Arguments that are no options. */
  readonly words: string[];
}

/** One of these commands: `ringmux NAME`. */
export interface LookCommand {
  readonly name: string;
  readonly usage: string;
  /** What is wrong with its words, "" for nothing; absent: it takes none. */
  readonly judge?: (words: readonly string[]) => string;
  /** What it shows. An Error says why it cannot. */
  show(look: Look): Promise<string>;
}

/** Carries it out; the exit status. */
export async function runLook(
  command: LookCommand,
  argv: readonly string[],
  { out, err }: Terminal,
): Promise<number> {
  const { name, usage } = command;
  const look = parse(argv, command);
  if (look === null) {
    out(usage);
    return 0;
  }
  if (typeof look === "string") {
    err(`ringmux: ${name}: ${look}\n${usage}`);
    return 1;
  }
  try {
    out(await command.show(look));
    return 0;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    err(`ringmux: ${name}: ${printable(why)}\n`);
    return 1;
  }
}

/** Null: the usage is asked for. */
function parse(argv: readonly string[], { judge }: LookCommand): Look | string | null {
  const look: Look = { admin: DEFAULT_ADMIN, pool: "", json: false, words: [] };
  for (let i = 0; i < argv.length; i++) {
    if (judge !== undefined && !argv[i].startsWith("--") && argv[i] !== "-h") {
      look.words.push(argv[i]);
      continue;
    }
    const equals = argv[i].indexOf("=");
    const name = equals < 0 ? argv[i] : argv[i].slice(0, equals);
    if (name === "--help" || name === "-h") return null;
    if (name === "--json") {
      look.json = true;
      continue;
    }
    if (name !== "--admin" && name !== "--pool") {
      return `"${argv[i]}" is not known (--admin, --pool, --json)`;
    }
    const value = equals < 0 ? argv[++i] : argv[i].slice(equals + 1);
    if (value === undefined || value === "") return `${name} requires a value`;
    if (name === "--pool") look.pool = value;
    else if (typeof parseHostPort(value) === "string") {
      return `--admin "${value}" has to be host:port`;
    } else look.admin = value;
  }
  return judge?.(look.words) || look;
}

/** What `path` of an admin address tells. */
export async function askAdmin<T>(admin: string, path: string): Promise<T> {
  const signal = AbortSignal.timeout(PATIENCE);
  const reply = await fetch(`http://${admin}${path}`, { signal }).catch((error) => {
    throw new Error(`${admin}: no answer: ${error.cause?.message ?? error.message}`);
  });
  const told = await reply.json().catch(() => {
    throw new Error(`${admin}: no ringmux answers there`);
  });
  if (!reply.ok) throw new Error(`${admin}: ${told.error ?? reply.status}`);
  return told;
}
