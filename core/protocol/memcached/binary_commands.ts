// The opcodes of the memcached binary protocol. A new opcode is a new row.
// Format: memcached's doc/protocol-binary.txt; opcodes it does not list: protocol_binary.h.

import { ALL, ANY, FORWARD, LOCAL, QUIT, REFUSE } from "../codec.ts";
import { CLASS_OTHER, CLASS_READ, CLASS_WRITE } from "../../stats/latency.ts";
import { INTENT_DELETE } from "../intents.ts";
import { EFFECTS, find, READ, type Words } from "./effects.ts";

/** First byte of every request, and of every reply. */
export const REQUEST_MAGIC = 0x80;
export const REPLY_MAGIC = 0x81;
/** Length of the header of both. */
export const HEADER = 24;

export const NO_KEY = 0;
export const ONE_KEY = 1;
export const MAYBE_KEY = 2;

/** What the quiet form of a command hides. */
export const HIDES_NOTHING = 0;
export const HIDES_MISS = 1;
export const HIDES_SUCCESS = 2;

// extras  how many bytes there may be
// body    what follows the extras: a key, a key and a value, nothing, or perhaps a key
// how     forward   to the key's server         any     any live server
//         all       every server                local   answered by ringmux
//         quit, refuse                          sasl    answered by ringmux if the pool has users,
//                                                       else refused
// effect  see commands.ts
// loud    the opcode with the same effect that is always answered, and what this one hides. That
//         one is sent in its place, so that each request has exactly one reply.
const TABLE = `
00 get        0    key        forward  read
01 set        8    key,value  forward  write
02 add        8    key,value  forward  write
03 replace    8    key,value  forward  write
04 delete     0    key        forward  write
05 increment  20   key        forward  write
06 decrement  20   key        forward  write
07 quit       0    -          quit     free
08 flush      0,4  -          all      -
09 getq       0    key        forward  read   00 miss
0a noop       0    -          local    free
0b version    0    -          any      free
0c getk       0    key        forward  read
0d getkq      0    key        forward  read   0c miss
0e append     0    key,value  forward  write
0f prepend    0    key,value  forward  write
10 stat       0    ?          all      free
11 setq       8    key,value  forward  write  01 success
12 addq       8    key,value  forward  write  02 success
13 replaceq   8    key,value  forward  write  03 success
14 deleteq    0    key        forward  write  04 success
15 incrementq 20   key        forward  write  05 success
16 decrementq 20   key        forward  write  06 success
17 quitq      0    -          quit     free
18 flushq     0,4  -          all      -      08 success
19 appendq    0    key,value  forward  write  0e success
1a prependq   0    key,value  forward  write  0f success
1b verbosity  4    -          refuse   -
1c touch      4    key        forward  write
1d gat        4    key        forward  write
1e gatq       4    key        forward  write  1d miss
20 sasl_list  0    -          sasl     -
21 sasl_auth  0    key,value  sasl     -
22 sasl_step  0    key,value  sasl     -
23 gatk       4    key        forward  write
24 gatkq      4    key        forward  write  23 miss
`;

const ACTIONS: Words = {
  forward: FORWARD,
  any: ANY,
  all: ALL,
  local: LOCAL,
  quit: QUIT,
  refuse: REFUSE,
  sasl: REFUSE,
};
const KEYS: Words = { key: ONE_KEY, "-": NO_KEY, "?": MAYBE_KEY };
const HIDDEN: Words = { miss: HIDES_MISS, success: HIDES_SUCCESS };

/** One row. */
export interface BinaryCommand {
  readonly opcode: number;
  readonly name: string;
  /** How many bytes of extras, the other number that is allowed too. */
  readonly extras: number;
  readonly otherExtras: number;
  readonly key: number;
  readonly value: boolean;
  readonly action: number;
  readonly effect: number;
  readonly sasl: boolean;
  /** The opcode that is sent; `opcode` itself if this is no quiet form. */
  readonly loud: number;
  readonly hides: number;
}

const hex = (digits: string): number => parseInt(digits, 16);

/** Indexed by opcode; undefined where there is none. */
export const BINARY_COMMANDS: (BinaryCommand | undefined)[] = new Array(256).fill(undefined);

for (const row of TABLE.trim().split("\n")) {
  const [code, name, extras, body, how, effect, loud, hides] = row.split(/ +/);
  const lengths = extras.split(",").map(Number);
  const [key, value] = body.split(",");
  BINARY_COMMANDS[hex(code)] = {
    opcode: hex(code),
    name,
    extras: lengths[0],
    otherExtras: lengths[lengths.length - 1],
    key: find(KEYS, key, name),
    value: value !== undefined,
    action: find(ACTIONS, how, name),
    effect: find(EFFECTS, effect, name),
    sasl: how === "sasl",
    loud: loud === undefined ? hex(code) : hex(loud),
    hides: hides === undefined ? HIDES_NOTHING : find(HIDDEN, hides, name),
  };
}

export const opcodeOf = (name: string): number =>
  BINARY_COMMANDS.findIndex((command) => command?.name === name);

/** Numbers of commands go beyond the opcodes: see STAT_VERBS in binary_parse.ts. */
const NUMBERS = 512;

/** The class of every opcode (stats/latency.ts), at opcode + 1; the first place is unused. */
export const BINARY_CLASSES: Uint8Array = new Uint8Array(1 + NUMBERS).fill(CLASS_OTHER);

for (const command of BINARY_COMMANDS) {
  if (command === undefined || command.action !== FORWARD) continue;
  BINARY_CLASSES[command.opcode + 1] = command.effect === READ ? CLASS_READ : CLASS_WRITE;
}

/** See `Requests.intents`. */
export const BINARY_INTENTS: Uint8Array = BINARY_CLASSES.slice();
for (const name of ["delete", "deleteq"]) BINARY_INTENTS[opcodeOf(name) + 1] = INTENT_DELETE;
