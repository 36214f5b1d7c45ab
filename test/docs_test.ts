// The documents keep up with the code: what is derived from tables is fresh, and every relative
// link leads to a file.

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { COMMANDS_FILE, generate, generateNames, NAMES_FILE } from "../docs/make_commands.ts";

const root = process.cwd();
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8");
const documents = [
  "README.md",
  "CHANGELOG.md",
  ...fs.readdirSync(path.join(root, "docs")).filter((file) => file.endsWith(".md")).map((file) =>
    `docs/${file}`
  ),
];

test("docs/commands.md is what docs/make_commands.ts writes", () => {
  const docs = read(COMMANDS_FILE);
  const same = generate(docs) === docs;
  assert.ok(same, "run: deno run -A docs/make_commands.ts");
  assert.ok(read(NAMES_FILE) === generateNames(), "run: deno run -A docs/make_commands.ts");
});

test("every relative link in a document leads to a file", () => {
  for (const file of documents) {
    for (const [, inline, named] of read(file).matchAll(/\]\(([^)\s]+)\)|^\[\w+\]: (\S+)$/gm)) {
      const target = inline ?? named;
      if (/^[a-z]+:/.test(target)) continue;
      const [to, anchor] = target.split("#");
      const linked = to === "" ? file : path.posix.join(path.posix.dirname(file), to);
      assert.ok(fs.existsSync(path.join(root, linked)), `${file} links to ${target}`);
      if (anchor === undefined || !linked.endsWith(".md")) continue;
      const anchors = [...read(linked).matchAll(/^#+ (.*)$/gm)].map(([, title]) => slug(title));
      assert.ok(anchors.includes(anchor), `${file} links to ${target}: no such heading`);
    }
  }
});

test("docs/logs.md has every event", () => {
  const logs = read("docs/logs.md");
  for (const folder of ["core", "adapters"]) {
    for (const file of fs.readdirSync(path.join(root, folder), { recursive: true })) {
      if (!String(file).endsWith(".ts")) continue;
      for (const [, event] of read(`${folder}/${file}`).matchAll(/event: "([a-z]+_[a-z_]+)"/g)) {
        assert.ok(logs.includes(`\`${event}\``), `${event} of ${folder}/${file}`);
      }
    }
  }
});

/** A heading's anchor as GitHub makes it. */
function slug(title: string): string {
  return title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

test.run();
