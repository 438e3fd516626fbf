import type { SortKey } from "../../views/words.ts";
import type { Line } from "./line.ts";

/** What each of the columns is that rows are sorted by. */
export const sortWords: Record<SortKey, string> = {
  bytes: "bytes a second, past TCP",
  messages: "messages a second, past TCP",
  tcp: "messages a second that TCP has carried",
  unread: "bytes that were not read yet",
  age: "the time since it has entered, the oldest first",
  idle: "the time since its last message, the longest first",
  state: "its state, redirected first",
  client: "the client's program",
  server: "the server's program",
  port: "the server's port",
};

const keys: [string, string][] = [
  ["F1 h ?", "this help"],
  ["F3 F4 /", "show what has these words: program, address, port, state, reason, pod"],
  ["Esc", "show everything again"],
  ["F5 t", "tree by program, by pod (or container, or unit), none"],
  ["+ - Enter *", "open and close a group; * all of them"],
  ["F6 > <", "choose what to sort by"],
  ["B M P U T", "sort by bytes, messages, TCP's messages, unread, age"],
  ["N S", "sort by the client's, the server's program"],
  ["I", "invert the order"],
  ["a", "also connections that are not accelerated"],
  ["Space Z", "pause, and go on"],
  ["d", "seconds between readings"],
  ["arrows", "move, as PgUp, PgDn, Home and End do"],
  ["Ctrl-L", "draw the screen again"],
  ["q F10 Ctrl-C", "quit"],
];

/** What keys do, and what the columns mean. */
export const helpLines: Line[] = [
  ...keys.map(([key, what]): Line => [{ text: key.padEnd(15), style: "title" }, { text: ` ${what}` }]),
  [],
  [{ text: "MSG/S BYTE/S    past TCP, of both directions; TCP/S: messages by TCP" }],
  [{ text: "REASON          why the last one went by TCP: docs/reasons.md" }],
];
