// The routes of the admin address. Everything it tells comes from a Control; it knows nothing of
// sockets and of the number of processes.

import { Hono } from "hono";
import { utf8 } from "../../core/bytes.ts";
import { statsLine } from "../../core/stats/report.ts";
import type { Snapshot } from "../../core/stats/snapshot.ts";
import type { PoolSnapshot } from "../../core/stats/snapshot.ts";
import type { TopologySnapshot } from "../../core/stats/topology.ts";
import type { Control } from "../control/control.ts";
import { isLoopback, isTrustedHost } from "./address.ts";
import type { History } from "./history.ts";
import { ICON, PAGE } from "./page_html.ts";
import { SCRIPT } from "./page_script.ts";
import { STYLE } from "./page_style.ts";

export interface AppOptions {
  readonly control: Control;
  readonly history: History;
  /** The host it listens on, as the configuration has it. */
  readonly host: string;
}

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cache-control": "no-store",
};

const PATHS = [
  ...["GET /", "GET /metrics", "GET /healthz", "GET /readyz", "GET /stats", "GET /status"],
  ...["GET /history", "GET /ring", "GET /cluster", "GET /hot", "GET /migrate", "POST /migrate"],
  ...["POST /reload"],
];

/** What /cluster asks a node: CLUSTER NODES and its kin. */
const WHAT = ["info", "nodes", "slots", "shards"];

export function createApp({ control, history, host }: AppOptions): Hono {
  const app = new Hono();
  const local = isLoopback(host);
  app.use(async (c, next) => {
    const careful = local || c.req.method === "POST";
    if (careful && !isTrustedHost(c.req.header("host"), host)) {
      return c.text("ringmux: this name is not one of the admin address\n", 403, HEADERS);
    }
    await next();
    for (const name of Object.keys(HEADERS)) c.res.headers.set(name, HEADERS[name]);
  });

  const file = (text: string, type: string): Response =>
    new Response(text, { headers: { "content-type": `${type}; charset=utf-8` } });
  app.get("/", () => file(PAGE, "text/html"));
  app.get("/page.js", () => file(SCRIPT, "text/javascript"));
  app.get("/page.css", () => file(STYLE, "text/css"));
  app.get("/icon.svg", () => file(ICON, "image/svg+xml"));

  app.get("/metrics", async () => {
    // Loaded at the first scrape: a start without Prometheus does not pay for it.
    const { renderMetrics, CONTENT_TYPE } = await import("./metrics.ts");
    const text = await renderMetrics(await control.snapshot(), control.ready());
    return new Response(text, { headers: { "content-type": CONTENT_TYPE } });
  });
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    const ready = control.ready();
    const pools = (await control.snapshot()).pools.map(({ name, servers, topology, sentinel }) => ({
      name,
      servers: servers.length,
      live: servers.filter(({ live }) => live).length,
      ...(topology !== undefined && { cluster: coverageOf(topology) }),
      ...(sentinel !== undefined && { sentinel: primariesOf(sentinel) }),
    }));
    // Nobody is helped when every proxy leaves its load balancer because of a slot: only if so asked.
    const whole = c.req.query("covered") === undefined ||
      pools.every(({ cluster, sentinel }) =>
        (cluster === undefined || cluster.covered === cluster.slots) &&
        (sentinel === undefined || sentinel.covered === sentinel.shards)
      );
    return c.json({ ready, pools }, ready && whole ? 200 : 503);
  });
  app.get("/stats", async () => file(statsLine(await control.snapshot()), "application/json"));
  app.get("/status", async (c) => c.json(status(await control.snapshot(), control.ready())));
  app.get("/history", (c) => c.json(history.since(Number(c.req.query("since") ?? 0) || 0)));
  app.get("/ring", async (c) => {
    const { pool, key } = c.req.query();
    const bytes = key === undefined ? undefined : keyBytes(key);
    const rings = await control.rings(pool, bytes);
    if (pool !== undefined && rings.length === 0) {
      const names = (await control.rings()).map((ring) => ring.pool);
      return c.json({ error: `pool "${pool}" is not known (${names.join(", ")})` }, 404);
    }
    return c.json(rings);
  });
  // Browsers say so when it is a page that asks, and no page has reason to.
  const isPage = (header: Record<string, string>): boolean => {
    const { origin, referer, "sec-fetch-site": site } = header;
    return (origin ?? referer ?? site) !== undefined;
  };
  app.get("/migrate", async (c) => c.json({ processes: await control.migrations() }));
  app.post("/migrate", async (c) => {
    if (isPage(c.req.header())) return c.json({ error: "not from a web page" }, 403);
    const { pool, do: order } = c.req.query();
    const error = await control.migrate(pool ?? "", order ?? "");
    return c.json({ error }, error === "" ? 200 : 409);
  });
  app.get("/hot", async (c) => {
    const { pool } = c.req.query();
    const views = await control.hot(pool);
    if (pool !== undefined && views.length === 0) {
      const names = (await control.hot()).map((view) => view.pool);
      return c.json({ error: `pool "${pool}" is not known (${names.join(", ")})` }, 404);
    }
    return c.json(views);
  });
  app.get("/cluster", async (c) => {
    const { pool, what = "nodes" } = c.req.query();
    const followed = (await control.snapshot()).pools.flatMap(({ name, topology }) =>
      topology?.kind === "cluster" ? [name] : []
    );
    const name = pool ?? (followed.length === 1 ? followed[0] : "");
    if (!followed.includes(name)) {
      const known = followed.length === 0 ? "there is none" : followed.join(", ");
      const whose = pool === undefined
        ? "name the pool"
        : `pool "${pool}" is before no Redis Cluster`;
      return c.json({ error: `${whose} (${known})` }, 404);
    }
    if (!WHAT.includes(what)) {
      return c.json({ error: `what "${what}" is not known (${WHAT.join(", ")})` }, 400);
    }
    try {
      const { from, answer } = await control.cluster(name, what);
      c.header("x-node", from);
      return typeof answer === "string" ? c.text(answer) : c.json(answer as object);
    } catch (error) {
      return c.json({ error: (error as Error).message }, 502);
    }
  });
  app.post("/reload", async (c) => {
    if (isPage(c.req.header())) return c.json({ error: "not from a web page" }, 403);
    const mistakes = await control.reload();
    return c.json({ reloaded: mistakes.length === 0, mistakes }, mistakes.length === 0 ? 200 : 422);
  });

  app.notFound((c) => c.json({ error: "not found", paths: PATHS }, 404));
  app.onError((error, c) => c.json({ error: error.message }, 500));
  return app;
}

/** How many shards have a primary. */
function primariesOf({ shards }: NonNullable<PoolSnapshot["sentinel"]>) {
  const covered = shards.filter(({ state }) => state === "served").length;
  return { shards: shards.length, covered };
}

/** How much of a cluster can be served. */
function coverageOf({ slots, ownerless, unreachable }: TopologySnapshot) {
  return { slots, covered: slots - ownerless - unreachable, ownerless, unreachable };
}

/** The UTF-8 bytes of a key as a byte string; half a surrogate pair becomes U+FFFD. */
function keyBytes(key: string): string {
  return utf8(
    key.replace(
      /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      "\ufffd",
    ),
  );
}

/** What the live page shows beside the history: names, states and counters, without buckets. */
function status(snapshot: Snapshot, ready: boolean) {
  return {
    ...snapshot,
    ready,
    pools: snapshot.pools.map((pool) => ({
      ...pool,
      servers: pool.servers.map(({ latency: _, ...server }) => server),
    })),
  };
}
