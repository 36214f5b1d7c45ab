// The command on Deno: deno run -A adapters/deno.ts conf.yml. mod.ts runs it too.

import { runProxyCommand } from "./command/command.ts";
import { denoHost } from "./runtimes/deno/host.ts";

export const run = (): Promise<void> => runProxyCommand(denoHost);

if (import.meta.main) await run();
