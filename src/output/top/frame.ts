import { shortBytes, shortCount } from "../../text/units.ts";
import { visible } from "../../text/visible.ts";
import type { Reading } from "../../views/watch.ts";
import { sortKeys } from "../../views/words.ts";
import { helpLines, sortWords } from "./help.ts";
import { cutLine, type Line, type Style } from "./line.ts";
import { FRAME_LINES, pageOf, type Row, type State } from "./state.ts";
import { tableOf } from "./table.ts";

/** What is shown of a moment. */
export interface Moment {
  reading: Reading;
  rows: Row[];
  /** The time of day. */
  clock: string;
}

/** The screen, with as many lines as it has rows at most: none is wider than it. */
export function frameOf(state: State, moment: Moment): Line[] {
  const { columns, rows } = state.size;
  const head = headOf(state, moment);
  // A small screen shows rows rather than what is above them.
  const room = Math.max(0, rows - (FRAME_LINES - head.length) - 1);
  const lines = [...head.slice(0, room), ...bodyOf(state, moment)].slice(0, Math.max(0, rows - 1));
  while (lines.length < rows - 1) lines.push([]);
  return [...lines, footOf(state)].map((line) => cutLine(line, columns));
}

/** The same for a file or a printer: all rows, and nothing that keys are for. @param width all columns when absent */
export function pageLines(state: State, moment: Moment, width?: number): Line[] {
  const lines = [...headOf(state, moment), ...tableOf(moment.rows, { sort: state.sort, width })];
  return width === undefined ? lines : lines.map((line) => cutLine(line, width));
}

function bodyOf(state: State, { rows }: Moment): Line[] {
  const { mode, size: { columns } } = state;
  if (mode.name === "help") return helpLines;
  if (mode.name === "sort") {
    return [
      [{ text: "Sort by".padEnd(columns), style: "header" }],
      ...sortKeys.map((key, place): Line => {
        const text = `  ${key.padEnd(10)}${sortWords[key]}`;
        return [place === mode.cursor ? { text: text.padEnd(columns), style: "selected" } : { text }];
      }),
    ];
  }
  if (rows.length === 0) {
    const empty = state.all
      ? "No connection to show"
      : "No connection to show; a shows those that are not accelerated too";
    return [...tableOf([], { sort: state.sort, width: columns }), [{ text: empty, style: "muted" }]];
  }
  const page = pageOf(state);
  const cursor = Math.min(state.cursor, rows.length - 1);
  // A page at a time: the screen stays still while the cursor moves on it.
  const first = Math.floor(cursor / page) * page;
  return tableOf(rows.slice(first, first + page), {
    sort: state.sort,
    width: columns,
    selected: cursor - first,
  });
}

const number = (value: number) => value.toLocaleString("en");

function headOf(state: State, { reading, rows, clock }: Moment): Line[] {
  const { enabled, cgroup, active, max, totals } = reading;
  const shown = rows.reduce(
    (sum, row) => sum + (row.kind === "group" ? row.of.members.length : row.group === undefined ? 1 : 0),
    0,
  );
  return [
    [
      { text: "mda top  ", style: "title" },
      enabled
        ? { text: "enabled", style: "good" }
        : { text: "DISABLED: nothing is accelerated", style: "warning" },
      { text: `  ${clock}, every ${state.delay} s  ${visible(cgroup)}` },
    ],
    [
      ...label("Connections"),
      { text: `${number(active)} of at most ${number(max)} `, style: "title" },
      { text: bar(active, max) },
      { text: `  ${number(shown)} shown${state.all ? ", also not accelerated ones" : ""}` },
    ],
    [
      ...label("Redirected"),
      {
        text: totals
          ? `${shortCount(totals.messages)} messages/s  ${shortBytes(totals.bytes)} bytes/s`
          : "- messages/s",
        style: "good",
      },
    ],
    [...label("By TCP"), ...passedOf(reading)],
    [...label("View"), ...viewOf(state)],
  ];
}

const label = (text: string): Line => [{ text: text.padEnd(13), style: "muted" }];

const BAR = 20;

/** `[|||       ]` */
function bar(part: number, all: number): string {
  const filled = all === 0 ? 0 : Math.ceil(Math.min(1, part / all) * BAR);
  return `[${"|".repeat(filled).padEnd(BAR)}]`;
}

const REASONS = 3;

function passedOf({ totals }: Reading): Line {
  if (!totals) return [{ text: "-" }];
  const all = totals.messages + totals.tcp;
  const share = all === 0 ? 0 : totals.tcp / all * 100;
  const reasons = totals.reasons.slice(0, REASONS)
    .map(({ reason, messages }) => `${reason} ${(messages / totals.tcp * 100).toFixed(0)} %`);
  return [
    { text: `${share.toFixed(1)} %`, style: "warning" },
    {
      text: ` of messages, ${shortCount(totals.tcp)}/s${reasons.length > 0 ? ": " : ""}${reasons.join(", ")}`,
    },
  ];
}

function viewOf({ sort, isInverted, tree, filter, isPaused }: State): Line {
  const parts: { text: string; style?: Style }[] = [
    { text: `by ${sort}${isInverted ? ", inverted" : ""}` },
    ...tree === "off" ? [] : [{ text: `tree by ${tree}` }],
    ...filter ? [{ text: `filter "${visible(filter)}"` }] : [],
    ...isPaused ? [{ text: "PAUSED", style: "warning" as const }] : [],
  ];
  return parts.flatMap((part, index) => index === 0 ? [part] : [{ text: "; " }, part]);
}

/** The last line: what is asked for, or keys. */
function footOf({ mode, filter, tree, isPaused, size: { columns } }: State): Line {
  const prompt = (text: string, hint: string): Line => [
    { text: `${text}_`, style: "title" },
    { text: `  ${hint}`, style: "muted" },
  ];
  if (mode.name === "filter") {
    return prompt(`Filter: ${visible(filter)}`, "Enter keeps it, Esc takes it back");
  }
  if (mode.name === "delay") {
    return prompt(`Seconds between readings: ${visible(mode.text)}`, "Enter, or Esc");
  }
  if (mode.name === "help") return [{ text: "Any key goes back".padEnd(columns), style: "key" }];
  const keys = mode.name === "sort" ? { Enter: "Choose", Esc: "Back" } : {
    F1: "Help",
    F3: "Filter",
    F5: { off: "Tree", program: "ByPod", pod: "List" }[tree],
    F6: "Sort",
    Space: isPaused ? "Go on" : "Pause",
    a: "All",
    d: "Delay",
    F10: "Quit",
  };
  return Object.entries(keys).flatMap(([key, what]) => [
    { text: key },
    { text: `${what} `, style: "key" as const },
  ]);
}
