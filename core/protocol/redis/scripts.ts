// SCRIPT LOAD, EVALSHA, and libraries of functions, as far as servers are to have the same ones.

import { bytes, decimal, text } from "../../bytes.ts";
import { sha1 } from "../../hash/sha1.ts";
import { ASKED } from "../scan.ts";
import {
  CHANGES_FUNCTIONS,
  FLUSHES_SCRIPTS,
  LOADS_SCRIPT,
  NO_SCRIPTS,
  type Scripts,
} from "../scripts.ts";
import { COMMANDS } from "./commands.ts";

/** Exactly what Redis and Valkey say (script_lua.c, evalGenericCommandWithDebugging). */
const MISSING = bytes("-NOSCRIPT No matching script");

/** A request of bulk strings, the last of which may hold any bytes. */
function request(words: readonly string[], last: Uint8Array, more: readonly string[]): Uint8Array {
  const bulk = (word: string) => `$${word.length}\r\n${word}\r\n`;
  const count = words.length + 1 + more.length;
  const head = bytes(`*${count}\r\n${words.map(bulk).join("")}$${last.length}\r\n`);
  const tail = bytes(`\r\n${more.map(bulk).join("")}`);
  const whole = new Uint8Array(head.length + last.length + tail.length);
  whole.set(head);
  whole.set(last, head.length);
  whole.set(tail, head.length + last.length);
  return whole;
}

export const SCRIPTS: Scripts = {
  kindOf: ({ verb }) => {
    const name = verb === ASKED ? "" : COMMANDS[verb].name;
    if (name === "script|load") return LOADS_SCRIPT;
    if (name === "script|flush") return FLUSHES_SCRIPTS;
    return name.startsWith("function|") ? CHANGES_FUNCTIONS : NO_SCRIPTS;
  },
  body: ({ args }, buf, at) => buf.slice(at + args[4], at + args[5]),
  nameOf: sha1,
  load: (body) => request(["SCRIPT", "LOAD"], body, []),
  isMissing: (buf, start, end) =>
    end - start > MISSING.length && MISSING.every((byte, i) => buf[start + i] === byte),
  wanted: (sent) => {
    // The name is the second word, behind EVALSHA or EVALSHA_RO.
    const [, , command, length, name] = text(sent, 0, Math.min(sent.length, 100)).split("\r\n");
    return /^evalsha(_ro)?$/i.test(command) && length === "$40" ? name.toLowerCase() : "";
  },
  dump: bytes("*2\r\n$8\r\nFUNCTION\r\n$4\r\nDUMP\r\n"),
  restore: (reply, evenIfItHas) => {
    let cr = 1;
    while (cr < reply.length && reply[cr] !== 13) cr++;
    const length = decimal(reply, 1, cr, reply.length);
    if (reply[0] !== 36 || length < 0) return null;
    const payload = reply.subarray(cr + 2, cr + 2 + length);
    return request(["FUNCTION", "RESTORE"], payload, [evenIfItHas ? "REPLACE" : "APPEND"]);
  },
};
