// Makes vectors.json by asking a real nutcracker: fake Redis servers answer every GET with their
// own number, so each reply says where nutcracker sent the key. Whole 32-bit hashes come out of
// the same question: modula over 64, 63, 61, 59, 55 and 53 equal servers gives the hash modulo
// each of them, and their product exceeds 2^32 (Chinese remainder theorem).
// Run with nutcracker 0.5.0 installed: `bun test/golden/make.ts` or `deno run -A ...`.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server as NetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { goldenKeys } from "./keys.ts";
import { DIGITS, type Placement, type Server, type Vectors } from "./vectors.ts";

const HASHES = (
  "one_at_a_time md5 crc16 crc32 crc32a fnv1_64 fnv1a_64 fnv1_32 fnv1a_32 hsieh murmur jenkins"
).split(" ");
const MODULI = [64, 63, 61, 59, 55, 53];
const KEYS = 480;

const equal = (count: number): Server[] =>
  Array.from({ length: count }, (_, i) => ({ name: `s${String(i).padStart(2, "0")}`, weight: 1 }));

const SERVERS: Record<string, Server[]> = {
  mixed: [
    { name: "gamma10", weight: 3 },
    { name: "beta", weight: 2 },
    { name: "cache-1.example.org:6379", weight: 1 },
    { name: "d", weight: 1 },
    { name: "alpha", weight: 5 },
  ],
  pair: [{ name: "b", weight: 1 }, { name: "a", weight: 1 }],
  light: [{ name: "light", weight: 1 }, { name: "heavy", weight: 100000 }],
  utf8: [
    { name: "кэш-1", weight: 1 },
    { name: "キャッシュ", weight: 2 },
    { name: "é", weight: 1 },
    { name: "long-".repeat(50), weight: 1 },
  ],
  unnamed: [
    { name: "127.0.9.3:11212", weight: 1, line: "127.0.9.3:11212:1" },
    { name: "127.0.9.2", weight: 1, line: "127.0.9.2:11211:1" },
    { name: "127.0.9.1", weight: 2, line: "127.0.9.1:11211:2" },
    { name: "/dev/shm/ringmux.1:", weight: 1, line: "/dev/shm/ringmux.1:1" },
    { name: "/dev/shm/ringmux.2:", weight: 1, line: "/dev/shm/ringmux.2:1" },
  ],
  // 25, 47 and 50 equal servers have 156 points each, their neighbours 160.
  equal24: equal(24),
  equal25: equal(25),
  equal26: equal(26),
  equal47: equal(47),
  equal50: equal(50),
  many: equal(64).map(({ name }, i) => ({ name, weight: 1 + (i * 7) % 10 })),
};

type Question = Omit<Placement, "picks">;

function questions(): Question[] {
  const asked: Question[] = [];
  const ask = (hash: string, distribution: string, servers: string, hashTag = "", dead = [0]) =>
    asked.push({ hash, distribution, hashTag, servers, dead: dead.slice(1) });
  for (const hash of HASHES) {
    ask(hash, "ketama", "mixed");
    ask(hash, "modula", "mixed");
  }
  for (const tag of ["{}", "$$", "()"]) ask("fnv1a_64", "ketama", "mixed", tag);
  ask("murmur", "modula", "mixed", "{}");
  for (const servers of Object.keys(SERVERS).slice(1)) ask("fnv1a_64", "ketama", servers);
  for (const servers of ["utf8", "unnamed", "many"]) ask("murmur", "modula", servers);
  ask("md5", "ketama", "equal25");
  ask("murmur", "ketama", "many", "{}");
  for (const distribution of ["ketama", "modula"]) {
    ask("fnv1a_64", distribution, "mixed", "", [0, 2]);
    ask("fnv1a_64", distribution, "mixed", "", [0, 0, 4]);
    ask("fnv1a_64", distribution, "equal26", "", [0, 13]);
  }
  return asked;
}

const dir = mkdtempSync(join(tmpdir(), "ringmux-golden-"));
const keys = goldenKeys(KEYS);

/** A Redis server that answers every command with `answer`. */
function fake(answer: string): NetServer {
  return createServer((socket) => {
    let rest: Uint8Array = new Uint8Array(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      const data = new Uint8Array(rest.length + chunk.length);
      data.set(rest);
      data.set(chunk, rest.length);
      let at = 0;
      let commands = 0;
      for (let next; (next = commandEnd(data, at)) > 0; at = next) commands++;
      rest = data.slice(at);
      socket.write(`$1\r\n${answer}\r\n`.repeat(commands));
    });
  });
}

/** The end of the RESP command at `at`; -1 while it is not complete. */
function commandEnd(data: Uint8Array, at: number): number {
  const line = (): number => {
    let n = 0;
    for (at++; at < data.length && data[at] !== 13; at++) n = n * 10 + data[at] - 48;
    at += 2;
    return n;
  };
  if (at >= data.length) return -1;
  for (let args = line(); args > 0; args--) {
    if (at >= data.length) return -1;
    const length = line();
    at += length + 2;
  }
  return at <= data.length ? at : -1;
}

function listening(server: NetServer, where: { path?: string; host?: string; port?: number }) {
  return new Promise<NetServer>((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => resolve(server));
  });
}

/** Sends `GET key` for each key and resolves with a character each; "!" for an error. */
function picks(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let text = "";
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`${path}: closed after ${text.length} bytes`)));
    socket.on("connect", () => {
      for (const key of keys) {
        socket.write(`*2\r\n$3\r\nGET\r\n$${key.length}\r\n`);
        socket.write(key);
        socket.write("\r\n");
      }
    });
    socket.on("data", (chunk: Uint8Array) => {
      text += new TextDecoder().decode(chunk);
      const replies = text.match(/\$1\r\n.\r\n|-.*\r\n/g) ?? [];
      if (replies.length < keys.length) return;
      socket.removeAllListeners("close");
      socket.destroy();
      resolve(replies.map((reply) => reply[0] === "-" ? "!" : reply[4]).join(""));
    });
  });
}

function configuration(asked: Question[]): string {
  let text = "";
  asked.forEach((q, pool) => {
    text += `p${pool}:\n  listen: ${dir}/p${pool}\n  hash: ${q.hash}\n  redis: true\n`;
    text += `  distribution: ${q.distribution}\n  server_retry_timeout: 3600000\n`;
    text += `  server_failure_limit: 1\n  auto_eject_hosts: ${q.dead.length > 0}\n`;
    if (q.hashTag !== "") text += `  hash_tag: "${q.hashTag}"\n`;
    text += "  servers:\n";
    serversOf(q).forEach((server, i) => {
      const path = q.dead.includes(i) ? "/nonexistent" : `${dir}/s${i}`;
      text += `   - ${server.line ?? `${path}:${server.weight} ${server.name}`}\n`;
    });
  });
  return text;
}

/** "equal53" and the like need no entry in SERVERS. */
function serversOf(q: Question): readonly Server[] {
  return SERVERS[q.servers] ?? equal(Number(q.servers.slice(5)));
}

/** Puts all questions to one nutcracker. */
async function answers(asked: Question[], statsPort: number): Promise<Placement[]> {
  const file = join(dir, "nutcracker.yml");
  writeFileSync(file, configuration(asked));
  const args = ["-c", file, "-s", String(statsPort), "-a", "127.0.0.1", "-p", join(dir, "pid")];
  const child: ChildProcess = spawn("nutcracker", [...args, "-v", "1"], { stdio: "inherit" });
  const placements: Placement[] = [];
  try {
    await started(join(dir, "p" + (asked.length - 1)));
    for (let pool = 0; pool < asked.length; pool++) {
      let digits = "!";
      // Each pass over a pool with dead servers ejects those it meets.
      for (let pass = 0; digits.includes("!"); pass++) {
        if (pass > 5) throw new Error(`${JSON.stringify(asked[pool])}: errors remain`);
        digits = await picks(join(dir, "p" + pool));
      }
      placements.push({ ...asked[pool], picks: digits });
    }
  } finally {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await gone;
  }
  return placements;
}

async function started(path: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ path }, () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error("nutcracker does not start");
}

/** The number below the moduli's product that leaves these remainders. */
function chinese(remainders: number[]): number {
  let value = 0n;
  let step = 1n;
  MODULI.forEach((modulus, i) => {
    while (value % BigInt(modulus) !== BigInt(remainders[i])) value += step;
    step *= BigInt(modulus);
  });
  if (value >= 1n << 32n) throw new Error(`${remainders}: no 32-bit hash leaves these`);
  return Number(value);
}

async function main(): Promise<void> {
  const probe = await listening(createServer(), { host: "127.0.0.1", port: 0 });
  const statsPort = (probe.address() as AddressInfo).port;
  await new Promise((resolve) => probe.close(resolve));

  const fakes: NetServer[] = [];
  for (let i = 0; i < DIGITS.length; i++) {
    fakes.push(await listening(fake(DIGITS[i]), { path: join(dir, "s" + i) }));
  }
  for (const [i, { line = "" }] of SERVERS.unnamed.entries()) {
    const [host, port] = line.split(":");
    const where = host.startsWith("/") ? { path: host } : { host, port: Number(port) };
    fakes.push(await listening(fake(DIGITS[i]), where));
  }

  const hashes: Record<string, string> = {};
  for (const hash of HASHES) {
    const asked = MODULI.map((modulus): Question => ({
      hash,
      distribution: "modula",
      hashTag: "",
      servers: `equal${modulus}`,
      dead: [],
    }));
    const rows = await answers(asked, statsPort);
    const remainders = keys.map((_, k) => rows.map(({ picks }) => DIGITS.indexOf(picks[k])));
    hashes[hash] = remainders.map((row) => chinese(row).toString(36)).join(" ");
  }
  const placements: Placement[] = [];
  const all = questions();
  while (all.length > 0) placements.push(...await answers(all.splice(0, 8), statsPort));

  for (const server of fakes) server.close();
  const vectors: Vectors = { source: "nutcracker 0.5.0", servers: SERVERS, hashes, placements };
  // A line per server and per vector: differences stay readable.
  const text = JSON.stringify(vectors, null, 1).replace(/\n {3,}/g, " ").replace(/\n {2}\}/g, "}");
  const out = new URL("vectors.json", `file://${process.cwd()}/test/golden/`);
  writeFileSync(out.pathname, text + "\n");
}

try {
  await main();
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(0);
