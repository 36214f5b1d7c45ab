// In a pool with a near cache: clients that read from it, and those that do not. Both go the long way
// for every command, since what they write is seen (Client.special); else they are as in SHARED.

import type { ModeClient } from "./hold.ts";
import type { Mode } from "./mode.ts";
import { SHARED } from "./shared.ts";

export const NEAR: Mode = {
  name: "near",
  isInForce(client: ModeClient): boolean {
    const { near } = client.context;
    return near !== null && near.serves(client);
  },
  take: SHARED.take,
};

/** It is in another database, or is told itself of what it has read. */
export const BESIDE: Mode = {
  name: "beside",
  isInForce: ({ context }) => context.near !== null,
  take: SHARED.take,
};
