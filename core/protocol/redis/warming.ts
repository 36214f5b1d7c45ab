// One pool of Redis warms another one up. A token is a key of its own at the cold server, of 30 s; a
// script restores the value only if the token is there and the key is not. Every write through the
// route takes the token away first, and the key from the warm pool before that.

import { text } from "../../bytes.ts";
import { ABSENT, type Brought, type Steps, THERE, type Warming } from "../warming.ts";
import { array } from "./values.ts";

const PREFIX = "ringmux:warm:";
const TOKEN = "if redis.call('EXISTS',KEYS[1])==1 then return 0 end " +
  "redis.call('SET',KEYS[2],ARGV[1],'PX',30000) return 1";
const VALUE = "local v=redis.call('DUMP',KEYS[1]) if not v then return {} end " +
  "return {v,redis.call('PTTL',KEYS[1])}";
const FILL = "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end redis.call('DEL',KEYS[2]) " +
  "if redis.call('EXISTS',KEYS[1])==1 then return 0 end " +
  "redis.call('RESTORE',KEYS[1],ARGV[2],ARGV[3]) return 1";

const unfit = (reply: Uint8Array): Brought => ({ is: "unfit", why: errorOf(reply) });

/** Of an error reply; "" of any other. */
function errorOf(reply: Uint8Array): string {
  if (reply[0] !== 45 && reply[0] !== 33) return "";
  const shown = text(reply, 1, reply.length).trimEnd();
  return reply[0] === 45 ? shown : shown.slice(shown.indexOf("\r\n") + 2);
}

const isZero = (reply: Uint8Array): boolean => reply[0] === 58 && reply[1] === 48;

export const WARMING: Warming = {
  inFirstLane: false,
  forgets: false,
  *bring(key, token): Steps<Brought> {
    const name = text(key, 0, key.length);
    const mark = PREFIX + name;
    const has = yield { at: "warm", request: array(["EXISTS", name]) };
    if (errorOf(has) !== "") return unfit(has);
    if (isZero(has)) return ABSENT;
    const marked = yield { at: "cold", request: array(["EVAL", TOKEN, "2", name, mark, token]) };
    if (errorOf(marked) !== "") return unfit(marked);
    if (isZero(marked)) return THERE;
    // After the token: see the top.
    const value = yield { at: "warm", request: array(["EVAL", VALUE, "1", name]) };
    if (errorOf(value) !== "") return unfit(value);
    const found = /^\*2\r\n\$(\d+)\r\n/.exec(text(value, 0, Math.min(value.length, 40)));
    if (found === null) return ABSENT;
    const from = found[0].length;
    const to = from + Number(found[1]);
    const ttl = Number(text(value, to + 3, value.length).trimEnd());
    if (ttl === -2 || ttl === 0) return ABSENT;
    const rest = [token, String(Math.max(0, ttl)), text(value, from, to)];
    const filled = yield { at: "cold", request: array(["EVAL", FILL, "2", name, mark, ...rest]) };
    return errorOf(filled) === "" ? THERE : unfit(filled);
  },
  *forget(key): Steps<string> {
    const name = text(key, 0, key.length);
    const why = errorOf(yield { at: "warm", request: array(["DEL", name]) });
    if (why !== "") return why;
    return errorOf(yield { at: "cold", request: array(["DEL", PREFIX + name]) });
  },
  /** SET with options may depend on what is there. */
  overwrites: (name, nargs) =>
    name === "setex" || name === "psetex" || (name === "set" && nargs === 3),
  /** What an absent key cannot be answered with: 0, nil, nothing, or a list of such. */
  isSure(buf, start, end) {
    const first = buf[start];
    if (first === 42 || first === 126 || first === 37) { // * ~ %
      if (buf[start + 1] === 48 || buf[start + 1] === 45) return false;
      let at = start;
      while (at < end && buf[at] !== 10) at++;
      return at + 1 < end && WARMING.isSure(buf, at + 1, end);
    }
    if (first === 36 || first === 58) { // $ :
      const next = buf[start + 1];
      // -1: no time to live; -2: no key.
      if (next === 45) return first === 58 && buf[start + 2] === 49;
      return next !== 48;
    }
    if (first === 43) return text(buf, start, end) !== "+none\r\n";
    return first !== 95 && first !== 35; // _ #
  },
};
