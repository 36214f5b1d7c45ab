// `--demo migrate`: three real servers of which two are in use, and how the third comes in.

import { type Demo, freePorts, type Launcher, output, programFor } from "./launcher.ts";

const KEYS = 20_000;

export async function migrateDemo(launcher: Launcher): Promise<Demo> {
  const server = programFor("--demo migrate", "redis-server");
  const cli = programFor("--demo migrate", "redis-cli");
  const ports = await freePorts(3, []);
  await Promise.all(ports.map((port) => {
    const config = launcher.file(`server-${port}.conf`, [
      ...[`port ${port}`, "bind 127.0.0.1", 'save ""', `dir ${launcher.folder}`],
    ]);
    return launcher.start(`server ${port}`, port, server, [config]);
  }));
  const fill = `for i = 1, ${KEYS} do redis.call('SET', 'fill:' .. i, i) end`;
  // Also keys that the ring would look for elsewhere: nobody asks for those.
  for (const port of ports.slice(0, 2)) await output(cli, "-p", String(port), "EVAL", fill, "0");
  const lines = ports.map((port, i) => `    - 127.0.0.1:${port}:1 ${"abc"[i]}`);
  return { config: configOf(lines), listen: 22121, text: textOf(ports) };
}

function configOf(lines: readonly string[]): string[] {
  return [
    "# The pools of `npm start -- --demo migrate`.",
    "sessions:",
    "  listen: 127.0.0.1:22121",
    "  redis: true",
    "  migrate: {to: three, rate: 1000}",
    "  servers:",
    ...lines.slice(0, 2),
    "three: # what it is to become: nobody uses it yet",
    "  redis: true",
    "  servers:",
    ...lines,
  ];
}

function textOf(ports: readonly number[]): string {
  return `
ringmux is running before two Redis servers, on ports ${ports[0]} and ${ports[1]}; the third, on
port ${ports[2]}, is empty. Clients see one Redis:

  load           redis-cli -p 22121 -r -1 -i 0.01 incr hits

and notice nothing, while you type in another terminal:

  what is to be  npm start -- migrate plan --admin 127.0.0.1:22223
  begin          npm start -- migrate start --admin 127.0.0.1:22223
  watch          npm start -- migrate status --watch --admin 127.0.0.1:22223
  pause          npm start -- migrate pause --admin 127.0.0.1:22223
  go on          npm start -- migrate resume --admin 127.0.0.1:22223
  the end        npm start -- migrate finish --admin 127.0.0.1:22223

  what it holds  redis-cli -p ${ports[2]} dbsize

Ctrl-C stops everything and removes its files.
`;
}
