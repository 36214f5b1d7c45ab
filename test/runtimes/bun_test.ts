// Bun's sockets keep the contract.

import { test } from "uvu";
import { bunHost } from "../../adapters/runtimes/bun/host.ts";
import { contract } from "./contract.ts";

contract(bunHost);
test.run();
