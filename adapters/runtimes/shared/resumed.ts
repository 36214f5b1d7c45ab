// Whether a client that resumes a TLS session may come in: its certificate was looked at when the session
// began, perhaps by a listener that trusts others, or before a reload. Node and Bun have ticket keys for
// each set of certificates; Deno's are the process's own, so that a session of one pool is resumed by any
// other, and nobody but this looks at the certificate again.

import { X509Certificate } from "node:crypto";
import type tls from "node:tls";

/** Certificates between a client's and an authority's, at most. */
const LONGEST_CHAIN = 8;
/** Clients' certificates that are kept as good ones, at most. */
const MOST_KNOWN = 1000;

/** By the fingerprint of a client's certificate: until when (ms) it and those above it are valid. */
type Known = Map<string, number>;

/** Those who trust `pem`, a text of one authority or several. */
export class Authorities {
  private readonly certificates: readonly X509Certificate[];
  private readonly known: Known;

  constructor(pem: string) {
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
    this.certificates = blocks.map((block) => new X509Certificate(block));
    this.known = new Map();
  }

  /**
   * Whether the certificate of a client that resumes a session is one of theirs, and in its time; a client
   * without one may come in if none is `required`.
   */
  admit(client: tls.TLSSocket, required: boolean): boolean {
    const shown = client.getPeerCertificate(true);
    if (shown?.raw === undefined) return !required;
    const leaf = new X509Certificate(shown.raw);
    let until = this.known.get(leaf.fingerprint256);
    if (until === undefined) {
      until = this.validUntil(leaf, presented(shown));
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.set(leaf.fingerprint256, until);
    }
    return Date.now() <= until;
  }

  /** -1: they have not issued it. */
  private validUntil(leaf: X509Certificate, others: readonly X509Certificate[]): number {
    let until = endOf(leaf);
    let certificate = leaf;
    for (let depth = 0; depth < LONGEST_CHAIN; depth++) {
      if (Date.parse(certificate.validFrom) > Date.now()) return -1;
      const authority = this.certificates.find((one) => hasIssued(one, certificate));
      if (authority !== undefined) return Math.min(until, endOf(authority));
      const next = others.find((one) => one.ca && hasIssued(one, certificate));
      if (next === undefined) return -1;
      until = Math.min(until, endOf(next));
      certificate = next;
    }
    return -1;
  }
}

function hasIssued(authority: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

function endOf({ validTo }: X509Certificate): number {
  return Date.parse(validTo);
}

/** The certificates that a client sent with its own. */
function presented(leaf: tls.DetailedPeerCertificate): X509Certificate[] {
  const found: X509Certificate[] = [];
  let above = leaf.issuerCertificate;
  while (above?.raw !== undefined && found.length < LONGEST_CHAIN) {
    found.push(new X509Certificate(above.raw));
    if (above.issuerCertificate === above) break;
    above = above.issuerCertificate;
  }
  return found;
}
