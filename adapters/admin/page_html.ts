// The live page's frame. Names and numbers come in by page_script.ts, as text and never as HTML.

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>ringmux</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
</head>
<body>
<header>
  <div class="brand">
    <img src="icon.svg" alt="" width="34" height="34">
    <div>
      <h1>ringmux</h1>
      <p id="about" class="quiet"></p>
    </div>
  </div>
  <p id="state" class="badge" role="status">connecting</p>
</header>
<main>
  <dl class="tiles" aria-label="All pools">
    <div><dt>Requests/s</dt><dd id="t-requests">–</dd></div>
    <div><dt>Errors/s</dt><dd id="t-errors">–</dd></div>
    <div><dt>Clients</dt><dd id="t-clients">–</dd></div>
    <div><dt>Servers live</dt><dd id="t-servers">–</dd></div>
    <div><dt>CPU</dt><dd id="t-cpu">–</dd></div>
    <div><dt>Memory</dt><dd id="t-memory">–</dd></div>
  </dl>
  <div class="tools">
    <form id="find" class="card" autocomplete="off">
      <div class="field grow">
        <label for="key">Where does a key live?</label>
        <input id="key" name="key" placeholder="user:42" spellcheck="false" autocapitalize="off">
      </div>
      <div class="field">
        <label for="pool">Pool</label>
        <select id="pool" name="pool"></select>
      </div>
      <button type="submit">Look up</button>
      <output id="found" for="key pool" aria-live="polite"></output>
    </form>
    <div id="range" class="card" role="radiogroup" aria-labelledby="range-label">
      <span id="range-label" class="quiet">Graphs show</span>
      <label><input type="radio" name="range" value="60"><span>1 min</span></label>
      <label><input type="radio" name="range" value="300" checked><span>5 min</span></label>
      <label><input type="radio" name="range" value="900"><span>15 min</span></label>
    </div>
  </div>
  <div id="pools"></div>
  <noscript><p class="card">This page needs JavaScript.
    The same numbers are at <a href="stats">/stats</a> and <a href="metrics">/metrics</a>.</p>
  </noscript>
</main>
<footer class="quiet">
  <a href="metrics">metrics</a> <a href="stats">stats</a> <a href="ring">ring</a> <a href="hot">hot</a>
  <a href="readyz">readyz</a> <a href="healthz">healthz</a>
</footer>
</body>
</html>
`;

/** A ring with the points of three servers on it. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<g fill="none" stroke-width="5">
<path d="M16 4a12 12 0 0 1 11.4 8.3" stroke="#2f6fec"/>
<path d="M28 16a12 12 0 0 1-16 11.3" stroke="#0d9488"/>
<path d="M8.6 25.4A12 12 0 0 1 12.2 4.6" stroke="#d9780b"/>
</g>
<circle cx="16" cy="16" r="3.4" fill="#2f6fec"/>
</svg>
`;
