// The PROXY protocol with a real HAProxy in front: both versions, the checksum, TLS; and who lies.
// Needs: redis-server redis-cli haproxy openssl

import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as tls from "node:tls";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  at,
  canConnect,
  freePort,
  ours,
  type ProxyProcess,
  Running,
  startProxy,
  startRedis,
  tempPath,
  until,
  which,
  Wire,
} from "./harness.ts";

const haproxy = which("haproxy");
/** Where there is no HAProxy (nothing but a Debian package brings it) there is nothing to try. */
const front = haproxy === ""
  ? ((name: string) => test.skip(`${name} (no haproxy here)`, () => {}))
  : ours;

let proxy: ProxyProcess;
let pem = "";
/** Ports of HAProxy, by what it sends and to whom. */
const fronts: Record<string, number> = {};

const KINDS: Record<string, [pool: string, server: string]> = {
  v1: ["plain", "send-proxy"],
  v2: ["plain", "send-proxy-v2"],
  crc: ["plain", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"],
  none: ["plain", ""],
  v1tls: ["secure", "send-proxy ssl verify none"],
  v2tls: ["secure", "send-proxy-v2 proxy-v2-options crc32c ssl verify none"],
  stranger: ["strangers", "send-proxy-v2"],
};

test.before(async () => {
  const folder = tempPath("certificate");
  fs.mkdirSync(folder);
  pem = path.join(folder, "c.pem");
  const key = path.join(folder, "c.key");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-keyout", key, "-out", pem, "-days", "2", ...subject],
  ], { stdio: "ignore" });
  const redis = await startRedis();
  const pool = { redis: true, client_connections: 20, servers: [at(redis)] };
  const from = "{from: [127.0.0.0/8], timeout: 1000}";
  proxy = await startProxy({
    plain: { ...pool, proxy_protocol: from },
    secure: { ...pool, proxy_protocol: from, tls: `{cert: ${pem}, key: ${key}}` },
    strangers: { ...pool, proxy_protocol: "{from: [10.0.0.0/8]}" },
  }, { args: ["-v", "6"] });
  if (haproxy === "") return;
  let config = "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n" +
    "  timeout client 60s\n  timeout server 60s\n  unique-id-format %{+X}o%ci%cp\n";
  for (const [kind, [to, options]] of Object.entries(KINDS)) {
    fronts[kind] = await freePort();
    config += `listen ${kind}\n  bind 127.0.0.1:${fronts[kind]}\n` +
      `  server s 127.0.0.1:${proxy.ports[to]} ${options}\n`;
  }
  const file = tempPath("haproxy.cfg");
  fs.writeFileSync(file, config);
  const running = new Running("haproxy", haproxy, ["-db", "-f", file]);
  await until(
    `haproxy to listen:\n${running.output()}`,
    () => running.gone || canConnect(fronts.none),
  );
  assert.not(running.gone, running.output());
});

function logs(what: RegExp): Promise<boolean> {
  return until(`${what} in the log:\n${proxy.output()}`, () => what.test(proxy.output()));
}

/** A client of HAProxy's, and what the proxy takes its address to be. */
async function through(kind: string): Promise<{ own: string; shown: string; wire: Wire }> {
  const wire = await Wire.open(fronts[kind]);
  const own = `127.0.0.1:${wire.socket.localPort}`;
  const info = await wire.ask("CLIENT", "INFO");
  return { own, shown: / addr=(\S+)/.exec(info)?.[1] ?? "", wire };
}

for (const kind of ["v1", "v2", "crc", "v1tls", "v2tls"]) {
  front(`HAProxy, ${KINDS[kind][1]}: the client's own address is shown`, async () => {
    const [a, b] = await Promise.all([through(kind), through(kind)]);
    assert.is(a.shown, a.own);
    assert.is(b.shown, b.own);
    assert.not.equal(a.own, b.own);
    await logs(new RegExp(`client ${a.own}: connected`));
    // Values larger than any buffer go through both ways.
    const value = "x".repeat(300_000);
    assert.is(await a.wire.ask("SET", "k", value), "+OK\r\n");
    assert.is((await b.wire.ask("GET", "k")).length, value.length + 11);
    a.wire.close();
    await logs(new RegExp(`client ${a.own}: closed`));
    b.wire.close();
  });
}

front("HAProxy without a header, or where it may not send one, is turned away", async () => {
  for (
    const [kind, why] of [["none", /there is no header/], ["stranger", /is not in proxy/]] as const
  ) {
    const wire = await Wire.open(fronts[kind]);
    wire.send("PING\r\n");
    await until("the end", () => wire.ended);
    assert.is(wire.peek().length, 0);
    await logs(why);
  }
});

ours(
  "slow, oversized, lying and silent peers are turned away; others are served meanwhile",
  async () => {
    const header = "PROXY TCP4 1.2.3.4 5.6.7.8 4097 6379\r\n";
    for (const pool of ["plain", "secure"]) {
      const port = proxy.ports[pool];
      const slow = await Wire.open(port);
      slow.send(header.slice(0, 20));
      const silent = await Wire.open(port);
      const large = await Wire.open(port);
      large.send(`PROXY ${"x".repeat(500)}`);
      await until("the end of the large one", () => large.ended);
      const huge = await Wire.open(port);
      huge.send("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff");
      await until("the end of the huge one", () => huge.ended);
      await until("the end of the silent one", () => silent.ended);
      await until("the end of the slow one", () => slow.ended);
      for (const wire of [slow, silent, large, huge]) assert.is(wire.peek().length, 0);
    }
    await logs(/its line is longer than 107 bytes/);
    await logs(/it is 65551 bytes long \(at most 16384\)/);
    await logs(/it sent no header within 1000 ms/);
    await logs(/its header was not complete within 1000 ms/);
    const wire = await Wire.open(proxy.port);
    wire.send(header.slice(0, 15));
    wire.send(header.slice(15) + "PING\r\n");
    assert.is(await wire.read(7), "+PONG\r\n");
    wire.close();
  },
);

ours("TLS after a header that comes in one piece with it, and bytes that are no TLS", async () => {
  const ca = fs.readFileSync(pem, "utf8");
  const raw = await Wire.open(proxy.ports.secure);
  const socket = raw.socket;
  socket.removeAllListeners("data");
  socket.cork();
  socket.write("PROXY TCP6 2001:db8::7 ::1 4097 443\r\n");
  const inner = tls.connect({ socket, ca, host: "127.0.0.1" });
  socket.uncork();
  await new Promise((resolve, reject) =>
    inner.once("secureConnect", resolve).once("error", reject)
  );
  const wire = new Wire(inner);
  assert.match(await wire.ask("CLIENT", "INFO"), / addr=2001:db8::7:4097 /);
  wire.close();
  const plain = await Wire.open(proxy.ports.secure);
  plain.send("PROXY TCP4 1.2.3.4 5.6.7.8 4098 443\r\nPING\r\nPING\r\n");
  await until("the end", () => plain.ended);
  await logs(/client 1\.2\.3\.4:4098 refused: TLS: it does not speak TLS/);
});

test.run();
