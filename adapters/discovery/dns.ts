// Servers from DNS: SRV records, whose targets are the names, or addresses of a name. Asked over TCP
// with the few bytes of core/topology/dns_message.ts: node:dns, which all runtimes have, tells no TTL
// of SRV records and no addresses beside them, and Deno's and Bun's differ in what they make of errors.

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { compareNames, parseServer, type ServerConfig } from "../../core/config/address.ts";
import type { Answer, Provider } from "../../core/topology/discovery.ts";
import { hostOf } from "../../core/networks.ts";
import {
  A,
  AAAA,
  CNAME,
  decodeReply,
  type DnsRecord,
  type DnsReply,
  encodeQuestion,
  NOERROR,
  NXDOMAIN,
  SRV,
} from "../../core/topology/dns_message.ts";

/** How long (ms) a DNS server may take to answer. */
const PATIENCE = 3000;
/** Addresses that are asked for one by one, where the SRV answer does not bring them. */
const MOST_QUESTIONS = 256;
const SECOND = 1000;

interface Resolver {
  readonly host: string;
  readonly port: number;
}

/** What /etc/resolv.conf says: resolv.conf(5). */
export function parseResolvConf(text: string): {
  resolvers: Resolver[];
  search: string[];
  ndots: number;
} {
  const resolvers: Resolver[] = [];
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [key, ...words] = line.trim().split(/\s+/);
    if (key === "nameserver" && words.length > 0) resolvers.push({ host: words[0], port: 53 });
    if (key === "search" || key === "domain") search = words;
    if (key !== "options") continue;
    for (const word of words) if (/^ndots:[0-9]+$/.test(word)) ndots = Number(word.slice(6));
  }
  if (resolvers.length === 0) resolvers.push({ host: "127.0.0.1", port: 53 });
  return { resolvers, search, ndots };
}

/** The names to ask for one, in their order: as a resolver does it with a search list. */
export function namesToTry(name: string, search: readonly string[], ndots: number): string[] {
  if (name.endsWith(".")) return [name];
  const longer = search.map((domain) => `${name}.${domain}`);
  const isLong = name.split(".").length - 1 >= ndots;
  return isLong ? [name, ...longer] : [...longer, name];
}

class Dns {
  private readonly fixed: string;

  constructor(resolver: string) {
    this.fixed = resolver;
  }

  /** The records of a name, by the first of its names in the search list that has any. */
  async records(name: string, type: number): Promise<DnsReply> {
    const { resolvers, search, ndots } = this.settings();
    let last: DnsReply | null = null;
    for (const one of namesToTry(name, search, ndots)) {
      const reply = await this.ask(resolvers, one, type);
      if (reply.answers.some((record) => record.type === type)) return reply;
      last ??= reply;
    }
    return last as DnsReply;
  }

  private settings(): ReturnType<typeof parseResolvConf> {
    if (this.fixed !== "") {
      const host = hostOf(this.fixed);
      const port = Number(this.fixed.slice(this.fixed.lastIndexOf(":") + 1));
      return { resolvers: [{ host, port }], search: [], ndots: 1 };
    }
    let text = "";
    try {
      text = readFileSync("/etc/resolv.conf", "utf8");
    } catch {
      // then it is the resolver of this machine
    }
    return parseResolvConf(text);
  }

  /** The first DNS server that knows. */
  private async ask(resolvers: Resolver[], name: string, type: number): Promise<DnsReply> {
    let why = "";
    for (const resolver of resolvers) {
      try {
        const reply = await exchange(resolver, name, type);
        if (reply.code === NOERROR || reply.code === NXDOMAIN) return reply;
        why = `${resolver.host} answers with error ${reply.code}`;
      } catch (error) {
        why = `${resolver.host}:${resolver.port}: ${(error as Error).message}`;
      }
    }
    throw new Error(`${name}: no answer from DNS: ${why}`);
  }
}

/** One question to one DNS server, on a connection of its own. */
function exchange({ host, port }: Resolver, name: string, type: number): Promise<DnsReply> {
  const id = Math.floor(Math.random() * 65536);
  const question = encodeQuestion(id, name, type);
  if (question === null) return Promise.reject(new Error(`"${name}" is no name`));
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let got = new Uint8Array(0);
    const over = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(why));
    };
    const timer = setTimeout(() => over(`no answer within ${PATIENCE} ms`), PATIENCE);
    socket.on("connect", () => socket.write(question));
    socket.on("error", (error: NodeJS.ErrnoException) => over(error.code ?? error.message));
    socket.on("close", () => over("it hung up"));
    socket.on("data", (chunk: Uint8Array) => {
      const all = new Uint8Array(got.length + chunk.length);
      all.set(got);
      all.set(chunk, got.length);
      got = all;
      const length = got.length < 2 ? Infinity : got[0] << 8 | got[1];
      if (got.length < 2 + length) return;
      const reply = decodeReply(got.subarray(2, 2 + length), id);
      if (reply === null) return over("its answer is broken");
      clearTimeout(timer);
      socket.destroy();
      resolve(reply);
    });
  });
}

const ttlOf = (records: readonly DnsRecord[]): number =>
  SECOND * records.reduce((least, { ttl }) => Math.min(least, ttl), Infinity);

function nothing(name: string, code: number): never {
  throw new Error(`${name}: ${code === NXDOMAIN ? "there is no such name" : "it has no records"}`);
}

/** `resolver`: host:port of the DNS server to ask; "" for those of the machine. */
export function srvProvider(name: string, resolver: string): Provider {
  const dns = new Dns(resolver);
  return { label: `srv ${name}`, ask: () => askSrv(dns, name) };
}

async function askSrv(dns: Dns, name: string): Promise<Answer> {
  const { code, answers, additional } = await dns.records(name, SRV);
  const all = answers.filter(({ type }) => type === SRV);
  if (all.length === 0) nothing(name, code);
  // RFC 2782: those of a larger number are for when these are not there.
  const first = Math.min(...all.map(({ priority }) => priority));
  const records = all.filter(({ priority }) => priority === first);
  const used = answers.filter(({ type }) => type === SRV || type === CNAME);
  const known = new Map<string, string>();
  for (const record of additional) {
    if (record.type !== A && record.type !== AAAA) continue;
    if (record.type === AAAA && known.has(record.name)) continue;
    known.set(record.name, record.value);
    used.push(record);
  }
  const unknown = [...new Set(records.map(({ value }) => value))].filter((one) => !known.has(one));
  for (const target of unknown.slice(0, MOST_QUESTIONS)) {
    const found = (await dns.records(`${target}.`, A)).answers.filter(({ type }) => type === A);
    if (found.length === 0) continue;
    // Which of several it is must not change from one answer to the next.
    known.set(target, found.map(({ value }) => value).sort()[0]);
    used.push(...found);
  }
  const equal = records.every(({ weight }) => weight === records[0].weight);
  const servers = records.map(({ value, port, weight }): ServerConfig => {
    const several = records.some((one) => one.value === value && one.port !== port);
    const host = known.get(value) ?? value;
    return {
      name: several ? `${value}:${port}` : value,
      address: { host, port, path: "", mode: -1 },
      weight: equal ? 1 : Math.max(1, weight),
      text: `${host}:${port}`,
    };
  });
  return { servers: inOrder(servers), ttl: ttlOf(used) };
}

/** Addresses of a name, all with the same port. */
export function addressProvider(name: string, port: number, resolver: string): Provider {
  const dns = new Dns(resolver);
  return {
    label: `dns ${name}`,
    async ask() {
      const [four, six] = await Promise.all([dns.records(name, A), dns.records(name, AAAA)]);
      const answers = [...four.answers, ...six.answers];
      const records = answers.filter(({ type }) => type === A || type === AAAA);
      if (records.length === 0) nothing(name, four.code);
      const servers = records.map(({ value }) => parseServer(`${value}:${port}:1`) as ServerConfig);
      return { servers: inOrder(servers), ttl: ttlOf(answers) };
    },
  };
}

/** In the ring's order, none twice. */
function inOrder(servers: readonly ServerConfig[]): ServerConfig[] {
  const byName = new Map(servers.map((server) => [server.name, server]));
  return [...byName.values()].sort((a, b) => compareNames(a.name, b.name));
}
