// What failed with TLS, in words. OpenSSL (Node), BoringSSL (Bun) and rustls (Deno) name the same
// thing differently.

const UNKNOWN = "certificate is not signed by a known authority";
/** Deno does not tell the one from the other. */
const OR_EXPIRED = `${UNKNOWN}, or has expired`;
const ON_DENO = "Deno" in globalThis;

/** The first that fits "CODE message" says it. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/HANDSHAKE_TIMEOUT|handshake timeout/i, "the handshake was not completed in time"],
  [
    /ALTNAME_INVALID|Hostname\/IP does not match|NotValidForName/,
    "certificate is for another host",
  ],
  [/ALERT_CERTIFICATE_EXPIRED|alert: CertificateExpired/i, "our certificate has expired, it says"],
  [/CERT_HAS_EXPIRED|certificate has expired|Expired/, "certificate has expired"],
  [/CERT_NOT_YET_VALID|not yet valid/i, "certificate is not valid yet"],
  [/ALERT_CERTIFICATE_REQUIRED|alert: CertificateRequired/, "it wants a client certificate"],
  [/DID_NOT_RETURN_A_CERTIFICATE|no certificates/, "no client certificate"],
  [/ALERT_UNKNOWN_CA|alert: UnknownCA/, "it does not know the authority of our certificate"],
  [
    /ALERT_BAD_CERTIFICATE|ALERT_CERTIFICATE_UNKNOWN|alert: (Bad)?Certificate/,
    "it does not accept our certificate",
  ],
  [
    /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|UnknownIssuer|CERT_UNTRUSTED|unknown ca/i,
    UNKNOWN,
  ],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|ProtocolVersion/, "no TLS version in common"],
  [/NO_SHARED_CIPHER|HANDSHAKE_FAILURE|HandshakeFailure/, "no cipher in common"],
  [
    /HTTP_REQUEST|WRONG_VERSION_NUMBER|InvalidContentType|PACKET_LENGTH|RECORD_OVERFLOW|TOO_LONG/i,
    "it does not speak TLS",
  ],
  [/ECONNRESET|EPIPE|hang up|disconnected/, "it hung up during the handshake"],
];

export function tlsReason(error: Error & { code?: string }): string {
  const { code = "", message } = error;
  const text = `${code} ${message}`;
  const found = REASONS.find(([pattern]) => pattern.test(text));
  if (found !== undefined) return found[1] === UNKNOWN && ON_DENO ? OR_EXPIRED : found[1];
  // "80...:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../file.c:1:"
  const parts = message.trim().split(":");
  return parts[1] === "error" && parts.length > 5 ? parts[5] : message.trim();
}
