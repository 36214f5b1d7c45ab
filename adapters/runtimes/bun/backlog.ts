// The length of the kernel's queue: Bun listens with 512, whatever it is told. A second listen(2) on
// a socket that listens already sets another one.

import process from "node:process";

/** What Bun listens with. */
const GIVEN = 512;
/** The C library, as it is called on different systems. */
const LIBRARIES = ["libc.so.6", "libc.so", "libSystem.B.dylib"];

type Listen = (fd: number, backlog: number) => number;

let listen: Listen | null | undefined;

async function load(): Promise<Listen | null> {
  const { dlopen } = await import("bun:ffi");
  for (const library of LIBRARIES) {
    try {
      const { symbols } = dlopen(library, { listen: { args: ["i32", "i32"], returns: "i32" } });
      return symbols.listen as Listen;
    } catch {
      // not this system's
    }
  }
  return null;
}

/** Gives the listening socket `fd` another backlog. */
export async function setBacklog(fd: number | undefined, backlog: number): Promise<void> {
  if (backlog === GIVEN) return;
  const first = listen === undefined;
  listen ??= await load().catch(() => null);
  const done = listen !== null && fd !== undefined && fd >= 0 && listen(fd, backlog) === 0;
  if (done || !first) return;
  process.stderr.write(
    `ringmux: backlog has no effect on this system: Bun listens with ${GIVEN}\n`,
  );
}
