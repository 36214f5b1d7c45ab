// `ringmux route KEY [COMMAND]`: the way that a key takes through the routes of a running ringmux, to
// its server.

import { parseHostPort } from "../../core/config/address.ts";
import { INTENT_CAS, INTENT_DELETE, INTENT_GETS } from "../../core/protocol/intents.ts";
import {
  INTENTS as MEMCACHED,
  verbOf as memcachedVerb,
} from "../../core/protocol/memcached/commands.ts";
import { INTENTS as REDIS, verbOf as redisVerb } from "../../core/protocol/redis/commands.ts";
import { CLASS_READ } from "../../core/stats/latency.ts";
import { DEFAULT_ADMIN } from "../admin/address.ts";
import type { RingView, Step, Way } from "../control/control.ts";
import { printable } from "../log/printable.ts";
import type { Terminal } from "./hot.ts";

const USAGE = `Usage: ringmux route KEY [COMMAND] [--admin host:port] [--pool name] [--json]

  KEY       : where does this key go?
  COMMAND   : for this command; else for a read, a write and a delete
  --admin=S : the admin address of the running ringmux (default: ${DEFAULT_ADMIN})
  --pool=S  : of this pool (default: all pools with routes; all pools, if none has)
  --json    : as /ring tells it
`;

/** How long (ms) the answer may take. */
const PATIENCE = 5000;

interface Wanted {
  key: string;
  command: string;
  admin: string;
  pool: string;
  json: boolean;
}

/** Carries it out; the exit status. */
export async function runRoute(argv: readonly string[], { out, err }: Terminal): Promise<number> {
  const wanted = parse(argv);
  if (wanted === null) {
    out(USAGE);
    return 0;
  }
  if (typeof wanted === "string") {
    err(`ringmux: route: ${wanted}\n${USAGE}`);
    return 1;
  }
  try {
    const rings = await ask(wanted);
    const fronts = rings.filter(({ ways }) => ways !== undefined);
    const shown = fronts.length > 0 && wanted.pool === "" ? fronts : rings;
    if (wanted.json) out(`${JSON.stringify(shown, null, 2)}\n`);
    else out(shown.map((ring) => tell(ring, wanted.command)).join(""));
    return 0;
  } catch (error) {
    err(`ringmux: route: ${printable(error instanceof Error ? error.message : String(error))}\n`);
    return 1;
  }
}

/** Null: the usage is asked for. */
function parse(argv: readonly string[]): Wanted | string | null {
  const wanted: Wanted = { key: "", command: "", admin: DEFAULT_ADMIN, pool: "", json: false };
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    if (!argv[i].startsWith("--") && argv[i] !== "-h") {
      words.push(argv[i]);
      continue;
    }
    const equals = argv[i].indexOf("=");
    const name = equals < 0 ? argv[i] : argv[i].slice(0, equals);
    if (name === "--help" || name === "-h") return null;
    if (name === "--json") {
      wanted.json = true;
      continue;
    }
    if (name !== "--admin" && name !== "--pool") {
      return `"${argv[i]}" is not known (--admin, --pool, --json)`;
    }
    const value = equals < 0 ? argv[++i] : argv[i].slice(equals + 1);
    if (value === undefined || value === "") return `${name} requires a value`;
    if (name === "--pool") wanted.pool = value;
    else if (typeof parseHostPort(value) === "string") {
      return `--admin "${value}" has to be host:port`;
    } else wanted.admin = value;
  }
  if (words.length < 1 || words.length > 2) return "it takes a key, and perhaps a command";
  return { ...wanted, key: words[0], command: words[1] ?? "" };
}

async function ask({ admin, pool, key }: Wanted): Promise<RingView[]> {
  const query = new URLSearchParams(pool === "" ? { key } : { pool, key });
  const signal = AbortSignal.timeout(PATIENCE);
  const reply = await fetch(`http://${admin}/ring?${query}`, { signal }).catch((error) => {
    throw new Error(`${admin}: no answer: ${error.cause?.message ?? error.message}`);
  });
  const told = await reply.json().catch(() => {
    throw new Error(`${admin}: no ringmux answers there`);
  });
  if (!reply.ok) throw new Error(`${admin}: ${told.error ?? reply.status}`);
  return told;
}

function tell({ pool, protocol, owner, ways }: RingView, command: string): string {
  const head = `pool "${printable(pool)}"`;
  if (ways === undefined) return `${head}: ${printable(owner ?? "no server")}\n`;
  const which: Way[] = command === "" ? ["read", "write", "delete"] : [wayOf(protocol, command)];
  return which.map((way) => `${head}, ${command || way}:\n${lines(ways[way], "  ")}`).join("");
}

function lines({ what, to }: Step, indent: string): string {
  return `${indent}${printable(what)}\n${to.map((step) => lines(step, `${indent}  `)).join("")}`;
}

/** What routes make of a command. */
function wayOf(protocol: RingView["protocol"], command: string): Way {
  const name = command.toLowerCase();
  const verb = protocol === "redis" ? redisVerb(name) : memcachedVerb(name);
  if (verb < 0) throw new Error(`command "${command}" is not known`);
  switch ((protocol === "redis" ? REDIS : MEMCACHED)[verb + 1]) {
    case CLASS_READ:
      return "read";
    case INTENT_DELETE:
      return "delete";
    case INTENT_GETS:
      return "gets";
    case INTENT_CAS:
      return "cas";
    default:
      return "write";
  }
}
