// The lanes of a pool: kinds of links, by what is said first on them (dialect, RESP version, database).

import type { PoolConfig } from "../config/schema.ts";
import type { Front, FrontOwner, LaneOfFront } from "../front.ts";
import type { Host } from "../host.ts";
import { LimitedLog } from "../limit.ts";
import type { PushListener, PushSetting } from "../link/pushes.ts";
import type { Codec, Handshake, Session } from "../protocol/codec.ts";
import { Lanes, NO_LANE } from "../server/lanes.ts";
import { shareOf } from "../server/shares.ts";
import type { Server } from "../server/server.ts";
import type { BufferPool } from "../wire/out_buffer.ts";
import type { Flushable, Turn } from "../wire/turn.ts";
import type { LaneSetting, PoolContext } from "./context.ts";

export abstract class PoolLanes {
  readonly name: string;
  readonly label: string;
  config: PoolConfig;
  readonly host: Host;
  /** Repeated lines are held back. */
  readonly log: LimitedLog;
  readonly buffers: BufferPool;
  readonly turn: Turn<Flushable, Flushable>;
  /** The one every client starts with: see `Codec.dialects`. */
  abstract codec: Codec;
  /** The lane every client starts with. */
  abstract lane: number;
  abstract bareLane: number;
  /** Null: keys go to its own servers. */
  abstract readonly front: Front | null;
  readonly fronts: Map<string, FrontOwner>;
  /** It has been a target. */
  protected wasBehind: boolean;
  /** Coarse monotonic time (ms), renewed every tick: no clock is read on the data path. */
  now: number;
  /** Kinds of links that clients use. */
  protected abstract lanes: Lanes<LaneSetting>;
  protected readonly context: PoolContext;

  constructor(config: PoolConfig, context: PoolContext) {
    const { host, log } = context;
    this.context = context;
    this.config = config;
    this.name = config.name;
    this.label = `pool "${config.name}"`;
    this.host = host;
    this.log = new LimitedLog(log, () => host.now());
    this.buffers = context.buffers;
    this.turn = context.turn;
    this.fronts = new Map();
    this.wasBehind = false;
    this.now = host.now();
  }

  /** Servers that no other pool has. */
  protected abstract get own(): readonly Server[];

  protected makeLanes(): Lanes<LaneSetting> {
    const lanes: Lanes<LaneSetting> = new Lanes((lane) => {
      if (lanes !== this.lanes) return; // of links that are retired as it is
      this.front?.laneClosed(lane);
      for (const server of this.own) server.closeLane(lane);
    }, this.context.laneNumbers);
    return lanes;
  }

  /**
   * The lane of a session: sessions of one lane share links, which are set up alike (dialect, RESP
   * version, database). NO_LANE when there are too many.
   */
  enterLane(session: Session, codec: Codec, listener?: PushListener): number {
    const { server_lanes, pinned_connections } = this.config;
    const isOwn = session.ownLinks && listener !== undefined;
    const key = codec.lane(session);
    const user = isOwn ? session.user?.name ?? "" : "";
    if (isOwn && this.ownsEnough(user, listener)) return NO_LANE;
    let fresh = false;
    const make = (): LaneSetting => {
      fresh = true;
      const handshake = codec.greeting?.handshake(session) ?? null;
      return { codec, handshake, pushes: isOwn ? { listener, handshake } : null, user };
    };
    const most = isOwn ? pinned_connections : server_lanes;
    const lane = this.lanes.enter(key, make, most, isOwn);
    if (fresh && this.front !== null) {
      const then = { ...session };
      this.front.laneMade(lane, {
        ...{ key, codec, listener: isOwn ? listener : null },
        handshake: ({ greeting }) => greeting?.handshake(then) ?? null,
      });
    }
    return lane;
  }

  /** Whether other clients of a user have all the links of their own that its share allows. */
  protected ownsEnough(user: string, listener: PushListener): boolean {
    const { auth, pinned_connections, pinned_share } = this.config;
    if (auth === undefined) return false;
    const isAnother = ({ pushes, user: one }: LaneSetting): boolean =>
      pushes !== null && one === user && pushes.listener !== listener;
    return this.lanes.count(isAnother) >= shareOf(pinned_connections, pinned_share);
  }

  /** The lane of links that say nothing but who we are. */
  protected enterBareLane(): number {
    const { codec } = this;
    if (this.config.redis_db === 0) return this.lane;
    const make = () => ({ codec, handshake: codec.greeting?.who ?? null, pushes: null, user: "" });
    const lane = this.lanes.enter("bare", make, Infinity);
    const handshake = ({ greeting }: Codec) => greeting?.who ?? null;
    this.front?.laneMade(lane, { key: "bare", codec, handshake, listener: null });
    return lane;
  }

  leaveLane(lane: number): void {
    this.lanes.leave(lane, this.now);
  }

  codecOf(lane: number): Codec {
    return this.lanes.of(lane).codec;
  }

  handshakeOf(lane: number): Handshake | null {
    return this.lanes.of(lane).handshake;
  }

  pushesOf(lane: number): PushSetting | null {
    return this.lanes.of(lane).pushes;
  }

  enterFrom(front: string, lane: number, of: LaneOfFront): void {
    const { key, codec, listener } = of;
    this.wasBehind = true;
    const handshake = of.handshake(this.codec);
    const make = () => ({
      ...{ codec, handshake, user: "" },
      pushes: listener === null ? null : { listener, handshake },
    });
    if (listener !== null) this.lanes.enterOwn(lane, `${front} ${key}`, make);
    else this.lanes.enter(key, make, Infinity);
  }

  random(n: number): number {
    return this.host.random(n);
  }
}
