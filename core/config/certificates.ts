// Certificates and keys, of which a configuration names the files: here the texts take the place of
// the paths, so that a change of a file is a change of the configuration. No message shows a key.

import { formatMistake, type Mistake } from "./load.ts";
import type { Config, PoolConfig } from "./schema.ts";
import { mistakeAt, type Resolved } from "./secrets.ts";
import { fileShown, reasonShown } from "./shown.ts";

/** Where PEM texts are, and what can be said of them. */
export interface PemSource {
  /**
   * The text of a file; a relative path is taken from the configuration file's folder. Rejects with
   * an Error whose message says why.
   */
  file(path: string): Promise<string>;
  /** What is wrong with a text that is to hold certificates; "" for nothing. */
  certificateFault(pem: string): string;
  /** What is wrong with a text that is to hold the key of a certificate; "" for nothing. */
  keyFault(pem: string, cert: string): string;
  /** When a certificate expired, if it did before `now` (ms since 1970); "" if it did not. */
  expiry(pem: string, now: number): string;
}

/** `config`, which was read from `text` of `file`, with PEM texts in the place of paths. */
export async function resolveCertificates(
  config: Config,
  source: PemSource,
  now: number,
  text: string,
  file: string,
): Promise<Resolved> {
  const errors: Mistake[] = [];
  const warnings: Mistake[] = [];

  async function group<T extends { cert: string; key: string; ca: string }>(
    pool: string,
    name: string,
    from: T,
  ): Promise<T> {
    const note = (list: Mistake[], key: string, message: string): void => {
      list.push(mistakeAt(text, file, [pool, ...name.split("."), key], message));
    };
    const read = async (key: "cert" | "key" | "ca"): Promise<string> => {
      if (from[key] === "") return "";
      try {
        return await source.file(from[key]);
      } catch (error) {
        const why = reasonShown(error, from[key]);
        note(errors, key, `${pemShown(from[key])} cannot be read: ${why}`);
        return "";
      }
    };
    const [cert, key, ca] = [await read("cert"), await read("key"), await read("ca")];
    const before = errors.length;
    const judge = (what: "cert" | "ca", pem: string): void => {
      if (from[what] === "" || failed(errors, pool, name, what)) return;
      const fault = source.certificateFault(pem);
      if (fault !== "") return note(errors, what, `${pemShown(from[what])} ${fault}`);
      const expired = source.expiry(pem, now);
      if (expired !== "") note(warnings, what, `${pemShown(from[what])} has expired (${expired})`);
    };
    judge("cert", cert);
    judge("ca", ca);
    if (from.key !== "" && key !== "" && cert !== "" && errors.length === before) {
      const fault = source.keyFault(key, cert);
      if (fault !== "") note(errors, "key", `${pemShown(from.key)} ${fault}`);
    }
    return { ...from, cert, key, ca };
  }

  const pools: PoolConfig[] = [];
  for (const pool of config.pools) {
    const next = { ...pool };
    if (pool.tls !== undefined) next.tls = await group(pool.name, "tls", pool.tls);
    if (pool.server_tls !== undefined) {
      next.server_tls = await group(pool.name, "server_tls", pool.server_tls);
    }
    const { sentinel } = pool;
    if (sentinel?.tls !== undefined) {
      next.sentinel = { ...sentinel, tls: await group(pool.name, "sentinel.tls", sentinel.tls) };
    }
    const { discovery } = pool;
    if (discovery?.tls !== undefined) {
      const tls = await group(pool.name, "discovery.tls", discovery.tls);
      next.discovery = { ...discovery, tls };
    }
    pools.push(next);
  }
  const lines = (list: Mistake[]) => list.map(formatMistake);
  return { config: { ...config, pools }, errors: lines(errors), warnings: lines(warnings) };
}

/** `"PATH"`. */
function pemShown(path: string): string {
  return fileShown(path).replace(/^file /, "");
}

/** It is known already that the file cannot be read. */
function failed(errors: readonly Mistake[], pool: string, group: string, key: string): boolean {
  return errors.some((one) => one.pool === pool && one.message.startsWith(`${group}.${key}: `));
}
