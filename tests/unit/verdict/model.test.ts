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

function* everyCombination(): Generator<Facts> {
  const either = [false, true];
  for (const paired of either) {
    for (const leaves of either) {
      for (const quiet of [NOT_QUIET, SILENT, QUIET]) {
        for (const unread of either) {
          for (const alone of either) {
            for (const redirects of either) {
              for (const helped of either) {
                for (const tcpUnread of either) {
                  for (const refresh of [NOT_DUE, DUE, OVERDUE]) {
                    // Only a reader with something unread is full in the model.
                    for (const full of unread ? either : [false]) {
                      yield {
                        joined: true,
                        paired,
                        leaves,
                        quiet,
                        unread,
                        alone,
                        redirects,
                        helped,
                        tcpUnread,
                        refresh,
                        full,
                      };
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

Deno.test("the model decides as the data plane does", async () => {
  const directory = await Deno.makeTempDir({ prefix: "mda-test-verdict-" });
  try {
    const program = `${directory}/ask`;
    const source = new URL("ask.c", import.meta.url).pathname;
    const compiled = await new Deno.Command(compiler, {
      args: ["-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source],
    }).output();
    assert.ok(compiled.success, new TextDecoder().decode(compiled.stderr));
    const all = [...everyCombination()];
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
