// The owner of a socket that nobody wants.

import type { SocketHandler } from "../../../core/host.ts";

export const NOBODY: SocketHandler = {
  open() {},
  data() {},
  drain() {},
  end() {},
  close() {},
};
