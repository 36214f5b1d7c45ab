// INFO of a whole pool: what ringmux says of itself and, where tools look for them, the servers'
// figures added up (memory, hits and misses, keys per database). Field by field a number is summed
// unless a rule below says otherwise. https://redis.io/docs/latest/commands/info/

import { text } from "../../bytes.ts";
import type { OutBuffer } from "../../wire/out_buffer.ts";
import type { FanOut, Part } from "../codec.ts";

/** Sections that speak of one process and are not passed on. */
const LEFT_OUT = new Set(["server", "replication", "modules", "cluster", "latencystats"]);
/** The order of the sections; those with other names come last. */
const ORDER = [
  ...["server", "servers", "clients", "memory", "persistence", "stats", "replication", "cpu"],
  ...["commandstats", "errorstats", "keyspace"],
];

/** Shares, averages and limits of one server, which cannot be made into those of all. */
const NO_SUM = /_(ratio|perc|human)$|^maxclients$/;
/** The highest of all servers: states, durations, the largest buffer. */
const HIGHEST = /loading$|_(in_progress|enabled|scheduled|running|sec|usec|buffer)$/;
/** The save that is longest ago says how much could be lost. */
const LOWEST = /^rdb_last_save_time$/;
/** `ok`, unless a server says otherwise. */
const STATUS = /_status$/;
const NUMBER = /^-?\d+(\.\d+)?$/;

type Fields = Map<string, string>;

interface Section {
  readonly title: string;
  readonly fields: Fields;
}

type Sections = Map<string, Section>;

/** Joins ringmux's own answer (`fanOut.held`) with those of the servers that gave one. */
export function joinInfo(fanOut: FanOut, out: OutBuffer): void {
  const own = fanOut.held ?? new Uint8Array(0);
  const sections = parse(own, 0, own.length);
  const told = fanOut.parts.filter(isText).map((p) => parse(p.held, p.heldStart, p.heldEnd));
  for (const theirs of told) {
    for (const [name, { title }] of theirs) {
      if (LEFT_OUT.has(name) || sections.has(name)) continue;
      sections.set(name, { title, fields: new Map() });
    }
  }
  for (const [name, { fields }] of sections) {
    if (LEFT_OUT.has(name)) continue;
    addUp(fields, told.flatMap((theirs) => theirs.get(name)?.fields ?? []));
  }
  const rank = (name: string): number => ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length;
  const shown = [...sections.entries()]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([, section]) => show(section)).join("\r\n");
  out.ascii(own[0] === 61 ? `=${shown.length + 4}\r\ntxt:` : `$${shown.length}\r\n`);
  out.ascii(`${shown}\r\n`);
}

/** A server that is lost, or refuses, is left out of the sums. */
function isText(part: Part): boolean {
  const type = part.held[part.heldStart];
  return part.failure === "" && (type === 36 || type === 61);
}

/** The sections of a bulk or verbatim string, by their names in lower case. */
function parse(buf: Uint8Array, start: number, end: number): Sections {
  const sections: Sections = new Map();
  let fields: Fields | null = null;
  for (const line of text(buf, start, end).split(/\r?\n/)) {
    // RESP3's "txt:" stands before the first title.
    const title = /^(?:txt:)?# (.+)$/.exec(line)?.[1];
    if (title !== undefined) {
      fields = new Map();
      sections.set(title.toLowerCase(), { title, fields });
      continue;
    }
    const colon = line.indexOf(":");
    if (fields !== null && colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return sections;
}

function show({ title, fields }: Section): string {
  return `# ${title}\r\n${[...fields].map(([name, value]) => `${name}:${value}\r\n`).join("")}`;
}

/** Adds the servers' fields to ringmux's own, which stay as they are. */
function addUp(own: Fields, theirs: readonly Fields[]): void {
  const values = new Map<string, string[]>();
  for (const fields of theirs) {
    for (const [name, value] of fields) {
      if (own.has(name)) continue;
      const list = values.get(name);
      if (list === undefined) values.set(name, [value]);
      else list.push(value);
    }
  }
  for (const [name, list] of values) {
    const value = combine(name, list, own);
    if (value !== null) own.set(name, value);
  }
}

/** One value for all servers; null when there is none that would be true. */
function combine(name: string, list: readonly string[], sums: Fields): string | null {
  if (name === "mem_fragmentation_ratio") {
    const used = Number(sums.get("used_memory"));
    return used > 0 ? (Number(sums.get("used_memory_rss")) / used).toFixed(2) : null;
  }
  if (name.endsWith("_human")) {
    const sum = sums.get(name.slice(0, -"_human".length));
    return sum === undefined ? null : human(Number(sum));
  }
  if (NO_SUM.test(name)) return null;
  if (list.every((value) => /^\w+=/.test(value))) return addPairs(list);
  if (list.every((value) => NUMBER.test(value))) return addNumbers(name, list);
  if (STATUS.test(name)) return list.find((value) => value !== "ok") ?? "ok";
  return list.every((value) => value === list[0]) ? list[0] : null;
}

function addNumbers(name: string, list: readonly string[]): string {
  const numbers = list.map(Number);
  if (HIGHEST.test(name)) return String(Math.max(...numbers));
  if (LOWEST.test(name)) return String(Math.min(...numbers));
  const decimals = Math.max(...list.map((value) => value.split(".")[1]?.length ?? 0));
  return numbers.reduce((sum, n) => sum + n, 0).toFixed(decimals);
}

/** `keys=1,expires=0,avg_ttl=0` and `calls=1,usec=2,usec_per_call=2.00`, pair by pair. */
function addPairs(list: readonly string[]): string {
  const sums = new Map<string, number>();
  const add = (name: string, n: number) => sums.set(name, (sums.get(name) ?? 0) + n);
  for (const value of list) {
    const pairs = new Map(value.split(",").map((pair) => pair.split("=") as [string, string]));
    for (const [name, n] of pairs) {
      // The average counts as often as there are keys that it is of.
      add(name, Number(n) * (name === "avg_ttl" ? Number(pairs.get("expires") ?? 1) : 1));
    }
  }
  return [...sums].map(([name, sum]) => {
    if (name === "avg_ttl") return `${name}=${Math.round(sum / (sums.get("expires") || 1))}`;
    if (name !== "usec_per_call") return `${name}=${sum}`;
    return `${name}=${((sums.get("usec") ?? 0) / (sums.get("calls") || 1)).toFixed(2)}`;
  }).join(",");
}

/** As Redis writes it (bytesToHuman in util.c). */
function human(n: number): string {
  if (n < 1024) return `${n}B`;
  let unit = 0;
  for (n /= 1024; n >= 1024 && unit < 4; unit++) n /= 1024;
  return `${n.toFixed(2)}${"KMGTP"[unit]}`;
}
