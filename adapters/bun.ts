// The command on Bun: bun run adapters/bun.ts conf.yml

import { runProxyCommand } from "./command/command.ts";
import { deferCompilers } from "./runtimes/bun/compilers.ts";
import { bunHost } from "./runtimes/bun/host.ts";

if (import.meta.main) {
  deferCompilers();
  await runProxyCommand(bunHost);
}
