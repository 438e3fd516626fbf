/** The dashboard of packaging/grafana, by the types that Grafana publishes, and by what mda serves. */
import assert from "node:assert/strict";
import { type Output, tryRun } from "../../lab/program.ts";
import { toolsDirectory } from "../../lab/tools.ts";

interface Panel {
  id: number;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
}

const text = Deno.readTextFileSync(new URL("../../../packaging/grafana/mda.json", import.meta.url));

/** In the words of JSON, enums are their values. */
const prelude = `
  import type { Dashboard, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
  import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
  import type * as heatmap from "@grafana/grafana-foundation-sdk/heatmap";
  import type * as stat from "@grafana/grafana-foundation-sdk/stat";
  import type * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";
  type Plain<T> = T extends string ? \`\${T}\` : T extends number ? T
    : T extends (infer E)[] ? Plain<E>[]
    : T extends object ? { [K in keyof T as K extends "_implementsDataqueryVariant" ? never : K]: Plain<T[K]> }
    : T;
  type Config<F> = Plain<Omit<NonNullable<Panel["fieldConfig"]>, "defaults">> & {
    defaults: Plain<Omit<NonNullable<Panel["fieldConfig"]>["defaults"], "custom">> & { custom?: Plain<F> };
  };
  type Of<Type extends string, O, F = never> = Plain<Omit<Panel, "type" | "targets" | "options" | "fieldConfig">> & {
    type: Type; options: Plain<O>; targets: Plain<Dataquery>[]; fieldConfig: Config<F>;
  };
  type Shown = Plain<RowPanel> & { type: "row" } | Of<"stat", stat.Options>
    | Of<"timeseries", timeseries.Options, timeseries.FieldConfig>
    | Of<"heatmap", heatmap.Options, heatmap.FieldConfig>;
  type Checked = Plain<Omit<Dashboard, "panels">> & { panels: Shown[] };
`;

/** Checks a dashboard's text. The types know every field at any depth. */
async function check(text: string): Promise<Output> {
  const file = Deno.makeTempFileSync({ dir: toolsDirectory, suffix: ".ts" });
  try {
    Deno.writeTextFileSync(file, `${prelude}export const dashboard: Checked = ${text};\n`);
    const command = [Deno.execPath(), "check", "--quiet", "--no-lock", file];
    return await tryRun({}, command, { cwd: toolsDirectory, env: { NO_COLOR: "1" }, timeoutMs: 60_000 });
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("the dashboard is one by Grafana's types", async () => {
  const { code, stderr } = await check(text);
  assert.equal(code, 0, stderr);
});

const mistakes: [name: string, from: string, to: string][] = [
  ["a panel's type that there is not", '"type": "heatmap"', '"type": "heat"'],
  ["an option that there is not", '"cellGap"', '"cellgap"'],
  ["a value that an option does not have", '"showValue": "never"', '"showValue": "no"'],
  ["a field's option that there is not", '"lineWidth"', '"linewidth"'],
  ["a query without its expression", '"expr"', '"expression"'],
];
for (const [name, from, to] of mistakes) {
  Deno.test(`Grafana's types refuse ${name}`, async () => {
    assert.ok(text.includes(from));
    assert.notEqual((await check(text.replace(from, to))).code, 0);
  });
}

Deno.test("no panel of the dashboard is another's, or lies on another", () => {
  const { panels }: { panels: Panel[] } = JSON.parse(text);
  assert.ok(panels.length > 20);
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
    assert.ok(x + w <= 24);
    return Array.from({ length: w * h }, (_, i) => `${x + i % w} ${y + Math.floor(i / w)}`);
  });
  assert.equal(new Set(cells).size, cells.length);
});
