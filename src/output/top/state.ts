import type { Group, GroupBy, Rated } from "../../views/rates.ts";
import { type SortKey, sortKeys } from "../../views/words.ts";

/** A row of the table: a connection, or what is above those of a group. */
export type Row =
  | { kind: "connection"; rated: Rated; group?: string }
  | { kind: "group"; of: Group; group: string; isOpen: boolean };

/** What its user has made of the screen. Every key makes another one of it. */
export interface State {
  size: { columns: number; rows: number };
  sort: SortKey;
  isInverted: boolean;
  /** What rows must have; empty: all are shown. */
  filter: string;
  tree: GroupBy | "off";
  /** Keys of groups whose members are not shown. */
  closed: ReadonlySet<string>;
  /** Also connections that are not accelerated. */
  all: boolean;
  isPaused: boolean;
  /** Seconds between two readings. */
  delay: number;
  /** The row that the cursor is on. */
  cursor: number;
  /** What takes the keys: the table, or what is before it. */
  mode: Mode;
  hasEnded: boolean;
}

export type Mode =
  | { name: "table" }
  | { name: "help" }
  | { name: "filter"; before: string }
  | { name: "delay"; text: string }
  | { name: "sort"; cursor: number };

const table: Mode = { name: "table" };

/** How it begins. */
export function initialState(
  { sort, tree, all, delay }: Pick<State, "sort" | "tree" | "all" | "delay">,
  size: State["size"],
): State {
  return {
    size,
    sort,
    isInverted: false,
    filter: "",
    tree,
    closed: new Set(),
    all,
    isPaused: false,
    delay,
    cursor: 0,
    mode: table,
    hasEnded: false,
  };
}

/** What --delay takes, and its key. */
export const delays = { least: 0.1, most: 3600 };

/** Lines that are no rows, of a screen that has room for more. */
export const FRAME_LINES = 7;

/** How many rows of the table a screen shows. */
export function pageOf({ size }: Pick<State, "size">): number {
  return Math.max(1, size.rows - FRAME_LINES);
}

/** @param rows as they are shown now */
export function press(state: State, key: string, rows: readonly Row[]): State {
  if (key === "quit" || key === "F10") return { ...state, hasEnded: true };
  switch (state.mode.name) {
    case "help":
      return { ...state, mode: table };
    case "filter":
      return pressInFilter(state, key, state.mode.before);
    case "delay":
      return pressInDelay(state, key, state.mode.text);
    case "sort":
      return pressInSort(state, key, state.mode.cursor);
    case "table":
      return pressInTable(state, key, rows);
  }
}

const sortLetters: Record<string, SortKey> = {
  B: "bytes",
  M: "messages",
  P: "tcp",
  U: "unread",
  T: "age",
  N: "client",
  S: "server",
};

function pressInTable(state: State, key: string, rows: readonly Row[]): State {
  const page = pageOf(state);
  const to = (cursor: number) => ({
    ...state,
    cursor: Math.max(0, Math.min(cursor, rows.length - 1)),
  });
  const cursor = Math.min(state.cursor, rows.length - 1);
  const row = rows[cursor];
  if (key in sortLetters) return { ...state, sort: sortLetters[key], isInverted: false };
  switch (key) {
    case "q":
      return { ...state, hasEnded: true };
    case "F1":
    case "h":
    case "?":
      return { ...state, mode: { name: "help" } };
    case "F3":
    case "F4":
    case "/":
    case "\\":
      return { ...state, mode: { name: "filter", before: state.filter } };
    case "escape":
      return { ...state, filter: "" };
    case "F5":
    case "t":
      return { ...state, tree: ({ off: "program", program: "pod", pod: "off" } as const)[state.tree] };
    case "F6":
    case ">":
    case "<":
    case ".":
    case ",":
      return { ...state, mode: { name: "sort", cursor: sortKeys.indexOf(state.sort) } };
    case "I":
      return { ...state, isInverted: !state.isInverted };
    case " ":
    case "Z":
      return { ...state, isPaused: !state.isPaused };
    case "a":
      return { ...state, all: !state.all };
    case "d":
      return { ...state, mode: { name: "delay", text: "" } };
    case "+":
    case "-":
    case "=":
    case "enter":
      return row === undefined ? state : fold(state, row.group, key);
    case "*":
      return foldAll(state, rows);
    case "up":
      return to(cursor - 1);
    case "down":
      return to(cursor + 1);
    case "page up":
      return to(cursor - page);
    case "page down":
      return to(cursor + page);
    case "home":
      return to(0);
    case "end":
      return to(rows.length - 1);
    default:
      return state;
  }
}

function fold(state: State, group: string | undefined, key: string): State {
  if (group === undefined) return state;
  const closed = new Set(state.closed);
  if (key === "-" || (key === "enter" && !closed.has(group))) closed.add(group);
  else closed.delete(group);
  return { ...state, closed };
}

/** Closes all groups, or opens them when they are. */
function foldAll(state: State, rows: readonly Row[]): State {
  const groups = rows.flatMap((row) => row.kind === "group" ? [row.group] : []);
  const areClosed = groups.every((group) => state.closed.has(group));
  return { ...state, closed: new Set(areClosed ? [] : groups), cursor: 0 };
}

/** Each letter counts at once. */
function pressInFilter(state: State, key: string, before: string): State {
  switch (key) {
    case "enter":
    case "F3":
    case "F4":
      return { ...state, mode: table };
    case "escape":
      return { ...state, mode: table, filter: before };
    default:
      return { ...state, filter: edited(state.filter, key), cursor: 0 };
  }
}

function pressInDelay(state: State, key: string, text: string): State {
  if (key === "escape") return { ...state, mode: table };
  if (key !== "enter") return { ...state, mode: { name: "delay", text: edited(text, key) } };
  const delay = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  const isOne = delay >= delays.least && delay <= delays.most;
  return { ...state, mode: table, delay: isOne ? delay : state.delay };
}

function pressInSort(state: State, key: string, cursor: number): State {
  const to = (place: number): State => ({
    ...state,
    mode: { name: "sort", cursor: Math.max(0, Math.min(place, sortKeys.length - 1)) },
  });
  switch (key) {
    case "enter":
    case "F6":
      return { ...state, mode: table, sort: sortKeys[cursor], isInverted: false };
    case "escape":
    case "q":
      return { ...state, mode: table };
    case "up":
      return to(cursor - 1);
    case "down":
      return to(cursor + 1);
    case "home":
    case "page up":
      return to(0);
    case "end":
    case "page down":
      return to(sortKeys.length - 1);
    default:
      return state;
  }
}

/** A prompt's text after a key; names of keys are longer than any character. */
function edited(text: string, key: string): string {
  if (key === "backspace") return [...text].slice(0, -1).join("");
  if (key === "erase") return "";
  return [...key].length === 1 ? text + key : text;
}
