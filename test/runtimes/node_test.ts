// Node's sockets keep the contract.

import { test } from "uvu";
import { nodeHost } from "../../adapters/runtimes/node/host.ts";
import { contract } from "./contract.ts";

contract(nodeHost);
test.run();
