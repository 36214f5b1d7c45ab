// What is said to a server when a connection is new, and what its replies say of the server itself.

import { bytes, text, utf8 } from "../../bytes.ts";
import type { CodecOptions, Greeting, Handshake, Lanes, ServerErrors } from "../codec.ts";
import type { RedisSession } from "./session.ts";
import { ownLane, setTracking, trackingRequest } from "./tracking.ts";

const MINUS = 45;
/**
 * Errors by which a server says that it cannot work: it loads its data, runs a script for too long,
 * has lost its master or cannot save. Any other (-NOAUTH) shows that it answers.
 */
const UNWELL = /^(LOADING|BUSY|MASTERDOWN|MISCONF|OOM) /;

export const PROBE = bytes("*1\r\n$4\r\nPING\r\n");

export function errorText(buf: Uint8Array, start: number, end: number): string {
  return text(buf, start + 1, end - 2);
}

export const SERVER_ERRORS: ServerErrors = {
  probeError(buf, start, end) {
    if (buf[start] !== MINUS) return "";
    const error = errorText(buf, start, end);
    return UNWELL.test(error) ? error : "";
  },
  isServerFailure(buf, start, end) {
    // nc_redis.c redis_failure: -OOM, -BUSY (also -BUSYKEY's prefix, excluded here), -LOADING.
    if (buf[start] !== MINUS || end - start < 5) return false;
    const word = text(buf, start + 1, Math.min(end, start + 9));
    return word.startsWith("OOM ") || word.startsWith("BUSY ") || word.startsWith("LOADING ");
  },
};

/** See `Sessions.lane`. */
export const laneOf = (session: RedisSession): string =>
  `${session.resp} ${session.db}${ownLane(session)}`;

export const LANES: Lanes = {
  goBack(session: RedisSession, lane: string) {
    const [resp, db] = lane.split(" ").map(Number);
    session.resp = resp;
    session.db = db;
    if (laneOf(session) !== lane) setTracking(session, session.trackedBefore);
  },
};

const request = (words: string[]): string =>
  `*${words.length}\r\n` + words.map((w) => `$${w.length}\r\n${w}\r\n`).join("");

const who = ({ auth, user = "" }: CodecOptions): string[][] =>
  auth === "" ? [] : [["AUTH", ...(user === "" ? [] : [utf8(user)]), utf8(auth)]];

function handshakeOf(requests: string[]): Handshake | null {
  return requests.length === 0
    ? null
    : { bytes: bytes(requests.join("")), replies: requests.length };
}

export const greeting = (options: CodecOptions): Greeting => ({
  handshake(session: RedisSession) {
    // AUTH before SELECT: twemproxy has them the other way round, and lands in database 0.
    const requests = who(options);
    if (session.resp === 3) requests.push(["HELLO", "3"]);
    if (session.db > 0) requests.push(["SELECT", String(session.db)]);
    const tracking = trackingRequest(session);
    const out = requests.map(request);
    if (tracking !== null) out.push(tracking);
    return handshakeOf(out);
  },
  who: handshakeOf(who(options).map(request)),
});
