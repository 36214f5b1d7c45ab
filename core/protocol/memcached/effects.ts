// What commands do to the data, as the rows of both command tables say it, and the search for a word
// of a row.

export const NO_EFFECT = 0;
export const READ = 1;
export const WRITE = 2;
/** Shows no key and touches none: for everybody. */
export const FREE = 3;
/** Changes nothing: for users that may only read. */
export const LOOK = 4;

export type Words = Readonly<Record<string, number>>;

export const EFFECTS: Words = {
  read: READ,
  write: WRITE,
  free: FREE,
  look: LOOK,
  "-": NO_EFFECT,
};

/** The number of a word; what is not known is a fault of the table. */
export function find(words: Words, word: string, name: string): number {
  if (Object.hasOwn(words, word)) return words[word];
  const known = Object.keys(words).join(", ");
  throw new Error(`memcached command ${name}: "${word}" is not known (${known})`);
}

/** Whether it changes nothing. (gat changes when an item expires.) */
export function isLook(effect: number): boolean {
  return effect === READ || effect === FREE || effect === LOOK;
}
