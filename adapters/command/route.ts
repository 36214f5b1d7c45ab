// `ringmux route KEY [COMMAND]`: the way that a key takes through the routes of a running ringmux, to
// its server.

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
import { askAdmin, type Look, runLook, type Terminal } from "./look.ts";

const USAGE = `Usage: ringmux route KEY [COMMAND] [--admin host:port] [--pool name] [--json]

  KEY       : where does this key go?
  COMMAND   : for this command; else for a read, a write and a delete
  --admin=S : the admin address of the running ringmux (default: ${DEFAULT_ADMIN})
  --pool=S  : of this pool (default: all pools with routes; all pools, if none has)
  --json    : as /ring tells it
`;

/** Carries it out; the exit status. */
export function runRoute(argv: readonly string[], terminal: Terminal): Promise<number> {
  return runLook({ name: "route", usage: USAGE, judge, show }, argv, terminal);
}

function judge({ length }: readonly string[]): string {
  return length < 1 || length > 2 ? "it takes a key, and perhaps a command" : "";
}

async function show({ admin, pool, json, words: [key, command = ""] }: Look): Promise<string> {
  const query = new URLSearchParams(pool === "" ? { key } : { pool, key });
  const rings = await askAdmin<RingView[]>(admin, `/ring?${query}`);
  const fronts = rings.filter(({ ways }) => ways !== undefined);
  const asked = fronts.length > 0 && pool === "" ? fronts : rings;
  // Pools of the other protocol may not know the command.
  const shown = asked.filter(({ protocol }) => command === "" || verbOf(protocol, command) >= 0);
  if (shown.length === 0) throw new Error(`command "${command}" is not known`);
  if (json) return `${JSON.stringify(shown, null, 2)}\n`;
  return shown.map((ring) => tell(ring, command)).join("");
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

/** Below 0: it has no such command. */
function verbOf(protocol: RingView["protocol"], command: string): number {
  const name = command.toLowerCase();
  return protocol === "redis" ? redisVerb(name) : memcachedVerb(name);
}

/** What routes make of a command. */
function wayOf(protocol: RingView["protocol"], command: string): Way {
  switch ((protocol === "redis" ? REDIS : MEMCACHED)[verbOf(protocol, command) + 1]) {
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
