// errno names, as runtimes report them, to the strerror texts that twemproxy puts into its errors
// (nc_message.c msg_get_error). Imports nothing.

const TEXTS: Record<string, string> = {
  "": "unknown", // an orderly close in the middle of a request has errno 0
  EACCES: "Permission denied",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ECONNABORTED: "Software caused connection abort",
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTDOWN: "Host is down",
  EHOSTUNREACH: "No route to host",
  EINVAL: "Invalid argument",
  EMFILE: "Too many open files",
  ENETUNREACH: "Network is unreachable",
  ENOENT: "No such file or directory",
  EPIPE: "Broken pipe",
  ETIMEDOUT: "Connection timed out",
  // A name that does not resolve is EHOSTDOWN to twemproxy.
  EAI_AGAIN: "Host is down",
  EAI_FAIL: "Host is down",
  ENODATA: "Host is down",
  ENOTFOUND: "Host is down",
};

/** The strerror text for an errno name; the name itself when it is not known. */
export function errnoText(errno: string): string {
  return TEXTS[errno] ?? errno;
}
