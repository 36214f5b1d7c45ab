// The servers of the demonstrations. For a configuration file it starts a small Redis or memcached for
// every server that the file names, in this one process: for trying out only, in memory, incomplete
// and not fast. By a name (demos.ts) it starts real ones. Prints a line when all of them listen; ends
// with its parent.
//   node dist/demo.js conf/demo.yml          node dist/demo.js --demo cluster

import * as net from "node:net";
import process from "node:process";
import { readFileSync } from "node:fs";
import { loadConfig } from "../../core/config/load.ts";
import { DEMOS } from "./demos.ts";
import { Launcher } from "./launcher.ts";
import { LineReader } from "./line_reader.ts";
import { DemoMemcached } from "./memcached_server.ts";
import { DemoRedis } from "./redis_server.ts";

interface DemoServer {
  serve(input: LineReader): { reply: string; quit: boolean };
}

function listen(server: DemoServer, host: string, port: number): Promise<void> {
  const listener = net.createServer((socket) => {
    const input = new LineReader();
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      input.add(String(chunk));
      const { reply, quit } = server.serve(input);
      if (reply !== "") socket.write(reply, "latin1");
      if (quit) socket.end();
    });
  });
  return new Promise((resolve, reject) => {
    listener.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      const what = taken ? "is taken by another program" : `cannot be used: ${error.message}`;
      reject(new Error(`port ${port} ${what} (the demo needs it for a server)`));
    });
    listener.listen(port, host, () => resolve());
  });
}

async function main(path: string): Promise<void> {
  const config = loadConfig(readFileSync(path, "utf8"), path);
  for (const pool of config.pools) {
    for (const { address } of pool.servers) {
      await listen(pool.redis ? new DemoRedis() : new DemoMemcached(), address.host, address.port);
    }
  }
  console.log("ready");
}

/** Prints, as JSON: the configuration file for ringmux, the pool's port, and what to type. */
async function mainOf(name: string): Promise<void> {
  if (!Object.hasOwn(DEMOS, name)) {
    const known = Object.keys(DEMOS).join(", ");
    throw new Error(`--demo ${name} is not known (${known}; without a name: small demo servers)`);
  }
  const launcher = new Launcher();
  process.on("exit", () => launcher.end());
  const { config, listen, text } = await DEMOS[name](launcher);
  console.log(JSON.stringify({ config: launcher.file("ringmux.yml", config), listen, text }));
}

// The starter keeps a pipe open to this process: when it is gone, so is the demonstration. Until
// then Ctrl-C, which goes to both, is for the proxy.
process.stdin.on("end", () => process.exit(0)).resume();
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

const [first, name = ""] = process.argv.slice(2);
await (first === "--demo" ? mainOf(name) : main(first)).catch((error) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
