// The layers hold: core/ stands on nothing but itself, each adapter on its own runtime, and nobody
// but mod.ts (and tests and benchmarks) imports adapters/. Reads the sources as text.

import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = process.cwd();

/** TypeScript files below a folder, relative to the root. */
function sources(folder: string): string[] {
  const found: string[] = [];
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = `${folder}/${entry.name}`;
    if (entry.isDirectory()) found.push(...sources(file));
    else if (file.endsWith(".ts")) found.push(file);
  }
  return found;
}

/** The source with comments blanked out, and with `strings` blanked too if so wanted. */
function code(source: string, strings: boolean): string {
  // A string, a template without its expressions' insides, a comment, or a regular expression.
  const token =
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<=[(,=:[!&|?{};]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/|`(?:\\.|\$\{[^}]*\}|[^`\\])*`/g;
  return source.replace(token, (text) => {
    if (text.startsWith("//") || text.startsWith("/*")) return " ";
    if (!strings) return text;
    if (text.startsWith("`")) {
      return [...text.matchAll(/\$\{([^}]*)\}/g)].map((m) => m[1]).join(";");
    }
    return '""';
  });
}

/** What a file imports or re-exports, dynamic imports included. */
function imports(file: string): string[] {
  const text = code(fs.readFileSync(path.join(root, file), "utf8"), false);
  const pattern = /\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g;
  return [...text.matchAll(pattern)].map((match) => match[1]);
}

/** The path below the root of a relative import; null for a package. */
function target(file: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
}

const RUNTIME_NAMES = [
  ...["Deno", "Bun", "process", "Buffer", "console", "setTimeout", "setInterval", "setImmediate"],
  ...["clearTimeout", "clearInterval", "queueMicrotask", "require", "fetch", "performance"],
  ...["TextDecoder", "TextEncoder", "globalThis", "window", "navigator", "crypto"],
];

const core = sources("core");
/** The floors between a client's socket and a server's. */
const MIDDLE = ["core/client/", "core/exchange/", "core/server/", "core/link/", "core/pool"];

test("the scanner sees code and nothing else", () => {
  const source =
    'import a from "./x.ts"; // Deno\n/* process */ const s = "Buffer"; const r = /console/g;\n' +
    "const t = `Bun ${fetch}`; const u = 'a \\' require'; done(Deno2, a / b / c);";
  const bare = code(source, true);
  const seen = RUNTIME_NAMES.filter((name) => new RegExp(`\\b${name}\\b`).test(bare));
  assert.equal(seen, ["fetch"]);
  assert.ok(bare.includes("a / b / c"));
  assert.ok(core.length > 20, "core/ is read");
});

test("core/ imports core/ only, but for yaml and valibot in core/config/", () => {
  for (const file of core) {
    for (const specifier of imports(file)) {
      const to = target(file, specifier);
      if (to === null) {
        const allowed = file.startsWith("core/config/") && ["yaml", "valibot"].includes(specifier);
        assert.ok(allowed, `${file} imports "${specifier}"`);
      } else {
        assert.ok(to.startsWith("core/"), `${file} imports ${to}`);
        assert.ok(to.endsWith(".ts"), `${file}: "${specifier}" lacks its extension`);
        assert.ok(fs.existsSync(path.join(root, to)), `${file} imports ${to}, which is not there`);
      }
    }
  }
});

test("core/ names nothing that belongs to a runtime", () => {
  for (const file of core) {
    const text = code(fs.readFileSync(path.join(root, file), "utf8"), true);
    for (const name of RUNTIME_NAMES) {
      // A property, a key or a method of that name is our own.
      const how = name === "process" ? "\\s*[.[?]" : "(?!\\s*[?]?:)";
      const used = new RegExp(`(?<![.\\w$])${name}\\b${how}`).test(text);
      assert.not.ok(used, `${file} uses ${name}`);
    }
  }
});

test("core/ reads no clock and no random numbers but the host's", () => {
  for (const file of core) {
    const text = code(fs.readFileSync(path.join(root, file), "utf8"), true);
    assert.not.match(text, /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b/, file);
  }
});

/** The floors of core/, the highest first: a file imports its own floor and those below. */
const FLOORS = [
  ["core/proxy.ts"],
  ["core/ring_view.ts", "core/hot_view.ts", "core/pool_view.ts"],
  ["core/pool.ts"],
  ["core/pool/"],
  ["core/front.ts", "core/front_routes.ts", "core/home.ts"],
  ["core/client/"],
  ["core/exchange/"],
  ["core/route/"],
  ["core/topology/"],
  ["core/server/"],
  ["core/link/"],
  ["core/listener.ts", "core/announced.ts", "core/users.ts", "core/throttle.ts"],
  ["core/config/"],
  ["core/protocol/"],
  ["core/stats/"],
  ["core/wire/"],
  ["core/ring/", "core/hash/"],
  ["core/limit.ts", "core/lateness.ts", "core/proxy_header.ts"],
  ["core/networks.ts"],
  ["core/log.ts", "core/host.ts", "core/errno.ts", "core/bytes.ts", "core/version.ts"],
];

function floorOf(file: string): number {
  return FLOORS.findIndex((names) =>
    names.some((name) => name.endsWith("/") ? file.startsWith(name) : file === name)
  );
}

test("inside core/ arrows go down only", () => {
  for (const file of core) {
    const floor = floorOf(file);
    assert.ok(floor >= 0, `${file} stands on no floor`);
    for (const specifier of imports(file)) {
      const to = target(file, specifier);
      if (to === null) continue;
      assert.ok(floorOf(to) >= floor, `${file} imports ${to}, which is above it`);
    }
  }
});

test("inside core/ some never know others", () => {
  const forbidden: [string, string[]][] = [
    ["core/link/", ["core/exchange/", "core/route/", "core/client/", "core/server/"]],
    ["core/server/", ["core/pool", "core/route/", "core/exchange/", "core/client/"]],
    ["core/route/", ["core/exchange/", "core/client/", "core/pool"]],
    ["core/client/", ["core/pool", "core/proxy.ts"]],
    ["core/protocol/", [...MIDDLE, "core/ring/", "core/config/", "core/host.ts"]],
    ["core/ring/", [...MIDDLE, "core/protocol/", "core/config/"]],
    ["core/hash/", [...MIDDLE, "core/protocol/", "core/config/", "core/ring/"]],
    ["core/config/", MIDDLE],
    ["core/stats/", ["core/protocol/"]],
  ];
  for (const [folder, others] of forbidden) {
    for (const file of core.filter((name) => name.startsWith(folder))) {
      for (const specifier of imports(file)) {
        const to = target(file, specifier) ?? "";
        const bad = others.find((other) => to.startsWith(other));
        assert.not.ok(bad, `${file} imports ${to}`);
      }
    }
  }
  for (const file of core) {
    const views = ["core/ring_view.ts", "core/hot_view.ts", "core/pool_view.ts"];
    const above = ["core/proxy.ts", "core/pool.ts", ...views];
    if (above.includes(file)) continue;
    for (const specifier of imports(file)) {
      assert.is.not(target(file, specifier), "core/pool.ts", `${file} imports the pool`);
    }
  }
});

test("outside of protocol/ and config/ nothing asks which protocol a pool speaks", () => {
  for (const file of core.filter((name) => !/^core\/(protocol|config)\//.test(name))) {
    const text = code(fs.readFileSync(path.join(root, file), "utf8"), true);
    assert.not.match(text, /\bsession\.(resp|db|name|lib\w+)\b|\bconfig\.redis\b/, file);
    assert.ok(!imports(file).some((name) => /protocol\/(redis|memcached)\//.test(name)), file);
  }
});

test("each protocol keeps to its own folder", () => {
  for (const file of core) {
    const own = /^core\/protocol\/(redis|memcached)\//.exec(file)?.[1];
    if (own === undefined) continue;
    const other = own === "redis" ? "memcached" : "redis";
    for (const specifier of imports(file)) {
      assert.not.ok(
        target(file, specifier)?.includes(`/${other}/`),
        `${file} imports ${specifier}`,
      );
    }
  }
});

test("a runtime's folder names no runtime but its own, and what they share none", () => {
  for (const folder of ["bun", "deno", "node", "shared"]) {
    for (const file of sources(`adapters/runtimes/${folder}`)) {
      const text = code(fs.readFileSync(path.join(root, file), "utf8"), true);
      for (const name of ["Bun", "Deno"].filter((one) => one.toLowerCase() !== folder)) {
        assert.not.match(text, new RegExp(`\\b${name}\\b`), file);
      }
      for (const specifier of imports(file)) {
        const to = target(file, specifier) ?? specifier;
        const own = [folder, `adapters/runtimes/${folder}/`];
        const allowed = ["core/", "adapters/runtimes/shared/", "node:", ...own];
        assert.ok(allowed.some((one) => to.startsWith(one)), `${file} imports ${to}`);
      }
    }
  }
});

/** The parts of adapters/, the lower ones first: imports go down only. */
const PARTS = [
  ...["log", "system", "control", "discovery", "workers", "admin", "command", "runtimes"],
];

test("inside adapters/ imports go down only", () => {
  const partOf = (file: string): string => /^adapters\/(\w+)\//.exec(file)?.[1] ?? "";
  for (const part of PARTS) {
    for (const file of sources(`adapters/${part}`)) {
      for (const specifier of imports(file)) {
        const to = target(file, specifier) ?? "core/";
        if (to.startsWith("core/")) continue;
        const level = PARTS.indexOf(partOf(to));
        const allowed = level >= 0 && level <= PARTS.indexOf(part);
        assert.ok(allowed, `${file} imports ${to}`);
      }
    }
  }
});

test("no file of adapters/ imports itself by way of others", () => {
  assert.equal(circle(sources("adapters")), []);
});

test("no file of core/ imports itself by way of others", () => {
  assert.equal(circle(core), []);
});

/** Files that import each other in a circle, or none. */
function circle(files: string[]): string[] {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    done.add(file);
    for (const specifier of imports(file)) {
      const to = target(file, specifier);
      const found = to === null || !files.includes(to) ? [] : visit(to, [...path, file]);
      if (found.length > 0) return found;
    }
    return [];
  };
  for (const file of files) {
    const found = visit(file, []);
    if (found.length > 0) return found;
  }
  return [];
}

test("nothing but mod.ts, tests and benchmarks imports adapters/ from outside", () => {
  for (const file of ["mod.ts", ...core]) {
    for (const specifier of imports(file)) {
      const to = target(file, specifier);
      if (to?.startsWith("adapters/")) assert.is(file, "mod.ts", `${file} imports ${to}`);
    }
  }
});

test("mod.ts loads an adapter only when it is needed", () => {
  const text = code(fs.readFileSync(path.join(root, "mod.ts"), "utf8"), false);
  const fixed = [...text.matchAll(/\bfrom\s*["']([^"']+)["']/g)].map((match) => match[1]);
  assert.equal(fixed.filter((specifier) => specifier.includes("adapters/")), []);
});

test.run();
