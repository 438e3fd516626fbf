/** Prints the licences of everything inside mda, for `mda --licenses`: licenses.ts MACHINE PARTS */
import { type Component, findComponents, type Machine } from "./components.ts";

const line = "-".repeat(80);

function table(components: Component[]): string {
  const rows = components.map(({ name, version, license }) => [name, version, license]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map(([name, version, license]) =>
    `${name.padEnd(widths[0])}  ${version.padEnd(widths[1])}  ${license}\n`
  ).join("");
}

const components = await findComponents(Deno.args[0] as Machine, Deno.args[1]);
console.log(
  [
    "mda is one file with these parts; each is under its own licence:\n",
    table(components),
    ...components.map(({ name, version, license, text }) =>
      [line, `${name} ${version}: ${license}`, line, "", text.trim(), ""].join("\n")
    ),
  ].join("\n").trimEnd(),
);
