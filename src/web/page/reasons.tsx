/// <reference lib="dom" />
import { reasons } from "../../generated/reasons.ts";
import type { Moment } from "../moment.ts";
import { count } from "./numbers.ts";

const groups = [
  ["refused", "connections that did not enter"],
  ["left", "sockets that left"],
  ["passed", "messages by TCP"],
] as const;

/** What keeps traffic off, as mda status counts it. */
export function Reasons({ status }: { status: Moment["status"] }) {
  const rows = groups.flatMap(([group, what]) =>
    Object.entries<number>(status[group]).filter(([, value]) => value > 0)
      .sort(([, one], [, other]) => other - one)
      .map(([name, value]) => ({ group, what, name, value, ...wordsOf(group, name) }))
  );
  return (
    <section aria-labelledby="reasons">
      <h2 id="reasons">What keeps traffic off</h2>
      {status.kept_off.length > 0 && (
        <ol>
          {status.kept_off.map(({ reason, share, words, remedy }) => (
            <li key={reason}>
              {words} ({Math.round(share * 100)} %). <span class="quiet">Remedy: {remedy}</span>
            </li>
          ))}
        </ol>
      )}
      {rows.length === 0
        ? <p class="quiet">Nothing, so far.</p>
        : (
          <div class="scroll" role="region" aria-labelledby="reasons" tabIndex={0}>
            <table id="counted">
              <thead>
                <tr>
                  <th scope="col">Reason</th>
                  <th scope="col" class="number">Count</th>
                  <th scope="col">What it means</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ group, what, name, value, words }) => (
                  <tr key={`${group} ${name}`} data-reason={`${group} ${name}`}>
                    <th scope="row">{group}: {name.replaceAll("_", " ")}</th>
                    <td class="number">{count(value)}</td>
                    <td>
                      {words} <span class="quiet">({what})</span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  );
}

function wordsOf(group: keyof typeof reasons, name: string): { words: string } {
  return (reasons[group] as Record<string, { words: string }>)[name] ?? { words: name };
}

/** The rules, and how many connections each has decided. */
export function Rules({ moment: { rules, status } }: { moment: Moment }) {
  const rows = rules ?? status.decided.map((decided, place) => ({ line: place + 1, text: "", decided }));
  return (
    <section aria-labelledby="rules">
      <h2 id="rules">Rules and what they have decided</h2>
      {rows.length === 0
        ? <p class="quiet">There are none: every connection of the cgroup may be accelerated.</p>
        : (
          <div class="scroll" role="region" aria-labelledby="rules" tabIndex={0}>
            <table id="hits">
              {!rules && (
                <caption>The file has changed since mda has read it, so their text is not known.</caption>
              )}
              <thead>
                <tr>
                  <th scope="col" class="number">Line</th>
                  <th scope="col">Rule</th>
                  <th scope="col" class="number">Connections</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ line, text, decided }) => (
                  <tr key={line}>
                    <td class="number">{line}</td>
                    <th scope="row">
                      <code>{text || `rule ${line}`}</code>
                    </th>
                    <td class="number">{count(decided)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  );
}
