/** The verdict on a message is a pure function: every combination of facts is tried on it, compiled for this host. */
import assert from "node:assert/strict";
import { oneIn } from "../../lab/random.ts";
import { reasons } from "../../../src/generated/reasons.ts";

/** build.sh says which compiler there is. */
const compiler = Deno.env.get("CC") ?? "clang";
/** A prime, so that no fact is always the same; each reason is reached none the less. */
const few = "251";

const root = new URL("../../../", import.meta.url).pathname;

/** Builds the tester in a copy of its directories, with changes of the verdict, and runs it. */
async function tryAll(changes: [before: string, after: string][] = [], ...args: string[]) {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-verdict-" });
  try {
    await Deno.mkdir(`${directory}/bpf`);
    await Deno.mkdir(`${directory}/tests/unit/verdict`, { recursive: true });
    for (const name of ["bpf/reasons.h", "bpf/verdict.h", "tests/unit/verdict/verdict.c"]) {
      await Deno.copyFile(root + name, `${directory}/${name}`);
    }
    let text = await Deno.readTextFile(`${directory}/bpf/verdict.h`);
    for (const [before, after] of changes) {
      assert.ok(text.includes(before), before);
      text = text.replace(before, after);
    }
    await Deno.writeTextFile(`${directory}/bpf/verdict.h`, text);
    const program = `${directory}/verdict`;
    const flags = ["-O2", "-Wall", "-Wextra", "-Werror"];
    const compiled = await new Deno.Command(compiler, {
      args: [...flags, "-o", program, `${directory}/tests/unit/verdict/verdict.c`],
    }).output();
    assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
    const { code, stdout } = await new Deno.Command(program, { args }).output();
    return { code, said: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const counted = (said: string, name: string) => Number(said.match(new RegExp(`^${name} (\\d+)$`, "m"))?.[1]);

Deno.test("no combination of facts breaks a promise, and each reason is reached", async () => {
  const { code, said } = await tryAll([], oneIn > 1 ? few : "1");
  assert.deepEqual([code, counted(said, "broken")], [0, 0], said);
  assert.ok(counted(said, "combinations") > (oneIn > 1 ? 1e6 : 1e9), said);
  for (const action of ["redirect", "pass", "refuse"]) assert.ok(counted(said, action) > 0, action);
  const elsewhere = { passed: ["peer_left"], left: ["half_closed", "by_rule", "on_request", "closed"] };
  for (const name of Object.keys(reasons.passed)) {
    const reached = counted(said, `reason ${name.toUpperCase()}`) > 0;
    assert.equal(reached, !elsewhere.passed.includes(name), `passed ${name}`);
  }
  for (const name of Object.keys(reasons.left)) {
    const reached = counted(said, `leave ${name.toUpperCase()}`) > 0;
    assert.equal(reached, !elsewhere.left.includes(name), `left ${name}`);
  }
});

/** Faults that someone could make: each of them must show. */
const faults: Record<string, [before: string, after: string][]> = {
  "an edge is forgotten": [["facts->unread && verdict.reason != PASSED_UNREAD", "false"]],
  "everything waits until it is read": [["~(PASSES_WHEN_READ & ~facts->presses)", "0"]],
  "nothing that presses does": [["(PASSES_WHEN_READ & ~facts->presses)", "PASSES_WHEN_READ"]],
  "nothing waits until it is read": [["	if (facts->unread && !facts->silenced)\n", "	if (0)\n"]],
  "who is silenced goes on": [["facts->unread && !facts->silenced", "facts->unread"]],
  "a socket leaves twice": [["facts->leaves || !facts->wishes", "!facts->wishes"]],
  "without a peer it is redirected": [[
    "	verdict.leave = facts->leaves",
    "	holds &= ~1u;\n	verdict.leave = facts->leaves",
  ]],
};

for (const [fault, changes] of Object.entries(faults)) {
  Deno.test(`it shows when ${fault}`, async () => {
    const { code, said } = await tryAll(changes, few);
    assert.equal(code, 1, said);
    assert.match(said, /^broken: .*; holds/m);
  });
}
