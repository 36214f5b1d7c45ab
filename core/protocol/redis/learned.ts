// Commands that are in no table but that the servers know (those of modules): what COMMAND INFO
// says of them is kept, per pool, and tells how to route them. Only what is safe on a connection
// that clients share is passed on. https://redis.io/docs/latest/commands/command-info/

import { bytes, decimal, text } from "../../bytes.ts";
import {
  ANY,
  ASKED,
  type Facts,
  FORWARD,
  type Inquiries,
  type Inquiry,
  type Part,
  type Scan,
  TOGETHER,
} from "../codec.ts";
import { errorReply } from "./errors.ts";
import { elementEnd } from "./reply.ts";

/** Most names remembered: clients can make up as many as they like. */
const MOST_NAMES = 512;
/** Longest name that is asked about. */
export const LONGEST_NAME = 64;
/** How long (ms) a name stays unknown before it is asked about again. */
const UNKNOWN_FOR = 10_000;
/** Not for shared connections, or not to be routed by what COMMAND INFO says. */
const UNFIT = ["admin", "blocking", "pubsub", "movablekeys", "no_multi"];

interface Learned {
  /** Milliseconds since 1970 after which it is asked about again. */
  readonly until: number;
  /** 0: no server knows it. */
  readonly arity: number;
  /** Why it is not passed on; "" if it is. */
  readonly unfit: string;
  readonly first: number;
  readonly last: number;
  readonly step: number;
  /** It changes nothing. */
  readonly readOnly: boolean;
  /** ACL categories, in lower case. */
  readonly categories: readonly string[];
}

export class LearnedCommands implements Inquiries {
  private readonly byName: Map<string, Learned>;
  private readonly facts: Facts;

  constructor(facts: Facts) {
    this.byName = new Map();
    this.facts = facts;
  }

  inquire(scan: Scan, buf: Uint8Array, start: number): Inquiry | null {
    if (scan.verb !== ASKED || scan.args[1] - scan.args[0] > LONGEST_NAME) return null;
    const name = text(buf, start + scan.args[0], start + scan.args[1]).toLowerCase();
    if (!this.isNew(name, this.facts.wallClock())) {
      this.route(scan, name);
      return null;
    }
    const request = `*3\r\n$7\r\nCOMMAND\r\n$4\r\nINFO\r\n$${name.length}\r\n${name}\r\n`;
    return { request: bytes(request), name: bytes(name) };
  }

  /** Whether a server is to be asked about the command `name`. */
  private isNew(name: string, now: number): boolean {
    if (!/^[!-{}~]{1,64}$/.test(name) || name.length > LONGEST_NAME) return false;
    const known = this.byName.get(name);
    return known === undefined || known.until < now;
  }

  /** Takes the answer to COMMAND INFO `name`. A lost one counts as "unknown". */
  learn(name: string, part: Part): void {
    const now = this.facts.wallClock();
    if (this.byName.size >= MOST_NAMES) this.byName.clear();
    this.byName.set(name, readInfo(part) ?? { ...UNKNOWN, until: now + UNKNOWN_FOR });
  }

  /** Whether a command that was learned changes nothing. */
  isReadOnly(name: string): boolean {
    return this.byName.get(name)?.readOnly ?? false;
  }

  /** The ACL categories of a command that was learned. */
  categoriesOf(name: string): readonly string[] {
    return this.byName.get(name)?.categories ?? [];
  }

  /** Routes a request by what was learned; false when the command stays unknown. */
  private route(scan: Scan, name: string): boolean {
    const known = this.byName.get(name);
    if (known === undefined || known.arity === 0) return false;
    if (known.unfit !== "") {
      scan.error = unfit(name, known.unfit);
      return false;
    }
    const { arity, first, last, step } = known;
    const n = scan.nargs;
    const fits = arity > 0 ? n === arity : n >= -arity;
    // With a wrong number of arguments the server says so itself.
    if (!fits || first === 0) {
      scan.action = ANY;
      return true;
    }
    scan.first = first;
    scan.step = step;
    scan.nkeys = Math.floor(((last < 0 ? n + last : last) - first) / step) + 1;
    if (scan.nkeys < 1 || first + (scan.nkeys - 1) * step >= n) {
      scan.action = ANY;
      return true;
    }
    scan.action = scan.nkeys === 1 ? FORWARD : TOGETHER;
    scan.keyStart = scan.args[2 * first];
    scan.keyEnd = scan.args[2 * first + 1];
    return true;
  }
}

const UNKNOWN = {
  ...{ arity: 0, unfit: "", first: 0, last: 0, step: 1, readOnly: false, categories: [] },
};

/** `*1 *n name arity flags first last step ...`; null when it is not known or not fit. */
function readInfo({ held, heldStart, heldEnd, failure }: Part): Learned | null {
  if (failure !== "" || heldEnd - heldStart < 8) return null;
  if (text(held, heldStart, heldStart + 5) !== "*1\r\n*") return null;
  let p = heldStart + 4;
  const count = aggregate(held, p);
  if (count.n < 6) return null;
  const spans: [number, number][] = [];
  p = count.next;
  for (let i = 0; i < count.n; i++) {
    const end = elementEnd(held, p);
    spans.push([p, end]);
    p = end;
  }
  const int = (i: number) => Number(text(held, spans[i][0] + 1, spans[i][1] - 2));
  const words = (i: number) =>
    text(held, ...spans[i]).split("\r\n").map((line) => line.replace(/^\+@?/, ""));
  const flags = words(2);
  const categories = count.n > 6 ? words(6).slice(1, -1) : [];
  const [arity, first, last, step] = [int(1), int(3), int(4), int(5)];
  if (![arity, first, last, step].every(Number.isInteger) || arity === 0 || first < 0) return null;
  if (first > 0 && step < 1) return null;
  const readOnly = flags.includes("readonly") && !flags.includes("write");
  const flag = UNFIT.find((flag) => flags.includes(flag));
  let why = flag === undefined ? "" : `has the flag '${flag}'`;
  // Without a key it would change one server out of many.
  if (why === "" && first === 0 && flags.includes("write")) why = "writes without a key";
  // Each subcommand has keys of its own.
  if (why === "" && count.n > 9 && aggregate(held, spans[9][0]).n > 0) why = "has subcommands";
  return { until: Infinity, arity, unfit: why, first, last, step, readOnly, categories };
}

function unfit(name: string, why: string): Uint8Array {
  return errorReply(
    `ERR '${name}' is not supported by ringmux: it is not in its command table, and the server ` +
      `says that it ${why}`,
  );
}

/** The length of the array or set that starts at `buf[p]`, and where its first element does. */
function aggregate(buf: Uint8Array, p: number): { n: number; next: number } {
  let cr = p + 1;
  while (cr < buf.length && buf[cr] !== 13) cr++;
  return { n: decimal(buf, p + 1, cr, 0xffff), next: cr + 2 };
}
