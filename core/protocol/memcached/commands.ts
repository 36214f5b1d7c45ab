// The memcached command table and the search for a command's row. A new command is a new row.
// Commands and their words: memcached's doc/protocol.txt; how many words each takes: proto_text.c.

import { bytes } from "../../bytes.ts";
import { CLASS_OTHER, CLASS_READ, CLASS_WRITE } from "../../stats/latency.ts";
import { ALL, ANY, APART, FORWARD, LOCAL, QUIT, REFUSE, SPLIT } from "../codec.ts";
import { INTENT_CAS, INTENT_DELETE, INTENT_GETS } from "../intents.ts";
import { ERROR, notAllowed } from "./errors.ts";
import { EFFECTS, find, READ, type Words, WRITE } from "./effects.ts";

/** How a command line is laid out. */
export const GET = 0;
export const GAT = 1;
export const STORE = 2;
export const LINE = 3;
export const META = 4;
export const META_SET = 5;
export const PLAIN = 6;
export const STATS = 7;

/** `Scan.mute`: nothing, every reply, or the replies that a meta command's q flag hides. */
export const MUTE_NONE = 0;
export const MUTE_ALL = 1;
export const MUTE_EN = 2;
export const MUTE_HD = 3;
export const MUTE_HD_VA = 4;

/** How the replies of all servers become one. */
export const JOIN_SAME = 0;
export const JOIN_SUM = 1;
export const JOIN_FIRST = 2;
export const JOIN_CONCAT = 3;
export const JOIN_KEYS = 4;

// words  how many may follow the name, a noreply counted; "-" is no limit
// shape  get       keys                        gat       exptime, keys
//        store     key flags exptime bytes (cas unique) [noreply], then a data block
//        line      key (if how is forward) and arguments, [noreply]
//        meta      key, flags                  metaset   key, bytes, flags, then a data block
//        plain     words that do not matter    stats     the row is found by the second word
// how    forward   to the key's server         split     by server when there are several keys
//        any       any live server             local     answered by ringmux
//        all       every server; replies joined: same (they are all one, unless one is an error),
//                  sum, first, concat
//        apart     as all, for lists of keys (joined: keys), which may have anything in them
//        quit, refuse
// effect read or write (also the class of the latency figures), or else what users with restrictions
//        may do with it: free (it shows no key and touches none), look (only who may see all keys), -
// quiet  the replies that the flag q hides, as memcached 1.6.18 does it: md and ma still say NF
const TABLE = `
get               1 -  get      split       read
gets              1 -  get      split       read
gat               1 -  gat      split       write
gats              1 -  gat      split       write
set               4 5  store    forward     write
add               4 5  store    forward     write
replace           4 5  store    forward     write
append            4 5  store    forward     write
prepend           4 5  store    forward     write
cas               5 6  store    forward     write
delete            1 3  line     forward     write
incr              2 3  line     forward     write
decr              2 3  line     forward     write
touch             2 3  line     forward     write
mg                1 -  meta     forward     read   EN
ms                2 -  metaset  forward     write  HD
md                1 -  meta     forward     write  HD
ma                1 -  meta     forward     write  HD,VA
me                1 -  meta     forward     read
mn                0 -  plain    local       free
version           0 -  plain    any         free
quit              0 -  plain    quit        free
flush_all         0 2  line     all:same    -
verbosity         1 2  line     all:same    -
cache_memlimit    1 2  line     all:same    -
stats             0 -  stats    all:sum     free
stats/items       0 -  stats    all:sum     free
stats/slabs       0 -  stats    all:sum     free
stats/sizes       0 -  stats    all:sum     free
stats/extstore    0 -  stats    all:sum     free
stats/settings    0 -  stats    all:first   free
stats/conns       0 -  stats    all:concat  look
stats/cachedump   0 -  stats    apart:keys  look
stats/detail      0 -  stats    apart:keys  -
stats/reset       0 -  stats    all:same    -
debug             0 -  plain    refuse      -
extstore          0 -  plain    refuse      -
lru               0 -  plain    refuse      -
lru_crawler       0 -  plain    refuse      -
refresh_certs     0 -  plain    refuse      -
shutdown          0 -  plain    refuse      -
slabs             0 -  plain    refuse      -
watch             0 -  plain    refuse      -
`;

const SHAPES: Words = {
  get: GET,
  gat: GAT,
  store: STORE,
  line: LINE,
  meta: META,
  metaset: META_SET,
  plain: PLAIN,
  stats: STATS,
};
const ACTIONS: Words = {
  forward: FORWARD,
  split: SPLIT,
  any: ANY,
  all: ALL,
  apart: APART,
  local: LOCAL,
  quit: QUIT,
  refuse: REFUSE,
};
const JOINS: Words = {
  same: JOIN_SAME,
  sum: JOIN_SUM,
  first: JOIN_FIRST,
  concat: JOIN_CONCAT,
  keys: JOIN_KEYS,
};
const QUIETS: Words = { EN: MUTE_EN, HD: MUTE_HD, "HD,VA": MUTE_HD_VA };

/** One row. `name` is what the client sends: "stats/items" has the name "items". */
export interface Command {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly min: number;
  readonly max: number;
  readonly shape: number;
  readonly action: number;
  readonly join: number;
  readonly effect: number;
  readonly quiet: number;
  readonly error: Uint8Array;
}

const rows = TABLE.trim().split("\n").map((row) => row.split(/ +/));
const paths = rows.map((row) => row[0]);

/** Indexed by `Scan.verb`. */
export const COMMANDS: readonly Command[] = rows.map(
  ([path, min, max, shape, how, effect, quiet]) => {
    const [action, join = "same"] = how.split(":");
    const name = path.slice(path.indexOf("/") + 1);
    return {
      name,
      bytes: bytes(name),
      min: Number(min),
      max: max === "-" ? 0x7fffffff : Number(max),
      shape: find(SHAPES, shape, path),
      action: find(ACTIONS, action, path),
      join: find(JOINS, join, path),
      effect: find(EFFECTS, effect, path),
      quiet: quiet === undefined ? MUTE_NONE : find(QUIETS, quiet, path),
      error: action === "refuse" ? notAllowed(name) : ERROR,
    };
  },
);

/** The class of every command (stats/latency.ts), by its number + 1; the first place is unused. */
export const CLASSES: Uint8Array = Uint8Array.of(
  CLASS_OTHER,
  ...COMMANDS.map(({ effect }) =>
    effect === READ ? CLASS_READ : effect === WRITE ? CLASS_WRITE : CLASS_OTHER
  ),
);

export const verbOf = (path: string): number => paths.indexOf(path);

/** See `Requests.intents`. Flags of meta commands may say more: see verdict.ts. */
export const INTENTS: Uint8Array = CLASSES.slice();
for (const name of ["delete", "md"]) INTENTS[verbOf(name) + 1] = INTENT_DELETE;
for (const name of ["gets", "gats"]) INTENTS[verbOf(name) + 1] = INTENT_GETS;
INTENTS[verbOf("cas") + 1] = INTENT_CAS;

// Open addressing over length and two letters; few names share a slot, and each hit is compared.
const SLOTS = 256;
const slots = new Int16Array(SLOTS).fill(-1);
const slotOf = (length: number, first: number, last: number): number =>
  (length * 61 + first * 7 + last * 31) & (SLOTS - 1);

for (let verb = 0; verb < paths.length; verb++) {
  if (paths[verb].includes("/")) continue;
  const name = COMMANDS[verb].bytes;
  let slot = slotOf(name.length, name[0], name[name.length - 1]);
  while (slots[slot] >= 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = verb;
}

/** The verb named by `buf[start, end)`; -1 if there is none. Names are lower-case. */
export function findCommand(buf: Uint8Array, start: number, end: number): number {
  let slot = slotOf(end - start, buf[start], buf[end - 1]);
  for (let verb = slots[slot]; verb >= 0; verb = slots[slot]) {
    if (isBytes(buf, start, end, COMMANDS[verb].bytes)) return verb;
    slot = (slot + 1) & (SLOTS - 1);
  }
  return -1;
}

const subcommands = paths.map((_, verb) => verb).filter((verb) => paths[verb].startsWith("stats/"));

/** The verb of `stats <buf[start, end)>`; -1 if there is none. */
export function findStats(buf: Uint8Array, start: number, end: number): number {
  for (const verb of subcommands) if (isBytes(buf, start, end, COMMANDS[verb].bytes)) return verb;
  return -1;
}

/** Whether `buf[start, end)` is exactly `word`. */
export function isBytes(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (buf[start + i] !== word[i]) return false;
  return true;
}
