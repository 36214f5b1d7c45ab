// A list of servers as it stands under `servers:`, alone in a file (`discovery: {file: …}`).

import * as v from "valibot";
import { compareNames, type ServerConfig } from "./address.ts";
import { ServerSchema } from "./keys.ts";
import { parseYaml } from "./yaml.ts";

/** The servers of a list; throws an Error that says where what is wrong. */
export function loadServerList(text: string, file: string): ServerConfig[] {
  const { root, problems } = parseYaml(text);
  const fail = (line: number, message: string): never => {
    throw new Error(`${file}${line > 0 ? `:${line}` : ""}: ${message}`);
  };
  for (const { line, message } of problems) fail(line, message);
  if (root === null) return [];
  if (root.kind !== "list") {
    return fail(root.line, 'has to be a list of lines like "- 127.0.0.1:6379:1"');
  }
  const items = root.items.map((item) =>
    item.kind === "scalar" ? item : fail(item.line, "a server has to be a single line of text")
  );
  return serversOf(items.map(({ text, line }) => ({ text, where: (why) => fail(line, why) })));
}

/** Servers from lines, each with whom to tell what is wrong with it; in the ring's order. */
export function serversOf(
  lines: readonly { readonly text: string; readonly where: (why: string) => never }[],
): ServerConfig[] {
  const names = new Set<string>();
  const servers = lines.map(({ text, where }) => {
    const result = v.safeParse(ServerSchema, text);
    if (!result.success) return where(`server "${text}" ${result.issues[0].message}`);
    const server = result.output;
    if (names.has(server.name)) where(`another server has the name "${server.name}"`);
    names.add(server.name);
    return server;
  });
  return servers.sort((a, b) => compareNames(a.name, b.name));
}
