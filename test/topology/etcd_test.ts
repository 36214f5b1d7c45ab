// What is said to etcd, and what is made of tokens that are over: a fake that answers as etcd does, or
// not at all as some of its versions do. The real one is in test/e2e/discovery_test.ts.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { etcdProvider } from "../../adapters/discovery/etcd.ts";
import type { Provider } from "../../core/topology/discovery.ts";

interface Fake {
  url: string;
  /** Paths and tokens of all that was asked. */
  asked: string[];
  /** The token that counts. */
  token: string;
  /** Hangs up instead of saying that a token is over: etcd#20332. */
  isCurt: boolean;
  hasUsers: boolean;
  watches: ServerResponse[];
  /** Revisions from which on they are wanted. */
  from: string[];
  stop(): void;
}

async function fake(): Promise<Fake> {
  const server = createServer((request, response) => void serve(request, response));
  const it: Fake = {
    ...{ url: "", asked: [], token: "t1", isCurt: false, hasUsers: true, watches: [], from: [] },
    stop() {
      for (const watch of it.watches) watch.destroy();
      server.close();
    },
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = "";
    for await (const chunk of request) text += new TextDecoder().decode(chunk);
    const path = String(request.url).slice("/v3/".length);
    const token = request.headers.authorization ?? "";
    it.asked.push(`${path} ${token}`.trim());
    const say = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (path === "auth/authenticate") {
      if (!it.hasUsers) {
        return say(400, { message: "etcdserver: authentication is not enabled", code: 9 });
      }
      const { name, password } = JSON.parse(text);
      if (name === "me" && password === "secret") return say(200, { token: it.token });
      const message = "etcdserver: authentication failed, invalid user ID or password";
      return say(400, { message, code: 3 });
    }
    if (it.hasUsers && token !== it.token) {
      if (it.isCurt) return void response.destroy();
      return say(401, { message: "etcdserver: invalid auth token", code: 16 });
    }
    if (path === "watch") {
      it.watches.push(response);
      it.from.push(JSON.parse(text).create_request.start_revision);
      response.writeHead(200);
      return void response.write('{"result":{"created":true}}\n');
    }
    const kvs = [{ key: btoa("/c/a"), value: btoa("10.0.0.1:11211") }];
    say(200, { header: { revision: "7" }, kvs });
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  it.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return it;
}

const providerOf = (etcd: string[], user = "", auth = ""): Provider =>
  etcdProvider({ etcd, prefix: "/c/", user, auth });

async function why(asked: Promise<unknown>): Promise<string> {
  return await asked.then(() => "", (error) => (error as Error).message);
}

test("a token is asked for once, and again when it is over, or when nothing is said at all", async () => {
  const etcd = await fake();
  const provider = providerOf([etcd.url], "me", "secret");
  const { servers } = await provider.ask();
  assert.equal(servers.map(({ text }) => text), ["10.0.0.1:11211:1 a"]);
  await provider.ask();
  assert.equal(etcd.asked.splice(0), ["auth/authenticate", "kv/range t1", "kv/range t1"]);
  for (const isCurt of [false, true]) {
    etcd.token += "x";
    etcd.isCurt = isCurt;
    await provider.ask();
    const [first, ...rest] = etcd.asked.splice(0);
    assert.is(first, `kv/range ${etcd.token.slice(0, -1)}`);
    assert.equal(rest, ["auth/authenticate", `kv/range ${etcd.token}`]);
  }
  etcd.stop();
});

test("without a user, or where etcd wants none, there is no token", async () => {
  const etcd = await fake();
  const wrong = await why(providerOf([etcd.url], "me", "wrong").ask());
  assert.match(wrong, /HTTP 400: etcdserver: authentication failed, invalid user ID or password/);
  assert.not.match(wrong, "secret");
  assert.match(await why(providerOf([etcd.url]).ask()), "HTTP 401: etcdserver: invalid auth token");
  etcd.asked.length = 0;
  etcd.hasUsers = false;
  await providerOf([etcd.url], "me", "secret").ask();
  assert.equal(etcd.asked, ["auth/authenticate", "kv/range"]);
  etcd.stop();
});

test("the next endpoint is asked when one does not answer; all of them are told", async () => {
  const [dead, etcd] = await Promise.all([fake(), fake()]);
  dead.stop();
  const provider = providerOf([dead.url, `${etcd.url}/`], "me", "secret");
  assert.is((await provider.ask()).servers.length, 1);
  etcd.stop();
  const said = await why(provider.ask());
  for (const { url } of [dead, etcd]) assert.match(said, `${url}: ECONN`);
});

test("a change that is watched is told at once, and a watch that ends is begun again", async () => {
  const etcd = await fake();
  const provider = providerOf([etcd.url], "me", "secret");
  await provider.ask();
  let changes = 0;
  let heard = (): void => {};
  const watch = provider.watch?.(() => {
    changes++;
    heard();
  });
  const another = async (what: () => void): Promise<void> => {
    const next = new Promise<void>((resolve) => heard = resolve);
    what();
    await next;
  };
  while (etcd.watches.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await another(() => etcd.watches[0].write('{"result":{"events":[{}]}}\n'));
  assert.is(changes, 1);
  // What is cut anywhere is put together.
  await another(() => {
    etcd.watches[0].write('{"result":{"ev');
    etcd.watches[0].write('ents":[{}]}}\n');
  });
  assert.is(changes, 2);
  const begun = async (n: number): Promise<void> => {
    while (etcd.watches.length < n) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  // It ends; changes are compacted that nobody has seen; it is not allowed any more.
  await another(() => etcd.watches[0].destroy());
  await begun(2);
  await another(() => etcd.watches[1].write('{"result":{"events":[{}]}}\n'));
  const cancel = (why: string) => `{"result":{"canceled":true,${why}}}\n`;
  await another(() => etcd.watches[1].write(cancel('"compact_revision":"9"')));
  await begun(3);
  etcd.asked.length = 0;
  await another(() => etcd.watches[2].write(cancel('"cancel_reason":"permission denied"')));
  await begun(4);
  assert.equal(etcd.asked, ["auth/authenticate", "watch t1"]);
  assert.equal(etcd.from, ["8", "8", "8", "8"]);
  watch?.stop();
  etcd.stop();
});

test.run();
