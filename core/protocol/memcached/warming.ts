// One pool of memcached warms another one up: by the tokens of key_pull.ts (`mg N30`, `ms C<token>`).

import { text } from "../../bytes.ts";
import { ABSENT, type Brought, type Steps, THERE, type Warming } from "../warming.ts";
import { HEADER, REPLY_MAGIC } from "./binary_commands.ts";
import { bodyLengthAt, statusAt, SUCCESS } from "./binary_packet.ts";
import { PULLING } from "./pulling.ts";

/** How long (s) a token lasts. */
const TOKEN = 30;
/** Flags before the value. */
const EXTRAS = 4;

const unfit = (why: string): Brought => ({ is: "unfit", why });

export const WARMING: Warming = {
  inFirstLane: true,
  forgets: true,
  *bring(key, _token, now): Steps<Brought> {
    const had = PULLING.readHad(yield { at: "warm", request: PULLING.has(key) });
    if (had.is === "absent") return ABSENT;
    if (had.is === "error") return unfit(had.why);
    const token = PULLING.readToken(yield { at: "cold", request: PULLING.token(key, TOKEN) });
    if (token.is === "there") return THERE;
    if (token.is === "error") return unfit(token.why);
    // After the token: whatever changes the key from here on takes the token away.
    const found = PULLING.readValue(yield { at: "warm", request: PULLING.value(key) });
    const drop = { at: "cold", request: PULLING.drop(key, token.cas) } as const;
    if (found.is !== "value") {
      yield drop;
      return found.is === "error" ? unfit(found.why) : ABSENT;
    }
    const request = PULLING.fill(key, token.cas, found, now);
    const filled = PULLING.readFilled(yield { at: "cold", request });
    if (filled.is === "done" || filled.is === "other") return THERE;
    yield drop;
    return unfit("why" in filled ? filled.why : "the value is too large for it");
  },
  *forget(key): Steps<string> {
    const dropped = PULLING.readDropped(yield { at: "warm", request: PULLING.drop(key, "") });
    return dropped.is === "error" ? dropped.why : "";
  },
  overwrites: (name) => name === "set" || name === "setq",
  /** An empty item may be a place that somebody is about to fill. */
  isSure(buf, start, end) {
    if (buf[start] === REPLY_MAGIC) {
      return statusAt(buf, start) !== SUCCESS || bodyLengthAt(buf, start) > EXTRAS ||
        end - start < HEADER;
    }
    let to = start;
    while (to < end && buf[to] !== 13) to++;
    const line = text(buf, start, to);
    if (line.startsWith("VALUE ")) return line.split(" ")[3] !== "0";
    if (line.startsWith("VA 0")) return false;
    return !/ [WZ]( |$)/.test(line) || line.startsWith("VA ");
  },
};
