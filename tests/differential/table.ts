/**
 * docs/differential.md: what the cases give, as root after ./build.sh:
 *
 *     build/tools/node_modules/@deno/linux-x64-glibc/deno run --no-check --allow-all tests/differential/table.ts
 */
import { fileURLToPath } from "node:url";
import { heading as suitesHeading } from "../suites/table.ts";
import { Bench, type Case, listCases, type Outcome } from "./cases.ts";

const path = fileURLToPath(new URL("../../docs/differential.md", import.meta.url));

const head = `# Plain TCP and mda, compared

Each case is a client and a server that use a connection in one way, once on plain TCP and once
under mda. What they see, every return value, errno, byte and event, must be the same;
[limits](limits.md) names the differences that there are. The cases are in
\`tests/differential/cases\`; \`tests/differential/table.ts\` makes the table.

The column \`redirected\` says whether messages of the connection skipped TCP: partly, where some of
them did.

| case | what | plain TCP | mda | redirected |
| --- | --- | --- | --- | --- |
`;

/** The checked-in page: the cases, and what comes behind them, which tests/suites/table.ts makes. */
function readPage(): { cases: string; suites: string } {
  const [cases, suites] = Deno.readTextFileSync(path).split(`\n${suitesHeading}`);
  return { cases, suites: suites === undefined ? "" : `\n${suitesHeading}${suites}` };
}

/** The names of the cases in the checked-in table. */
export function casesInTable(): string[] {
  const [, rows] = readPage().cases.split("| --- | --- | --- | --- | --- |\n");
  return rows.trimEnd().split("\n").map((row) => /^\| `(\w+)`/.exec(row)![1]);
}

function rowOf(test: Case, outcome: Outcome): string {
  const cells = [`\`${test.name}\``, test.what, test.onTcp, comparison(test, outcome), redirection(outcome)];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

/** Cases that differ where docs/limits.md does not say so. */
const unexplained: string[] = [];

function comparison(test: Case, { onTcp, underMda }: Outcome): string {
  const equal = (transcript: string[]) => transcript.join("\n") === onTcp.join("\n");
  if (!equal(underMda)) {
    if (test.differs) return `differs: ${test.differs}`;
    unexplained.push(test.name);
    return "differs";
  }
  if (test.learns) return `equal from the second time on: ${test.learns}`;
  return test.differs ? `equal on this kernel, differs on others: ${test.differs}` : "equal";
}

function redirection({ growth }: Outcome): string {
  if (growth.messages === 0) return "no";
  return Object.keys(growth.passed).length === 0 ? "yes" : "partly";
}

if (import.meta.main) {
  await using bench = await Bench.create();
  let rows = "";
  for (const test of listCases()) rows += rowOf(test, await bench.run(test));
  Deno.writeTextFileSync(path, head + rows + readPage().suites);
  if (unexplained.length > 0) console.error(`differ, and should not: ${unexplained.join(", ")}`);
}
