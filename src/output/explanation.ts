import { plural } from "../text/plural.ts";
import { visible } from "../text/visible.ts";
import type { Connection, ConnectionEnd } from "../views/connections.ts";
import type { Explained, ExplainedListener, Explanation, RefusedKind } from "../views/explanation.ts";
import type { ExplainedRule } from "../views/explained_rules.ts";
import type { Step } from "../views/step.ts";
import { formatEndpoint } from "./connections_table.ts";

/** So many kinds of connections, and of refused ones, are for people to read. */
const KINDS_MAX = 10;
/** Of the rules that do not match, when there are many and none was asked about. */
const RULES_MAX = 5;

/** What an explanation is for people. @param all shows also the rules that are like many others */
export function explanationText(
  { config, notes, connections, listeners, refused }: Explanation,
  { all }: { all: boolean },
): string {
  const more = (kinds: unknown[], what: string) =>
    kinds.length > KINDS_MAX
      ? [`${plural(kinds.length - KINDS_MAX, `more kind`)} of ${what}: -o json has all`]
      : [];
  return [
    `rules: ${visible(config)}`,
    ...notes.map((note) => `note: ${note}`),
    "",
    ...connections.slice(0, KINDS_MAX).flatMap((explained) => [...linesOf(explained, all), ""]),
    ...more(connections, "connections"),
    ...listeners.slice(0, KINDS_MAX).flatMap((listener) => [...listenerLines(listener), ""]),
    ...refused.length > 0 ? ["left to TCP at the handshake, since the start:"] : [],
    ...refused.slice(0, KINDS_MAX).flatMap(refusedLines),
    ...more(refused, "refused connections"),
  ].join("\n").trimEnd() + "\n";
}

function linesOf({ connection, alike, steps, rules, obstacle }: Explained, all: boolean): string[] {
  const others = alike > 1 ? `, and ${(alike - 1).toLocaleString("en")} alike` : "";
  return [
    ...connection ? [`${ends(connection)}: ${connection.state}${others}`] : [],
    ...stepLines(
      steps,
      (step, state) =>
        step === "rules"
          ? ruleLines(state === "ok" && !all ? rules.filter(({ decides }) => decides) : rules, all)
          : [],
    ),
    ...obstacle
      ? obstacleLines(obstacle)
      : [connection ? "nothing stands in its way" : "nothing that can be told from here stands in its way"],
  ];
}

function ends({ client, server }: Connection): string {
  return `${end(client, server)} -> ${end(server, client)}`;
}

function end(self: ConnectionEnd, peer: ConnectionEnd): string {
  const own = formatEndpoint(self.local), seen = formatEndpoint(peer.remote);
  const who = self.pid === null ? "" : `${visible(self.program ?? "?")}[${self.pid}] `;
  return `${who}${own === seen ? own : `${own}=${seen}`}`;
}

const labels: Record<Step["state"], string> = {
  "ok": "ok",
  "obstacle": "OBSTACLE",
  "open": "open",
  "not reached": "not reached",
};
const widthOf = (words: readonly string[]) => Math.max(...words.map(({ length }) => length));
const LABEL_WIDTH = widthOf(Object.values(labels));
const STEP_WIDTH = "client sends".length;

function stepLines(steps: Step[], below: (step: Step["step"], state: Step["state"]) => string[]): string[] {
  return steps.flatMap(({ step, state, words }) => [
    `  ${labels[state].padEnd(LABEL_WIDTH)}  ${step.padEnd(STEP_WIDTH)}  ${words}`.trimEnd(),
    ...below(step, state),
  ]);
}

function ruleLines(rules: ExplainedRule[], all: boolean): string[] {
  const shown = all
    ? rules
    : rules.filter(({ decides }, index) =>
      decides || rules.slice(0, index).filter((r) => !r.decides).length < RULES_MAX
    );
  const indent = " ".repeat(LABEL_WIDTH + STEP_WIDTH + 6);
  const left = rules.length - shown.length;
  return [
    ...shown.flatMap(({ rule, line, text, matches, decides, lacks }) => [
      `${indent}rule ${rule}, line ${line}: ${text}`,
      `${indent}  ${decides ? "matches, and decides" : matches ? "matches" : `does not match: ${lacks}`}`,
    ]),
    ...left > 0 ? [`${indent}${plural(left, "more rule")}, which do not decide`] : [],
  ];
}

function obstacleLines({ step, reason, words, remedy }: Step): string[] {
  return [
    `first obstacle: ${reason ?? step}: ${words}`,
    `what would remove it: ${remedy}`,
  ];
}

function listenerLines({ program, pid, local, steps }: ExplainedListener): string[] {
  const obstacle = steps.find(({ state }) => state === "obstacle");
  return [
    `${visible(program ?? "?")}[${pid}] listens on ${formatEndpoint(local)}, and has no connection now`,
    ...stepLines(steps, () => []),
    ...obstacle ? obstacleLines(obstacle) : [],
  ];
}

function refusedLines({ program, port, reason, count, words, remedy }: RefusedKind): string[] {
  return [
    `  ${count.toLocaleString("en")} to ${
      visible(program ?? "a program that is not known")
    } on port ${port}: ${reason}: ${words}`,
    `    what would remove it: ${remedy}`,
  ];
}
