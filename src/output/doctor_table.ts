import type { Report, ReportedCheck } from "../doctor/doctor.ts";
import type { Verdict } from "../checks/check.ts";
import { wrap } from "../text/lines.ts";
import { plural } from "../text/plural.ts";

const COLUMNS = 80;
const NAME_COLUMNS = 17;
const VERDICT_COLUMNS = 4;
const INDENT = NAME_COLUMNS + 2 + VERDICT_COLUMNS + 2;

/** What a terminal makes green, yellow and red of. */
const colours: Record<Verdict, number> = { OK: 32, WARN: 33, FAIL: 31 };

/** A line for each check, and its remedy below it. */
export function rowOf({ name, verdict, found, details, remedy }: ReportedCheck, coloured: boolean): string {
  const mark = verdict.padEnd(VERDICT_COLUMNS);
  const shown = coloured ? `\x1b[${colours[verdict]}m${mark}\x1b[0m` : mark;
  const [first = "", ...rest] = wrap(found, COLUMNS - INDENT);
  const lines = [`${name.padEnd(NAME_COLUMNS)}  ${shown}  ${first}`.trimEnd()];
  const listed = details.flatMap((detail) =>
    wrap(detail, COLUMNS - INDENT - 2).map((line, index) => `${index === 0 ? "- " : "  "}${line}`)
  );
  const below = [...rest, ...listed, ...remedy ? wrap(`→ ${remedy}`, COLUMNS - INDENT) : []];
  return [...lines, ...below.map((line) => " ".repeat(INDENT) + line)].map((line) => `${line}\n`).join("");
}

/** What stands below all rows. */
export function summaryOf({ checks, verdict }: Report): string {
  const count = (wanted: Verdict) => checks.filter(({ verdict }) => verdict === wanted).length;
  const meaning: Record<Verdict, string> = {
    OK: "mda works here",
    WARN: "mda works here, with what the warnings say",
    FAIL: "mda does not work here as it should",
  };
  return `\n${plural(checks.length, "check")}: ${count("OK")} OK, ${count("WARN")} WARN, ${
    count("FAIL")
  } FAIL; ${meaning[verdict]}\n`;
}
