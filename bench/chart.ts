// The chart: CPU per request as a multiple of nutcracker's, one line per workload, one mark per
// contestant. An SVG written by hand that fits light and dark pages: no background of its own,
// and its colours follow the reader's preference.

import { CONTESTANTS } from "./contestants.ts";
import { median, ratio, type Results } from "./results.ts";

const LEFT = 330;
const RIGHT = 90;
const PLOT = 480;
const TOP = 92;
const STEP = 26;
const WIDTH = LEFT + PLOT + RIGHT;

type Mark = (x: number, y: number) => string;

const circle = (r: number): Mark => (x, y) => `<circle cx="${x}" cy="${y}" r="${r}"/>`;
const square: Mark = (x, y) => `<rect x="${x - 5}" y="${y - 5}" width="10" height="10"/>`;
const triangle: Mark = (x, y) => `<path d="M${x} ${y - 6.5}l6.5 11.5h-13z"/>`;
const diamond: Mark = (x, y) => `<path d="M${x} ${y - 6}l6 6l-6 6l-6-6z"/>`;
const bar: Mark = (x, y) => `<path d="M${x} ${y - 7}v14"/>`;

/** Shape and colour both tell contestants apart; control rows are outlines. */
const MARKS: Readonly<Record<string, Mark>> = {
  "deno": circle(5.5),
  "bun": square,
  "node": triangle,
  "nutcracker": bar,
  "haproxy": diamond,
  "relay-deno": circle(4),
  "relay-bun": (x, y) => `<rect x="${x - 3.5}" y="${y - 3.5}" width="7" height="7"/>`,
  "relay-node": (x, y) => `<path d="M${x} ${y - 4.5}l4.5 8h-9z"/>`,
};

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; }
.small { font-size: 12px; fill: #57606a; }
.grid { stroke: #d0d7de; } .one { stroke: #57606a; stroke-dasharray: 4 3; }
.deno { fill: #0969da; } .bun { fill: #bf5b00; } .node { fill: #1a7f37; }
.nutcracker, .haproxy, .relay-deno, .relay-bun, .relay-node {
  fill: none; stroke-width: 1.6; }
.nutcracker { stroke: #24292f; stroke-width: 2.5; } .haproxy { stroke: #8250df; }
.relay-deno { stroke: #0969da; } .relay-bun { stroke: #bf5b00; } .relay-node { stroke: #1a7f37; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9198a1; }
  .grid { stroke: #3d444d; } .one { stroke: #9198a1; }
  .deno { fill: #58a6ff; } .bun { fill: #f0883e; } .node { fill: #56d364; }
  .nutcracker { stroke: #e6edf3; } .haproxy { stroke: #bc8cff; }
  .relay-deno { stroke: #58a6ff; } .relay-bun { stroke: #f0883e; } .relay-node { stroke: #56d364; }
  .deno, .bun, .node { stroke: none; }
  .relay-deno, .relay-bun, .relay-node, .nutcracker, .haproxy { fill: none; }
}`;

/** The results as an SVG document. */
export function chart(results: Results): string {
  const rows = results.rows.filter((row) => median(row, "nutcracker", "cpu") !== null);
  const shown = CONTESTANTS.filter((c) =>
    MARKS[c.name] !== undefined && rows.some((row) => ratio(row, c.name) !== null)
  );
  const ratios = rows.flatMap((row) => shown.map((c) => ratio(row, c.name) ?? 1));
  // Powers of two around what there is; the axis is logarithmic, as ratios are. A mark far out
  // (a relay need not parse a burst at all) is drawn at the edge.
  const low = Math.max(-3, Math.floor(Math.log2(Math.min(0.5, ...ratios))));
  const high = Math.min(3, Math.ceil(Math.log2(Math.max(2, ...ratios))));
  const clip = (value: number) => Math.min(2 ** high, Math.max(2 ** low, value));
  const x = (value: number) =>
    Math.round(10 * (LEFT + ((Math.log2(value) - low) / (high - low)) * PLOT)) / 10;
  const bottom = TOP + rows.length * STEP;
  const beyond = ratios.some((value) => value !== clip(value));
  const note = `further left is cheaper${beyond ? "; marks on the edge lie beyond it" : ""}`;
  const parts: string[] = [];
  for (let power = low; power <= high; power++) {
    const at = x(2 ** power);
    parts.push(
      `<path class="${power === 0 ? "one" : "grid"}" d="M${at} ${TOP - 8}V${bottom}"/>`,
      `<text class="small" x="${at}" y="${bottom + 18}" text-anchor="middle">` +
        `${power < 0 ? `1/${2 ** -power}` : 2 ** power}×</text>`,
    );
  }
  rows.forEach((row, i) => {
    const y = TOP + i * STEP + STEP / 2;
    const micros = median(row, "nutcracker", "cpu") ?? 0;
    parts.push(
      `<text x="${LEFT - 16}" y="${y + 4}" text-anchor="end">${row.title}</text>`,
      `<text class="small" x="${WIDTH - 8}" y="${y + 4}" text-anchor="end">` +
        `${
          micros >= 100 ? Math.round(micros).toLocaleString("en-US") : micros.toPrecision(2)
        } µs</text>`,
    );
    // ringmux last, so that its marks lie on top.
    for (const contestant of [...shown].reverse()) {
      const value = ratio(row, contestant.name);
      if (value === null) continue;
      const mark = MARKS[contestant.name](x(clip(value)), y);
      const label = `${contestant.title}: ${value.toFixed(2)}×`;
      parts.push(`<g class="${contestant.name}"><title>${label}</title>${mark}</g>`);
    }
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 50}" ` +
    `width="${WIDTH}" height="${bottom + 50}" role="img">\n<style>${STYLE}\n</style>\n` +
    `<text class="title" x="12" y="24">CPU per request, as a multiple of nutcracker's</text>\n` +
    `<text class="small" x="${WIDTH - 8}" y="${TOP - 14}" text-anchor="end">nutcracker</text>\n` +
    `${legend(shown)}\n${parts.join("\n")}\n` +
    `<text class="small" x="${LEFT}" y="${bottom + 40}">${note}</text>\n</svg>\n`;
}

function legend(shown: typeof CONTESTANTS): string {
  let x = 22;
  let y = 46;
  const parts: string[] = [];
  for (const contestant of shown) {
    const width = 34 + contestant.title.length * 7;
    if (x + width > WIDTH) [x, y] = [22, y + 20];
    parts.push(
      `<g class="${contestant.name}">${MARKS[contestant.name](x, y)}</g>` +
        `<text x="${x + 12}" y="${y + 4}">${contestant.title}</text>`,
    );
    x += width;
  }
  return parts.join("\n");
}
