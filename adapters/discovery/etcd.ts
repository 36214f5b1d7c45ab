// Servers from etcd, by the JSON gateway of its version 3 (documented as "gRPC gateway"): a key is
// PREFIX + name, its value host:port or host:port:weight. The keys are listed, then watched from the
// revision on that the list had; at any change, and after a compaction, they are listed again.

import { serversOf } from "../../core/config/server_list.ts";
import type { Answer, Provider } from "../../core/topology/discovery.ts";

/** How long (ms) it may take to answer. */
const PATIENCE = 5000;
/** Listed again after so long (ms), whatever the watch says: it may hang. */
const AGAIN = 60_000;
/** Before it is watched anew. */
const PAUSE = 1000;
/** Bytes of one answer. */
const LARGEST = 4 << 20;

interface Range {
  header?: { revision?: string };
  kvs?: { key: string; value?: string }[];
}

interface Watched {
  result?: {
    events?: unknown[];
    canceled?: boolean;
    compact_revision?: string;
    header?: { revision?: string };
  };
  error?: unknown;
}

const encode = (text: string): string =>
  btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const decode = (text: string): string =>
  new TextDecoder().decode(Uint8Array.from(atob(text), (char) => char.charCodeAt(0)));

/** The range of all keys with a prefix: up to the one whose last byte is one more. */
export function rangeOf(prefix: string): { key: string; range_end: string } {
  const bytes = [...new TextEncoder().encode(prefix)];
  while (bytes.length > 0 && bytes[bytes.length - 1] === 255) bytes.pop();
  if (bytes.length === 0) return { key: btoa("\0"), range_end: btoa("\0") };
  bytes[bytes.length - 1]++;
  return { key: encode(prefix), range_end: btoa(String.fromCharCode(...bytes)) };
}

/** What a key and its value say, as a line under `servers:`. */
export function lineOf(name: string, value: string): string {
  const text = value.trim();
  const hasWeight = /:[0-9]+:[0-9]+$/.test(text) && !/^\[?[0-9a-f:]*::/i.test(text);
  return `${hasWeight || text.startsWith("/") ? text : `${text}:1`} ${name}`;
}

export function etcdProvider(endpoints: readonly string[], prefix: string): Provider {
  return new Etcd(endpoints, prefix);
}

class Etcd implements Provider {
  readonly label: string;
  private readonly endpoints: readonly string[];
  private readonly prefix: string;
  /** Up to which revision all changes are known. */
  private revision: bigint;
  /** The endpoint that answered last. */
  private at: number;

  constructor(endpoints: readonly string[], prefix: string) {
    this.label = `etcd ${prefix}`;
    this.endpoints = endpoints.map((url) => url.replace(/\/+$/, ""));
    this.prefix = prefix;
    this.revision = 0n;
    this.at = 0;
  }

  async ask(): Promise<Answer> {
    const why: string[] = [];
    for (let i = 0; i < this.endpoints.length; i++) {
      const at = (this.at + i) % this.endpoints.length;
      const url = this.endpoints[at];
      try {
        const { header, kvs = [] } = await this.range(url);
        this.at = at;
        this.revision = BigInt(header?.revision ?? "0");
        return { servers: this.servers(kvs), ttl: AGAIN };
      } catch (error) {
        if (error instanceof Mistake) throw error;
        const { message, cause } = error as Error & { cause?: Error & { code?: string } };
        why.push(`${url}: ${cause?.code ?? cause?.message ?? message}`);
      }
    }
    throw new Error(`no answer from etcd: ${why.join("; ")}`);
  }

  private async range(url: string): Promise<Range> {
    const response = await fetch(`${url}/v3/kv/range`, {
      method: "POST",
      body: JSON.stringify(rangeOf(this.prefix)),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await readAll(response);
    if (!response.ok) throw new Error(`HTTP ${response.status}: ${text.slice(0, 200)}`);
    return JSON.parse(text) as Range;
  }

  private servers(kvs: readonly { key: string; value?: string }[]): Answer["servers"] {
    return serversOf(kvs.map(({ key, value = "" }) => {
      const full = decode(key);
      const name = full.slice(this.prefix.length);
      const where = (why: string): never => {
        throw new Mistake(`key ${full}: ${why}`);
      };
      if (name === "" || /\s/.test(name)) where("no name without spaces follows the prefix");
      return { text: lineOf(name, decode(value)), where };
    }));
  }

  watch(changed: () => void): { stop(): void } {
    const stop = new AbortController();
    void this.follow(changed, stop.signal);
    return { stop: () => stop.abort() };
  }

  private async follow(changed: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.watchOnce(changed, signal);
      } catch {
        // Whoever asks tells why it does not answer.
        this.at = (this.at + 1) % this.endpoints.length;
        if (!signal.aborted) changed();
      }
      if (!signal.aborted) await pause(PAUSE, signal);
    }
  }

  /** Watches until the stream ends. What happened while nobody watched comes first: by revision. */
  private async watchOnce(changed: () => void, signal: AbortSignal): Promise<void> {
    const start_revision = String(this.revision + 1n);
    const response = await fetch(`${this.endpoints[this.at]}/v3/watch`, {
      method: "POST",
      body: JSON.stringify({ create_request: { ...rangeOf(this.prefix), start_revision } }),
      signal,
    });
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() as string;
      if (rest.length > LARGEST) throw new Error("an event is too large");
      for (const line of lines.filter((one) => one.trim() !== "")) {
        const { result, error } = JSON.parse(line) as Watched;
        if (error !== undefined) throw new Error("the watch failed");
        if ((result?.events ?? []).length > 0) changed();
        if (result?.canceled) {
          changed(); // compacted: what came between is seen in the list only
          return;
        }
      }
    }
  }
}

/** The data are wrong, whoever is asked. */
class Mistake extends Error {}

async function readAll(response: Response): Promise<string> {
  const text = await response.text();
  if (text.length > LARGEST) throw new Error("its answer is too large");
  return text;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    timer.unref?.();
    signal.addEventListener("abort", done);
  });
}
