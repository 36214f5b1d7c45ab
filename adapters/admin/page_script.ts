// What runs in the reader's browser: asks for what is new once a second and draws it. Plain
// JavaScript as text, for it is nothing to the runtime that serves it. Names are only ever put in as
// text (textContent, setAttribute).

export const SCRIPT = String.raw`"use strict";
const KEEP = 900;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

/** Samples by name of pool and server, all as long as times. */
const store = { times: [], pools: new Map() };
const views = new Map();
let status = null;
let shares = new Map();
let cpu = null;
let range = 300;

// ---------------------------------------------------------------------------- elements and texts

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function attr(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function number(n) {
  if (n >= 1e6) return (n / 1e6).toFixed(n < 1e7 ? 2 : 1) + " M";
  if (n >= 1e5) return (n / 1e3).toFixed(0) + " k";
  if (n >= 100 || Number.isInteger(n)) return Math.round(n).toLocaleString("en");
  return n.toFixed(n < 1 ? 2 : 1);
}

function count(n, what) {
  return number(n) + " " + what + (n === 1 ? "" : "s");
}

function duration(s) {
  if (s === 0) return "–";
  if (s < 0.9995e-3) return (s * 1e6).toFixed(0) + " µs";
  if (s < 0.9995) return (s * 1e3).toPrecision(s < 0.0995 ? 2 : 3) + " ms";
  return s.toPrecision(3) + " s";
}

function size(bytes) {
  return bytes < 1e9 ? (bytes / 1e6).toFixed(0) + " MB" : (bytes / 1e9).toFixed(2) + " GB";
}

function age(seconds) {
  const d = Math.floor(seconds / 86400);
  const h = Math.floor(seconds / 3600) % 24;
  const m = Math.floor(seconds / 60) % 60;
  if (d > 0) return d + " d " + h + " h";
  return h > 0 ? h + " h " + m + " min" : m > 0 ? m + " min" : Math.floor(seconds) + " s";
}

function percent(part) {
  return (part * 100).toFixed(part > 0 && part < 0.0995 ? 1 : 0) + " %";
}

// --------------------------------------------------------------------------------------- samples

function append(track, series, before, added) {
  for (const name in series) {
    const values = track[name] ??= [];
    while (values.length < before) values.push(0);
    values.push(...series[name]);
    // One that is missing in what came has nothing to show.
    while (values.length < before + added) values.push(0);
    if (values.length > KEEP) values.splice(0, values.length - KEEP);
  }
}

function keep(history) {
  const before = store.times.length;
  const added = history.times.length;
  if (added === 0) return;
  store.times.push(...history.times);
  if (store.times.length > KEEP) store.times.splice(0, store.times.length - KEEP);
  const pools = new Map();
  for (const pool of history.pools) {
    const known = store.pools.get(pool.name) ?? { series: {}, servers: new Map() };
    append(known.series, pool.series, before, added);
    const servers = new Map();
    for (const server of pool.servers) {
      const track = known.servers.get(server.name) ?? {};
      append(track, server.series, before, added);
      servers.set(server.name, track);
    }
    pools.set(pool.name, { series: known.series, servers });
  }
  store.pools = pools;
}

const last = (values) => values === undefined || values.length === 0 ? 0 : values[values.length - 1];

// ---------------------------------------------------------------------------------------- graphs

/**
 * lines: { name, label, color, area } in drawing order; format makes a text of a value. With a
 * floor the scale is logarithmic from there on, and 0 is a gap.
 */
function chart(title, lines, format, floor = 0) {
  const W = 600;
  const H = 112;
  const paths = lines.map((line) => ({
    area: line.area ? svg("path", { class: "f-" + line.color }) : null,
    line: svg("path", { class: "line s-" + line.color, "vector-effect": "non-scaling-stroke" }),
  }));
  const cross = svg("line", {
    class: "cross", y1: 0, y2: H, visibility: "hidden", "vector-effect": "non-scaling-stroke",
  });
  const rules = [0.5, H / 2, H - 0.5].map((y) =>
    svg("line", { class: "grid", x1: 0, x2: W, y1: y, y2: y, "vector-effect": "non-scaling-stroke" })
  );
  const drawing = svg("svg", {
    viewBox: "0 0 " + W + " " + H, preserveAspectRatio: "none", role: "img", tabindex: 0,
  }, ...rules, ...paths.flatMap((p) => p.area ? [p.area, p.line] : [p.line]), cross);
  const top = el("span", { class: "axis top" });
  const low = el("span", { class: "axis low" }, floor > 0 ? format(floor) : "");
  const from = el("span");
  const to = el("span", {}, "now");
  const values = lines.map(() => el("span"));
  const one = lines.length === 1;
  const legends = el("span", { class: one ? "now" : "legends" }, ...lines.map((line, i) =>
    one ? values[i] : el("span", { class: "legend" }, el("i", { class: "b-" + line.color }),
      line.label + " ", values[i])
  ));
  const figure = el("figure", {},
    el("figcaption", {}, el("h3", {}, title), legends),
    el("div", { class: "plot" }, drawing, top, low),
    el("div", { class: "times" }, from, to));
  /** Samples back from the newest that are pointed at; -1: none. */
  let at = -1;
  let shown = null;

  function draw() {
    if (shown === null) return;
    const { times, data, most } = shown;
    const n = times.length;
    const i = at < 0 ? n - 1 : Math.max(0, n - 1 - at);
    lines.forEach((line, k) => set(values[k], n === 0 ? "–" : format(data[k][i])));
    set(to, at < 0 || n === 0 ? "now" : new Date(times[i]).toLocaleTimeString());
    if (at >= 0 && n > 0) {
      const x = shown.x(i);
      attr(cross, "x1", String(x));
      attr(cross, "x2", String(x));
    }
    attr(cross, "visibility", at >= 0 && n > 0 ? "visible" : "hidden");
    const words = lines.map((line, k) => line.label + " " + (n === 0 ? "none" : format(data[k][i])));
    attr(drawing, "aria-label", title + ": " + words.join(", ") + "; most shown " + format(most));
  }

  function update(series) {
    const span = range * 1000;
    const end = last(store.times);
    let first = 0;
    while (first < store.times.length && store.times[first] < end - span) first++;
    const times = store.times.slice(first);
    const data = lines.map((line) => (series[line.name] ?? []).slice(first));
    const most = Math.max(0, ...data.map((values) => Math.max(0, ...values)));
    const scale = nice(most);
    const x = (i) => Math.round((1 - (end - times[i]) / span) * W * 10) / 10;
    const part = (v) => floor > 0
      ? Math.max(0, Math.log(v / floor) / Math.log(Math.max(scale, 10 * floor) / floor))
      : v / scale;
    const y = (v) => Math.round((H - 1 - part(v) * (H - 2)) * 10) / 10;
    lines.forEach((line, k) => {
      const points = data[k].map((v, i) => x(i) + " " + y(v));
      let d = "";
      let pen = "M";
      data[k].forEach((v, i) => {
        const gap = floor > 0 && v === 0;
        if (!gap) d += pen + points[i];
        pen = gap ? "M" : "L";
      });
      attr(paths[k].line, "d", d);
      if (!paths[k].area) return;
      attr(paths[k].area, "d", points.length === 0
        ? ""
        : "M" + x(0) + " " + H + "L" + points.join("L") + "L" + x(times.length - 1) + " " + H + "Z");
    });
    set(top, format(Math.max(scale, 10 * floor)));
    top.hidden = low.hidden = most === 0;
    set(from, "−" + range / 60 + " min");
    shown = { times, data, most, x };
    draw();
  }

  drawing.addEventListener("pointermove", (event) => {
    if (shown === null) return;
    const box = drawing.getBoundingClientRect();
    const ago = (1 - (event.clientX - box.left) / box.width) * range;
    at = Math.min(Math.max(0, shown.times.length - 1), Math.max(0, Math.round(ago)));
    draw();
  });
  const leave = () => { at = -1; draw(); };
  drawing.addEventListener("pointerleave", leave);
  drawing.addEventListener("blur", leave);
  drawing.addEventListener("keydown", (event) => {
    if (shown === null || !["ArrowLeft", "ArrowRight", "Escape"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Escape") return leave();
    const step = Math.max(1, Math.round(range / 60));
    at = Math.min(shown.times.length - 1, Math.max(0, at + (event.key === "ArrowLeft" ? step : -step)));
    draw();
  });
  return { node: figure, update };
}

/** A round number that is not below most. */
function nice(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= most * 0.999) ?? most;
}

function spark() {
  const line = svg("path", { class: "line s-blue", "vector-effect": "non-scaling-stroke" });
  const node = svg("svg", {
    viewBox: "0 0 120 26", preserveAspectRatio: "none", "aria-hidden": "true",
  }, line);
  return {
    node,
    update(values) {
      const some = values.slice(-Math.min(range, 300));
      const most = Math.max(1e-9, ...some);
      const step = 120 / Math.max(1, some.length - 1);
      attr(line, "d", some.length < 2 ? "" : "M" + some.map((v, i) =>
        (i * step).toFixed(1) + " " + (25 - v / most * 23).toFixed(1)).join("L"));
    },
  };
}

// ------------------------------------------------------------------------------- pools and servers

function serverRow() {
  const cell = (label, more) => {
    const node = el("td", { class: "n", role: "cell", "data-label": label, ...more });
    return node;
  };
  const name = el("b");
  const address = el("span", { class: "quiet" });
  const state = el("span", { class: "badge" });
  const share = el("span");
  const bar = svg("rect", { height: 7, width: 0 });
  const cells = {
    requests: cell("requests/s"), p99: cell("p99"), errors: cell("errors"),
    flight: cell("in flight"), connections: cell("connections"),
  };
  const line = spark();
  const node = el("tr", { role: "row" },
    el("td", { class: "name", role: "cell" }, name, address),
    el("td", { class: "state", role: "cell" }, state),
    el("td", { class: "share-cell", role: "cell" },
      el("div", { class: "share" },
        el("span", { class: "bar", "aria-hidden": "true" },
          svg("svg", { viewBox: "0 0 100 7", preserveAspectRatio: "none" }, bar)), share)),
    ...Object.values(cells),
    el("td", { class: "spark", role: "cell" }, line.node));
  function update(server, series, part, known) {
    const { counters } = server;
    set(name, server.name);
    const where = server.address === server.name ? "" : server.address;
    set(address, [where, server.weight === 1 ? "" : "weight " + server.weight, told(known)]
      .filter(Boolean).join(", "));
    set(state, server.live ? "live" : known === undefined ? "ejected" : "down");
    state.className = "badge " + (server.live ? "good" : "bad");
    if (counters.server_ejected_at > 0) {
      state.title = "last ejected " + new Date(counters.server_ejected_at / 1000).toLocaleString();
    }
    attr(bar, "width", String((part ?? 0) * 100));
    set(share, (part === undefined ? "–" : percent(part)) + " of keys");
    set(cells.requests, number(last(series.requests)));
    set(cells.p99, duration(last(series.p99)));
    set(cells.errors, number(counters.server_err + counters.server_timedout));
    set(cells.flight, number(counters.in_queue + counters.out_queue));
    set(cells.connections, number(counters.server_connections));
    line.update(series.requests ?? []);
  }
  return { node, update };
}

/** What is known of a node of a cluster. */
function told(node) {
  if (node === undefined) return "";
  return node.role + ", " + count(node.slots, "slot") + ", epoch " + node.epoch;
}

/** What is followed: a cluster's coverage, redirections, what waits, replicas and failovers. */
function topologyView(name) {
  const badge = el("span", { class: "badge" });
  const missing = el("span");
  const facts = ["Last look", "Redirected", "Waiting", "Replicas", "Failovers"].map((label) => {
    const value = el("dd");
    return { label, value, node: el("div", {}, el("dt", {}, label), value) };
  });
  const fact = (label) => facts.find((one) => one.label === label).value;
  const links = ["info", "nodes", "slots", "shards"].map((what) =>
    el("a", { href: "cluster?" + new URLSearchParams({ pool: name, what }) }, "CLUSTER " +
      what.toUpperCase())
  );
  const node = el("div", { class: "topology" },
    el("p", {}, badge, missing, ...links.flatMap((link) => [link, " "])),
    el("dl", {}, ...facts.map((one) => one.node)));
  function update({ topology, counters }) {
    const { slots, ownerless, unreachable, look, nodes, failovers, epoch } = topology;
    const covered = slots - ownerless - unreachable;
    set(badge, covered === slots
      ? "all " + number(slots) + " slots served"
      : number(covered) + " of " + number(slots) + " slots served");
    set(missing, covered === slots ? "" : number(ownerless) + " have no owner, of " +
      number(unreachable) + " it is down");
    badge.className = "badge " + (covered === slots ? "good" : "bad");
    const ago = Math.max(0, (status.time - look.at) / 1000);
    set(fact("Last look"), (look.at === 0 ? "in vain so far" :
      age(ago) + " ago at " + look.from + " (" + look.why + "), epoch " + epoch) +
      (look.error === "" ? "" : "; then in vain at " + look.error) + "; " +
      number(counters.refreshes) + " in all, " + number(counters.refresh_failures) + " in vain");
    set(fact("Redirected"), number(counters.moved) + " moved, " + number(counters.ask) + " ask, " +
      number(counters.tryagain) + " tryagain, " + number(counters.unfit) + " unfit");
    set(fact("Waiting"), number(counters.parked_now) + " now, " + number(counters.parked) +
      " in all, " + number(counters.parked_in_vain) + " in vain");
    const replicas = nodes.filter(({ role }) => role === "replica");
    set(fact("Replicas"), replicas.length === 0 ? "none" : replicas.map((one) =>
      one.name + (one.of === "" ? "" : " of " + one.of) + (one.failed ? " (down)" : "")).join(", "));
    set(fact("Failovers"), failovers.length === 0 ? "none seen" : failovers.slice(0, 4).map((one) =>
      new Date(one.at).toLocaleTimeString() + " " + one.from + " → " + one.to + ", " + one.what +
      (one.ms > 0 ? ", " + duration(one.ms / 1000) : "")).join("; "));
  }
  return { node, update };
}

/** What Sentinels tell: who they are, the shards' primaries and replicas, failovers. */
function sentinelView() {
  const badge = el("span", { class: "badge" });
  const facts = ["Sentinels", "Shards", "Waiting", "Failovers"].map((label) => {
    const value = el("dd");
    return { label, value, node: el("div", {}, el("dt", {}, label), value) };
  });
  const fact = (label) => facts.find((one) => one.label === label).value;
  const node = el("div", { class: "topology" },
    el("p", {}, badge), el("dl", {}, ...facts.map((one) => one.node)));
  function update({ sentinel, counters }) {
    const { sentinels, shards, failovers } = sentinel;
    const served = shards.filter(({ state }) => state === "served").length;
    set(badge, served === shards.length ? "all shards have a primary"
      : number(served) + " of " + number(shards.length) + " shards have a primary");
    badge.className = "badge " + (served === shards.length ? "good" : "bad");
    set(fact("Sentinels"), sentinels.map((one) =>
      one.name + (one.error !== "" ? " (" + one.error + ")"
        : one.tilt ? " (TILT)" : one.subscribed ? "" : " (not subscribed)")).join(", "));
    set(fact("Shards"), shards.map((one) =>
      one.name + " at " + one.primary + (one.state === "served" ? "" : " (" + one.state + ")") +
      ", epoch " + one.epoch + ", " + count(one.replicas.filter(({ well }) => well).length,
        "replica")).join("; "));
    set(fact("Waiting"), number(counters.parked_now) + " now, " + number(counters.parked) +
      " in all, " + number(counters.parked_in_vain) + " in vain");
    set(fact("Failovers"), failovers.length === 0 ? "none seen" : failovers.slice(0, 4).map((one) =>
      new Date(one.at).toLocaleTimeString() + " " + one.from + " → " + one.to +
      (one.ms > 0 ? ", " + duration(one.ms / 1000) : "")).join("; "));
  }
  return { node, update };
}

/** What reads from replicas is worth knowing: who is fit, or why not, and how much each is read. */
function replicasView() {
  const badge = el("span", { class: "badge" });
  const list = el("dl");
  const node = el("div", { class: "topology" }, el("p", {}, badge), list);
  function update({ replicas, counters }) {
    const fit = replicas.filter((one) => one.fit).length;
    set(badge, fit + " of " + count(replicas.length, "replica") + " fit; " +
      number(counters.replica_retries) + " reads tried again, " +
      number(counters.replica_fallbacks) + " at primaries for want of one");
    badge.className = "badge " + (fit === replicas.length ? "good" : "bad");
    list.replaceChildren(...replicas.map((one) =>
      el("div", {}, el("dt", {}, one.name + " of " + one.of), el("dd", {},
        (one.fit ? "fit" : "not fit: " + one.why) +
        (one.lag < 0 ? "" : ", at most " + duration(one.lag / 1000) + " old") +
        (one.zone === "" ? "" : ", zone " + one.zone) + ", " + number(one.reads) + " reads"))));
  }
  return { node, update };
}

/** How far a migration is; it is driven by the command, ringmux migrate. */
function migrationView() {
  const badge = el("span", { class: "badge" });
  const list = el("dl");
  const bar = el("progress", { max: "1", value: "0" });
  const node = el("div", { class: "topology" }, el("p", {}, badge, bar), list);
  function update({ migration }) {
    const { to, phase, paused, why, keys, bytes, rate, errors, aside, bigs, left, seen, of, told,
      added, slowed } = migration;
    set(badge, "keys move to " + to + ": " + phase + (paused ? " (paused)" : ""));
    badge.className = "badge " + (errors + aside > 0 ? "bad" : "good");
    bar.value = phase === "done" ? 1 : of === 0 ? 0 : seen / of;
    const facts = [
      ["Moved", number(keys) + " keys, " + number(bytes) + " bytes, " + number(rate) + " keys/s" +
        (rate > 0 && of > seen ? ", about " + duration((of - seen) / rate) + " for this server" : "")],
      ["Added latency", added + " ms" + (slowed ? ", which slows it" : "")],
      ["Still on", left.length === 0 ? "none" : left.join(", ")],
      ["Trouble", number(errors) + " errors, " + number(aside) + " set aside, " + number(bigs) +
        " big keys" + (why === "" ? "" : "; " + why)],
      ...(told.length === 0 ? [] : [["Keys", told.slice(-5).join("; ")]]),
    ];
    list.replaceChildren(...facts.map(([what, value]) =>
      el("div", {}, el("dt", {}, what), el("dd", {}, value))));
  }
  return { node, update };
}

function poolView(name) {
  const about = el("span", { class: "quiet" });
  const badge = el("span", { class: "badge" });
  const charts = [
    chart("Requests a second", [{ name: "requests", label: "requests", color: "blue", area: true }],
      number),
    chart("Latency", [
      { name: "p50", label: "p50", color: "teal" },
      { name: "p99", label: "p99", color: "amber" },
      { name: "p999", label: "p99.9", color: "red" },
    ], duration, 16e-6),
    chart("Trouble", [
      { name: "errors", label: "errors/s", color: "red", area: true },
      { name: "ejects", label: "ejections", color: "amber" },
    ], number),
  ];
  const heads = [["Server", ""], ["State", ""], ["Share", ""], ["Requests/s", "n"], ["p99", "n"],
    ["Errors", "n"], ["In flight", "n"], ["Connections", "n"], ["Requests", "spark"]];
  const body = el("tbody", { role: "rowgroup" });
  const table = el("table", { role: "table" },
    el("caption", { class: "hidden" }, "Servers of pool " + name),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      ...heads.map(([text, kind]) => el("th", { class: kind, scope: "col", role: "columnheader" },
        text)))),
    body);
  const heading = el("h2", {}, name);
  const node = el("section", { class: "pool", "aria-label": "Pool " + name },
    el("header", {}, heading, badge, about),
    el("div", { class: "charts" }, ...charts.map((one) => one.node)), table);
  const rows = new Map();
  let topology = null;
  let replicas = null;
  let migration = null;
  function update(pool, track) {
    const live = pool.servers.filter((server) => server.live).length;
    const all = pool.servers.length;
    set(badge, live === all ? "all live" : live + " of " + all + " live");
    badge.className = "badge " + (live === all ? "good" : "bad");
    const found = pool.discovery;
    set(about, pool.protocol + " on " + pool.listen + " · " +
      count(pool.counters.client_connections, "client") + " · " +
      count(pool.counters.forward_error, "error") + " · " +
      count(pool.counters.server_ejects, "ejection") +
      (found === undefined ? "" : " · " + count(found.size, "server") + " by " + found.source + ", " +
        (found.at === 0 ? "no answer yet" : "last answer " +
          age(Math.max(0, (status.time - found.at) / 1000)) + " ago") + ", " +
        count(found.changes, "change") + ", " + number(found.refused) + " refused" +
        (found.error === "" ? "" : "; " + found.error)));
    for (const one of charts) one.update(track.series);
    if (pool.sentinel !== undefined) {
      if (topology === null) {
        topology = sentinelView();
        table.before(topology.node);
      }
      topology.update(pool);
    }
    if (pool.topology !== undefined) {
      if (topology === null) {
        topology = topologyView(name);
        table.before(topology.node);
      }
      topology.update(pool);
    }
    if (pool.migration === undefined) {
      migration?.node.remove();
      migration = null;
    } else {
      if (migration === null) {
        migration = migrationView();
        table.before(migration.node);
      }
      migration.update(pool);
    }
    if (pool.replicas !== undefined) {
      if (replicas === null) {
        replicas = replicasView();
        table.before(replicas.node);
      }
      replicas.update(pool);
    }
    const known = new Map((pool.topology?.nodes ?? []).map((one) => [one.name, one]));
    const names = new Set(pool.servers.map((server) => server.name));
    for (const [known, row] of rows) {
      if (!names.has(known)) { row.node.remove(); rows.delete(known); }
    }
    for (const server of pool.servers) {
      let row = rows.get(server.name);
      if (row === undefined) {
        row = serverRow();
        rows.set(server.name, row);
        body.append(row.node);
      }
      row.update(server, track.servers.get(server.name) ?? {},
        shares.get(pool.name)?.get(server.name), known.get(server.name));
    }
  }
  return { node, update };
}

// -------------------------------------------------------------------------------- hot and big keys

/** A table that is hidden while it has no rows. columns: [heading, class, text of a row]. */
function keyTable(caption, columns) {
  const body = el("tbody", { role: "rowgroup" });
  const node = el("table", { role: "table", class: "keys", hidden: "" },
    el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      ...columns.map(([text, kind]) => el("th", { class: kind, scope: "col", role: "columnheader" },
        text)))),
    body);
  function update(rows) {
    node.hidden = rows.length === 0;
    while (body.rows.length > rows.length) body.lastChild.remove();
    rows.forEach((row, i) => {
      if (body.rows.length === i) {
        body.append(el("tr", { role: "row" }, ...columns.map(([text, kind]) =>
          el("td", { class: kind, role: "cell", "data-label": text }))));
      }
      columns.forEach(([, , show], k) => set(body.rows[i].cells[k], show(row)));
    });
  }
  return { node, update };
}

function bytes(n) {
  return n < 1000 ? Math.round(n) + " B" : n < 1e6 ? (n / 1e3).toFixed(1) + " kB"
    : (n / 1e6).toFixed(1) + " MB";
}

function keysView(name) {
  const hot = keyTable("Hot keys of pool " + name, [
    ["Key", "name", (row) => row.key],
    ["Server", "", (row) => row.server || "–"],
    ["Share", "n", (row) => percent(row.share)],
    ["Requests/s", "n", (row) => number(row.rate)],
    ["Bytes/s", "n", (row) => bytes(row.bytes)],
  ]);
  const big = keyTable("Big keys of pool " + name, [
    ["Key", "name", (row) => row.key || "not known yet"],
    ["What", "", (row) => row.way + " of " + (row.command || "?").toUpperCase()],
    ["Bytes", "n", (row) => bytes(row.bytes)],
    ["Times", "n", (row) => number(row.count)],
    ["Last", "n", (row) => new Date(row.at).toLocaleTimeString()],
  ]);
  const ways = keyTable("Routes of pool " + name, [
    ["Route", "name", (row) => row.route],
    ["Target", "", (row) => row.target],
    ["Requests", "n", (row) => number(row.requests)],
    ["Errors", "n", (row) => row.errors === undefined ? "–" : number(row.errors)],
    ["Went on", "n", (row) => row.failovers === undefined ? "–" : number(row.failovers)],
  ]);
  const near = el("p", { class: "quiet", hidden: "" });
  const node = el("div", {}, near, ways.node, hot.node, big.node);
  function update(view, { near: has, counters, routes }) {
    ways.update((routes ?? []).slice(0, 100));
    near.hidden = !has;
    if (has) {
      const all = counters.near_hits + counters.near_misses;
      set(near, "Near cache: " + percent(all === 0 ? 0 : counters.near_hits / all) + " of " +
        number(all) + " reads answered here, " + count(counters.near_keys, "key") + " in " +
        bytes(counters.near_bytes) + ", " + count(counters.near_joined, "shared question") + ", " +
        count(counters.near_invalidations, "invalidation") + ", " +
        number(counters.near_flushes) + " times forgotten; stale by " +
        duration(counters.near_staleness / 1e6) + " at most");
    }
    if (view === undefined) return;
    hot.update(view.hot);
    big.update(view.big);
  }
  return { node, update };
}

// ------------------------------------------------------------------------------------------ page

function showTiles() {
  const { pools } = status;
  const sum = (name) => [...store.pools.values()].reduce((n, { series }) => n + last(series[name]), 0);
  const servers = pools.flatMap((pool) => pool.servers);
  set($("t-requests"), number(sum("requests")));
  set($("t-errors"), number(sum("errors")));
  set($("t-clients"), number(pools.reduce((n, pool) => n + pool.counters.client_connections, 0)));
  set($("t-servers"), servers.filter(({ live }) => live).length + " / " + servers.length);
  set($("t-memory"), status.memory === undefined ? "–" : size(status.memory));
  if (status.cpu !== undefined) {
    const seconds = cpu === null ? 0 : (status.time - cpu.time) / 1000;
    if (seconds > 0) set($("t-cpu"), percent(Math.max(0, (status.cpu - cpu.cpu) / seconds)));
    if (cpu === null || seconds > 0) cpu = { time: status.time, cpu: status.cpu };
  }
}

/** Those with routes first, for they are what clients see; then as in the file. */
function inOrder(pools) {
  const rank = (pool) => pool.isFront ? 0 : 1;
  return [...pools].sort((a, b) => rank(a) - rank(b) || a.place - b.place);
}

function showPools() {
  const pools = inOrder(status.pools);
  const names = pools.map((pool) => pool.name);
  for (const [name, view] of views) {
    if (!names.includes(name)) { view.node.remove(); views.delete(name); }
  }
  for (const pool of pools) {
    let view = views.get(pool.name);
    if (view === undefined) {
      view = poolView(pool.name);
      views.set(pool.name, view);
      view.keys = keysView(pool.name);
      view.node.append(view.keys.node);
    }
    view.keys.update(hot.get(pool.name), pool);
    view.update(pool, store.pools.get(pool.name) ?? { series: {}, servers: new Map() });
  }
  const nodes = names.map((name) => views.get(name).node);
  if (nodes.some((node, i) => node !== $("pools").children[i])) $("pools").append(...nodes);
  const choice = $("pool");
  const offered = [...choice.options].map((option) => option.value);
  if (offered.join("\n") !== names.join("\n")) {
    const chosen = choice.value;
    choice.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
    if (names.includes(chosen)) choice.value = chosen;
  }
}

function show() {
  if (status === null) return;
  set($("about"), "version " + status.version + " · " + status.runtime + " · " + status.source +
    " · up " + age(status.uptime) + (status.workers > 1 ? " · " + status.workers + " workers" : ""));
  say(status.ready ? "ready" : "not ready", status.ready ? "good" : "bad");
  showTiles();
  showPools();
}

function say(text, kind) {
  set($("state"), text);
  $("state").className = "badge " + kind;
}

async function ask(path) {
  const reply = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!reply.ok) throw new Error(path + ": " + reply.status);
  return reply.json();
}

let living = "";
let hot = new Map();
let polls = 0;
async function poll() {
  const [history, now] = await Promise.all([
    ask("history?since=" + last(store.times)),
    ask("status"),
  ]);
  keep(history);
  status = now;
  // What fades with half a minute need not be asked for every second.
  if (polls++ % 3 === 0) hot = new Map((await ask("hot")).map((view) => [view.pool, view]));
  // Shares change with the servers that are live and the slots they have, and with nothing else.
  const alive = JSON.stringify(now.pools.map((pool) => [
    pool.servers.map((s) => [s.name, s.live]),
    pool.topology?.nodes.map((node) => [node.name, node.slots]),
  ]));
  if (alive !== living) {
    const rings = await ask("ring");
    shares = new Map(rings.map((ring) =>
      [ring.pool, new Map(ring.servers.map((server) => [server.name, server.share]))]
    ));
    living = alive;
  }
}

async function run() {
  if (!document.hidden) {
    try {
      await poll();
      show();
    } catch {
      say("no answer", "bad");
    }
  }
  setTimeout(run, 1000);
}

// The way of a key through the routes, in one line.
function wayText({ what, to }) {
  if (to.length === 0) return what;
  const rest = to.map(wayText);
  return what + " → " + (rest.length === 1 ? rest[0] : "[" + rest.join(" | ") + "]");
}

$("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = $("key").value;
  const pool = $("pool").value;
  const found = $("found");
  try {
    const [ring] = await ask("ring?" + new URLSearchParams({ pool, key }));
    const chance = ring.distribution === "random" && ring.servers.length > 1;
    if (chance) return found.replaceChildren("Any server: the distribution is random.");
    if (ring.ways !== undefined) {
      return found.replaceChildren(...["read", "write", "delete"].map((way) =>
        el("div", {}, el("b", {}, way + ": "), wayText(ring.ways[way]))));
    }
    if (ring.owner === null) {
      return found.replaceChildren(ring.slot === undefined
        ? "No server of this pool is live."
        : "Nobody has its slot, " + ring.slot + ".");
    }
    const server = status?.pools.find((one) => one.name === pool)?.servers
      .find((one) => one.name === ring.owner);
    const where = server === undefined || server.address === ring.owner ? "" : " at " + server.address;
    const slot = ring.slot === undefined ? "" : ", in slot " + ring.slot;
    found.replaceChildren(JSON.stringify(key) + " lives on ", el("b", {}, ring.owner), where + slot +
      ".");
  } catch {
    found.replaceChildren("No answer.");
  }
});
$("range").addEventListener("change", (event) => {
  range = Number(event.target.value);
  show();
});
run();
`;
