// A changed file is seen, also when it changed between being read and being watched.

import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fileState, watchFile } from "../../adapters/system/watch.ts";

/** The text of the file when the watcher calls. */
function nextChange(file: string, known: string, then: () => void = () => {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const done = (fn: () => void): void => {
      watcher.stop();
      clearTimeout(late);
      fn();
    };
    const watcher = watchFile(
      file,
      known,
      () => done(() => resolve(fs.readFileSync(file, "utf8"))),
    );
    // This timer also keeps the process alive: the watcher's own does not.
    const late = setTimeout(() => done(() => reject(new Error("nothing was seen"))), 20_000);
    then();
  });
}

test("a change before or after the watching begins is seen, and a new file in its place", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ringmux-watch-"));
  try {
    const file = path.join(folder, "conf.yml");
    fs.writeFileSync(file, "one");
    const before = fileState(file);
    fs.writeFileSync(file, "other");
    assert.is(await nextChange(file, before), "other");
    const known = fileState(file);
    assert.is(await nextChange(file, known, () => fs.writeFileSync(file, "third!")), "third!");
    const third = fileState(file);
    const replace = () => {
      fs.writeFileSync(`${file}.new`, "fourth");
      fs.renameSync(`${file}.new`, file);
    };
    assert.is(await nextChange(file, third, replace), "fourth");
    assert.is(fileState(path.join(folder, "none")), "");
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test.run();
