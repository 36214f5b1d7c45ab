// The live page in a real browser: it shows the pools, its numbers move under load, the look-up box
// agrees with /ring, and it fits a phone in light and dark.
// Needs: redis-server chromium

import { type Browser, chromium, type Page } from "playwright-core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  cmd,
  freePort,
  ours,
  type ProxyProcess,
  startProxy,
  startRedis,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";

let proxy: ProxyProcess;
let browser: Browser;
let url = "";

test.before(async () => {
  const [one, two] = await Promise.all([startRedis(), startRedis()]);
  const admin = await freePort();
  url = `http://127.0.0.1:${admin}/`;
  proxy = await startProxy({
    sessions: { redis: true, servers: [at(one, 1, "one"), at(two, 3, "two")] },
    "<b>pages</b>": { redis: true, servers: [at(one, 1, "first")] },
  }, { admin: `127.0.0.1:${admin}` });
  await until("the admin address", () => fetch(`${url}healthz`).then(({ ok }) => ok, () => false));
  const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({
    executablePath: which("chromium"),
    args: ["--headless", ...flags, ...quiet],
    env: { ...process.env, HOME: tempPath("home") },
  });
});

test.after(async () => {
  await browser?.close();
});

/** The page, and everything it complained about. */
async function open(options: { width: number; dark?: boolean }) {
  const context = await browser.newContext({
    viewport: { width: options.width, height: 800 },
    colorScheme: options.dark ? "dark" : "light",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(url);
  await until("the pools", async () => /sessions\s+all live/.test(await text(page)));
  return { page, complaints, close: () => context.close() };
}

const text = (page: Page): Promise<string> => page.locator("body").innerText();

ours("the page shows pools and servers, names with markup as they are", async () => {
  const { page, complaints, close } = await open({ width: 1200 });
  await until("all names", async () => {
    const shown = await text(page);
    return ["sessions", "<b>pages</b>", "one", "two", "first"].every((name) =>
      shown.includes(name)
    );
  });
  assert.is(await page.locator("b", { hasText: "pages" }).count(), 0);
  assert.equal(complaints, []);
  await close();
});

ours("the numbers move under load", async () => {
  const { page, complaints, close } = await open({ width: 1200 });
  const wire = await Wire.open(proxy.ports.sessions);
  await until("requests a second", async () => {
    wire.send(cmd("GET", "a").repeat(50));
    await wire.replies(50);
    const found = /Requests\/s\s+([\d,]+)/.exec(await text(page));
    return found !== null && Number(found[1].replaceAll(",", "")) > 0;
  });
  wire.close();
  assert.equal(complaints, []);
  await close();
});

ours("the look-up box gives the server that /ring gives", async () => {
  const { page, complaints, close } = await open({ width: 1200 });
  for (const key of ["user:42", "ключ", "user:7:profile"]) {
    const query = new URLSearchParams({ pool: "sessions", key });
    const [ring] = await (await fetch(`${url}ring?${query}`)).json();
    await page.getByLabel("Where does a key live?").fill(key);
    await page.getByLabel("Pool", { exact: true }).selectOption("sessions");
    await page.getByRole("button", { name: "Look up" }).click();
    const answer = page.locator("output");
    await until(`the owner of ${key}`, async () => {
      const found = await answer.innerText();
      return found.includes(key) && found.includes(ring.owner);
    });
  }
  assert.equal(complaints, []);
  await close();
});

ours("a phone needs no scrolling sideways, and dark is dark", async () => {
  const background = (page: Page) =>
    page.evaluate("getComputedStyle(document.body).backgroundColor") as Promise<string>;
  const brightness = (color: string) =>
    color.match(/\d+/g)!.slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;
  const light = await open({ width: 360 });
  const dark = await open({ width: 360, dark: true });
  for (const { page } of [light, dark]) {
    const width = await page.evaluate("document.documentElement.scrollWidth") as number;
    assert.ok(width <= 360, `${width} pixels wide`);
  }
  assert.ok(brightness(await background(light.page)) > 200);
  assert.ok(brightness(await background(dark.page)) < 60);
  assert.equal([...light.complaints, ...dark.complaints], []);
  await light.close();
  await dark.close();
});

test.run();
