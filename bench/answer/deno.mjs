// A control row: answers every GET from memory, on Deno's own sockets. What one read and one write a
// batch cost without any server behind. Usage: deno run -A bench/answer/deno.mjs <listen port>

import { Answers } from "./replies.mjs";

async function serve(conn) {
  const answers = new Answers();
  const buf = new Uint8Array(1024);
  for (let n = await conn.read(buf); n !== null; n = await conn.read(buf)) {
    const reply = answers.to(buf, n).slice();
    for (let at = 0; at < reply.length;) at += await conn.write(reply.subarray(at));
  }
}

for await (const conn of Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) })) {
  conn.setNoDelay(true);
  serve(conn).catch(() => {});
}
