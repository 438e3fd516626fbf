import assert from "node:assert/strict";
import { execute, root } from "../plane/cli/mda.ts";
import { python } from "./python.ts";
import { redis } from "./redis.ts";
import { suites } from "./suites.ts";
import { formatTable, type Row, suitesInTable } from "./table.ts";

const names = Object.keys(suites);

Deno.test("build.sh knows the suites that there are, and where the sources of each are", async () => {
  const script = 'cd "$0"; . tests/suites/sources.sh; suite_names; suite_sources libevent-recv go-net';
  const { stdout } = await execute(["bash", "-c", script, root]);
  assert.deepEqual(stdout.trimEnd().split("\n"), [...names, "libevent"]);
});

Deno.test("build.sh names the suites when it is asked for another one", async () => {
  const { code, stdout, stderr } = await execute([`${root}build.sh`, "test-suites", "libuv", "libuv2"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.equal(stderr, `build.sh: There is no suite 'libuv2': there are ${names.join(" ")}\n`);
});

Deno.test("docs/differential.md has every suite in every mode", () => {
  assert.deepEqual(
    suitesInTable(),
    names.flatMap((name) => ["TCP", "learn", "fast"].map((mode) => [name, mode])),
  );
});

Deno.test("of redis' tests each is counted once, and an end that is none is a failure", () => {
  const output = `[\u001b[0;32mok\u001b[0m]: PING (3 ms)
[\u001b[0;31merr\u001b[0m]: PONG in tests/unit/ping.tcl
Expected 1 to be 2
[\u001b[0;32mok\u001b[0m]: PONG (1 ms)
[\u001b[0;33mskip\u001b[0m]: TLS
`;
  const expected = [["PING", "passed"], ["PONG", "failed"], ["TLS", "skipped"]];
  assert.deepEqual([...redis.results("unit/ping", output, 1)], [...expected, ["unit/ping ends", "passed"]]);
  assert.deepEqual(
    [...redis.results("unit/ping", "[ok]: PING (3 ms)\n", -1)],
    [["PING", "passed"], ["unit/ping ends", "failed"]],
  );
});

Deno.test("of Python's tests one with a part that failed has failed", () => {
  const output = "RESULT failed test.A.one\n\nRESULT passed test.A.one\n\nRESULT skipped test.A.two\n";
  assert.deepEqual(
    [...python.results("test.A", output, 0)],
    [["test.A.one", "failed"], ["test.A.two", "skipped"], ["test.A ends", "failed"]],
  );
});

Deno.test("the table is aligned, and names what fails only under mda", () => {
  const counted = { tests: 10, skipped: 1, onTcp: ["c"], onlyHere: [], once: [], messages: 0, groups: 0 };
  const row: Row = {
    suite: "libuv",
    version: "1.0",
    counted: {
      TCP: counted,
      learn: { ...counted, onlyHere: ["a"], messages: 1234, groups: 5 },
      fast: { ...counted, once: ["b"] },
    },
  };
  assert.equal(
    formatTable([row]),
    `suite  version  mode   tests  skipped  fail on TCP  only under mda  redirected  in runs
libuv  1.0      TCP       10        1            1
libuv  1.0      learn     10        1            1               1        1234        5
libuv  1.0      fast      10        1            1               0           0        0
only under mda: libuv, learn: a
once under mda, not again: libuv, fast: b`,
  );
});
