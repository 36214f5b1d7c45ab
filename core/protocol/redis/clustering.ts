// Redis Cluster's part of the protocol: CLUSTER NODES, and the errors that redirect.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/

import { bytes, text } from "../../bytes.ts";
import {
  AGAIN,
  ASK,
  type Clustering,
  MOVED,
  type NodeView,
  type Refusal,
  SCARCE,
  UNFIT,
} from "../clustering.ts";
import { errorReply } from "./errors.ts";
import { plainReply } from "./plain.ts";

/** Longest error that is looked at: a redirection is shorter. */
const LONGEST = 512;
const HIGHEST_SLOT = 16383;

/** Refusals that name no server. */
const WORDS: ReadonlyMap<string, Refusal> = new Map(
  Object.entries({
    TRYAGAIN: AGAIN,
    CLUSTERDOWN: UNFIT,
    LOADING: UNFIT,
    MASTERDOWN: UNFIT,
    READONLY: UNFIT,
    NOREPLICAS: SCARCE,
    UNBLOCKED: UNFIT,
  }).map(([word, what]) => [word, { what, word, slot: -1, host: "", port: 0 }]),
);

/** A redirection to a node whose name is not known (cluster.c, getPreferredEndpoint). */
const UNNAMED = /^\?:\d+$/;
const NAMELESS: Refusal = { what: UNFIT, word: "MOVED", slot: -1, host: "", port: 0 };

/** What servers say word for word before they run a script; what one says itself has more behind it. */
const BEFORE_SCRIPTS =
  /^-(TRYAGAIN Multiple keys|CLUSTERDOWN (Hash slot not|The cluster is)|LOADING \w+ is loading|MASTERDOWN Link with MASTER|READONLY You can't write against a read only replica\.|NOREPLICAS Not enough good replicas to write\.)/;
const BY_SCRIPT = / script: [0-9a-f]{40}/;

/** The first byte behind the minus of any of them. */
const FIRST = new Uint8Array(256);
for (const word of [...WORDS.keys(), "MOVED", "ASK"]) FIRST[word.charCodeAt(0)] = 1;

/** Of UNBLOCKED: the one for which a client asks itself (CLIENT UNBLOCK) is the client's. */
export function isDemotion(words: readonly string[]): boolean {
  return words.includes("instance");
}

function readRefusal(buf: Uint8Array, start: number, end: number): Refusal | null {
  if (FIRST[buf[start + 1]] === 0 || end - start > LONGEST) return null;
  const words = text(buf, start + 1, end).trimEnd().split(" ");
  const plain = WORDS.get(words[0]);
  if (plain !== undefined) {
    return plain.word !== "UNBLOCKED" || isDemotion(words) ? plain : null;
  }
  if (words[0] !== "MOVED" && words[0] !== "ASK") return null;
  const slot = Number(words[1]);
  const place = splitPlace(words[2] ?? "");
  if (!(slot >= 0 && slot <= HIGHEST_SLOT)) return null;
  // "?": the owner is to be called by a name, and has none. The map has its address.
  if (place === null) return UNNAMED.test(words[2] ?? "") ? NAMELESS : null;
  return { what: words[0] === "ASK" ? ASK : MOVED, word: words[0], slot, ...place };
}

/** `host:port`, the host an IPv6 address without brackets perhaps, or empty; "?" is unknown. */
function splitPlace(place: string): { host: string; port: number } | null {
  const colon = place.lastIndexOf(":");
  const port = Number(place.slice(colon + 1));
  if (colon < 0 || !(port > 0 && port < 65536)) return null;
  const host = place.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return host === "?" ? null : { host, port };
}

/** `<id> <host:port@bus[,hostname[,field=value]*]> <flags> <primary> <ping> <pong> <epoch> <link> <slot> ...` */
function readNode(line: string): NodeView | null {
  const [id, where, flagList, of, , , epoch, , ...slots] = line.split(" ");
  if (epoch === undefined) return null;
  const flags = flagList.split(",");
  if (flags.includes("handshake") || flags.includes("noaddr")) return null;
  const [address, hostname = ""] = where.split(",");
  const place = splitPlace(address.split("@", 1)[0]);
  if (place === null) return null;
  const ranges: number[] = [];
  const arriving: { slot: number; from: string }[] = [];
  for (const range of slots) {
    if (range[0] === "[") { // on its way: the owner tells by ASK
      const [, slot, from] = /^\[(\d+)-<-(\w+)\]$/.exec(range) ?? [];
      if (from !== undefined) arriving.push({ slot: Number(slot), from });
      continue;
    }
    const [first, last = first] = range.split("-").map(Number);
    if (first >= 0 && last >= first && last <= HIGHEST_SLOT) ranges.push(first, last);
  }
  const primary = flags.includes("master");
  return {
    ...{ id, ...place, hostname: hostname.includes("=") ? "" : hostname },
    ...{ primary, of: of === "-" ? "" : of, epoch: Number(epoch) },
    failed: flags.includes("fail"),
    slots: primary ? ranges : [],
    arriving,
  };
}

/** A bulk string, whole. */
function readNodes(buf: Uint8Array): NodeView[] | null {
  if (buf[0] !== 36) return null;
  const nodes: NodeView[] = [];
  for (const line of text(buf, 0, buf.length).split("\n").slice(1)) {
    const node = readNode(line.trimEnd());
    if (node !== null) nodes.push(node);
  }
  return nodes;
}

function whose(slot: number): string {
  return slot < 0 ? "" : ` for slot ${slot}`;
}

function cluster(sub: string): Uint8Array {
  return bytes(`*2\r\n$7\r\nCLUSTER\r\n$${sub.length}\r\n${sub}\r\n`);
}

/** See `Clustering.isServersOwn`. */
export function isServersOwn(buf: Uint8Array, start: number, end: number): boolean {
  const error = text(buf, start, end);
  return /^-(MOVED|ASK) /.test(error) || (BEFORE_SCRIPTS.test(error) && !BY_SCRIPT.test(error));
}

export const CLUSTERING: Clustering = {
  isServersOwn,
  nodes: cluster("NODES"),
  readNodes,
  questions: {
    info: cluster("INFO"),
    nodes: cluster("NODES"),
    slots: cluster("SLOTS"),
    shards: cluster("SHARDS"),
  },
  readAnswer: plainReply,
  asking: bytes("*1\r\n$6\r\nASKING\r\n"),
  readRefusal,
  noPrimary: (slot, wait) => errorReply(`CLUSTERDOWN no primary${whose(slot)} within ${wait} ms`),
  tooMany: (slot) => errorReply(`CLUSTERDOWN too many redirections${whose(slot)}`),
  moved: (slot) =>
    errorReply(
      `CLUSTERDOWN the owner of slot ${slot} changed while the client had a connection to itself; ` +
        "begin again",
    ),
  forgotten: (slot) => errorReply(`TRYAGAIN slot ${slot} moved while the value was being sent`),
};
