// Writes the newest results into README.md, between its two bench marks: node bench/readme.mjs

import { readFileSync, writeFileSync } from "node:fs";

const at = (path) => new URL(path, import.meta.url);
const BEGIN = "<!-- bench -->";
const END = "<!-- /bench -->";

/** Median over the rounds of one figure of one contestant; null where there is none. */
function median(row, contestant, figure) {
  const runs = row.cells.find((cell) => cell.contestant === contestant)?.runs ?? [];
  if (runs.length === 0) return null;
  const values = runs.map((run) => run[figure]).sort((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/** The block for the README: CPU and p99 as ratios to nutcracker's in the same run. */
export function block(results) {
  const names = { deno: "Deno", bun: "Bun", node: "Node", haproxy: "HAProxy, TCP only" };
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const out = [
    line(["CPU per request, nutcracker = 1", ...Object.values(names), "nutcracker, µs"]),
    line(["---", ...Object.keys(names).map(() => "---:"), "---:"]),
  ];
  for (const row of results.rows) {
    const base = median(row, "nutcracker", "cpu");
    if (base === null) continue;
    const ratios = Object.keys(names).map((name) => {
      const own = median(row, name, "cpu");
      return own === null ? "-" : (own / base).toFixed(2);
    });
    out.push(line([row.title, ...ratios, base.toPrecision(3)]));
  }
  const { versions, machine, rounds, windowMs, date } = results;
  const which = ["deno", "bun", "node", "nutcracker", "haproxy"]
    .map((name) => `${name} ${versions[name]}`).join(", ");
  return `${out.join("\n")}\n\nMedians of ${rounds} rounds of ${windowMs} ms, ${
    date.slice(0, 10)
  }, ${machine}; ${which}. Below 1 is less than nutcracker.`;
}

const readme = readFileSync(at("../README.md"), "utf8");
const results = JSON.parse(readFileSync(at("results/latest.json"), "utf8"));
const from = readme.indexOf(BEGIN) + BEGIN.length;
const to = readme.indexOf(END);
if (to < from) throw new Error(`README.md has no ${BEGIN} ... ${END}`);
writeFileSync(
  at("../README.md"),
  `${readme.slice(0, from)}\n\n${block(results)}\n\n${readme.slice(to)}`,
);
