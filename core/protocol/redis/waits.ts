// CLIENT PAUSE and UNBLOCK, as far as servers are concerned: what counts as a write, and how a server
// is asked to end the wait of a connection (networking.c of Redis 7.0).

import { bytes, decimal } from "../../bytes.ts";
import type { Quiet, Waits } from "../codec.ts";
import { ASKED, PIN_EXEC } from "../scan.ts";
import { CHANNEL, COMMANDS, READONLY, SCRIPT, WRITE } from "./commands.ts";

const COLON = 58;
const DOLLAR = 36;

export const WAITS: Waits = {
  askId: bytes("*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"),
  linkId: (buf, start, end) =>
    buf[start] === COLON ? decimal(buf, start + 1, end - 2, Number.MAX_SAFE_INTEGER) : -1,
  unblock: (id, withError) => {
    const [number, how] = [String(id), withError ? "ERROR" : "TIMEOUT"];
    return bytes(
      "*4\r\n$6\r\nCLIENT\r\n$7\r\nUNBLOCK\r\n" +
        `$${number.length}\r\n${number}\r\n$${how.length}\r\n${how}\r\n`,
    );
  },
  shorten: (request, from, to, unit, left) => {
    const value = unit === 1 ? String(Math.ceil(left)) : (Math.ceil(left) / unit).toFixed(3);
    // The argument's "$" stands behind the CRLF before it: `$<digits>\r\n<argument>\r\n`.
    let dollar = from - 1;
    while (request[dollar] !== DOLLAR) dollar--;
    const middle = bytes(`$${value.length}\r\n${value}`);
    const shorter = new Uint8Array(dollar + middle.length + request.length - to);
    shorter.set(request.subarray(0, dollar));
    shorter.set(middle, dollar);
    shorter.set(request.subarray(to), dollar + middle.length);
    return shorter;
  },
  mayWrite: ({ verb, pin }) => {
    if (verb === ASKED) return true;
    const { flags, rights } = COMMANDS[verb];
    if ((flags & READONLY) !== 0) return false;
    return (flags & WRITE) !== 0 || (rights & (SCRIPT | CHANNEL)) !== 0 || pin === PIN_EXEC;
  },
};

/** CLIENT REPLY OFF and SKIP: no reply is seen, whatever it is. */
export const QUIET: Quiet = { muted: (mute) => mute !== 0, unmute: null };
