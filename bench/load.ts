// The load generator: a process of its own, run by Bun on the core that the proxy does not have.
// Reads jobs as lines of JSON on stdin and answers each with one line. Reads the CPU time of the
// watched processes itself, so that the window of the clock and of the requests is the same.
//
// Closed loop: a client sends a ready-made batch, counts the bytes of the reply, sends the next.
// Open loop (`rate`): batches are due at times that do not depend on the replies, and each is timed
// from when it was due, also if its client was still busy: a proxy that stops for a moment is charged
// for all that came meanwhile ("coordinated omission", Tene: How NOT to Measure Latency). See open_loop.ts.
// Churn: each batch is sent over a connection of its own, which its client opens and closes.

import { Histogram } from "./histogram.ts";
import { cpuNanos, family, peakKb, resetPeak, residentKb } from "./measure.ts";
import { openLoop } from "./open_loop.ts";
import { Batches, type Shape } from "./requests.ts";

export interface Job {
  readonly port: number;
  readonly shape: Shape;
  readonly clients: number;
  /** Further clients that make one request and then only stay connected. */
  readonly idle: number;
  /** Milliseconds of load before the window. */
  readonly rampMs: number;
  /** Milliseconds of the window; not used when `batches` is set. */
  readonly windowMs: number;
  /** The window ends after so many batches; 0: after `windowMs`. */
  readonly batches: number;
  /** Batches a second of all clients together, come what may; 0: each waits for its reply. */
  readonly rate: number;
  /** A connection for every batch. */
  readonly churn: boolean;
  readonly tls: boolean;
  /** Send every key once, in order: fills a server. */
  readonly fill: boolean;
  /** Processes to watch. */
  readonly pids: readonly number[];
}

export interface Outcome {
  /** Set when the job failed; everything else is then missing. */
  readonly error?: string;
  /** Commands answered in the window, and in the whole job. */
  readonly requests: number;
  readonly allRequests: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Latencies of a batch in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly p9999: number;
  readonly max: number;
  /** Open loop: how late the load itself was (ms, p99.9); what it measures cannot be told apart below. */
  readonly late: number;
  /** CPU of the watched processes in microseconds per command. */
  readonly cpu: number;
  /** Part of a core they used. */
  readonly busy: number;
  /** Peak of their resident memory, and its growth since the job began. */
  readonly peakKb: number;
  readonly grownKb: number;
  /** Resident memory per idle client. */
  readonly idleKb: number;
}

interface BunSocket {
  data: Client;
  write(bytes: Uint8Array, from: number, length: number): number;
  setNoDelay(on: boolean): void;
  end(): void;
  terminate(): void;
}
declare const Bun: { connect(options: unknown): Promise<BunSocket> };
declare const process: {
  stdin: AsyncIterable<Uint8Array>;
  stdout: { write(text: string): void };
};

/** A job fails when nothing arrives for so long. */
const PATIENCE_MS = 10000;
/** And when it takes so long as a whole, besides its ramp and window. */
const LIMIT_MS = 60000;
/** Connections opened at a time: fewer than any listen backlog. */
const CONNECT_AT_ONCE = 100;
const SETTLE_MS = 500;

class Client {
  socket: BunSocket | null = null;
  batch: number;
  /** Of the request: the first byte not yet taken by the kernel. */
  at = 0;
  /** Bytes of the reply still to come. */
  left = 0;
  sentAt = 0;
  /** What the reply must be; only the first of each client is compared whole. */
  expected: Uint8Array | null = null;
  verified = false;
  /** Churn: when it began to connect for its next batch. */
  openedAt = 0;
  /** It is connected. */
  ready: () => void = () => {};

  constructor(batch: number) {
    this.batch = batch;
  }
}

class Load {
  private readonly job: Job;
  private readonly batches: Batches;
  private readonly histogram: Histogram;
  private measuring: boolean;
  /** Batches that may still be sent. */
  private budget: number;
  private outstanding: number;
  private answered: number;
  private inWindow: number;
  private bytes: number;
  private idleNow: (() => void) | null;
  private readonly handlers: ReturnType<Load["makeHandlers"]>;
  private failed: (error: Error) => void;
  readonly failure: Promise<never>;
  readonly clients: Client[];

  constructor(job: Job, batches: Batches) {
    this.job = job;
    this.batches = batches;
    this.histogram = new Histogram();
    this.measuring = false;
    this.budget = 0;
    this.outstanding = 0;
    this.answered = 0;
    this.inWindow = 0;
    this.bytes = 0;
    this.idleNow = null;
    this.failed = () => {};
    this.failure = new Promise((_, reject) => this.failed = reject);
    this.failure.catch(() => {});
    this.clients = [];
    this.handlers = this.makeHandlers();
  }

  async connect(count: number): Promise<Client[]> {
    const made: Client[] = [];
    while (made.length < count) {
      const some: Promise<void>[] = [];
      for (let i = 0; i < CONNECT_AT_ONCE && made.length < count; i++) {
        const client = new Client((this.clients.length * 7) % this.batches.count);
        made.push(client);
        this.clients.push(client);
        some.push(this.open(client));
      }
      await Promise.all(some);
    }
    return made;
  }

  private async open(client: Client): Promise<void> {
    const ready = new Promise<void>((resolve) => client.ready = resolve);
    await Bun.connect({
      hostname: "127.0.0.1",
      port: this.job.port,
      data: client,
      ...(this.job.tls && { tls: { rejectUnauthorized: false } }),
      socket: this.handlers,
    });
    await ready;
  }

  private makeHandlers() {
    return {
      open: (socket: BunSocket) => {
        socket.setNoDelay(true);
        if (!this.job.tls) this.opened(socket);
      },
      // It is called "not authorized" too, since nobody has signed the certificate.
      handshake: (socket: BunSocket) => {
        if (this.job.tls) this.opened(socket);
      },
      data: (socket: BunSocket, chunk: Uint8Array) => this.receive(socket.data, chunk),
      drain: (socket: BunSocket) => this.push(socket.data),
      close: (socket: BunSocket) => {
        if (socket.data.socket !== socket) return; // one of many (churn)
        socket.data.socket = null;
        this.failed(new Error("a connection was closed"));
      },
      error: (_: BunSocket, error: Error) => this.failed(error),
      connectError: (_: BunSocket, error: Error) => this.failed(error),
    };
  }

  private opened(socket: BunSocket): void {
    const { data: client } = socket;
    client.socket = socket;
    client.ready();
    if (client.openedAt > 0) this.send(client, client.openedAt);
  }

  private receive(client: Client, chunk: Uint8Array): void {
    this.bytes += chunk.length;
    const expected = client.expected;
    if (expected !== null) this.compare(client, expected, chunk);
    else if (client.left === this.batches.replyLength && (chunk[0] === 45 || chunk[0] === 69)) {
      // "-ERR" or "ERROR" where a reply begins ("END" of a miss as well: no key is missing).
      return this.failed(new Error(`reply: ${text(chunk)}`));
    }
    client.left -= chunk.length;
    if (client.left > 0) return;
    if (client.left < 0) return this.failed(new Error("more bytes than the reply should have"));
    this.answered++;
    const now = performance.now();
    if (this.measuring) {
      this.inWindow++;
      this.histogram.record(now - client.sentAt);
    }
    if (this.job.churn) this.reconnect(client, now);
    else if (this.budget > 0) this.send(client, now);
    else this.rest();
  }

  /** A client has nothing to do. */
  private rest(): void {
    if (--this.outstanding === 0 && this.budget <= 0) this.idleNow?.();
  }

  /** Its next batch over a new connection. */
  private reconnect(client: Client, now: number): void {
    const old = client.socket;
    client.socket = null;
    old?.end();
    if (this.budget <= 0) return this.rest();
    client.openedAt = now;
    this.open(client).catch((error) => this.failed(error));
  }

  private compare(client: Client, expected: Uint8Array, chunk: Uint8Array): void {
    const at = expected.length - client.left;
    const part = expected.subarray(at, at + chunk.length);
    if (part.length !== chunk.length || part.some((byte, i) => byte !== chunk[i])) {
      this.failed(new Error(`wrong reply: ${text(chunk)}`));
    }
    if (at + chunk.length >= expected.length) client.expected = null;
  }

  private send(client: Client, now: number): void {
    this.budget--;
    client.batch = client.batch + 1 < this.batches.count ? client.batch + 1 : 0;
    client.at = 0;
    client.left = this.batches.replyLength;
    client.sentAt = now;
    if (!client.verified) {
      client.verified = true;
      client.expected = this.batches.expected(client.batch);
    }
    this.push(client);
  }

  private push(client: Client): void {
    const request = this.batches.request(client.batch);
    const rest = request.length - client.at;
    if (rest <= 0 || client.left === 0 || client.socket === null) return;
    client.at += Math.max(0, client.socket.write(request, client.at, rest));
  }

  /** Lets `clients` work until `stop`, or through `budget` batches in all. */
  private start(clients: readonly Client[], budget: number): Promise<void> {
    this.budget = budget;
    const done = new Promise<void>((resolve) => this.idleNow = resolve);
    this.outstanding = Math.min(clients.length, budget);
    const now = performance.now();
    for (const client of clients.slice(0, this.outstanding)) this.send(client, now);
    return done;
  }

  private async stop(done: Promise<void>): Promise<void> {
    this.budget = 0;
    await done;
  }

  async run(): Promise<Outcome> {
    const { job } = this;
    const pids = family(job.pids);
    resetPeak(pids);
    const residentAtStart = residentKb(pids);
    const busy = await this.connect(job.clients);
    let idleKb = 0;
    if (job.idle > 0) idleKb = await this.addIdle(busy, pids);
    let done: Promise<void>;
    if (job.batches > 0) {
      if (!job.fill) await this.start(busy, busy.length);
      this.measuring = true;
      const before = sample(pids);
      done = this.start(busy, job.batches);
      await done;
      return this.outcome(before, pids, residentAtStart, idleKb);
    }
    done = this.start(busy, Infinity);
    await sleep(job.rampMs);
    this.measuring = true;
    this.inWindow = 0;
    const before = sample(pids);
    // One batch may take longer than the window (64 MB): the window then ends with it.
    const from = performance.now();
    await sleep(job.windowMs);
    while (this.inWindow === 0 && performance.now() - from < PATIENCE_MS) {
      await sleep(20);
    }
    const outcome = this.outcome(before, pids, residentAtStart, idleKb);
    this.measuring = false;
    await this.stop(done);
    return outcome;
  }

  /** Connects the idle clients; returns the memory each of them costs. */
  private async addIdle(busy: Client[], pids: readonly number[]): Promise<number> {
    const warm = this.start(busy, Infinity);
    await sleep(this.job.rampMs);
    await this.stop(warm);
    await sleep(SETTLE_MS);
    const before = residentKb(pids);
    const idle = await this.connect(this.job.idle);
    for (let i = 0; i < idle.length; i += CONNECT_AT_ONCE) {
      const some = idle.slice(i, i + CONNECT_AT_ONCE);
      await this.start(some, some.length);
    }
    await sleep(SETTLE_MS);
    return (residentKb(pids) - before) / idle.length;
  }

  private outcome(
    before: Sample,
    pids: readonly number[],
    residentAtStart: number,
    idleKb: number,
  ): Outcome {
    const { histogram, inWindow, answered } = this;
    const counted = { histogram, inWindow, answered, late: 0 };
    const samples = { before, after: sample(pids) };
    return outcomeOf(this.job, counted, samples, memoryOf(pids, residentAtStart, idleKb));
  }

  /** Fails the job when no byte arrives for `PATIENCE_MS`, or after `LIMIT_MS`. */
  watch(): () => void {
    let seen = -1;
    const seconds = (ms: number) => `${ms / 1000} seconds`;
    const silence = setInterval(() => {
      if (this.bytes === seen) this.failed(new Error(`no reply for ${seconds(PATIENCE_MS)}`));
      seen = this.bytes;
    }, PATIENCE_MS);
    const { rampMs, windowMs } = this.job;
    const limit = setTimeout(() => {
      this.failed(new Error(`took longer than ${seconds(LIMIT_MS)}`));
    }, rampMs + windowMs + LIMIT_MS);
    return () => {
      clearInterval(silence);
      clearTimeout(limit);
    };
  }

  close(): void {
    for (const client of this.clients) client.socket?.terminate();
  }
}

/** Clock (ms) and CPU time (ns) of the watched processes at one moment. */
interface Sample {
  readonly at: number;
  readonly cpu: number;
}

function sample(pids: readonly number[]): Sample {
  return { at: performance.now(), cpu: cpuNanos(pids) };
}

interface Counted {
  readonly histogram: Histogram;
  /** Batches answered in the window, and in the whole job. */
  readonly inWindow: number;
  readonly answered: number;
  readonly late: number;
}

type Memory = Pick<Outcome, "peakKb" | "grownKb" | "idleKb">;

function memoryOf(pids: readonly number[], residentAtStart: number, idleKb: number): Memory {
  const peak = peakKb(pids);
  return { peakKb: peak, grownKb: peak - residentAtStart, idleKb };
}

function outcomeOf(
  { shape }: Job,
  { histogram, inWindow, answered, late }: Counted,
  { before, after }: { before: Sample; after: Sample },
  memory: Memory,
): Outcome {
  const requests = inWindow * shape.pipeline;
  const seconds = (after.at - before.at) / 1000;
  const cpuSeconds = (after.cpu - before.cpu) / 1e9;
  return {
    requests,
    allRequests: answered * shape.pipeline,
    seconds,
    perSecond: requests / seconds,
    p50: histogram.percentile(0.5),
    p99: histogram.percentile(0.99),
    p999: histogram.percentile(0.999),
    p9999: histogram.percentile(0.9999),
    max: histogram.max,
    late,
    cpu: cpuSeconds * 1e6 / requests,
    busy: cpuSeconds / seconds,
    ...memory,
  };
}

function histogramOf(values: Float32Array): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

async function open(job: Job, batches: Batches): Promise<Outcome> {
  const pids = family(job.pids);
  resetPeak(pids);
  const residentAtStart = residentKb(pids);
  const run = await openLoop({ ...job, patienceMs: PATIENCE_MS }, batches, () => sample(pids));
  const counted = {
    histogram: histogramOf(run.latencies),
    inWindow: run.answered,
    answered: run.allAnswered,
    late: histogramOf(run.lateness).percentile(0.999),
  };
  return outcomeOf(job, counted, run, memoryOf(pids, residentAtStart, 0));
}

function text(chunk: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(chunk.subarray(0, 80)));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

let lastKey = "";
let lastBatches: Batches | null = null;

function prepare(job: Job): Batches {
  const key = JSON.stringify([job.shape, job.fill]);
  if (lastBatches === null || key !== lastKey) {
    lastKey = key;
    lastBatches = new Batches(job.shape, job.fill);
  }
  return lastBatches;
}

async function perform(job: Job): Promise<Outcome | { error: string }> {
  const batches = prepare(job);
  if (job.rate > 0) {
    return await open(job, batches).catch((error) => ({ error: String(error.message ?? error) }));
  }
  const load = new Load(job.fill ? { ...job, batches: batches.count } : job, batches);
  const unwatch = load.watch();
  try {
    return await Promise.race([load.run(), load.failure]);
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  } finally {
    unwatch();
    load.close();
  }
}

let input = "";
const decoder = new TextDecoder();
for await (const chunk of process.stdin) {
  input += decoder.decode(chunk, { stream: true });
  const lines = input.split("\n");
  input = lines.pop() ?? "";
  for (const line of lines) {
    process.stdout.write(`${JSON.stringify(await perform(JSON.parse(line)))}\n`);
  }
}
