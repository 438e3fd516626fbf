import type { Comparison, Limit, Result, Verdict } from "./results.ts";
import type { VariantName } from "./variants.ts";

const marks: Record<Verdict, string> = { met: " ", sometimes: "?", missed: "!" };

/** One table of at most 80 columns, and below it what its marks mean. */
export function formatTable(
  results: readonly Result[],
  limits: readonly Limit[],
): string {
  const parts = [
    formatRatios(
      results,
      ["TCP", "textbook", "mda", "mda/TCP", "mda/textbook"],
      ({ medians, comparisons }) => [
        ...(["tcp", "textbook", "mda"] as const).map((variant) => number(medians[variant]!)),
        ratio(comparisons, "tcp"),
        ratio(comparisons, "textbook"),
      ],
    ),
    formatAgainst(results, "before", "before"),
    formatAgainst(results, "unix", "AF_UNIX"),
    formatLimits(limits),
    [
      "Medians of the rounds; ratios are the median of each round's, with min-max.",
      "! misses its target in every round; ? in the median, but not in every round.",
    ],
  ];
  return parts.filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => line.trimEnd()).join("\n"))
    .join("\n\n");
}

function formatRatios(
  results: readonly Result[],
  columns: readonly string[],
  cells: (result: Result) => string[],
): string[] {
  if (results.length === 0) return [];
  const groups = Map.groupBy(results, ({ group, unit }) => `${group}, ${unit}`);
  const lines = [...groups].flatMap(([heading, rows]) => [
    heading,
    ...rows.map((row) => formatLine([`  ${row.name}`, ...cells(row)])),
  ]);
  return [formatLine(["", ...columns]), ...lines];
}

/** mda against a variant that not every run, or not every row, has. */
function formatAgainst(results: readonly Result[], variant: VariantName, heading: string): string[] {
  const rows = results.filter(({ medians }) => medians[variant] !== undefined);
  return formatRatios(rows, [heading, "", "mda", `mda/${heading}`, ""], ({ medians, comparisons }) => [
    number(medians[variant]!),
    "",
    number(medians.mda!),
    ratio(comparisons, variant),
    "",
  ]);
}

function formatLine([name, first, second, third, ratio, secondRatio]: string[]): string {
  const numbers = first.padStart(8) + second.padStart(9) + third.padStart(8);
  return `${name.padEnd(20)}${numbers}  ${ratio.padEnd(17)}${secondRatio}`;
}

function formatLimits(limits: readonly Limit[]): string[] {
  if (limits.length === 0) return [];
  const line = (name: string, measured: string, limit: string) =>
    name.padEnd(52) + measured.padStart(10) + limit.padStart(10);
  const lines = limits.map(({ name, unit, measured, limit, verdict }) => {
    const most = limit === undefined ? "" : number(limit);
    return line(`${name}, ${unit}`, number(measured) + marks[verdict], most);
  });
  return [line("", "measured ", "limit"), ...lines];
}

function ratio(comparisons: readonly Comparison[], against: VariantName): string {
  const found = comparisons.find((comparison) => comparison.against === against);
  if (!found) return "";
  const { median, min, max, verdict } = found;
  const text = (ratio: number) => ratio.toFixed(ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0);
  return `${text(median)}${marks[verdict]} ${text(min)}-${text(max)}`;
}

/** Three digits. */
function number(value: number): string {
  const [scaled, unit] = value >= 1e6 ? [value / 1e6, "M"] : value >= 1e4 ? [value / 1e3, "k"] : [value, ""];
  const digits = scaled >= 100 ? 0 : scaled >= 10 ? 1 : scaled >= 1 ? 2 : 3;
  return scaled.toFixed(digits) + unit;
}
