/// <reference lib="dom" />
import { shortCount } from "../../text/units.ts";
import type { Step } from "../moment.ts";
import { rateOf } from "./numbers.ts";

const WIDTH = 720, HEIGHT = 100, HOUR_MS = 3_600_000, GAP_MS = 25_000;
/** The table has a row for so many steps. */
const STEPS_A_ROW = 30;

/** Messages a second of the last hour. */
export function HistoryView({ steps }: { steps: Step[] }) {
  const most = Math.max(1, ...steps.flatMap(({ redirected, tcp }) => [redirected, tcp]));
  const last = steps.at(-1);
  const end = last?.at ?? 0;
  const summary = last
    ? `At most ${shortCount(most)} messages a second; in the last ten seconds ${
      rateOf(last.redirected)
    } past TCP and ${rateOf(last.tcp)} by TCP.`
    : "The first ten seconds are not over yet.";
  return (
    <section aria-labelledby="history">
      <h2 id="history">The last hour</h2>
      <figure class="history scroll">
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={summary}>
          <g class="fast">
            <path d={pathOf(steps, end, most, ({ redirected }) => redirected)} />
          </g>
          <g class="tcp">
            <path d={pathOf(steps, end, most, ({ tcp }) => tcp)} />
          </g>
        </svg>
        <figcaption>
          <span class="fast">— past TCP</span> <span class="tcp">- - by TCP</span> {summary}
        </figcaption>
      </figure>
      <details>
        <summary>As a table</summary>
        <HistoryTable steps={steps} />
      </details>
    </section>
  );
}

/** With a gap where mda did not run, or its counters began anew. */
function pathOf(steps: Step[], end: number, most: number, value: (step: Step) => number): string {
  return steps.map((step, place) => {
    const x = WIDTH * (1 - (end - step.at) / HOUR_MS), y = 2 + (HEIGHT - 4) * (1 - value(step) / most);
    const begins = place === 0 || step.at - steps[place - 1].at > GAP_MS;
    return `${begins ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

function HistoryTable({ steps }: { steps: Step[] }) {
  const rows = [];
  for (let from = steps.length; from > 0; from -= STEPS_A_ROW) {
    rows.push(steps.slice(Math.max(0, from - STEPS_A_ROW), from));
  }
  const mean = (part: Step[], value: (step: Step) => number) =>
    part.reduce((sum, step) => sum + value(step), 0) / part.length;
  return (
    <table>
      <caption>Means of five minutes, a second</caption>
      <thead>
        <tr>
          <th scope="col">Until</th>
          <th scope="col" class="number">Messages past TCP</th>
          <th scope="col" class="number">By TCP</th>
          <th scope="col" class="number">Entered</th>
          <th scope="col" class="number">Refused</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((part) => (
          <tr key={part.at(-1)!.at}>
            <th scope="row">{new Date(part.at(-1)!.at).toLocaleTimeString("en-GB")}</th>
            <td class="number">{rateOf(mean(part, ({ redirected }) => redirected))}</td>
            <td class="number">{rateOf(mean(part, ({ tcp }) => tcp))}</td>
            <td class="number">{rateOf(mean(part, ({ entered }) => entered))}</td>
            <td class="number">{rateOf(mean(part, ({ refused }) => refused))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
