// What moves keys between servers of memcached: meta commands, and the list of the LRU crawler.
// Formats: memcached's doc/protocol.txt; measured on memcached 1.6.18.

import { bytes, text } from "../../bytes.ts";
import type { Filled, KeyLine, Pulling, Said } from "../pulling.ts";
import { encodeBase64 } from "./base64.ts";
import { HEADER, REQUEST_MAGIC } from "./binary_commands.ts";

const OWN = bytes("ringmux:migrate:");
const NOTE = "ringmux:migrate:state";
const LOCK = "ringmux:migrate:lock";
const HOLD = "ringmux:migrate:hold:";
const TRIAL = "ringmux:migrate:trial";
const LF = 10;
const BLANK = 32;
const DELETE = 127;
const PERCENT = 37;
/** A larger time is seconds since 1970 to memcached. */
const MOST_RELATIVE = 60 * 60 * 24 * 30;

/** A meta reply: its code, size and flags; the data begins at `at`. */
interface Meta {
  readonly code: string;
  readonly line: string;
  readonly size: number;
  readonly flags: readonly string[];
  readonly at: number;
}

function readMeta(reply: Uint8Array): Meta {
  let end = 0;
  while (end < reply.length && reply[end] !== LF) end++;
  const line = text(reply, 0, end).trimEnd();
  const [code, ...rest] = line.split(" ");
  const size = code === "VA" ? Number(rest.shift()) : 0;
  return { code, line, size, flags: rest, at: end + 1 };
}

/** What stands behind a flag's letter; "" if it is not there. */
function flag({ flags }: Meta, letter: string): string {
  return flags.find((one) => one[0] === letter)?.slice(1) ?? "";
}

const has = ({ flags }: Meta, letter: string): boolean => flags.includes(letter);

const said = (meta: Meta): Said => ({
  is: "error",
  why: meta.line.replace(/^(SERVER_|CLIENT_)?ERROR /, ""),
});

function isPlain(key: Uint8Array): boolean {
  return key.length > 0 && key.every((byte) => byte > BLANK && byte !== DELETE);
}

/** A line `<name> <key> <flags>`, and a value if there is one. */
function line(
  name: string,
  key: Uint8Array,
  flags: string,
  data: Uint8Array | null = null,
  isBinary = !isPlain(key),
): Uint8Array {
  const shown = isBinary ? encodeBase64(key) : text(key, 0, key.length);
  const size = data === null ? "" : ` ${data.length}`;
  const head = bytes(
    `${name} ${shown}${size}${flags === "" ? "" : ` ${flags}`}${isBinary ? " b" : ""}\r\n`,
  );
  if (data === null) return head;
  const out = new Uint8Array(head.length + data.length + 2);
  out.set(head);
  out.set(data, head.length);
  out.set([13, LF], head.length + data.length);
  return out;
}

/** Any key has a short name that is (but for chance) its own; who shares one waits a little. */
function holdOf(key: Uint8Array): Uint8Array {
  let a = 0x811c9dc5;
  let b = 0x1234567;
  for (const byte of key) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b, 31) + byte | 0;
  }
  return bytes(HOLD + (a >>> 0).toString(36) + "." + (b >>> 0).toString(36));
}

function readFilled(reply: Uint8Array): Filled {
  const meta = readMeta(reply);
  if (meta.code === "HD") return { is: "done" };
  if (meta.code === "EX" || meta.code === "NF" || meta.code === "NS") return { is: "other" };
  return meta.line.includes("too large") ? { is: "large" } : said(meta);
}

const ONE = bytes("1");

function isZero(buf: Uint8Array, at: number, n: number): boolean {
  return buf.subarray(at, at + n).every((byte) => byte === 0);
}

function hexOf(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/** memcached writes all but a few letters of a key as %XX. */
function decoded(buf: Uint8Array, start: number, end: number): Uint8Array {
  const key = new Uint8Array(end - start);
  let n = 0;
  for (let p = start; p < end; p++) {
    const high = buf[p] === PERCENT && p + 2 < end ? hexOf(buf[p + 1]) : -1;
    const low = high < 0 ? -1 : hexOf(buf[p + 2]);
    if (low < 0) key[n++] = buf[p];
    else {
      key[n++] = (high << 4) | low;
      p += 2;
    }
  }
  return key.subarray(0, n);
}

/** The number behind ` size=`; 0 if there is none. */
function sizeIn(buf: Uint8Array, start: number, end: number): number {
  const at = text(buf, start, end).indexOf(" size=");
  return at < 0 ? 0 : parseInt(text(buf, start + at + 6, end), 10) || 0;
}

export const PULLING: Pulling = {
  isOwn(buf, start, end) {
    if (end - start < OWN.length) return false;
    for (let i = 0; i < OWN.length; i++) if (buf[start + i] !== OWN[i]) return false;
    return true;
  },
  flushes: ["flush_all", "flush", "flushq"],
  isDelayed({ length }, buf, at) {
    // Extras of four bytes: doc/protocol-binary.txt.
    if (buf[at] === REQUEST_MAGIC) return length > HEADER && !isZero(buf, at + HEADER, 4);
    const [, when = "0"] = text(buf, at, at + length).trimEnd().split(/ +/);
    return when !== "noreply" && Number(when) !== 0;
  },

  // Unlike mg it neither counts as a hit nor takes the token of an item that is marked stale.
  has: (key) => line("me", key, ""),
  readHad(reply) {
    const meta = readMeta(reply);
    if (meta.code === "EN") return { is: "absent" };
    if (meta.code !== "ME") return said(meta);
    return { is: "there", size: sizeIn(reply, 0, reply.length) };
  },
  hold: (key, seconds) => line("ms", holdOf(key), `ME T${seconds}`, ONE),
  readHeld(reply) {
    const filled = readFilled(reply);
    if (filled.is === "done") return { is: "mine" };
    return filled.is === "other" ? { is: "others" } : { is: "error", why: whyOf(filled) };
  },
  letGo: (key) => line("md", holdOf(key), ""),
  token: (key, seconds) => line("mg", key, `s c N${seconds}`),
  readToken(reply) {
    const meta = readMeta(reply);
    if (meta.code !== "HD") return said(meta);
    // An empty item that somebody is to fill: we (W), or another (Z), who may be dead.
    const isEmpty = flag(meta, "s") === "0" && (has(meta, "W") || has(meta, "Z"));
    return isEmpty ? { is: "token", cas: flag(meta, "c") } : { is: "there" };
  },
  value: (key) => line("mg", key, "k v f t c"),
  readValue(reply) {
    const meta = readMeta(reply);
    if (meta.code === "EN") return { is: "absent" };
    if (meta.code !== "VA") return said(meta);
    const cas = flag(meta, "c");
    const ttl = Number(flag(meta, "t"));
    // T0 would mean for ever, and who sets T1 may be a second late.
    if (has(meta, "X") || (ttl >= 0 && ttl < 2)) return { is: "stale", cas };
    const data = reply.subarray(meta.at, meta.at + meta.size);
    return { is: "value", cas, flags: flag(meta, "f"), ttl, isBinary: has(meta, "b"), data };
  },
  fill(key, token, { flags, ttl, data, isBinary }, now) {
    const time = ttl > MOST_RELATIVE ? now + ttl : ttl;
    const all = `C${token} F${flags} T${ttl < 0 ? 0 : time}`;
    return line("ms", key, all, data, isBinary || !isPlain(key));
  },
  readFilled,
  drop: (key, cas) => line("md", key, cas === "" ? "" : `C${cas}`),
  readDropped(reply) {
    const meta = readMeta(reply);
    if (meta.code === "HD" || meta.code === "NF") return { is: "done" };
    return meta.code === "EX" ? { is: "other" } : said(meta);
  },

  note: bytes(`mg ${NOTE} v c\r\n`),
  readNote(reply) {
    const meta = readMeta(reply);
    if (meta.code === "EN") return { is: "note", text: "", cas: "" };
    if (meta.code !== "VA") return said(meta);
    const end = meta.at + meta.size;
    return { is: "note", text: text(reply, meta.at, end), cas: flag(meta, "c") };
  },
  setNote: (value, cas) => line("ms", bytes(NOTE), cas === "" ? "ME" : `C${cas}`, bytes(value)),
  lock: bytes(`mg ${LOCK} v c\r\n`),
  setLock: (who, cas, seconds) =>
    line("ms", bytes(LOCK), `${cas === "" ? "ME" : `C${cas}`} T${seconds}`, bytes(who)),

  stats: bytes("stats\r\n"),
  readItems(reply) {
    const found = /^STAT curr_items (\d+)/m.exec(text(reply, 0, reply.length));
    return found === null ? said(readMeta(reply)) : { is: "items", items: Number(found[1]) };
  },

  version: bytes("version\r\n"),
  readVersion(reply) {
    const shown = text(reply, 0, reply.length).trimEnd();
    const [, major, minor] = /^VERSION (\d+)\.(\d+)/.exec(shown) ?? [];
    if (major === undefined) return `says "${shown}" when it is asked for its version`;
    const isOld = Number(major) < 1 || (Number(major) === 1 && Number(minor) < 6);
    return isOld
      ? `is memcached ${
        shown.slice(8)
      }; keys move between servers of 1.6 or later, which have the ` +
        "meta commands"
      : "";
  },
  trials: [
    { request: bytes(`md ${TRIAL}\r\n`), answer: "" },
    { request: bytes(`mg ${TRIAL} s c N5\r\n`), answer: "HD s0 c" },
    { request: bytes(`me ${TRIAL}\r\n`), answer: "ME " },
    { request: bytes(`ms ${TRIAL} 1 C9999999999999 T5\r\n1\r\n`), answer: "EX" },
    { request: bytes(`md ${TRIAL}\r\n`), answer: "HD" },
  ],
  flush: bytes("flush_all\r\n"),
  // The command "version": memcached's doc/protocol-binary.txt.
  binaryFence: Uint8Array.of(0x80, 0x0b, ...new Array(22).fill(0)),

  keys: bytes("lru_crawler metadump hash\r\n"),
  readKeyLine(buf, start, end): KeyLine | null {
    // key=<key> exp=... la=... cas=... fetch=... cls=... size=...
    if (end - start < 5 || text(buf, start, start + 4) !== "key=") return null;
    let to = start + 4;
    while (to < end && buf[to] !== BLANK) to++;
    return { key: decoded(buf, start + 4, to), size: sizeIn(buf, to, end) };
  },
  endOfKeys(buf, start, end) {
    if (buf[start] === 107 && buf[start + 1] === 101) return ""; // ke
    return text(buf, start, end).trimEnd();
  },
};

function whyOf(filled: Filled): string {
  return filled.is === "error" ? filled.why : "it is too large";
}
