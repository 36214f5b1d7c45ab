// Deno's sockets keep the contract.

import { test } from "uvu";
import { denoHost } from "../../adapters/runtimes/deno/host.ts";
import { contract } from "./contract.ts";

contract(denoHost);
test.run();
