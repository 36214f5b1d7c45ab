// Requests of a migration as bytes, and replies (RESP2) as values.

import { bytes, decimal, text } from "../../bytes.ts";
import type { Refused } from "../migrating.ts";

export type Arg = Uint8Array | string;

/** A request of these arguments. */
export function request(...args: readonly Arg[]): Uint8Array {
  return list(args);
}

/** An array of bulk strings. */
export function list(args: readonly Arg[]): Uint8Array {
  const parts: Uint8Array[] = [bytes(`*${args.length}\r\n`)];
  let size = parts[0].length;
  for (const arg of args) {
    const value = typeof arg === "string" ? bytes(arg) : arg;
    const head = bytes(`$${value.length}\r\n`);
    parts.push(head, value, CRLF);
    size += head.length + value.length + 2;
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const CRLF = bytes("\r\n");

export function script(
  source: string,
  keys: readonly Uint8Array[],
  args: readonly Arg[],
): Uint8Array {
  return request("EVAL", source, String(keys.length), ...keys, ...args);
}

export function joined(prefix: string, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(prefix.length + key.length);
  out.set(bytes(prefix), 0);
  out.set(key, prefix.length);
  return out;
}

/** A RESP2 reply as values: bulk strings as bytes, errors as Refused, nil as null. */
export type Reply = Uint8Array | string | number | null | Refused | Reply[];

class Reader {
  private readonly buf: Uint8Array;
  private at: number;

  constructor(buf: Uint8Array) {
    this.buf = buf;
    this.at = 0;
  }

  read(): Reply {
    const { buf } = this;
    const type = buf[this.at];
    const from = this.at + 1;
    let to = from;
    while (to < buf.length && buf[to] !== 13) to++;
    this.at = to + 2;
    if (type === 45) return { is: "error", why: text(buf, from, to) };
    if (type === 43) return text(buf, from, to);
    if (type === 58) return Number(text(buf, from, to));
    const n = decimal(buf, from, to, 0x7fffffff);
    if (n < 0) return null;
    if (type === 36) {
      const value = buf.subarray(this.at, this.at + n);
      this.at += n + 2;
      return value;
    }
    const list: Reply[] = [];
    for (let i = 0; i < n; i++) list.push(this.read());
    return list;
  }
}

export function read(reply: Uint8Array): Reply {
  return new Reader(reply).read();
}

export function isRefused(reply: Reply): reply is Refused {
  return reply !== null && typeof reply === "object" && "is" in reply;
}

export const NONSENSE: Refused = { is: "error", why: "the server's answer is not understood" };

export function word(reply: Reply): string {
  if (reply instanceof Uint8Array) return text(reply, 0, reply.length);
  return typeof reply === "string" ? reply : "";
}
