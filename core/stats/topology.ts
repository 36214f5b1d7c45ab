// Servers that are learned and followed (a Redis Cluster's), as they are shown: plain data.

/** The last look at who the servers are. Times are milliseconds since 1970. */
export interface Look {
  /** When somebody told; 0: nobody has yet. */
  readonly at: number;
  /** Why it was asked for, and who told. */
  readonly why: string;
  readonly from: string;
  /** Why the last question was in vain; "" when it was not. */
  readonly error: string;
}

/** Another server has taken the place of a primary. */
export interface Failover {
  readonly at: number;
  /** Names of the servers. */
  readonly from: string;
  readonly to: string;
  /** What changed hands: "5461 slots". */
  readonly what: string;
  /** From the first trouble with the old one, 0 if there was none, until the new one was known. */
  readonly ms: number;
}

export interface NodeSnapshot {
  /** host:port where it is spoken to; that of the server of the same name. */
  readonly name: string;
  /** What the others call it; "" when that is not known. */
  readonly id: string;
  readonly role: "primary" | "replica";
  /** Of a replica: its primary's name; "" for none. */
  readonly of: string;
  /** Of its configuration. */
  readonly epoch: number;
  /** How many slots it has. */
  readonly slots: number;
  readonly failed: boolean;
}

export interface TopologySnapshot {
  readonly kind: "cluster";
  /** The highest epoch. */
  readonly epoch: number;
  /** How many slots there are, and how many of them nobody has, or one that is down. */
  readonly slots: number;
  readonly ownerless: number;
  readonly unreachable: number;
  readonly nodes: readonly NodeSnapshot[];
  readonly look: Look;
  /** The last ones, the newest first. */
  readonly failovers: readonly Failover[];
}

/** A Sentinel, as it is seen. */
export interface SentinelSnapshot {
  /** host:port */
  readonly name: string;
  readonly subscribed: boolean;
  /** Its last answer; 0: none yet. */
  readonly answered: number;
  /** Why the last question was in vain; "" when it was not. */
  readonly error: string;
  readonly tilt: boolean;
  /** It stands in the configuration. */
  readonly configured: boolean;
}

/** Servers that Sentinels watch over. */
export interface WatchedSnapshot {
  readonly sentinels: readonly SentinelSnapshot[];
  readonly shards: readonly {
    readonly name: string;
    /** host:port of its primary, or of the one that is to be. */
    readonly primary: string;
    /** "held": a replica is being promoted. */
    readonly state: "served" | "seeking" | "held";
    /** Of what the Sentinels have agreed on; -1: nobody has told yet. */
    readonly epoch: number;
    /** The Sentinels agree that it is down. */
    readonly down: boolean;
    readonly trouble: string;
    readonly replicas: readonly { readonly name: string; readonly well: boolean }[];
  }[];
  readonly look: Look;
  /** The last ones, the newest first. */
  readonly failovers: readonly Failover[];
}
