// Servers from etcd, by the JSON gateway of its version 3 (documented as "gRPC gateway"): a key is
// PREFIX + name, its value host:port or host:port:weight. The keys are listed, then watched from the
// revision on that the list had; at any change, and after a compaction, they are listed again.

import type { DiscoveryConfig } from "../../core/config/groups.ts";
import { serversOf } from "../../core/config/server_list.ts";
import type { Answer, Provider } from "../../core/topology/discovery.ts";
import { askEtcd, type Question, watchEtcd } from "./etcd_http.ts";

/** How long (ms) it may take to answer. */
const PATIENCE = 5000;
/** Listed again after so long (ms), whatever the watch says: it may hang. */
const AGAIN = 60_000;
/** Before it is watched anew (ms): at first, and at most where it fails again and again. */
const PAUSE = 250;
const LONGEST_PAUSE = 8000;

interface Range {
  header?: { revision?: string };
  kvs?: { key: string; value?: string }[];
}

interface Watched {
  result?: {
    events?: unknown[];
    canceled?: boolean;
    compact_revision?: string;
    cancel_reason?: string;
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

/** What is said of etcd in a configuration. */
export type EtcdSettings = Pick<DiscoveryConfig, "etcd" | "prefix" | "user" | "auth" | "tls">;

export function etcdProvider(settings: EtcdSettings): Provider {
  return new Etcd(settings);
}

class Etcd implements Provider {
  readonly label: string;
  private readonly settings: EtcdSettings;
  private readonly endpoints: readonly string[];
  private readonly prefix: string;
  /** Up to which revision all changes are known. */
  private revision: bigint;
  /** The endpoint that answered last. */
  private at: number;
  /** Who we are, for the time being; "" for nobody, or not yet. */
  private token: string;

  constructor(settings: EtcdSettings) {
    const { etcd, prefix } = settings;
    this.label = `etcd ${prefix}`;
    this.settings = settings;
    this.endpoints = etcd.map((url) => url.replace(/\/+$/, ""));
    this.prefix = prefix;
    this.revision = 0n;
    this.at = 0;
    this.token = "";
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
        const { message, code } = error as Error & { code?: string };
        why.push(`${url}: ${code ?? message}`);
      }
    }
    throw new Error(`no answer from etcd: ${why.join("; ")}`);
  }

  private async range(url: string): Promise<Range> {
    const isOld = this.token !== "";
    const question = async (): Promise<Range> => {
      await this.authenticate(url);
      const asked = this.question(`${url}/v3/kv/range`, rangeOf(this.prefix));
      return await askEtcd(asked) as Range;
    };
    try {
      return await question();
    } catch (error) {
      // A token that is over is answered with an error, or with nothing at all (etcd#20332).
      if (!isOld) throw error;
      this.token = "";
      return await question();
    }
  }

  private question(url: string, body: unknown, signal?: AbortSignal): Question {
    const { token, settings: { tls = null } } = this;
    return { url, body, token, tls, signal: signal ?? inTime() };
  }

  /** Says who we are, if there is a user and etcd wants to know: docs, "auth", and authenticate.go. */
  private async authenticate(url: string): Promise<void> {
    const { user: name, auth: password } = this.settings;
    if (name === "" || this.token !== "") return;
    const path = `${url}/v3/auth/authenticate`;
    try {
      const { token = "" } = await askEtcd(this.question(path, { name, password })) as {
        token?: string;
      };
      this.token = token;
    } catch (error) {
      if (!(error as Error).message.includes("authentication is not enabled")) throw error;
    }
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
    let wait = PAUSE;
    while (!signal.aborted) {
      try {
        await this.watchOnce(changed, signal, () => wait = PAUSE);
      } catch {
        // Whoever asks tells why it does not answer.
        this.at = (this.at + 1) % this.endpoints.length;
        this.token = "";
        if (!signal.aborted) changed();
      }
      if (!signal.aborted) await pause(wait, signal);
      wait = Math.min(LONGEST_PAUSE, 2 * wait);
    }
  }

  /** Watches until the stream ends. What happened while nobody watched comes first: by revision. */
  private async watchOnce(
    changed: () => void,
    signal: AbortSignal,
    begun: () => void,
  ): Promise<void> {
    const url = this.endpoints[this.at];
    await this.authenticate(url);
    const start_revision = String(this.revision + 1n);
    const create_request = { ...rangeOf(this.prefix), start_revision };
    const asked = this.question(`${url}/v3/watch`, { create_request }, signal);
    for await (const event of watchEtcd(asked)) {
      const { result, error } = event as Watched;
      if (error !== undefined) throw new Error("the watch failed");
      if (result?.canceled) {
        // Compacted: what came between is seen in the list only. Else it is not allowed, or not any more.
        if (result.compact_revision === undefined) throw new Error(result.cancel_reason);
        return changed();
      }
      begun();
      if ((result?.events ?? []).length > 0) changed();
    }
  }
}

/** The data are wrong, whoever is asked. */
class Mistake extends Error {}

function inTime(): AbortSignal {
  const stop = new AbortController();
  const why = new Error(`no answer within ${PATIENCE} ms`);
  setTimeout(() => stop.abort(why), PATIENCE).unref?.();
  return stop.signal;
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
