// The live page in a real browser (headless Chromium): it shows what is there, keeps up with it,
// fits a phone, and asks nobody but the proxy for anything. With RINGMUX_SCREENSHOTS=folder it
// leaves pictures there.
// Needs: redis-server chromium

import * as path from "node:path";
import process from "node:process";
import { type Browser, chromium, type Page } from "playwright-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  cmd,
  freePort,
  ours,
  PATIENCE,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  startProxy,
  startRedis,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";

/** A name that would be a tag if it were taken for HTML. */
const HOSTILE = "<img/src=x/onerror=document.title='hacked'>";
const SLOW = 6 * PATIENCE;

let proxy: ProxyProcess;
let second: ServerProcess;
let node: ServerProcess;
let browser: Browser;
let address = "";
let load: Wire[] = [];
let loading = true;

test.before(async () => {
  const one = await startRedis();
  second = await startRedis();
  // A cluster of one node, two of whose slots nobody has.
  node = await startRedis({
    args: [
      ...["--cluster-enabled", "yes", "--cluster-port", String(await freePort())],
      ...["--cluster-config-file", tempPath("nodes.conf")],
    ],
  });
  const wire = await Wire.open(node.port);
  await wire.ask("CLUSTER", "ADDSLOTSRANGE", "0", "12181", "12184", "16383");
  wire.close();
  const admin = await freePort();
  address = `http://127.0.0.1:${admin}/`;
  proxy = await startProxy({
    sessions: {
      redis: true,
      auto_eject_hosts: true,
      server_failure_limit: 1,
      server_retry_timeout: 600_000,
      servers: [at(one, 1, "redis-a"), at(second, 2, "redis-b")],
    },
    pages: { redis: true, servers: [at(one, 1, HOSTILE), at(second, 1, "two")] },
    slots: { redis: true, distribution: "cluster", servers: [at(node)] },
    tree: {
      redis: true,
      routes: "{default: {failover: [sessions, pages]}, prefixes: {'<b>:': pages}}",
    },
  }, { admin: `127.0.0.1:${admin}` });
  browser = await chromium.launch({
    executablePath: which("chromium"),
    args: [
      ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
      ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
      `--crash-dumps-dir=${tempPath("crashes")}`,
    ],
    env: { ...process.env, HOME: tempPath("home") },
    timeout: SLOW,
  });
  load = [await Wire.open(proxy.ports.sessions), await Wire.open(proxy.ports.pages)];
  for (const wire of load) void keepAsking(wire);
});

test.after(async () => {
  loading = false;
  await browser?.close();
});

/** A few requests at a time, so that there is something to show and the machine is not busy. */
async function keepAsking(wire: Wire): Promise<void> {
  for (let i = 0; loading && !wire.ended; i++) {
    const keys = Array.from(
      { length: 20 },
      (_, k) => `user:${(Math.imul(i + k, 0x9e3779b1) >>> 0)}`,
    );
    wire.send(keys.map((key) => cmd("GET", key)).join(""));
    await wire.replies(keys.length).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Visit {
  page: Page;
  /** What the console, the page and the network complain of. */
  complaints: string[];
  /** Addresses asked for. */
  asked: string[];
  close(): Promise<void>;
}

/** The wide page that several tests look at; its complaints are those of all of them. */
let wide: Visit | null = null;

async function usual(): Promise<Visit> {
  return wide ??= await visit();
}

async function visit(width = 1240, colorScheme: "light" | "dark" = "light"): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(SLOW);
  const found: Visit = { page, complaints: [], asked: [], close: () => context.close() };
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.complaints.push(message.text());
  });
  page.on("pageerror", (error) => found.complaints.push(error.message));
  page.on("request", (request) => found.asked.push(request.url()));
  await page.goto(address);
  await page.waitForSelector("section.pool h2");
  return found;
}

/** Waits until an expression is true. Not by waitForFunction: the page's policy forbids eval. */
async function holds(page: Page, expression: string): Promise<void> {
  await until(expression, () => page.evaluate<boolean>(expression), SLOW);
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.RINGMUX_SCREENSHOTS;
  if (folder === undefined) return;
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
}

/** What a browser makes of the page does not depend on who serves it. */
const once = runtime === "node" ? ours : test.skip;

ours("it shows the pools, their servers and their state, and nobody complains", async () => {
  const { page, complaints, asked } = await usual();
  const pools = await page.locator("section.pool h2").allTextContents();
  assert.equal(pools, ["tree", "sessions", "pages", "slots"], "routes first, then as in the file");
  const names = await page.locator("td.name b").allTextContents();
  assert.equal(
    names.sort(),
    [HOSTILE, "redis-a", "redis-b", "two", `127.0.0.1:${node.port}`].sort(),
  );
  assert.is(await page.locator("#t-servers").textContent(), "5 / 5");
  assert.is(await page.locator("#state").textContent(), "ready");
  assert.is(await page.locator("td.state .good").count(), 5);
  assert.is(await page.title(), "ringmux", "a name is no HTML");
  assert.is(await page.locator("main img").count(), 0);
  for (const url of asked) assert.ok(url.startsWith(address), url);
  assert.equal(complaints, []);
});

ours("numbers and graphs keep up with the load", async () => {
  const { page, complaints } = await usual();
  await holds(
    page,
    'Number(document.getElementById("t-requests").textContent.replace(/[^0-9.]/g, "")) > 10',
  );
  const line = () =>
    page.locator("[aria-label='Pool sessions'] .line.s-blue").first().getAttribute("d");
  const before = await line();
  assert.match(before ?? "", /^M[0-9]/);
  await until("the graph to move", async () => await line() !== before, SLOW);
  // A second without a request has no latency to show.
  await holds(
    page,
    "/^Latency: p50 [0-9.]+ .?s, p99 [0-9.]+ .?s, p99\\.9 [0-9.]+ .?s; most shown /.test(" +
      `document.querySelectorAll("[aria-label='Pool sessions'] .plot svg")[1]` +
      '.getAttribute("aria-label"))',
  );
  assert.equal(complaints, []);
});

once("the look-up box gives the server that /ring gives", async () => {
  const { page, complaints } = await usual();
  for (const key of ["user:42", "a b&c=d", "ключ", "<b>x</b>"]) {
    await page.getByLabel("Pool", { exact: true }).selectOption("sessions");
    await page.getByLabel("Where does a key live?").fill(key);
    await page.keyboard.press("Enter");
    const query = new URLSearchParams({ pool: "sessions", key });
    const [ring] = await (await fetch(`${address}ring?${query}`)).json();
    await holds(
      page,
      `document.getElementById("found").textContent.startsWith(${
        JSON.stringify(JSON.stringify(key))
      })`,
    );
    assert.is(await page.locator("#found b").textContent(), ring.owner, key);
  }
  assert.equal(complaints, []);
});

once("of a front the look-up box gives the ways of a key, and each route has a row", async () => {
  const { page, complaints } = await usual();
  await page.getByLabel("Pool", { exact: true }).selectOption("tree");
  for (
    const [key, way] of [["<b>:1", "prefix <b>: → pool pages"], ["x", "default → failover on"]]
  ) {
    await page.getByLabel("Where does a key live?").fill(key);
    await page.keyboard.press("Enter");
    await holds(
      page,
      `document.getElementById("found").textContent.startsWith(${JSON.stringify(`read: ${way}`)})`,
    );
  }
  const wire = await Wire.open(proxy.ports.tree);
  await wire.ask("GET", "x");
  wire.close();
  const table = page.locator("table.keys", { hasText: "Routes of pool tree" });
  await holds(
    page,
    `[...document.querySelectorAll("table.keys")].some((table) =>
      table.textContent.includes("Routes of pool tree") &&
      table.textContent.includes("defaultsessions100") &&
      table.textContent.includes("prefix <b>:pages"))`,
  );
  assert.is(await table.count(), 1);
  assert.equal(complaints, []);
});

once("a cluster's coverage, and where a key's slot is or is not", async () => {
  const { page, complaints } = await usual();
  const pool = page.locator("section.pool", { has: page.locator(".topology") });
  assert.is(await pool.locator("h2").textContent(), "slots");
  assert.match(
    await pool.locator(".topology .badge").textContent() ?? "",
    "16,382 of 16,384 slots served",
  );
  assert.match(
    await pool.locator(".topology p").textContent() ?? "",
    "2 have no owner, of 0 it is",
  );
  assert.match(await pool.locator("td.name span").textContent() ?? "", /^primary, 16,382 slots, /);
  const facts = await pool.locator(".topology dd").allTextContents();
  assert.match(facts[0], new RegExp(`ago at 127\\.0\\.0\\.1:${node.port} \\(`));
  assert.is(facts[1], "0 moved, 0 ask, 0 tryagain, 0 unfit");
  const links = await page.evaluate<string[]>(
    `[...document.querySelectorAll(".topology a")].map((a) => a.href)`,
  );
  for (const link of links) assert.is((await fetch(link)).status, 200, link);
  assert.is(links.length, 4);
  for (const [key, found] of [["a", ", in slot 15495."], ["foo", "Nobody has its slot, 12182."]]) {
    await page.getByLabel("Pool", { exact: true }).selectOption("slots");
    await page.getByLabel("Where does a key live?").fill(key);
    await page.keyboard.press("Enter");
    await holds(
      page,
      `document.getElementById("found").textContent.endsWith(${JSON.stringify(found)})`,
    );
  }
  assert.equal(complaints, []);
});

once("light and dark, wide and on a phone: all can be read, and nothing is cut off", async () => {
  for (const scheme of ["light", "dark"] as const) {
    const { page, complaints, close } = await visit(1240, scheme);
    const back = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const shade = Math.max(...(back.match(/\d+/g) ?? []).slice(0, 3).map(Number));
    assert.ok(scheme === "dark" ? shade < 64 : shade > 192, `${scheme}: ${back}`);
    // WCAG AA asks for 4.5.
    assert.equal(await page.evaluate<string[]>(CONTRAST), [], scheme);
    await picture(page, scheme);
    await page.setViewportSize({ width: 360, height: 780 });
    const wide = await page.evaluate<string[]>(`
      [...document.querySelectorAll("body *")]
        .filter((e) => !e.closest("svg") && !e.closest(".hidden"))
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.tagName + "." + e.className)`);
    assert.equal(wide, []);
    assert.is(await page.evaluate<number>("document.documentElement.scrollWidth"), 360);
    await picture(page, `phone-${scheme}`);
    assert.equal(complaints, []);
    await close();
  }
});

/** Texts whose contrast with what is behind them is below 4.5 (transparent layers blended). */
const CONTRAST = `(() => {
  const parse = (text) => {
    const n = (text.match(/[0-9.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [n[0] * scale, n[1] * scale, n[2] * scale, n[3] ?? 1];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const behind = (e) => e === null
    ? [255, 255, 255]
    : over(parse(getComputedStyle(e).backgroundColor), behind(e.parentElement));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255)
      .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== "");
    if (!own || e.closest("noscript") || e.closest(".hidden")) continue;
    const back = behind(e);
    const [a, b] = [luminance(over(parse(getComputedStyle(e).color), back)), luminance(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push(e.tagName + "." + e.className + ": " + contrast.toFixed(2));
  }
  return poor;
})()`;

once("everything has a name, and the keyboard is enough", async () => {
  const { page, complaints } = await usual();
  const nameless = await page.evaluate<string[]>(`
    [...document.querySelectorAll("input, select, button, [role=img], section")]
      .filter((e) => !e.labels?.length && !e.getAttribute("aria-label") && !e.textContent.trim())
      .map((e) => e.outerHTML)`);
  assert.equal(nameless, []);
  await page.locator('#range input[value="300"]').focus();
  await page.keyboard.press("ArrowLeft");
  await holds(page, 'document.querySelector(".times span").textContent === "−1 min"');
  await page.locator(".plot svg").first().focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  const cross = page.locator(".plot svg .cross").first();
  assert.is(await cross.getAttribute("visibility"), "visible");
  await page.keyboard.press("Escape");
  assert.is(await cross.getAttribute("visibility"), "hidden");
  assert.equal(complaints, []);
});

ours("a server that is ejected shows at once, and a proxy that is gone too", async () => {
  const { page, close } = await visit();
  await second.stop("SIGKILL");
  await page.waitForSelector("td.state .bad");
  assert.is(await page.locator("td.state .bad").textContent(), "ejected");
  await holds(page, 'document.getElementById("t-servers").textContent === "4 / 5"');
  const row = page.locator("tr", { hasText: "redis-b" });
  await until(
    "its share to be gone",
    async () => (await row.locator(".share").textContent())?.trim() === "0 % of keys",
    SLOW,
  );
  await picture(page, "ejected");
  loading = false;
  await proxy.stop();
  await holds(page, 'document.getElementById("state").textContent === "no answer"');
  await close();
});

test.run();
