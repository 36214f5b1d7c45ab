// The keys of the golden vectors, made by rule so that the vectors need not spell them out. Any
// change here calls for new vectors (make.ts). Knows nothing of hashes or rings.

const encoder = new TextEncoder();

/** Tags that are whole, empty, unclosed, closed before they open, doubled, of equal marks. */
const TAGGED = [
  "{a}b",
  "{}x",
  "{open",
  "shut}{tag}",
  "{{a}}b",
  "a{b}{c}",
  "$",
  "$$",
  "$a$b",
  "$$a$",
  "()",
  "(a)(b)",
  "x(y",
  "}{",
  "{",
  "a{}{b}",
];

/** The first `count` keys: the empty one, then eight kinds in turn. */
export function goldenKeys(count: number): Uint8Array[] {
  let state = 0x2545f491;
  const random = (n: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
  const keys: Uint8Array[] = [new Uint8Array(0)];
  while (keys.length < count) keys.push(goldenKey(keys.length, random));
  return keys;
}

function goldenKey(i: number, random: (n: number) => number): Uint8Array {
  switch (i % 8) {
    case 0:
      return encoder.encode(`key:${i}`);
    case 1:
      return encoder.encode(`user:{${random(40)}}:${random(1000)}`);
    case 2:
      return encoder.encode(`ключ-é-鍵-🗝-${random(1e6)}`);
    case 3: // any bytes, CR and LF among them
      return Uint8Array.from({ length: 1 + random(24) }, () => random(256));
    case 4:
      return encoder.encode(TAGGED[random(TAGGED.length)] + random(10));
    case 5:
      return encoder.encode(String(random(1e9)));
    case 6: // long: several blocks of MD5, every tail length
      return Uint8Array.from({ length: 40 + random(211) }, () => 33 + random(94));
    default: // every byte >= 0x80: where signed chars show
      return Uint8Array.from({ length: 1 + random(12) }, () => 128 + random(128));
  }
}
