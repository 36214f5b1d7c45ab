// The nearest known name for a mistyped one. Knows nothing of configuration.

/** The name in `names` that `word` was most likely meant to be; "" when none is near enough. */
export function nearest(word: string, names: readonly string[]): string {
  const plain = fold(word);
  let best = "";
  // A third of the letters may be wrong: beyond that a guess confuses more than it helps.
  let least = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const name of names) {
    const d = distance(plain, fold(name));
    if (d < least) {
      least = d;
      best = name;
    }
  }
  return best;
}

function fold(word: string): string {
  return word.toLowerCase().replace(/[-. ]/g, "_");
}

/** Edits between two words: insert, delete, replace, swap two neighbours. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return 9;
  let older: number[] = [];
  let old: number[] = [];
  for (let j = 0; j <= b.length; j++) old.push(j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let d = Math.min(old[j] + 1, row[j - 1] + 1, old[j - 1] + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) d = Math.min(d, older[j - 2] + 1);
      row.push(d);
    }
    older = old;
    old = row;
  }
  return old[b.length];
}
