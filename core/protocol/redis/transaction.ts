// What Redis says about transactions: the requests that ringmux makes itself, and Redis's own answers
// where no server is asked (multi.c, server.c of Redis 7.0). Who says it when is core/client/pin.ts.

import { bytes, decimal } from "../../bytes.ts";
import type { Pinning } from "../codec.ts";
import { astray, errorReply, forEveryServer, keyText, notInTransaction } from "./errors.ts";

const COLON = 58;

export const transactions = (hashTag: string): Pinning => ({
  discard: bytes("*1\r\n$7\r\nDISCARD\r\n"),
  ok: bytes("+OK\r\n"),
  queued: bytes("+QUEUED\r\n"),
  nested: errorReply("ERR MULTI calls can not be nested"),
  watchInside: errorReply("ERR WATCH inside MULTI is not allowed"),
  execWithout: errorReply("ERR EXEC without MULTI"),
  discardWithout: errorReply("ERR DISCARD without MULTI"),
  aborted: errorReply("EXECABORT Transaction discarded because of previous errors."),
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
  refused: (scan) => notInTransaction(scan.verb),
  everyServer: (scan) => forEveryServer(scan.verb),
  astray: (scan, buf, start, held, other) => {
    const key = keyText(buf, start + scan.keyStart, start + scan.keyEnd);
    return astray(held, { key, server: other }, hashTag);
  },
});
