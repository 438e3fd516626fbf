import type { Comparison, Limit, Result, Verdict } from "./results.ts";
import type { VariantName } from "./variants.ts";

const marks: Record<Verdict, string> = { met: " ", sometimes: "?", missed: "!" };

/** One table of at most 80 columns, and below it what its marks mean. */
export function formatTable(results: readonly Result[], limits: readonly Limit[]): string {
  const lines: string[] = [];
  if (results.length > 0) lines.push(line("", "TCP", "textbook", "mda", "mda/TCP", "mda/textbook"));
  for (const [heading, rows] of grouped(results)) {
    lines.push(heading);
    for (const { name, medians, comparisons } of rows) {
      const value = (variant: VariantName) => medians[variant] === undefined ? "" : number(medians[variant]);
      lines.push(
        line(
          `  ${name}`,
          value("tcp"),
          value("textbook"),
          value("mda"),
          ratio(comparisons, "tcp"),
          ratio(comparisons, "textbook"),
        ),
      );
    }
  }
  const unix = results.filter(({ medians }) => medians.unix !== undefined);
  if (unix.length > 0) {
    lines.push("", line("", "AF_UNIX", "", "mda", "mda/AF_UNIX", ""));
    for (const [heading, rows] of grouped(unix)) {
      lines.push(heading);
      for (const { name, medians, comparisons } of rows) {
        lines.push(
          line(`  ${name}`, number(medians.unix!), "", number(medians.mda!), ratio(comparisons, "unix"), ""),
        );
      }
    }
  }
  if (limits.length > 0) lines.push("", "".padEnd(52) + "measured".padStart(10) + "limit".padStart(10));
  for (const { name, unit, measured, limit, verdict } of limits) {
    const most = limit === undefined ? "" : number(limit);
    lines.push(
      `${name}, ${unit}`.padEnd(52) + number(measured).padStart(10) + marks[verdict] + most.padStart(9),
    );
  }
  lines.push(
    "",
    "Medians of the rounds; ratios are the median of each round's, with min-max.",
    "! misses its target in every round; ? in the median, but not in every round.",
  );
  return lines.map((text) => text.trimEnd()).join("\n");
}

function line(
  name: string,
  first: string,
  second: string,
  third: string,
  tcp: string,
  textbook: string,
): string {
  return name.padEnd(20) + first.padStart(8) + second.padStart(9) + third.padStart(8) + "  " +
    tcp.padEnd(17) +
    textbook;
}

function grouped(results: readonly Result[]): Map<string, Result[]> {
  return Map.groupBy(results, ({ group, unit }) => `${group}, ${unit}`);
}

function ratio(comparisons: readonly Comparison[], against: VariantName): string {
  const found = comparisons.find((comparison) => comparison.against === against);
  if (!found) return "";
  const { median, min, max, verdict } = found;
  return `${median.toFixed(2)}${marks[verdict]}${min.toFixed(2)}-${max.toFixed(2)}`;
}

/** Three digits. */
function number(value: number): string {
  const [scaled, unit] = value >= 1e6 ? [value / 1e6, "M"] : value >= 1e4 ? [value / 1e3, "k"] : [value, ""];
  const digits = scaled >= 100 ? 0 : scaled >= 10 ? 1 : scaled >= 1 ? 2 : 3;
  return scaled.toFixed(digits) + unit;
}
