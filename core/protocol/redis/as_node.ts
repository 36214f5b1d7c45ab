// The proxy as the only node of a cluster (`act_as_node`), so that clients which want one can work
// through it: what CLUSTER SLOTS and its kin say of that node, in the shape of Redis 7.0's answers.

import { bytes, decimal } from "../../bytes.ts";
import { md5Words } from "../../hash/md5.ts";
import { slotOf } from "../../hash/slot.ts";
import type { CodecOptions, Facts, Scan } from "../codec.ts";
import { ALL, LOCAL } from "../scan.ts";
import { COMMANDS, SUB, verbOf } from "./commands.ts";
import { errorReply, NOT_INTEGER, quoted } from "./errors.ts";
import type { RedisSession } from "./session.ts";
import { bulk, verbatim } from "./values.ts";

/** The last slot of all. */
const LAST = 16383;
/** What a node's second port is above its first; the proxy has none, but the format wants one. */
const BUS = 10_000;
const CLUSTER = "cluster|";

/** Subcommands that the proxy answers. */
const ANSWERED = [
  ...["count-failure-reports", "help", "info", "keyslot", "links", "myid", "myshardid", "nodes"],
  ...["replicas", "shards", "slaves", "slots"],
];
/** Those that every server is asked, and the answers put together: a slot may be on its way. */
const ASKED_OF_ALL = ["countkeysinslot", "getkeysinslot"];

/** By a command's number: what becomes of one that is refused elsewhere; SUB for all others. */
export const AS_NODE: Int8Array = Int8Array.from(COMMANDS, ({ name }) => {
  if (name === "asking") return LOCAL;
  if (!name.startsWith(CLUSTER)) return SUB;
  const sub = name.slice(CLUSTER.length);
  return ANSWERED.includes(sub) ? LOCAL : ASKED_OF_ALL.includes(sub) ? ALL : SUB;
});

const COUNT = verbOf("cluster|countkeysinslot");
const GET = verbOf("cluster|getkeysinslot");
const INVALID_SLOT = errorReply("ERR Invalid slot");
const INVALID_SLOT_OR_COUNT = errorReply("ERR Invalid slot or number of keys");

/** What is wrong with the numbers of a request for all servers; null when nothing is. */
export function wrongSlot(scan: Scan, buf: Uint8Array, start: number): Uint8Array | null {
  const { verb, args } = scan;
  if (verb !== COUNT && verb !== GET) return null;
  const number = (i: number) =>
    decimal(buf, start + args[2 * i], start + args[2 * i + 1], 0x7fffffff);
  const slot = number(2);
  const count = verb === GET ? number(3) : 0;
  if (slot < 0 || count < 0) return NOT_INTEGER;
  if (slot <= LAST) return null;
  return verb === COUNT ? INVALID_SLOT : INVALID_SLOT_OR_COUNT;
}

/** The error for what changes a cluster. */
export function notAsNode(verb: number): Uint8Array {
  return errorReply(
    `ERR '${COMMANDS[verb].name.replace("|", " ")}' is not supported by ringmux, which acts as ` +
      "the only node of a cluster (act_as_node): connect to the nodes themselves",
  );
}

/** Where clients find the proxy. */
interface Self {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** Addresses that are all of a machine's. */
const ANYWHERE = ["0.0.0.0", "::", "*"];

function selfOf(session: RedisSession, options: CodecOptions, facts: Facts): Self {
  const port = facts.port();
  const listened = facts.listen().replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  // Where the client has found it others of its kind will too.
  const found = (session.localHost?.() ?? "").replace(/^::ffff:(?=\d+\.)/, "");
  const host = found !== "" ? found : ANYWHERE.includes(listened) ? "127.0.0.1" : listened;
  const id = idOf(facts.pool);
  return { id, host, port, ...options.asNode?.addresses[`${host}:${port}`] };
}

const words = new Uint32Array(4);

/** 40 hexadecimal digits, the same in all workers and after a new start. */
function idOf(name: string): string {
  let id = "";
  for (const part of ["node", "more"]) {
    const text = bytes(`ringmux ${part} ${encodeURIComponent(name)}`);
    md5Words(text, 0, text.length, words);
    for (const word of words) id += word.toString(16).padStart(8, "0");
  }
  return id.slice(0, 40);
}

/** CLUSTER KEYSLOT. */
export function keySlot({ args }: Scan, buf: Uint8Array, start: number): Uint8Array {
  return bytes(`:${slotOf(buf, start + args[4], start + args[5])}\r\n`);
}

/** The answer to another one of ANSWERED, by its arguments, which are byte strings. */
export function answerAsNode(
  sub: string,
  args: readonly string[],
  session: RedisSession,
  options: CodecOptions,
  facts: Facts,
): Uint8Array {
  const self = selfOf(session, options, facts);
  switch (sub) {
    case "slots":
      return bytes(slots(self, session));
    case "shards":
      return bytes(shards(self, session));
    case "nodes":
      return verbatim(node(self), session);
    case "info":
      return verbatim(INFO, session);
    case "myid":
    case "myshardid":
      return bulk(self.id);
    case "links":
      return bytes("*0\r\n");
    case "help":
      return bytes(`*${HELP.length}\r\n${HELP.map((line) => `+${line}\r\n`).join("")}`);
    default: // replicas, slaves, count-failure-reports
      if (args[2].toLowerCase() !== self.id) {
        return errorReply(`ERR Unknown node ${quoted(args[2])}`);
      }
      return bytes(sub === "count-failure-reports" ? ":0\r\n" : "*0\r\n");
  }
}

const b = (value: string): string => `$${value.length}\r\n${value}\r\n`;

function map(pairs: number, { resp }: RedisSession): string {
  return resp === 3 ? `%${pairs}\r\n` : `*${2 * pairs}\r\n`;
}

function slots({ id, host, port }: Self, session: RedisSession): string {
  return `*1\r\n*3\r\n:0\r\n:${LAST}\r\n*4\r\n${b(host)}:${port}\r\n${b(id)}${map(0, session)}`;
}

function shards({ id, host, port }: Self, session: RedisSession): string {
  return `*1\r\n${map(2, session)}${b("slots")}*2\r\n:0\r\n:${LAST}\r\n${b("nodes")}*1\r\n` +
    `${map(7, session)}${b("id")}${b(id)}${b("port")}:${port}\r\n${b("ip")}${b(host)}` +
    `${b("endpoint")}${b(host)}${b("role")}${b("master")}${b("replication-offset")}:0\r\n` +
    `${b("health")}${b("online")}`;
}

function node({ id, host, port }: Self): string {
  return `${id} ${host}:${port}@${port + BUS} myself,master - 0 0 0 connected 0-${LAST}\n`;
}

const INFO = [
  ...["cluster_state:ok", "cluster_slots_assigned:16384", "cluster_slots_ok:16384"],
  ...["cluster_slots_pfail:0", "cluster_slots_fail:0", "cluster_known_nodes:1", "cluster_size:1"],
  ...["cluster_current_epoch:0", "cluster_my_epoch:0", "cluster_stats_messages_sent:0"],
  ...["cluster_stats_messages_received:0", "total_cluster_links_buffer_limit_exceeded:0", ""],
].join("\r\n");

const HELP = [
  "CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
  ...["COUNT-FAILURE-REPORTS <node-id>", "COUNTKEYSINSLOT <slot>", "GETKEYSINSLOT <slot> <count>"],
  ...["INFO", "KEYSLOT <key>", "LINKS", "MYID", "MYSHARDID", "NODES", "REPLICAS <node-id>"],
  ...["SHARDS", "SLOTS", "HELP"],
];
