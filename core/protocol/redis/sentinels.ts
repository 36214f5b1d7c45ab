// Redis Sentinel's part of the protocol: what is asked, what is told, and the errors of a server that
// is no primary (any more). https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/

import { bytes, text, utf8 } from "../../bytes.ts";
import {
  ABORTED,
  HEARING,
  NEWS,
  type Place,
  PROMOTED,
  PROMOTING,
  type SentinelEvent,
  type Sentinels,
  type SentinelView,
  SWITCHED,
} from "../sentinels.ts";
import { isDemotion, isServersOwn } from "./clustering.ts";
import { errorReply } from "./errors.ts";
import { type Plain, plainReply } from "./plain.ts";

/** Longest error that is looked at. */
const LONGEST = 512;

/** NOREPLICAS: too few replicas (min-replicas-to-write). UNBLOCKED: what waited was sent away. */
const REFUSALS: ReadonlySet<string> = new Set([
  ...["READONLY", "MASTERDOWN", "LOADING", "NOREPLICAS", "UNBLOCKED"],
]);

/** The first byte behind the minus of any of them. */
const FIRST = new Uint8Array(256);
for (const word of REFUSALS) FIRST[word.charCodeAt(0)] = 1;

/** By channel: what it means (sentinel.c, sentinelEvent). */
const EVENTS: Readonly<Record<string, number>> = {
  "+switch-master": SWITCHED,
  "+try-failover": PROMOTING,
  "+failover-state-send-slaveof-noone": PROMOTING,
  "+promoted-slave": PROMOTED,
  "-failover-abort-not-elected": ABORTED,
  "-failover-abort-no-good-slave": ABORTED,
  "-failover-abort-slave-timeout": ABORTED,
  "+odown": NEWS,
  "-odown": NEWS,
  "+sdown": NEWS,
  "-sdown": NEWS,
  "+slave": NEWS,
  "+sentinel": NEWS,
  "+reboot": NEWS,
  "-tilt": NEWS,
  "+monitor": NEWS,
  "+reset-master": NEWS,
};

const request = (...words: string[]): Uint8Array =>
  bytes(`*${words.length}\r\n` + words.map((w) => `$${w.length}\r\n${w}\r\n`).join(""));

function placeOf(host: unknown, port: unknown): Place | null {
  const number = Number(port);
  const isOne = typeof host === "string" && host !== "" && number > 0 && number < 65536;
  return isOne ? { host, port: number } : null;
}

/** A list of names and values. */
function fieldsOf(list: Plain | undefined): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  if (!Array.isArray(list)) return fields;
  for (let i = 0; i + 1 < list.length; i += 2) fields[String(list[i])] = String(list[i + 1]);
  return fields;
}

function each(list: Plain | undefined): Record<string, string>[] {
  return Array.isArray(list) ? list.map(fieldsOf) : [];
}

function errorText(answer: Uint8Array): string {
  return text(answer, 1, Math.min(answer.length, 200)).trimEnd();
}

function readView(answers: readonly Uint8Array[]): SentinelView | string {
  const bad = answers.find((answer, i) => i < 2 && answer[0] === 45);
  if (bad !== undefined) return errorText(bad);
  const [master, address, replicas, sentinels] = answers.map(plainReply);
  const fields = fieldsOf(master);
  // SENTINEL MASTER has the old address, and the new epoch, while the replicas are told of the new
  // one (sentinel.c, sentinelGetCurrentMasterAddress).
  const primary = Array.isArray(address) ? placeOf(address[0], address[1]) : null;
  const epoch = Number(fields["config-epoch"]);
  if (primary === null || !(epoch >= 0)) return "it does not say who is the primary";
  const flags = (fields.flags ?? "").split(",");
  return {
    ...{ primary, epoch },
    isDown: flags.includes("o_down"),
    replicas: each(replicas).flatMap((one) => {
      const place = placeOf(one.ip, one.port);
      if (place === null) return [];
      const isDown = /s_down|o_down|disconnected|master_down/.test(one.flags ?? "");
      return [{ ...place, isWell: !isDown && one["master-link-status"] === "ok" }];
    }),
    others: each(sentinels).flatMap((one) => placeOf(one.ip, one.port) ?? []),
  };
}

/** By word: `<name> <old> <port> <new> <port>`; `<kind> <name> <host> <port> [@ <primary's name> <host> <port>]` */
function readEvent(frame: Uint8Array): SentinelEvent | null {
  const list = plainReply(frame);
  if (list === "PONG") return { what: HEARING, name: "", primary: null, word: "" };
  if (!Array.isArray(list)) return null;
  const [kind, channel] = list.map(String);
  if (kind === "subscribe" || kind === "pong") {
    return { what: HEARING, name: "", primary: null, word: channel };
  }
  if (kind !== "message") return null;
  const what = EVENTS[channel] ?? NEWS;
  const words = String(list[2]).split(" ");
  if (what === SWITCHED) {
    return { what, name: words[0], primary: placeOf(words[3], words[4]), word: channel };
  }
  const at = words.indexOf("@");
  const name = at >= 0 ? words[at + 1] ?? "" : words[0] === "master" ? words[1] ?? "" : "";
  const primary = what === PROMOTED ? placeOf(words[2], words[3]) : null;
  return { what, name, primary, word: channel };
}

function readRole(answer: Uint8Array): string {
  if (answer[0] === 45) return errorText(answer);
  const role = plainReply(answer);
  const what = Array.isArray(role) ? String(role[0]) : "";
  return what === "master"
    ? ""
    : `it is ${what === "slave" ? "a replica" : `no primary (${what})`}`;
}

function readRefusal(buf: Uint8Array, start: number, end: number): string {
  if (FIRST[buf[start + 1]] === 0 || end - start > LONGEST) return "";
  const words = text(buf, start + 1, end).trimEnd().split(" ");
  const [word] = words;
  if (word === "UNBLOCKED" && !isDemotion(words)) return "";
  return REFUSALS.has(word) ? word : "";
}

const whose = (name: string): string => name === "" ? "" : ` for "${name}"`;

export const SENTINELS: Sentinels = {
  greeting(user, password) {
    if (password === "") return null;
    const words = user === "" ? [utf8(password)] : [utf8(user), utf8(password)];
    return { bytes: request("AUTH", ...words), replies: 1 };
  },
  questions(name) {
    const named = utf8(name);
    return [
      request("SENTINEL", "MASTER", named),
      request("SENTINEL", "GET-MASTER-ADDR-BY-NAME", named),
      request("SENTINEL", "SLAVES", named), // REPLICAS to those that are not older than Redis 5
      request("SENTINEL", "SENTINELS", named),
    ];
  },
  selfQuestions: [request("SENTINEL", "MYID"), request("INFO", "SENTINEL")],
  readSelf(answers) {
    const [id, info] = answers.map(plainReply);
    return {
      id: typeof id === "string" ? id : "", // an error to those that are older than Redis 6.2
      isTilted: typeof info === "string" && /^sentinel_tilt:1/m.test(info),
    };
  },
  readView,
  subscribe: request("SUBSCRIBE", ...Object.keys(EVENTS)),
  ping: request("PING"),
  readEvent,
  role: request("ROLE"),
  readRole,
  readRefusal,
  isServersOwn,
  scarce: "NOREPLICAS",
  noPrimary: (name, wait) => errorReply(`ERR no primary${whose(name)} within ${wait} ms`),
  tooMany: (name) => errorReply(`ERR too many failovers${whose(name)} at a time`),
  moved: (name) =>
    errorReply(
      `ERR the primary${
        whose(name)
      } changed while the client had a connection to itself; begin again`,
    ),
  forgotten: (name) =>
    errorReply(`ERR the primary${whose(name)} changed while the value was being sent`),
};
