// BullMQ over three servers: a queue's keys live together by a hash tag in the prefix, and its
// scripts, streams and blocking commands then work as on one Redis.
// Needs: redis-server

import { FlowProducer, type Job, Queue, QueueEvents, Worker } from "bullmq";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  behindProxy,
  isNutcracker,
  ours,
  type ProxyProcess,
  type ServerProcess,
  until,
  Wire,
} from "./harness.ts";

let servers: ServerProcess[];
let proxy: ProxyProcess;

test.before(async () => {
  if (isNutcracker) return;
  ({ servers, proxy } = await behindProxy("redis", { hash_tag: '"{}"' }));
});

interface Closing {
  close(): Promise<void>;
}
const open: Closing[] = [];
function kept<T extends Closing>(one: T): T {
  open.push(one);
  return one;
}
test.after.each(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const settings = (prefix: string) => ({
  connection: { host: "127.0.0.1", port: proxy.port },
  prefix,
});

ours("jobs are added, worked on in order, and their results come back", async () => {
  const queue = kept(new Queue("plain", settings("{bull}")));
  queue.setMaxListeners(100); // one for each job that is waited for
  const events = kept(new QueueEvents("plain", settings("{bull}")));
  await events.waitUntilReady();
  const done: string[] = [];
  events.on("completed", ({ returnvalue }) => done.push(String(returnvalue)));
  const worker = kept(
    new Worker("plain", (job: Job) => Promise.resolve(job.data.n * 2), settings("{bull}")),
  );
  const errors: string[] = [];
  queue.on("error", (error) => errors.push(error.message));
  worker.on("error", (error) => errors.push(error.message));
  events.on("error", (error) => errors.push(error.message));
  const jobs = await queue.addBulk(
    Array.from({ length: 50 }, (_, n) => ({ name: "double", data: { n } })),
  );
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
  assert.equal(results, jobs.map((_, n) => 2 * n));
  await until("all events", () => done.length === 50);
  assert.equal(await queue.getJobCounts("completed", "failed", "wait"), {
    completed: 50,
    failed: 0,
    wait: 0,
  });
  const late = await queue.add("one more", { n: 21 }); // the worker is blocked by now
  assert.is(await late.waitUntilFinished(events), 42);
  assert.equal(errors, []);
});

ours("delayed jobs, priorities, retries with backoff, and failures", async () => {
  const queue = kept(new Queue("special", settings("{bull}")));
  const events = kept(new QueueEvents("special", settings("{bull}")));
  await events.waitUntilReady();
  const order: string[] = [];
  const failing = await queue.add("fails twice", {}, {
    attempts: 3,
    backoff: { type: "fixed", delay: 20 },
  });
  const hopeless = await queue.add("always fails", {}, { attempts: 2 });
  const delayed = await queue.add("delayed", {}, { delay: 100 });
  await queue.add("low", {}, { priority: 10 });
  const high = await queue.add("high", {}, { priority: 1 });
  kept(
    new Worker("special", (job: Job) => {
      order.push(job.name);
      if (job.name === "fails twice" && job.attemptsMade < 2) throw new Error("not yet");
      if (job.name === "always fails") throw new Error("never");
      return Promise.resolve("fine");
    }, settings("{bull}")),
  );
  for (const job of [failing, delayed, high]) {
    assert.is(await job.waitUntilFinished(events), "fine");
  }
  const why = await hopeless.waitUntilFinished(events).then(() => "", (e: Error) => e.message);
  assert.is(why, "never");
  await until("the low one", () => order.includes("low"));
  assert.ok(order.indexOf("high") < order.indexOf("low"));
  assert.is(order.filter((name) => name === "fails twice").length, 3);
  assert.is(order.filter((name) => name === "always fails").length, 2);
});

ours("flows: a parent runs after its children", async () => {
  const flow = kept(new FlowProducer(settings("{bull}")));
  const events = kept(new QueueEvents("parents", settings("{bull}")));
  await events.waitUntilReady();
  kept(
    new Worker("children", (job: Job) => Promise.resolve(job.data.n), settings("{bull}")),
  );
  kept(
    new Worker("parents", async (job: Job) => {
      const values = Object.values(await job.getChildrenValues()) as number[];
      return values.reduce((a, b) => a + b, 0);
    }, settings("{bull}")),
  );
  const { job } = await flow.add({
    name: "sum",
    queueName: "parents",
    children: [1, 2, 3].map((n) => ({ name: "part", queueName: "children", data: { n } })),
  });
  assert.is(await job.waitUntilFinished(events), 6);
});

ours("repeated jobs by a scheduler, pause and resume, clean and obliterate", async () => {
  const queue = kept(new Queue("repeated", settings("{bull}")));
  let runs = 0;
  kept(
    new Worker("repeated", () => {
      runs++;
      return Promise.resolve();
    }, settings("{bull}")),
  );
  await queue.upsertJobScheduler("tick", { every: 50 }, { name: "tick", data: {} });
  await until("three runs", () => runs >= 3);
  assert.is((await queue.getJobSchedulers()).length, 1);
  assert.ok(await queue.removeJobScheduler("tick"));
  await queue.pause();
  await queue.add("waits", {});
  assert.is(await queue.isPaused(), true);
  const before = await queue.getJobCounts("completed");
  await queue.resume();
  await until(
    "the one that waited",
    async () => (await queue.getJobCounts("completed")).completed > before.completed,
  );
  await queue.clean(0, 1000, "completed");
  assert.is((await queue.getJobCounts("completed")).completed, 0);
  await queue.obliterate({ force: true });
  assert.equal(await queue.getJobs(), []);
});

ours("several workers on one queue: every job is worked on once", async () => {
  const queue = kept(new Queue("shared", settings("{bull}")));
  const seen: number[] = [];
  for (let w = 0; w < 4; w++) {
    kept(
      new Worker("shared", (job: Job) => {
        seen.push(job.data.n);
        return Promise.resolve();
      }, { ...settings("{bull}"), concurrency: 5 }),
    );
  }
  await queue.addBulk(Array.from({ length: 200 }, (_, n) => ({ name: "n", data: { n } })));
  await until("all jobs", () => seen.length >= 200);
  assert.equal([...seen].sort((a, b) => a - b), Array.from({ length: 200 }, (_, n) => n));
  // All of a queue's keys are on one server.
  const sizes: number[] = [];
  for (const server of servers) {
    const wire = await Wire.open(server.port);
    sizes.push(Number((await wire.ask("DBSIZE")).slice(1)));
    wire.close();
  }
  assert.is(sizes.filter((size) => size > 0).length, 1, sizes.join());
});

ours("without a hash tag the error says what is missing", async () => {
  const messages: string[] = [];
  for (let i = 0; i < 5 && messages.length === 0; i++) {
    const queue = kept(new Queue(`scattered${i}`, settings("bull")));
    queue.on("error", () => {});
    await queue.add("job", {}).catch((error: Error) => messages.push(error.message));
  }
  assert.match(messages[0], /CROSSSLOT Keys in request don't hash to the same server/);
  assert.match(messages[0], /keys with one hash tag are together/);
});

test.run();
