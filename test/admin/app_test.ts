// The routes of the admin address, without a socket: what they answer, and to whom they do not.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { createApp } from "../../adapters/admin/app.ts";
import { History } from "../../adapters/admin/history.ts";
import { PAGE } from "../../adapters/admin/page_html.ts";
import { SCRIPT } from "../../adapters/admin/page_script.ts";
import { STYLE } from "../../adapters/admin/page_style.ts";
import { statsLine } from "../../core/stats/report.ts";
import { clusterPool, FakeControl, pool, sentinelPool, server, snapshot } from "./fixture.ts";

function setUp(host = "127.0.0.1") {
  const control = new FakeControl(snapshot([
    pool("p", [server("a", 7), server("b")]),
    pool("q", [server("c")]),
  ]));
  const app = createApp({ control, history: new History(), host });
  const get = (path: string, headers: Record<string, string> = {}) =>
    app.request(`http://127.0.0.1:22223${path}`, { headers });
  const post = (path: string, headers: Record<string, string> = {}) =>
    app.request(`http://127.0.0.1:22223${path}`, { method: "POST", headers });
  return { control, get, post };
}

test("health: the process lives; readiness is the control's", async () => {
  const { control, get } = setUp();
  assert.is((await get("/healthz")).status, 200);
  const ready = await get("/readyz");
  assert.is(ready.status, 200);
  assert.equal(await ready.json(), {
    ready: true,
    pools: [{ name: "p", servers: 2, live: 2 }, { name: "q", servers: 1, live: 1 }],
  });
  control.isReady = false;
  assert.is((await get("/readyz")).status, 503);
  assert.is((await get("/healthz")).status, 200);
});

test("/stats is the stats port's line", async () => {
  const { control, get } = setUp();
  const reply = await get("/stats");
  assert.is(await reply.text(), statsLine(control.now));
  assert.match(reply.headers.get("content-type") ?? "", "application/json");
});

test("/ring hands pool and key on, the key as its UTF-8 bytes", async () => {
  const { control, get } = setUp();
  assert.is((await (await get("/ring")).json()).length, 2);
  const [one] = await (await get(`/ring?pool=p&key=${encodeURIComponent("hä 1+1")}`)).json();
  assert.equal([one.pool, one.owner], ["p", "a"]);
  assert.is((await get("/ring?pool=p&key=")).status, 200);
  assert.is((await get("/ring?key=%F0%9F%8D%8A")).status, 200);
  assert.is((await get("/ring?key=%ED%A0%80")).status, 200, "half a surrogate pair");
  assert.equal(control.askedRings.slice(0, 4), [
    [undefined, undefined],
    ["p", "h\xc3\xa4 1+1"],
    ["p", ""],
    [undefined, "\xf0\x9f\x8d\x8a"],
  ]);
  const unknown = await get("/ring?pool=x");
  assert.is(unknown.status, 404);
  assert.equal(await unknown.json(), { error: 'pool "x" is not known (p, q)' });
});

test("/cluster is what a node of the pool's cluster says itself", async () => {
  const { control, get } = setUp();
  assert.equal(await (await get("/cluster")).json(), { error: "name the pool (there is none)" });
  control.now = snapshot([pool("p", [server("a")]), clusterPool("c")]);
  const nodes = await get("/cluster");
  assert.is(await nodes.text(), "nodes of c\n");
  assert.is(nodes.headers.get("x-node"), "a:1");
  assert.match(nodes.headers.get("content-type") ?? "", "text/plain");
  const slots = await get("/cluster?pool=c&what=slots");
  assert.equal(await slots.json(), [[0, 16383, ["a", 1, "id"]]]);
  const other = await get("/cluster?pool=p");
  assert.is(other.status, 404);
  assert.equal(await other.json(), { error: 'pool "p" is before no Redis Cluster (c)' });
  const unknown = await get("/cluster?what=keys");
  assert.is(unknown.status, 400);
  assert.equal(await unknown.json(), {
    error: 'what "keys" is not known (info, nodes, slots, shards)',
  });
  const failed = await get("/cluster?what=info");
  assert.is(failed.status, 502);
  assert.equal(await failed.json(), { error: "a:1: no answer" });
});

test("/readyz tells a cluster without full coverage, and refuses it if so asked", async () => {
  const { control, get } = setUp();
  control.now = snapshot([pool("p", [server("a")]), clusterPool("c")]);
  const told = await get("/readyz");
  assert.is(told.status, 200);
  assert.equal((await told.json()).pools, [
    { name: "p", servers: 1, live: 1 },
    {
      ...{ name: "c", servers: 1, live: 1 },
      cluster: { slots: 16384, covered: 16000, ownerless: 384, unreachable: 0 },
    },
  ]);
  assert.is((await get("/readyz?covered")).status, 503);
  control.now = snapshot([pool("p", [server("a")])]);
  assert.is((await get("/readyz?covered")).status, 200);
  const watched = sentinelPool("s");
  const shard = { name: "a", state: "served" };
  const states = [shard, { ...shard, state: "seeking" }] as never[];
  const sentinel = { ...watched.sentinel!, shards: states };
  control.now = snapshot([{ ...watched, sentinel }]);
  assert.equal((await (await get("/readyz")).json()).pools[0].sentinel, { shards: 2, covered: 1 });
  assert.is((await get("/readyz?covered")).status, 503);
  control.now = snapshot([{ ...watched, sentinel: { ...sentinel, shards: states.slice(0, 1) } }]);
  assert.is((await get("/readyz?covered")).status, 200);
});

test("POST /reload reloads, and tells what is wrong", async () => {
  const { control, get, post } = setUp();
  const good = await post("/reload");
  assert.is(good.status, 200);
  assert.equal(await good.json(), { reloaded: true, mistakes: [] });
  control.mistakes = ["c.yml:1: no"];
  const bad = await post("/reload");
  assert.is(bad.status, 422);
  assert.equal(await bad.json(), { reloaded: false, mistakes: ["c.yml:1: no"] });
  assert.is((await get("/reload")).status, 404, "a GET changes nothing");
  assert.is(control.reloads, 2);
});

test("no web page can make a browser reload", async () => {
  const { control, post } = setUp();
  const page: Record<string, string>[] = [
    { origin: "http://evil.example" },
    { origin: "null" },
    { origin: "http://127.0.0.1:22223" },
    { referer: "http://evil.example/" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-origin" },
    { host: "evil.example:22223" },
  ];
  for (const headers of page) {
    assert.is((await post("/reload", headers)).status, 403, JSON.stringify(headers));
  }
  const { control: open, post: postOpen } = setUp("0.0.0.0");
  assert.is((await postOpen("/reload", { host: "evil.example" })).status, 403);
  assert.is(control.reloads + open.reloads, 0);
});

test("a foreign name of a loopback address is refused; other addresses have names", async () => {
  const { get } = setUp();
  for (const path of ["/", "/metrics", "/stats", "/nothing"]) {
    assert.is((await get(path, { host: "evil.example" })).status, 403, path);
    assert.is(
      (await get(path, { host: "localhost:22223" })).status < 403 || path === "/nothing",
      true,
    );
  }
  assert.is((await setUp("0.0.0.0").get("/metrics", { host: "proxy.internal:22223" })).status, 200);
});

test("every answer forbids what a page could do with it", async () => {
  const { get } = setUp();
  for (const path of ["/", "/page.js", "/metrics", "/stats", "/nothing"]) {
    const { headers } = await get(path);
    assert.match(headers.get("content-security-policy") ?? "", "default-src 'none'", path);
    assert.is(headers.get("x-content-type-options"), "nosniff", path);
    assert.is(headers.get("access-control-allow-origin"), null, path);
  }
});

test("an unknown path names the known ones", async () => {
  const reply = await setUp().get("/nothing");
  assert.is(reply.status, 404);
  assert.ok((await reply.json()).paths.includes("GET /metrics"));
});

test("a control that fails is a 500 with the reason", async () => {
  const { control, get } = setUp();
  control.snapshot = () => Promise.reject(new Error("no worker answers"));
  const reply = await get("/stats");
  assert.is(reply.status, 500);
  assert.equal(await reply.json(), { error: "no worker answers" });
});

test("the live page asks nobody else for anything, and its script is one", async () => {
  const { get } = setUp();
  const page = await get("/");
  assert.is(await page.text(), PAGE);
  assert.match(page.headers.get("content-type") ?? "", "text/html");
  const linked = [...PAGE.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, to]) => to);
  for (const to of linked) {
    assert.not.match(to, /^[a-z]+:|^\/\//, to);
    assert.is((await get(`/${to}`)).status, 200, to);
  }
  assert.not.match(STYLE, /url\(|@import/);
  assert.not.match(
    SCRIPT,
    /innerHTML|insertAdjacentHTML|outerHTML|document\.write|https?:(?!\/\/www\.w3\.org\/2000\/svg)/,
  );
  new Function(SCRIPT); // a mistake of syntax throws
});

test.run();
