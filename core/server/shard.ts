// What a ring names: a part of the keys, and the server that has it now. Another server may take
// its place without a key moving, for the ring hashes the name.

import type { ServerConfig } from "../config/address.ts";
import type { Server } from "./server.ts";

export class Shard {
  readonly name: string;
  weight: number;
  /** Where its keys are written. */
  primary: Server;
  /** Copies of it, which may be read from: see reading.ts. */
  replicas: readonly ServerConfig[];

  constructor(
    name: string,
    weight: number,
    primary: Server,
    replicas: readonly ServerConfig[] = [],
  ) {
    this.name = name;
    this.weight = weight;
    this.primary = primary;
    this.replicas = replicas;
  }
}
