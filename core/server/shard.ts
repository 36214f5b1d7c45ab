// What a ring names: a part of the keys, and the server that has it now. Another server may take
// its place without a key moving, for the ring hashes the name.

import type { Server } from "./server.ts";

export class Shard {
  readonly name: string;
  weight: number;
  /** Where its keys are written. */
  primary: Server;

  constructor(name: string, weight: number, primary: Server) {
    this.name = name;
    this.weight = weight;
    this.primary = primary;
  }
}
