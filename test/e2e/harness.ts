// What the end-to-end tests stand on: real servers, a proxy of any runtime and a client that
// speaks bytes. Runs on Node; the proxy under test is named by RINGMUX_RUNTIME (node, deno, bun,
// or nutcracker, which proves the tests themselves against the original).

export * from "./harness/bytes.ts";
export * from "./harness/ports.ts";
export * from "./harness/processes.ts";
export * from "./harness/proxy.ts";
export * from "./harness/resp.ts";
export * from "./harness/runtime.ts";
export * from "./harness/servers.ts";
export * from "./harness/wire.ts";
export * from "./harness/cluster.ts";
export * from "./harness/network.ts";
export * from "./harness/sentinels.ts";
