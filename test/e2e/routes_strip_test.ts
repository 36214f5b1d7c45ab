// `strip: true` over a real memcached, in the text, meta and binary protocols: another memcached gets
// the same requests without the prefix, and answers the same but for the names of keys.
// Needs: memcached

import { test } from "uvu";
import * as assert from "uvu/assert";
import { ask, BY_ONE, FLAGS, type Packet, readPackets, SOON } from "../protocol/packets.ts";
import {
  at,
  isNutcracker,
  type ProxyProcess,
  runtime,
  type ServerProcess,
  several,
  startMemcached,
  startProxy,
  Wire,
} from "./harness.ts";

// What a protocol's codec does is the same on each runtime.
const once = runtime === "node" && !isNutcracker ? test : test.skip;
const PREFIX = "p:";

let direct: ServerProcess;
let behind: ServerProcess;
let proxy: ProxyProcess;

test.before(async () => {
  if (runtime !== "node") return;
  [direct, behind] = await several(2, startMemcached);
  proxy = await startProxy({
    front: {
      routes: `{default: other, prefixes: {'${PREFIX}': {failover: [m, other], strip: true}}}`,
    },
    m: { servers: [at(behind)] },
    other: { servers: [at(behind)] },
  });
});

const b64 = (key: string) => btoa(key);

/** With % for the prefix, and &key& for a key in base64. */
const TEXT = [
  "set %a 0 0 1\r\n1\r\n",
  "set %b 5 0 200\r\n" + "b".repeat(200) + "\r\n",
  "set %l 0 0 100000\r\n" + "l".repeat(100_000) + "\r\n",
  "get %a\r\n",
  "get %nothing\r\n",
  "get %a %nothing %b %a\r\n",
  "get %l %a\r\n",
  "gets %a\r\n",
  "gat 100 %a %b\r\n",
  "gats 100 %a\r\n",
  "add %a 0 0 1\r\n1\r\n",
  "append %a 0 0 2 noreply\r\n23\r\n",
  "incr %a 7\r\n",
  "decr %nothing 7\r\n",
  "touch %a 100\r\n",
  "delete %b\r\n",
  "delete %b noreply\r\n",
  "mg %a v\r\n",
  "mg %a s k v Oxyz f\r\n",
  "mg %a k Okay\r\n",
  "mg %nothing k v\r\n",
  "mg %nothing k v q\r\n",
  "mg &a& b k v\r\n",
  "ms &\x01\xff\0z& 2 b k Ox\r\nzz\r\n",
  "mg &\x01\xff\0z& b k v\r\n",
  "ms %m 3 k c\r\nabc\r\n",
  "ms %m 3 k MA Ok\r\ndef\r\n",
  "mg %m v\r\n",
  "ma %n N0 J5 k v\r\n",
  "ma %n k v D3 q\r\n",
  "md %m k q\r\n",
  "md %m k Okk\r\n",
  "mn\r\n",
  "get %a\r\n",
];

const text = (row: string, prefix: string) =>
  row.replace(/%/g, prefix).replace(/&([^&]*)&/g, (_, key: string) => b64(prefix + key));

/** What keys are called is the client's: what the direct one calls them, with the prefix. */
function named(reply: string): string {
  return reply.replace(/^VALUE /gm, `VALUE ${PREFIX}`).replace(
    /^(VA \d+|HD|EX|NF|NS|EN)((?: [^\r ]+)*)\r$/gm,
    (_, head: string, flags: string) =>
      head + flags.replace(/ k(\S+)/g, (_, key: string) =>
        ` k${flags.endsWith(" b") || / b /.test(flags) ? b64(PREFIX + atob(key)) : PREFIX + key}`) +
      "\r",
  );
}

async function answers(port: number, requests: string[]): Promise<string> {
  const wire = await Wire.open(port);
  const end = "get the-end\r\n";
  wire.send(requests.join("") + end + "mn\r\n");
  const all = await wire.readUntil("END\r\nMN\r\n");
  wire.close();
  return all;
}

once("text and meta commands: keys lose the prefix, replies have it", async () => {
  const expected = named(await answers(direct.port, TEXT.map((row) => text(row, ""))));
  assert.is(await answers(proxy.ports.front, TEXT.map((row) => text(row, PREFIX))), expected);
  // The server itself knows nothing of it.
  assert.match(await answers(behind.port, ["get a\r\n"]), /^VALUE a 0 \d+\r\n/);
  // me: the same key is said by its name, or in base64 where it was stored so.
  const [one] = (await answers(direct.port, ["me a\r\n"])).split(" exp=");
  const [other] = (await answers(proxy.ports.front, [`me ${PREFIX}a\r\n`])).split(" exp=");
  assert.is(other, one.replace("ME ", `ME ${PREFIX}`));
});

once("a key that is nothing but the prefix is refused", async () => {
  const error = "SERVER_ERROR its key is nothing but the prefix that `strip` cuts off\r\n";
  assert.is(
    await answers(proxy.ports.front, [`get ${PREFIX}\r\n`, `set ${PREFIX} 0 0 1\r\nv\r\n`]),
    `${error}${error}END\r\nMN\r\n`,
  );
});

const binary = (prefix: string): string[] => {
  const key = prefix + "bin";
  let opaque = 0;
  const say = (opcode: number, parts: Parameters<typeof ask>[1] = {}) =>
    ask(opcode, { key, opaque: ++opaque, ...parts });
  return [
    say(0x01, { extras: FLAGS, value: "v" }),
    say(0x00),
    say(0x0c),
    say(0x09),
    say(0x0d),
    say(0x0d, { key: `${prefix}nothing` }),
    say(0x0c, { key: `${prefix}nothing` }),
    say(0x0e, { value: "w" }),
    say(0x1d, { extras: SOON }),
    say(0x23, { extras: SOON }),
    say(0x24, { extras: SOON }),
    say(0x1c, { extras: SOON }),
    say(0x05, { key: `${prefix}n`, extras: BY_ONE }),
    say(0x15, { key: `${prefix}n`, extras: BY_ONE }),
    say(0x0c, { key: `${prefix}n` }),
    say(0x14),
    say(0x04),
    say(0x0a, { key: "" }),
  ];
};

once("binary packets: getk and gatk name the key as the client does", async () => {
  const read = async (port: number, requests: string[]): Promise<Packet[]> => {
    const wire = await Wire.open(port);
    wire.send(requests.join(""));
    const packets: Packet[] = [];
    let got = "";
    while (packets.at(-1)?.opcode !== 0x0a) {
      const head = await wire.read(24);
      const size = [8, 9, 10, 11].reduce((n, i) => n * 256 + head.charCodeAt(i), 0);
      got = head + await wire.read(size);
      packets.push(...readPackets(got));
    }
    wire.close();
    return packets.map((packet) => ({ ...packet, cas: Number(packet.cas > 0) }));
  };
  const expected = (await read(direct.port, binary(""))).map((packet) =>
    packet.key === "" ? packet : { ...packet, key: PREFIX + packet.key }
  );
  assert.ok(expected.some(({ key, status }) => key !== "" && status === 0));
  assert.equal(await read(proxy.ports.front, binary(PREFIX)), expected);
});

test.run();
