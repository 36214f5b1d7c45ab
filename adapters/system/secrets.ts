// Secrets from files and environment variables, on the node: modules that Deno, Bun and Node share.
// What is done with them is core/config/secrets.ts.

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import type { SecretSource } from "../../core/config/secrets.ts";
import { plain } from "./plain.ts";

/** No secret is longer; a device that never ends is not read to its end. */
const MOST = 65536;

/** Secrets as the configuration file `confFile` names them. */
export function secretsBeside(confFile: string): SecretSource {
  const folder = path.dirname(confFile);
  return {
    async file(name) {
      try {
        const file = await fs.promises.open(path.resolve(folder, name), "r");
        try {
          const { mode } = await file.stat();
          return { text: await read(file), mode: process.platform === "win32" ? -1 : mode };
        } finally {
          await file.close();
        }
      } catch (error) {
        throw plain(error);
      }
    },
    variable: (name) => process.env[name],
  };
}

async function read(file: fs.promises.FileHandle): Promise<string> {
  const buf = new Uint8Array(MOST);
  let have = 0;
  while (have < MOST) {
    const { bytesRead } = await file.read(buf, have, MOST - have, null);
    if (bytesRead === 0) break;
    have += bytesRead;
  }
  return new TextDecoder().decode(buf.subarray(0, have));
}
