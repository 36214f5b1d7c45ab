// Questions to etcd's JSON gateway, over HTTP or HTTPS: by node:http, since `fetch` has no common way to
// be given authorities. Knows no keys: etcd.ts.

import { type ClientRequest, type IncomingMessage, request as plain } from "node:http";
import { request as secure } from "node:https";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { ConnectTls } from "../../core/host.ts";

/** Bytes of one answer. */
export const LARGEST = 4 << 20;

export interface Question {
  readonly url: string;
  readonly body: unknown;
  /** "" for none. */
  readonly token: string;
  /** Null: as the system has it. */
  readonly tls: ConnectTls | null;
  /** What is said when this ends it. */
  readonly signal: AbortSignal;
}

/** Whatever it answers; rejects when it does not. It is read, or the signal ends it. */
function open({ url, body, token, tls, signal }: Question): Promise<IncomingMessage> {
  const text = JSON.stringify(body);
  const headers: Record<string, string | number> = {
    "content-type": "application/json",
    "content-length": new TextEncoder().encode(text).length,
    ...(token === "" ? {} : { authorization: token }),
  };
  const options = { method: "POST", headers, agent: false as const };
  return new Promise((resolve, reject) => {
    const request: ClientRequest = url.startsWith("https:")
      ? secure(url, { ...options, ...(tls === null ? {} : secured(new URL(url).hostname, tls)) })
      : plain(url, options);
    const stop = (): void => {
      reject(signal.reason);
      request.destroy();
    };
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop);
    request.on("close", () => signal.removeEventListener("abort", stop));
    request.on("error", reject);
    request.on("response", resolve);
    request.end(text);
  });
}

/** Whom to believe, and what to show. */
function secured(host: string, { ca, cert, key, server_name: name, insecure }: ConnectTls): object {
  const isOther = name !== "" && name !== host;
  return {
    ...(ca === "" ? {} : { ca }),
    ...(cert === "" ? {} : { cert, key }),
    ...(isOther && isIP(name) === 0 ? { servername: name } : {}),
    ...(isOther && {
      checkServerIdentity: (_: string, shown: PeerCertificate) => checkServerIdentity(name, shown),
    }),
    rejectUnauthorized: !insecure,
  };
}

/** The whole answer; rejects, with what it says, when that is an error. */
export async function askEtcd(question: Question): Promise<unknown> {
  const response = await open(question);
  let text = "";
  for await (const piece of pieces(response)) {
    text += piece;
    if (text.length > LARGEST) throw tooLarge(response);
  }
  if (response.statusCode !== 200) throw refused(response, text);
  return JSON.parse(text);
}

/** Lines as they come. */
export async function* watchEtcd(question: Question): AsyncGenerator<unknown> {
  const response = await open(question);
  let rest = "";
  for await (const piece of pieces(response)) {
    rest += piece;
    if (response.statusCode !== 200) throw refused(response, rest);
    const lines = rest.split("\n");
    rest = lines.pop() as string;
    if (rest.length > LARGEST) throw tooLarge(response);
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
  }
}

async function* pieces(response: IncomingMessage): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of response) yield decoder.decode(chunk, { stream: true });
}

function tooLarge(response: IncomingMessage): Error {
  response.destroy();
  return new Error("its answer is too large");
}

function refused(response: IncomingMessage, text: string): Error {
  response.destroy();
  let why = text;
  try {
    const { message, error } = JSON.parse(text);
    why = String(message ?? error ?? text);
  } catch {
    // then it is shown as it is
  }
  return new Error(`HTTP ${response.statusCode}: ${why.slice(0, 200)}`);
}
