// Bundles ringmux for Node into dist/: the command, the library and the demo servers, each one
// file without dependencies. Needs esbuild (npm ci).

import { build } from "esbuild";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  // "yaml" gives Node a CommonJS build; its ES modules bundle smaller and need no require().
  alias: { yaml: join(root, "node_modules/yaml/browser/index.js") },
  // A runtime's own modules; the bundles only ever load those of the runtime they run on.
  external: ["bun", "bun:*", "deno:*"],
  legalComments: "eof",
  logLevel: "warning",
};

// Inside prom-client, which is CommonJS, Node's own modules are asked for by require().
const REQUIRE = "import { createRequire as makeRequire } from 'node:module';\n" +
  "const require = makeRequire(import.meta.url);";

const outputs = [
  { entry: "adapters/node.ts", outfile: "dist/ringmux.js", banner: "#!/usr/bin/env node" },
  { entry: "mod.ts", outfile: "dist/mod.js" },
  { entry: "adapters/demo/main.ts", outfile: "dist/demo.js" },
];

for (const { entry, outfile, banner } of outputs) {
  if (!existsSync(join(root, entry))) {
    console.error(`${entry} is missing: ${outfile} is not built`);
    process.exitCode = 1;
    continue;
  }
  const own = readFileSync(join(root, entry), "utf8").startsWith("#!");
  await build({
    ...common,
    entryPoints: [entry],
    outfile,
    banner: { js: [banner !== undefined && !own ? banner : "", REQUIRE].join("\n").trim() },
  });
  if (banner !== undefined) chmodSync(join(root, outfile), 0o755);
}
