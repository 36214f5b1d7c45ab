// Certificates and keys from PEM files, on the node: modules that Deno, Bun and Node share, and what
// is wrong with them. What is done with them is core/config/certificates.ts.

import * as fs from "node:fs";
import * as path from "node:path";
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { PemSource } from "../../core/config/certificates.ts";
import { plain } from "./plain.ts";

/** PEM files as the configuration file `confFile` names them. */
export function pemBeside(confFile: string): PemSource {
  const folder = path.dirname(confFile);
  return {
    async file(name) {
      try {
        return await fs.promises.readFile(path.resolve(folder, name), "utf8");
      } catch (error) {
        throw plain(error);
      }
    },
    certificateFault,
    keyFault,
    expiry: (pem, now) => {
      const { validTo } = new X509Certificate(pem);
      return Date.parse(validTo) < now ? validTo : "";
    },
  };
}

function certificateFault(pem: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  if (blocks === null) return "holds no certificate (a block -----BEGIN CERTIFICATE-----)";
  try {
    for (const block of blocks) new X509Certificate(block);
    return "";
  } catch {
    return "holds a certificate that cannot be understood";
  }
}

function keyFault(pem: string, cert: string): string {
  if (!/-----BEGIN (\w+ )?PRIVATE KEY-----/.test(pem)) {
    return "holds no private key (a block -----BEGIN PRIVATE KEY-----)";
  }
  if (/ENCRYPTED/.test(pem)) {
    return "holds a key with a passphrase; only keys without one can be used";
  }
  try {
    const fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(pem));
    return fits ? "" : "holds a key that is not the certificate's";
  } catch {
    return "holds a key that cannot be understood";
  }
}
