/** The verdict of the model (tests/model) is that of the data plane, for all that the model can find. */
import assert from "node:assert/strict";
import { enums } from "../../../src/generated/layouts.ts";
import { DUE, type Facts, NOT_DUE, NOT_QUIET, OVERDUE, QUIET, SILENT, verdict } from "../../model/verdict.ts";
import { repaired } from "../../model/faults.ts";

const compiler = Deno.env.get("CC") ?? "clang";
const { pass, leave } = enums;

/** The reasons for which a message passes, by the model's words. */
const reasons: Record<string, number> = {
  unpaired: pass.PASSED_UNPAIRED,
  leaving: pass.PASSED_LEAVING,
  stopping: pass.PASSED_STOPPING,
  untended: pass.PASSED_UNTENDED,
  unread: pass.PASSED_UNREAD,
  refresh: pass.PASSED_REFRESH,
  full: pass.PASSED_FULL,
};

const setOf = (...members: (number | false)[]) =>
  members.reduce<number>((set, member) => member === false ? set : set | 1 << member, 0);

/** What gather() would make of the model's facts: bpf/facts.h. */
function inTheDataPlane(facts: Facts): number[] {
  const hasCompany = !facts.alone;
  const holds = facts.paired
    ? setOf(
      facts.tcpUnread && pass.PASSED_UNREAD,
      facts.refresh !== NOT_DUE && pass.PASSED_REFRESH,
      facts.full && !hasCompany && pass.PASSED_FULL,
      !facts.redirects && pass.PASSED_STOPPING,
      !facts.helped && pass.PASSED_UNTENDED,
    )
    : setOf(pass.PASSED_UNPAIRED);
  const presses = setOf(facts.paired && facts.refresh === OVERDUE && !hasCompany && pass.PASSED_REFRESH);
  const leaves = facts.leaves ? leave.LEAVE_ON_REQUEST : leave.STAY;
  return [holds, presses, 0, leaves, +(facts.unread || hasCompany), +(facts.quiet !== NOT_QUIET)];
}

const either = [false, true];

/** What the model can find of each fact. Who is not joined decides nothing. */
const found: { [Fact in keyof Facts]: readonly Facts[Fact][] } = {
  joined: [true],
  paired: either,
  leaves: either,
  quiet: [NOT_QUIET, SILENT, QUIET],
  unread: either,
  alone: either,
  redirects: either,
  helped: either,
  tcpUnread: either,
  refresh: [NOT_DUE, DUE, OVERDUE],
  full: either,
};

/** Only a reader with something unread is full in the model. */
const everyCombination = () =>
  Object.entries(found).reduce<Partial<Facts>[]>(
    (all, [fact, values]) => all.flatMap((facts) => values.map((value) => ({ ...facts, [fact]: value }))),
    [{}],
  ).filter(({ full, unread }) => unread || !full) as Facts[];

Deno.test("the model decides as the data plane does", async () => {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-verdict-" });
  try {
    const program = `${directory}/ask`;
    const source = new URL("ask.c", import.meta.url).pathname;
    const compiled = await new Deno.Command(compiler, {
      args: ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source],
    }).output();
    assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
    const all = everyCombination();
    const child = new Deno.Command(program, { stdin: "piped", stdout: "piped" }).spawn();
    const questions = child.stdin.getWriter();
    const asked = questions.write(
      new TextEncoder().encode(all.map((facts) => inTheDataPlane(facts).join(" ")).join("\n")),
    ).then(() => questions.close());
    const answers = new TextDecoder().decode((await child.output()).stdout).trimEnd().split("\n");
    await asked;
    assert.equal(answers.length, all.length);
    all.forEach((facts, at) => {
      const { redirect, why, edgeWanted = false, notesQuiet = false } = verdict(facts, { repaired });
      const expected = redirect ? "redirect -1 0 0" : `pass ${reasons[why!]} ${+edgeWanted} ${+notesQuiet}`;
      assert.equal(expected, answers[at], JSON.stringify(facts));
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
