// What Redis says about transactions: the requests that ringmux makes itself, and Redis's own answers
// where no server is asked (multi.c, server.c of Redis 7.0). Who says it when is core/client/modes.

import { bytes, text } from "../../bytes.ts";
import type { Transactions } from "../codec.ts";
import type { RedisSession } from "./session.ts";
import { astray, errorReply, forEveryServer, keyText, notInTransaction } from "./errors.ts";

const NIL = bytes("*-1\r\n");
const NULL = bytes("_\r\n");
const BECAUSE = bytes("-EXECABORT Transaction discarded because of: ");

export const transactions = (hashTag: string): Transactions => ({
  discard: bytes("*1\r\n$7\r\nDISCARD\r\n"),
  ok: bytes("+OK\r\n"),
  multi: bytes("*1\r\n$5\r\nMULTI\r\n"),
  exec: bytes("*1\r\n$4\r\nEXEC\r\n"),
  nothing: bytes("*0\r\n"),
  queued: bytes("+QUEUED\r\n"),
  nested: errorReply("ERR MULTI calls can not be nested"),
  watchInside: errorReply("ERR WATCH inside MULTI is not allowed"),
  execWithout: errorReply("ERR EXEC without MULTI"),
  discardWithout: errorReply("ERR DISCARD without MULTI"),
  aborted: errorReply("EXECABORT Transaction discarded because of previous errors."),
  tooLarge: errorReply("EXECABORT slot moved"),
  nil: ({ resp }: RedisSession) => resp === 3 ? NULL : NIL,
  reason: (buf, start, end) => {
    const own = end - start > BECAUSE.length && BECAUSE.every((byte, i) => buf[start + i] === byte);
    return own ? bytes(`-${text(buf, start + BECAUSE.length, end)}`) : null;
  },
  refused: (scan) => notInTransaction(scan.verb),
  everyServer: (scan) => forEveryServer(scan.verb),
  astray: (scan, buf, start, held, other) => {
    const key = keyText(buf, start + scan.keyStart, start + scan.keyEnd);
    return astray(held, { key, server: other }, hashTag);
  },
});
