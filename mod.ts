// ringmux as a library, and run directly (`deno run -A mod.ts conf.yml`) the Deno command.

export { type Config, type PoolConfig } from "./core/config/schema.ts";
export { ConfigError, loadConfig } from "./core/config/load.ts";
export { type PemSource, resolveCertificates } from "./core/config/certificates.ts";
export { type Resolved, resolveSecrets, type SecretSource } from "./core/config/secrets.ts";
export { type Hash, HASHES, hashKey, type HashName } from "./core/hash/mod.ts";
export type { Address, Host, Listener, Socket, SocketHandler, Timer } from "./core/host.ts";
export type { Log } from "./core/log.ts";
export { Proxy, type ProxyOptions } from "./core/proxy.ts";
export { buildRing, type Distribution, type Member, type Ring } from "./core/ring/mod.ts";
export { VERSION } from "./core/version.ts";

if (import.meta.main && "Deno" in globalThis) {
  const { run } = await import("./adapters/deno.ts");
  await run();
}
