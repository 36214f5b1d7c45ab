// What replies of Redis mean to routes: see ../verdicts.ts.

import { bytes, text } from "../../bytes.ts";
import type { Verdicts } from "../verdicts.ts";
import { DENIED, FAILED, HIT, MISS } from "../verdicts.ts";
import { reads } from "../intents.ts";
import { COMMANDS, INTENTS, JUDGED, verbOf } from "./commands.ts";
import { errorReply } from "./errors.ts";
import type { RedisSession } from "./session.ts";

const CR = 13;
const ZERO = 48;
/**
 * Errors by which a server says that it does not carry out anything, or no writes, now: server.c
 * processCommand, which looks for all of them before the command begins.
 */
const UNWELL = /^(LOADING|BUSY|MASTERDOWN|MISCONF|OOM|READONLY|NOREPLICAS|CLUSTERDOWN|TRYAGAIN) /;

/** Commands whose reply is 0 if there is no such key. */
const ZERO_IS_MISS = new Uint8Array(COMMANDS.length);
for (const name of "del unlink exists touch hlen llen scard zcard xlen strlen".split(" ")) {
  ZERO_IS_MISS[verbOf(name)] = 1;
}
const TYPE = verbOf("type");
const NIL = bytes("$-1\r\n");
const NIL3 = bytes("_\r\n");
const NOTHING = bytes(":0\r\n");
const SETS = new Set(
  "set setex psetex mset hmset lset ltrim getset rename restore".split(" ").map(verbOf),
);

/** `db`: the one that clients begin in. */
export const verdicts = (db: number): Verdicts => ({
  verdict(verb, buf, start, end) {
    switch (buf[start]) {
      case 45: { // -
        const error = text(buf, start + 1, Math.min(end, start + 16));
        return JUDGED[verb + 1] === 1 && UNWELL.test(error) ? FAILED : DENIED;
      }
      case 33: // !
        return DENIED;
      case 95: // _
        return MISS;
      case 36: // $
        return buf[start + 1] === 45 ? MISS : HIT;
      case 58: // :
        if (buf[start + 1] === ZERO && verb >= 0 && ZERO_IS_MISS[verb] === 1) return MISS;
        // TTL and its kind: -2 is no key.
        return buf[start + 1] === 45 && buf[start + 2] === 50 && buf[start + 3] === CR &&
            reads(INTENTS[verb + 1])
          ? MISS
          : HIT;
      case 43: // +
        return verb === TYPE && buf[start + 1] === 110 && end - start === 7 ? MISS : HIT;
      case 42: // *
      case 126: // ~
      case 37: { // %
        if (buf[start + 1] === 45 || buf[start + 1] === ZERO) return MISS;
        if (buf[start + 1] !== ZERO + 1 || buf[start + 2] !== CR) return HIT;
        // MGET of one key.
        const first = buf[start + 4];
        return first === 95 || (first === 36 && buf[start + 5] === 45) ? MISS : HIT;
      }
      default:
        return HIT;
    }
  },
  isTied: () => false,
  nothing(verb, _buf, _start, _end, _origin, session) {
    if (!reads(INTENTS[verb + 1]) && !SETS.has(verb)) return NOTHING;
    return (session as RedisSession).resp === 3 ? NIL3 : NIL;
  },
  fault: (text) => errorReply(/^[A-Z]+( |$)/.test(text) ? text : `ERR ${text}`),
  isUsual: (session) => (session as RedisSession).db === db,
});
