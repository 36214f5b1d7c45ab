// A memcached server that is found is warmed from those that had its keys (`migrate: auto`).
// Needs: memcached

import * as fs from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  exchange,
  freePort,
  runtime,
  several,
  startMemcached,
  startProxy,
  tempPath,
  until,
  Wire,
} from "./harness.ts";
import { Knowing } from "./pull_load.ts";

/** It does not depend on the runtime. */
const once = runtime === "node" ? test : test.skip;

once("servers come and nothing is missing, stale, or brought back", async () => {
  const servers = await several(3, () => startMemcached());
  const list = tempPath("found.yml");
  const write = (n: number): void =>
    fs.writeFileSync(
      list,
      servers.slice(0, n).map(({ port }, i) => `- 127.0.0.1:${port}:1 s${i}\n`).join(""),
    );
  write(2);
  const admin = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy({
    found: { discovery: `{file: ${list}, min: 200, migrate: auto}` },
  }, { admin });
  const port = proxy.ports.found;
  const wire = await Wire.open(port);
  for (let i = 0; i < 200; i++) {
    assert.is(await wire.send(`set ${i}:fill 0 0 1\r\nx\r\n`).line(), "STORED\r\n");
  }
  const all = Array.from({ length: 6 }, (_, i) => new Knowing(() => [port], `d${i}`, i % 3 === 2));
  for (const one of all) one.begin();
  const goOn = async (): Promise<void> => {
    const before = all.map(({ answered }) => answered);
    const isOn = ({ answered, wrong }: Knowing, i: number): boolean =>
      answered > before[i] + 60 || wrong.length > 0;
    await until("all to go on", () => all.every(isOn), 60_000);
  };
  await goOn();
  write(3);
  await until("the third one to be found", async () => {
    const [ring] = await (await fetch(`http://${admin}/ring`)).json();
    return JSON.stringify(ring).includes("s2");
  });
  await goOn();
  const keysAt = async (i: number): Promise<number> =>
    (await exchange(servers[i].port, "lru_crawler metadump hash\r\nquit\r\n"))
      .split("\n").filter((line) => line.includes("fill")).length;
  // At first they are read where they are, then brought when somebody asks for them.
  await until("keys to be brought", async () => {
    wire.send(`get ${Array.from({ length: 200 }, (_, i) => `${i}:fill`).join(" ")}\r\n`);
    const got = await wire.readUntil("END\r\n");
    assert.is(got.split("VALUE ").length - 1, 200);
    return await keysAt(2) > 20;
  });
  await goOn();
  for (const one of all) await one.stop();
  assert.equal(all.flatMap(({ wrong }) => wrong).slice(0, 5), []);
  assert.match(proxy.output(), "are brought from the one they had");
});

test.run();
