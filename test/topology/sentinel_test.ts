// What Sentinels say and what is made of it: the highest epoch counts, TILT, names, promotions.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { bytes } from "../../core/bytes.ts";
import type { SentinelView } from "../../core/protocol/sentinels.ts";
import { ABORTED, HEARING, PROMOTED, PROMOTING, SWITCHED } from "../../core/protocol/sentinels.ts";
import { SENTINELS } from "../../core/protocol/redis/sentinels.ts";
import type { Server } from "../../core/server/server.ts";
import type { AskerContext } from "../../core/topology/asker.ts";
import {
  bestOf,
  HELD,
  SEEKING,
  SentinelShard,
  SERVED,
} from "../../core/topology/sentinel_shard.ts";

const array = (...words: string[]): Uint8Array =>
  bytes(`*${words.length}\r\n` + words.map((w) => `$${w.length}\r\n${w}\r\n`).join(""));

function view(port: number, epoch: number, more: Partial<SentinelView> = {}): SentinelView {
  return { primary: { host: "h", port }, epoch, isDown: false, replicas: [], others: [], ...more };
}

/** A shard that has asked nobody: who is asked for its role is noted. */
function begin() {
  const asked: number[] = [];
  const found: number[] = [];
  const address = { host: "h", port: 1, path: "", mode: -1 };
  const server = { name: "s", address } as Server;
  const shard = new SentinelShard({ name: "p" } as AskerContext, SENTINELS, {
    found: (one, { port }) => {
      one.state = SERVED;
      found.push(port);
    },
    refused: () => {},
  }, server);
  const asker = {
    isAskingAt: () => false,
    ask: ({ port }: { port: number }) => asked.push(port),
    tick: () => {},
  };
  (shard as unknown as { asker: unknown }).asker = asker;
  const answer = (role: string): void => shard.answered(shard.candidate, [array(role, "0")]);
  return { shard, asked, found, answer };
}

test("the highest epoch counts, whoever answers first", () => {
  assert.is(bestOf([view(1, 4), view(2, 7), view(3, 5)])?.primary.port, 2);
  assert.is(bestOf([]), null);
  const { shard, asked, found, answer } = begin();
  shard.judge([view(1, 4), view(2, 7)]);
  assert.equal(asked, [2]);
  answer("slave");
  assert.is(shard.state, SEEKING, "it has to say so itself");
  shard.judge([view(2, 7)]);
  answer("master");
  assert.equal(found, [2]);
  shard.judge([view(1, 6)]);
  assert.is(shard.state, SERVED, "one that lags behind");
  shard.judge([view(3, 8), view(2, 7)]);
  assert.is(shard.state, SEEKING);
  assert.is(asked.pop(), 3);
});

test("a lower epoch counts when all say so three times", () => {
  const { shard, answer } = begin();
  shard.judge([view(2, 7)]);
  answer("master");
  for (let i = 0; i < 3; i++) {
    assert.is(shard.candidate.port, 2);
    shard.judge([view(3, 0), view(3, 0)]);
  }
  assert.is(shard.candidate.port, 3);
  assert.is(shard.epoch, 0);
});

test("no Sentinel: the last primary is asked whether it is one still", () => {
  const { shard, asked, answer } = begin();
  shard.judge([view(2, 7)]);
  answer("master");
  shard.doubt();
  shard.judge([]);
  assert.is(asked.pop(), 2);
  answer("master");
  assert.is(shard.state, SERVED);
});

test("a promotion holds back until another one is named, or it is called off", () => {
  const { shard, answer, asked } = begin();
  shard.judge([view(2, 7)]);
  answer("master");
  shard.hold(0);
  shard.judge([view(2, 7)]);
  assert.is(shard.state, HELD);
  shard.release();
  assert.is(shard.state, SEEKING);
  answer("master");
  shard.hold(0);
  shard.judge([view(3, 8), view(2, 7)]);
  assert.is(shard.state, SEEKING);
  assert.is(asked.pop(), 3);
});

test("answers: the address of the promoted one, replicas that are well, TILT", () => {
  const master = array("name", "s", "flags", "master,o_down", "config-epoch", "9");
  const replica = array("ip", "r", "port", "5", "flags", "slave", "master-link-status", "ok");
  const lost = array("ip", "l", "port", "6", "flags", "slave,s_down", "master-link-status", "ok");
  const list = (...items: Uint8Array[]): Uint8Array =>
    bytes(`*${items.length}\r\n` + items.map((item) => new TextDecoder().decode(item)).join(""));
  const other = list(array("ip", "s2", "port", "26379"));
  assert.equal(SENTINELS.readView([master, array("new", "7"), list(replica, lost), other]), {
    primary: { host: "new", port: 7 },
    epoch: 9,
    isDown: true,
    replicas: [{ host: "r", port: 5, isWell: true }, { host: "l", port: 6, isWell: false }],
    others: [{ host: "s2", port: 26379 }],
  });
  const none = bytes("-ERR No such master with that name\r\n");
  assert.is(SENTINELS.readView([none, none, none, none]), "ERR No such master with that name");
  const info = "sentinel_masters:1\r\nsentinel_tilt:1\r\n";
  assert.equal(
    SENTINELS.readSelf([bytes("$2\r\nid\r\n"), bytes(`$${info.length}\r\n${info}\r\n`)]),
    { id: "id", isTilted: true },
  );
});

test("events are told apart, with whose they are", () => {
  const read = (channel: string, text: string) =>
    SENTINELS.readEvent(array("message", channel, text));
  const events: [string, string, number, string, number | undefined][] = [
    ["+switch-master", "s h 1 h 2", SWITCHED, "s", 2],
    ["+try-failover", "master s h 1", PROMOTING, "s", undefined],
    ["+promoted-slave", "slave h:2 h 2 @ s h 1", PROMOTED, "s", 2],
    ["-failover-abort-no-good-slave", "master s h 1", ABORTED, "s", undefined],
  ];
  for (const [channel, text, what, name, port] of events) {
    const event = read(channel, text);
    assert.equal([event?.what, event?.name, event?.primary?.port], [what, name, port], channel);
  }
  assert.is(SENTINELS.readEvent(array("subscribe", "+sdown"))?.what, HEARING);
});

test.run();
