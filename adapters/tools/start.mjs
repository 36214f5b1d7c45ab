// npm start: installs and builds what is missing, then runs ringmux on Node. With a configuration
// file (or any option) it runs that; without, the demonstration: conf/demo.yml over small servers
// of its own, or with --demo one over real servers. Plain Node, nothing but node: modules, for it
// runs on a fresh checkout too.
//   npm start            npm start -- my.yml            npm start -- -c my.yml -v 6
//   npm start -- --demo cluster

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import * as net from "node:net";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const demo = join(root, "conf", "demo.yml");
const ringmux = join(root, "dist", "ringmux.js");
const demoServers = join(root, "dist", "demo.js");
const DEMO_STATS_PORT = 22222;

const args = process.argv.slice(2);
prepare();
if (args[0] === "--demo") await runRealDemo(args[1] ?? "");
else if (args.length > 0) await runRingmux(args.map(asPath));
else await runDemo();

function prepare() {
  if (
    !["yaml", "valibot", "esbuild"].every((name) => existsSync(join(root, "node_modules", name)))
  ) {
    const verb = existsSync(join(root, "package-lock.json")) ? "ci" : "install";
    console.error(`installing what ringmux is built with (npm ${verb}) ...`);
    quietly("npm", [verb, "--no-audit", "--no-fund"], `npm ${verb} failed`);
  }
  const built = Math.min(...[ringmux, demoServers].map(changed));
  if (built < newest(["core", "adapters", "mod.ts", "package.json"])) {
    console.error("building ...");
    quietly(process.execPath, [join(root, "adapters", "tools", "build.mjs")], "the build failed");
  }
}

function quietly(command, args, complaint) {
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (done.status === 0) return;
  console.error(`${complaint}:\n${done.error?.message ?? ""}${done.stdout}${done.stderr}`);
  process.exit(1);
}

/** When a file was last changed; 0 if it is not there. */
function changed(file) {
  return existsSync(file) ? statSync(file).mtimeMs : 0;
}

/** The newest change in these files and folders. */
function newest(names) {
  let latest = 0;
  for (const name of names) {
    const path = join(root, name);
    if (!existsSync(path)) continue;
    const isFolder = statSync(path).isDirectory();
    const files = isFolder
      ? readdirSync(path, { recursive: true }).map((f) => join(path, f))
      : [path];
    for (const file of files) {
      if (/\.(ts|mjs|json)$/.test(String(file))) latest = Math.max(latest, changed(file));
    }
  }
  return latest;
}

/** Runs ringmux in this very process: its signals and its exit status are ours. */
async function runRingmux(options) {
  process.argv = [process.argv[0], ringmux, ...options];
  await import(pathToFileURL(ringmux).href);
}

/** npm runs scripts in the package's folder: names of files count from where npm was called. */
function asPath(arg) {
  const from = process.env.INIT_CWD;
  if (from === undefined || arg.startsWith("-")) return arg;
  return existsSync(resolve(from, arg)) ? resolve(from, arg) : arg;
}

async function runDemo() {
  await needPorts([22121, 22122, DEMO_STATS_PORT]);
  await startServers([demo]);
  void greet();
  await runRingmux(["-c", demo, "-a", "127.0.0.1", "-s", String(DEMO_STATS_PORT)]);
}

/** Real servers, which adapters/demo/demos.ts starts. */
async function runRealDemo(name) {
  await needPorts([22121, DEMO_STATS_PORT]);
  console.log(`starting the servers of --demo ${name} ...`);
  const { config, listen, text } = JSON.parse(await startServers(["--demo", name]));
  void isTakenSoon(listen).then(() => console.log(text));
  await runRingmux(["-c", config, "-a", "127.0.0.1", "-s", String(DEMO_STATS_PORT)]);
}

async function needPorts(ports) {
  for (const port of ports) {
    if (await isTaken(port)) {
      console.error(`port ${port} is taken by another program: the demo needs it`);
      process.exit(1);
    }
  }
}

/** Starts the demo servers; gives the line that they print when they are there. */
async function startServers(args) {
  // The servers end when their standard input does, that is with this process.
  const servers = spawn(process.execPath, [demoServers, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let isReady = false;
  servers.once("exit", () => {
    if (isReady) console.error("the demo servers have ended: nothing left to show");
    process.exit(1);
  });
  let said = "";
  servers.stdout.setEncoding("utf8");
  while (!said.includes("\n")) {
    said += await new Promise((ready) => servers.stdout.once("data", ready));
  }
  isReady = true;
  return said;
}

async function isTakenSoon(port) {
  while (!(await isTaken(port))) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function greet() {
  await Promise.all([22121, 22122].map(isTakenSoon));
  console.log(`
ringmux is running: conf/demo.yml, two pools over three small demo servers each.

  Redis      redis-cli -p 22121 set hello world
             redis-cli -p 22121 mget hello none
  memcached  printf 'set hello 0 0 5\\r\\nworld\\r\\nget hello\\r\\nquit\\r\\n' | nc 127.0.0.1 22122
  stats      nc 127.0.0.1 ${DEMO_STATS_PORT}
  live page  http://127.0.0.1:22223/

With your own servers: npm start -- my.yml. Ctrl-C stops everything.
`);
}

function isTaken(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
