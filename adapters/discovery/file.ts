// Servers from a file: a list as under `servers:`, looked after as the configuration file is.

import * as fs from "node:fs";
import * as path from "node:path";
import { loadServerList } from "../../core/config/server_list.ts";
import type { Provider } from "../../core/topology/discovery.ts";
import { plain } from "../system/plain.ts";
import { fileState, watchFile } from "../system/watch.ts";

/** What is larger is no list of servers. */
const LARGEST = 1 << 20;

/** `folder`: where a relative path begins. */
export function fileProvider(name: string, folder: string): Provider {
  const file = path.resolve(folder, name);
  let state = "";
  return {
    label: `file ${name}`,
    async ask() {
      state = fileState(file);
      let text: string;
      try {
        const { size } = await fs.promises.stat(file);
        if (size > LARGEST) throw new Error(`is larger than ${LARGEST} bytes`);
        text = await fs.promises.readFile(file, "utf8");
      } catch (error) {
        throw new Error(`${name}: cannot be read: ${plain(error).message}`);
      }
      return { servers: loadServerList(text, name), ttl: Infinity };
    },
    watch: (changed) => watchFile(file, state, changed),
  };
}
