// The keys whose values are mappings: `global` at the top of a file, and tls, server_tls, auth and
// health_check in a pool. One description for validation, the JSON Schema and the documentation.

import * as v from "valibot";
import { flag, integer, milliseconds, oneOf } from "./values.ts";

function text(description: string) {
  return v.optional(v.pipe(v.string("has to be text"), v.description(description)), "");
}

const CERT = "PEM file with the certificate, followed by its intermediate ones.";
const KEY = "PEM file with the certificate's key.";

export const TlsSchema = v.pipe(
  v.strictObject({
    cert: v.pipe(v.string("has to be text"), v.description(CERT)),
    key: v.pipe(v.string("has to be text"), v.description(KEY)),
    ca: text("PEM file with the authorities that clients' certificates are checked against."),
    require_client_cert: flag("Only clients with a certificate signed by ca are let in."),
  }),
  v.description("TLS towards clients."),
);

export const ServerTlsSchema = v.pipe(
  v.strictObject({
    ca: text(
      "PEM file with the authorities that sign the servers' certificates; else the system's.",
    ),
    cert: text("PEM file with a certificate to show to the servers."),
    key: text(KEY),
    server_name: text("Name the certificates are issued to; else each server's host."),
    insecure: flag("Certificates are not checked. Only for tests."),
  }),
  v.description("TLS towards the servers."),
);

const SECRET = {
  password: text("The password."),
  password_file: text("File whose first line is the password."),
  password_env: text("Environment variable that holds the password."),
};

export const ACCESS = ["read-write", "read-only"] as const;

export const UserSchema = v.strictObject({
  ...SECRET,
  access: v.optional(
    oneOf(ACCESS, "read-only: only commands that change nothing."),
    "read-write",
  ),
  prefixes: v.optional(
    v.pipe(
      v.array(v.string("has to be text")),
      v.description("If given, only keys (and channels) that begin with one of these."),
    ),
    [],
  ),
  scripts: flag(
    "A user with prefixes may run scripts: only the keys they declare are checked.",
  ),
});

export const AuthSchema = v.pipe(
  v.strictObject({
    ...SECRET,
    users: v.optional(
      v.pipe(v.record(v.string(), UserSchema), v.description("Users by name.")),
      {},
    ),
  }),
  v.description(
    "Who may come in: one password (of the user `default`), or users. Apart from redis_auth, " +
      "which then is given to the servers only.",
  ),
);

export const HealthSchema = v.pipe(
  v.strictObject({
    interval: v.optional(
      integer(10, 0x7fffffff, "Milliseconds between two checks of a server.", "milliseconds"),
      1000,
    ),
    timeout: v.optional(
      integer(1, 0x7fffffff, "Milliseconds a server may take to answer one.", "milliseconds"),
      500,
    ),
  }),
  v.description(
    "Checks the servers with PING or version on connections of their own; one that does not " +
      "answer leaves the ring, and comes back when it answers again.",
  ),
);

export const LOG_LEVELS = [
  ...["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"],
  ...["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "verbose"],
] as const;

export const GlobalSchema = v.pipe(
  v.strictObject({
    workers: v.optional(
      v.pipe(
        v.string("has to be text"),
        v.regex(/^(auto|[1-9][0-9]{0,3})$/, "has to be auto or a number from 1 to 9999"),
        v.description("Processes that share the work: a number, or auto: one a core."),
      ),
      "1",
    ),
    admin: text(
      "host:port of the admin address (metrics, health, the live page); off: none. " +
        "Without this key 127.0.0.1:22223, if it is free.",
    ),
    statsd: text("host:port of a StatsD server that metrics are sent to."),
    watch: flag("Reload this file when it changes."),
    reuse_port: flag(
      "Listen with SO_REUSEPORT, so that another ringmux can take over with --takeover. Needless " +
        "with several workers.",
    ),
    drain_timeout: v.optional(
      milliseconds("Milliseconds that requests in flight get to finish at the end."),
      10000,
    ),
    log_format: v.optional(oneOf(["text", "json"], "Lines of text, or of JSON."), "text"),
    log_level: v.optional(
      v.pipe(oneOf(LOG_LEVELS, "How much is logged; --verbose goes before it.")),
      "notice",
    ),
  }),
  v.description("Settings of the whole program."),
);

export type TlsConfig = v.InferOutput<typeof TlsSchema>;
export type ServerTlsConfig = v.InferOutput<typeof ServerTlsSchema>;
export type UserConfig = v.InferOutput<typeof UserSchema>;
export type AuthConfig = v.InferOutput<typeof AuthSchema>;
export type HealthConfig = v.InferOutput<typeof HealthSchema>;
export type GlobalConfig = v.InferOutput<typeof GlobalSchema>;
