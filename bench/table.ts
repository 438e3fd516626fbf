import type { Bystanders } from "./bystanders.ts";
import type { Comparison, Limit, Result, Verdict } from "./results.ts";
import type { Interval } from "./statistics.ts";
import type { VariantName } from "./variants.ts";

const marks: Record<Verdict, string> = { met: " ", sometimes: "?", missed: "!" };

/** One table of at most 80 columns, and below it what its marks mean. */
export function formatTable(
  results: readonly Result[],
  limits: readonly Limit[],
  bystanders?: Bystanders,
): string {
  const parts = [
    formatRatios(
      results,
      ["TCP", "textbook", "mda", "mda/TCP", "mda/textbook"],
      ({ medians, comparisons }) => [
        ...(["tcp", "textbook", "mda"] as const).map((variant) => median(medians[variant])),
        ratio(comparisons, "tcp"),
        ratio(comparisons, "textbook"),
      ],
    ),
    formatAgainst(results, "before", "before"),
    formatAgainst(results, "unix", "AF_UNIX"),
    formatLimits(limits),
    bystanders ? formatBystanders(bystanders) : [],
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

function formatBystanders({ results, othersShare }: Bystanders): string[] {
  const line = (name: string, ...[without, beside, hooks, rate, cpuTime]: string[]) =>
    name.padEnd(26) + without.padStart(8) + beside.padStart(8) + hooks.padStart(6) +
    `  ${rate.padEnd(15)}${cpuTime}`;
  const groups = Map.groupBy(results, ({ bystander, unit }) => `${bystander}, ${unit}`);
  const lines = [...groups].flatMap(([heading, rows]) => [
    heading,
    ...rows.map(({ accelerated, without, with: beside, hooks, rate, cpuTime }) =>
      line(
        `  ${accelerated}`,
        number(without),
        number(beside),
        `${hooks.length}`,
        interval(rate),
        interval(cpuTime),
      )
    ),
  ]);
  return [
    "Programs outside of the cgroup, while mda",
    line("  accelerates", "no mda", "mda", "hooks", "rate", "CPU time"),
    ...lines,
    `Others used ${Math.round(100 * othersShare)} % of the CPUs. Ratios to no mda, with 95 % confidence;`,
    "CPU time of a request. At first: in the first five seconds.",
  ];
}

function interval({ median, low, high }: Interval): string {
  return `${median.toFixed(2)} ${low.toFixed(2)}-${high.toFixed(2)}`;
}

function ratio(comparisons: readonly Comparison[], against: VariantName): string {
  const found = comparisons.find((comparison) => comparison.against === against);
  if (!found) return "";
  const { median, min, max, verdict } = found;
  const text = (ratio: number) => ratio.toFixed(ratio < 9.995 ? 2 : ratio < 99.95 ? 1 : 0);
  return `${text(median)}${marks[verdict]} ${text(min)}-${text(max)}`;
}

/** Of a variant that not every row has. */
function median(value: number | undefined): string {
  return value === undefined ? "" : number(value);
}

/** Three digits. */
function number(value: number): string {
  const [scaled, unit] = value >= 1e6 ? [value / 1e6, "M"] : value >= 1e4 ? [value / 1e3, "k"] : [value, ""];
  const digits = scaled >= 100 ? 0 : scaled >= 10 ? 1 : scaled >= 1 ? 2 : 3;
  return scaled.toFixed(digits) + unit;
}
