// The command on Node, bundled into dist/ringmux.js: node dist/ringmux.js conf.yml

import { realpathSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runProxyCommand } from "./command/command.ts";
import { nodeHost } from "./runtimes/node/host.ts";

const script = process.argv[1];
if (script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url)) {
  await runProxyCommand(nodeHost);
}
