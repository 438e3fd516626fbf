/**
 * What the suites gave, as a table: of one run for the terminal, and of each suite's last run, which build/suites/results has,
 * for docs/differential.md:
 *
 *     build/tools/node_modules/@deno/linux-x64-glibc/deno run --no-check --allow-all tests/suites/table.ts
 */
import { type Mode, modes } from "./modes.ts";
import { suites } from "./suites.ts";

const results = new URL("../../build/suites/results/", import.meta.url).pathname;
const page = new URL("../../docs/differential.md", import.meta.url).pathname;

/** The heading of the suites' part of the page: the last one. */
export const heading = "## Others' test suites\n";

/** What became of a suite's tests in one mode. */
export interface Counted {
  tests: number;
  skipped: number;
  /** That fail on TCP. */
  onTcp: string[];
  /** That fail here and not on TCP, more than once. */
  onlyHere: string[];
  /** That did so the first time, and not again. */
  once: string[];
  /** That were redirected, and in how many programs' runs. */
  messages: number;
  groups: number;
}

export interface Row {
  suite: string;
  /** Of Debian's package. */
  version: string;
  counted: Record<Mode, Counted>;
}

/** Keeps a row for the page. */
export function keep(row: Row): void {
  Deno.mkdirSync(results, { recursive: true });
  Deno.writeTextFileSync(`${results}${row.suite}.json`, JSON.stringify(row));
}

const title = [
  "suite",
  "version",
  "mode",
  "tests",
  "skipped",
  "fail on TCP",
  "only under mda",
  "redirected",
  "in runs",
];

function cells({ suite, version, counted }: Row): string[][] {
  return modes.map((mode) => {
    const { tests, skipped, onTcp, onlyHere, messages, groups } = counted[mode];
    const underMda = mode === "TCP" ? ["", "", ""] : [`${onlyHere.length}`, `${messages}`, `${groups}`];
    return [suite, version, mode, `${tests}`, `${skipped}`, `${onTcp.length}`, ...underMda];
  });
}

/** For the terminal: the table, and below it the names of the tests that fail only under mda. */
export function formatTable(rows: readonly Row[]): string {
  const lines = [title, ...rows.flatMap(cells)];
  const widths = title.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const aligned = lines.map((line) =>
    line.map((cell, i) => i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  ").trimEnd()
  );
  const named = rows.flatMap(({ suite, counted }) =>
    modes.flatMap((mode) => [
      ...counted[mode].onlyHere.map((test) => `only under mda: ${suite}, ${mode}: ${test}`),
      ...counted[mode].once.map((test) => `once under mda, not again: ${suite}, ${mode}: ${test}`),
    ])
  );
  return [...aligned, ...named].join("\n");
}

/** For the page. */
export function formatSection(rows: readonly Row[]): string {
  const row = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return [row(title), row(title.map(() => "---")), ...rows.flatMap(cells).map(row)].join("");
}

/** The suites and modes in the checked-in page. */
export function suitesInTable(): [suite: string, mode: string][] {
  const [, section] = Deno.readTextFileSync(page).split(heading);
  return section.split("\n").filter((line) => line.startsWith("| ")).slice(2)
    .map((line) => line.split(" | ")).map(([suite, , mode]) => [suite.slice(2), mode]);
}

if (import.meta.main) {
  const rows = Object.keys(suites).map((name): Row =>
    JSON.parse(Deno.readTextFileSync(`${results}${name}.json`))
  );
  const [before, section] = Deno.readTextFileSync(page).split(heading);
  const written = section.replace(/(?:^\|.*\n)+/m, formatSection(rows));
  Deno.writeTextFileSync(page, before + heading + written);
}
