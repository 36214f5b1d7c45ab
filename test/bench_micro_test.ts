// Every task of every micro-benchmark runs without an error. How fast is not asked here.

import { test } from "uvu";
import * as assert from "uvu/assert";
import { newBench } from "../bench/micro/bench.ts";
import { SUITES } from "../bench/micro/suites.ts";

for (const [name, suite] of Object.entries(SUITES)) {
  test(`every task of the ${name} suite runs`, async () => {
    const bench = newBench(1);
    await suite(bench);
    assert.ok(bench.tasks.length > 0);
    await bench.run();
    for (const task of bench.tasks) assert.is(task.result.state, "completed", task.name);
  });
}

test("a naive task stands beside the task it is compared with", async () => {
  for (const suite of Object.values(SUITES)) {
    const bench = newBench(1);
    await suite(bench);
    const names = bench.tasks.map((task) => task.name);
    for (const name of names) assert.ok(names.includes(name.replace(" (naive)", "")), name);
  }
});

test.run();
