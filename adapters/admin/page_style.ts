// The live page's looks: light and dark by the reader's setting, one column on a phone.

export const STYLE = `
:root {
  --back: #f3f5f8; --card: #ffffff; --line: #d9dfe7; --text: #17202b; --quiet: #566273;
  --blue: #1d4ed8; --blue-soft: #1d4ed81c; --teal: #0f766e; --amber: #b45309; --red: #c81e3a;
  --red-soft: #c81e3a1a; --green: #0f6b2f; --green-soft: #0f6b2f1a; --track: #e4e9f0;
  --shadow: 0 1px 2px #10203010, 0 2px 8px #1020300a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1218; --card: #161d26; --line: #2a3442; --text: #e7edf5; --quiet: #9aa7b8;
    --blue: #6ea8ff; --blue-soft: #6ea8ff26; --teal: #2dd4bf; --amber: #f0a44b; --red: #ff7a8c;
    --red-soft: #ff7a8c24; --green: #4ade80; --green-soft: #4ade8020; --track: #283241;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 16px; max-width: 1240px; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1, h2, h3, p, dl, dd { margin: 0; }
a { color: var(--blue); }
.quiet { color: var(--quiet); }
.card, .tiles > div, .pool {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  box-shadow: var(--shadow);
}
header { display: flex; gap: 12px; align-items: center; justify-content: space-between; }
.brand { display: flex; gap: 12px; align-items: center; min-width: 0; }
.brand img { flex: none; }
h1 { font-size: 1.3rem; line-height: 1.2; letter-spacing: -.01em; }
#about { font-size: .85rem; overflow-wrap: anywhere; }
.badge {
  flex: none; padding: 2px 10px; border-radius: 99px; font-size: .82rem; font-weight: 600;
  white-space: nowrap; background: var(--track); color: var(--quiet);
}
.badge.good { background: var(--green-soft); color: var(--green); }
.badge.bad { background: var(--red-soft); color: var(--red); }
.tiles { display: grid; grid-template-columns: repeat(6, 1fr); gap: 10px; margin: 16px 0 10px; }
.tiles > div { padding: 10px 14px; min-width: 0; }
dt { color: var(--quiet); font-size: .82rem; }
.tiles dd { font-size: 1.5rem; font-weight: 650; line-height: 1.25; }
dd, td, .axis, .legend { font-variant-numeric: tabular-nums; }
.tools { display: flex; gap: 10px; align-items: stretch; flex-wrap: wrap; margin-bottom: 10px; }
#find {
  flex: 1 1 460px; display: flex; flex-wrap: wrap; gap: 10px; align-items: end;
  padding: 10px 14px 12px; min-width: 0;
}
.field { display: flex; flex-direction: column; gap: 3px; min-width: 0; }
.grow { flex: 1 1 170px; }
label, #range-label { color: var(--quiet); font-size: .82rem; }
input:not([type]), select, button {
  font: inherit; color: inherit; min-height: 38px; padding: 6px 10px; border-radius: 7px;
  border: 1px solid var(--line); background: var(--back); min-width: 0; max-width: 100%;
}
input::placeholder { color: var(--quiet); opacity: 1; }
button { background: var(--blue); border-color: var(--blue); color: #fff; font-weight: 600; }
@media (prefers-color-scheme: dark) { button { color: #0b1220; } }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
#found { flex: 1 0 100%; overflow-wrap: anywhere; }
#found:empty { display: none; }
#found b { color: var(--blue); }
#range {
  display: flex; align-items: center; gap: 4px; padding: 10px 14px; min-width: 0;
}
#range-label { margin-right: 6px; }
#range label { position: relative; cursor: pointer; }
#range input { position: absolute; opacity: 0; inset: 0; margin: 0; cursor: pointer; }
#range span {
  display: block; padding: 7px 12px; border-radius: 7px; color: var(--text); font-size: .9rem;
  white-space: nowrap;
}
#range input:checked + span { background: var(--blue-soft); color: var(--blue); font-weight: 600; }
#range input:focus-visible + span { outline: 2px solid var(--blue); outline-offset: 1px; }
.pool { margin-bottom: 14px; padding: 14px; }
.pool > header { flex-wrap: wrap; align-items: baseline; justify-content: flex-start; }
.pool h2 { font-size: 1.15rem; line-height: 1.3; overflow-wrap: anywhere; }
.pool > header .quiet { font-size: .85rem; overflow-wrap: anywhere; }
.charts {
  display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.3fr) minmax(0, 1fr); gap: 20px; margin: 12px 0 14px;
}
figure { margin: 0; min-width: 0; display: flex; flex-direction: column; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; align-items: baseline;
  min-height: 1.9rem; }
h3 { font-size: .85rem; font-weight: 600; color: var(--quiet); }
.now { font-size: 1.2rem; font-weight: 650; margin-left: auto; }
.legend { font-size: .82rem; white-space: nowrap; }
.legend i { display: inline-block; width: 12px; height: 3px; margin-right: 5px; border-radius: 2px;
  vertical-align: middle; }
.legends { margin-left: auto; display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; }
.plot { position: relative; margin-top: auto; padding-top: 4px; }
.plot svg { display: block; width: 100%; height: 112px; overflow: visible; }
.axis { position: absolute; left: 0; font-size: .75rem; color: var(--quiet); pointer-events: none;
  background: color-mix(in srgb, var(--card) 75%, transparent); padding: 0 3px; line-height: 1.3; }
.axis.top { top: 4px; }
.axis.low { bottom: 0; }
.times { display: flex; justify-content: space-between; font-size: .75rem; color: var(--quiet); }
.grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.cross { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 3 3; }
.s-blue { stroke: var(--blue); } .f-blue { fill: var(--blue-soft); }
.s-teal { stroke: var(--teal); } .s-amber { stroke: var(--amber); } .s-red { stroke: var(--red); }
.f-red { fill: var(--red-soft); } .b-blue { background: var(--blue); }
.b-teal { background: var(--teal); } .b-amber { background: var(--amber); }
.b-red { background: var(--red); }
.topology { margin-bottom: 14px; font-size: .85rem; }
.topology p { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
.topology dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 8px 20px;
  margin-top: 8px; }
.topology dl > div:last-child { grid-column: 1 / -1; }
.topology dd { overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th { text-align: left; font-weight: 500; font-size: .8rem; color: var(--quiet); }
th, td { padding: 6px 8px; border-top: 1px solid var(--line); vertical-align: middle; }
thead th { border-top: 0; }
th.n, td.n { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; }
td.name b { font-weight: 600; }
td.name span { display: block; font-size: .8rem; }
.share { display: flex; align-items: center; gap: 8px; min-width: 110px; }
.bar { flex: 1; height: 7px; border-radius: 4px; background: var(--track); overflow: hidden; }
.bar svg { display: block; width: 100%; height: 100%; }
.bar rect { fill: var(--blue); }
@media (min-width: 901px) {
  table { table-layout: fixed; }
  th:nth-child(1) { width: 19%; }
  th:nth-child(2) { width: 8%; }
  th:nth-child(3) { width: 20%; }
  th:nth-child(8) { width: 10.5%; }
  th.spark { width: 136px; }
}
table.keys { table-layout: auto; margin-top: 14px; overflow-wrap: anywhere; }
table.keys[hidden] { display: none; }
.keys caption { display: block; text-align: left; font-size: .85rem; font-weight: 600; color: var(--quiet); }
.keys th:nth-child(n) { width: auto; }
td.spark svg { display: block; width: 120px; height: 26px; }
footer { display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 4px 2px 20px; font-size: .85rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.empty { padding: 14px; color: var(--quiet); }
@media (max-width: 900px) {
  .tiles { grid-template-columns: repeat(3, 1fr); }
  .charts { grid-template-columns: minmax(0, 1fr); gap: 14px; }
  td.spark, th.spark { display: none; }
}
@media (max-width: 640px) {
  body { padding: 12px; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: 8px; }
  .tiles > div { padding: 8px 12px; }
  .tiles dd { font-size: 1.25rem; }
  #find .field:not(.grow) { flex: 1 1 90px; }
  #range { flex: 1; justify-content: space-between; padding: 10px 12px; }
  #range #range-label { padding-left: 0; }
  #range span { padding: 7px 8px; }
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { display: grid; grid-template-columns: 1fr 1fr 1fr; border-top: 1px solid var(--line);
    padding: 8px 0; gap: 6px 10px; }
  td, td.n { border: 0; padding: 0; text-align: left; min-width: 0; }
  td.name { grid-column: 1 / 3; }
  td.state { text-align: right; }
  td.share-cell { grid-column: 1 / 4; }
  td.n::before { content: attr(data-label); display: block; font-size: .75rem; color: var(--quiet); }
}
@media (prefers-reduced-motion: no-preference) { .bar rect { transition: width .3s; } }
`;
