// deno-lint-ignore-file no-control-regex
import assert from "node:assert/strict";
import { columnsOf } from "../../../src/text/visible.ts";
import { difference, paletteFor, render } from "../../../src/output/top/line.ts";
import { pageLines } from "../../../src/output/top/frame.ts";
import { sortKeys } from "../../../src/views/words.ts";
import { Played, rated, readingOf, stateOf } from "./made.ts";

const many = (count: number) =>
  readingOf(
    Array.from({ length: count }, (_, place) =>
      rated({ client: { program: `client-${place}` } }, {
        messages: count - place,
        bytes: 10 * (count - place),
      })),
  );

const two = () =>
  readingOf([
    rated({ client: { program: "curl" }, server: { program: "nginx" } }, { messages: 5, bytes: 9000 }),
    rated({
      client: { program: "psql" },
      server: { program: "postgres", port: 5432 },
      state: "passed",
      reason: "passed unread",
    }, { messages: 50, bytes: 100, tcp: 3 }),
  ]);

Deno.test("a screen says what is enabled, how much is redirected, and why the rest is not", () => {
  const screen = new Played(two()).lines.join("\n");
  assert.match(screen, /enabled +12:00:00, every 2 s +\/sys\/fs\/cgroup\/test/);
  assert.match(screen, /Connections +2 of at most 1,000 \[\| +\] +2 shown/);
  assert.match(screen, /Redirected +900 messages\/s +8\.8K bytes\/s/);
  assert.match(screen, /By TCP +10\.0 % of messages, 100\/s: unread 100 %/);
  assert.match(new Played(two()).table[1], /^passed +psql +postgres +5432 +50 +100 +3 +0\.5s +unread$/);
  assert.match(new Played(readingOf([], { enabled: false })).lines[0], /DISABLED/);
});

Deno.test("before the second reading no rate is told", () => {
  const first = new Played(readingOf([rated({}, null)], { totals: undefined }));
  assert.match(first.table[0], /^redirected +client +server +80 +- +- +- /);
});

for (const columns of [20, 40, 80, 120, 300]) {
  for (const rows of [1, 3, 8, 24, 60]) {
    Deno.test(`no line is wider than ${columns} columns, and there are no more than ${rows}`, () => {
      const state = stateOf({ size: { columns, rows } });
      const wide = rated({ client: { program: "\x1b]0;\u202e试试试试试", pod: "p".repeat(60) } });
      for (const keys of [[], ["F1"], ["F6"], ["F3", "试"], ["F5"], ["F5", "F5"], ["d", "1"]]) {
        const reading = readingOf([wide, ...many(100).connections]);
        const lines = new Played(reading, state).press(...keys).lines;
        assert.equal(lines.length, rows, keys.join());
        for (const line of lines) {
          assert.ok(columnsOf(line) <= columns, line);
          assert.doesNotMatch(line, /[\x1b\u202e]/);
        }
      }
    });
  }
}

Deno.test("80 columns have the state, both programs, the port, rates, idle and the reason", () => {
  const head = new Played(two()).lines.find((line) => line.startsWith("STATE"))!;
  assert.deepEqual(head.split(/ +/), [
    "STATE",
    "CLIENT",
    "SERVER",
    "PORT",
    "MSG/S",
    "BYTE/S*",
    "TCP/S",
    "IDLE",
    "REASON",
  ]);
});

Deno.test("rows are sorted by what is chosen, and inverted by I", () => {
  const played = new Played(two());
  assert.match(played.table[0], /curl/);
  assert.match(played.press("M").table[0], /psql/);
  assert.match(played.press("I").table[0], /curl/);
  const place = sortKeys.indexOf("port") - sortKeys.indexOf("messages");
  played.press("F6", ...Array(place).fill("down"));
  assert.match(played.lines.join("\n"), /Sort by\n/);
  assert.equal(played.press("enter").state.sort, "port");
  assert.match(played.table[0], /curl.* 80 /);
});

Deno.test("a filter holds from its first letter on, and Esc takes it back", () => {
  const played = new Played(two()).press("F3", ..."PSQ");
  assert.equal(played.table.length, 1);
  assert.match(played.lines.at(-1)!, /^Filter: PSQ_/);
  assert.equal(played.press("backspace", "backspace", "backspace").table.length, 2);
  assert.equal(played.press(..."curl q").table.length, 1, "q is a letter here");
  assert.equal(played.press("escape").state.filter, "");
  for (
    const [words, count] of [[":5432", 1], ["passed unread", 1], ["127.0.0.1", 2], [
      "nginx postgres",
      0,
    ]] as const
  ) {
    assert.equal(
      new Played(two()).press("/", ...words, "enter").table.length || 0,
      Math.max(count, 1),
      words,
    );
    assert.match(new Played(two()).press("/", ...words, "enter").lines[1], new RegExp(`${count} shown`));
  }
});

Deno.test("groups open and close", () => {
  const played = new Played(two()).press("F5");
  assert.equal(played.table.length, 4);
  assert.match(played.table[0], /^\[-\] 1 +curl +nginx +80 +5 /);
  assert.match(played.table[1], /^ {2}redirected +curl/);
  assert.match(played.press("-").table[0], /^\[\+\] 1 /);
  assert.equal(played.table.length, 3);
  assert.equal(played.press("+").table.length, 4);
  assert.equal(played.press("*").table.length, 2);
  assert.match(played.lines[1], /2 shown/);
  assert.equal(played.press("*").table.length, 4);
  assert.equal(played.press("t").state.tree, "pod");
  assert.equal(played.press("t").state.tree, "off");
});

Deno.test("the cursor stays within the rows, and the page goes with it", () => {
  const played = new Played(many(100));
  const page = played.table.length;
  assert.equal(page, 17);
  assert.equal(played.press("up").state.cursor, 0);
  assert.match(played.press("page down").table[0], /client-17 /);
  assert.match(played.press("end").table.at(-1)!, /client-99 /);
  assert.equal(played.press("down").state.cursor, 99);
  played.reading = many(20);
  assert.match(played.table.at(-1)!, /client-19 /);
  assert.equal(played.press("up").state.cursor, 18);
  assert.match(played.press("home").table[0], /client-0 /);
});

Deno.test("it can be paused, widened to all connections, slowed down and ended", () => {
  const played = new Played(two());
  assert.match(played.press(" ").lines.join("\n"), /PAUSED/);
  assert.equal(played.press("Z").state.isPaused, false);
  assert.equal(played.press("a").state.all, true);
  assert.equal(played.press("d", ..."0.5", "enter").state.delay, 0.5);
  for (const wrong of ["0", "x", "99999", ""]) {
    assert.equal(played.press("d", ...wrong, "enter").state.delay, 0.5, wrong);
  }
  assert.match(played.press("h").lines.join("\n"), /quit/);
  assert.equal(played.press("q").state.hasEnded, false, "it closes the help");
  for (const key of ["q", "F10", "quit"]) assert.ok(new Played(two()).press(key).state.hasEnded, key);
});

Deno.test("only lines that have changed are drawn", () => {
  assert.equal(difference(["a", "b"], ["a", "b"]), "");
  assert.equal(difference(["a", "b"], ["a", "c"]), "\x1b[2;1H\x1b[0m\x1b[Kc");
  assert.match(difference(undefined, ["a"]), /\x1b\[2J.*a/s);
});

Deno.test("colours are those that the terminal has; with NO_COLOR there is none", () => {
  const blue = [{ text: "x", style: "good" as const }];
  assert.equal(render(blue, paletteFor({ TERM: "xterm-256color" })), "\x1b[1;38;5;74mx\x1b[0m");
  assert.equal(render(blue, paletteFor({ TERM: "linux" })), "\x1b[1;36mx\x1b[0m");
  assert.equal(render(blue, paletteFor({ TERM: "xterm-256color", NO_COLOR: "1" })), "x");
  assert.equal(render(blue, paletteFor({ TERM: "linux", NO_COLOR: "" })), "\x1b[1;36mx\x1b[0m");
  // Whoever cannot tell red from green has to see it too.
  for (const TERM of ["xterm-256color", "linux"]) {
    for (const code of Object.values(paletteFor({ TERM }))) assert.doesNotMatch(code, /\b(?:3|4|9|10)[12]\b/);
  }
});

Deno.test("a page for a file has all rows and columns, and no keys", () => {
  const played = new Played(many(100));
  const lines = pageLines(played.state, { reading: played.reading, rows: played.rows, clock: "12:00:00" });
  assert.equal(lines.length, 5 + 1 + 100);
  assert.ok(lines.some((line) => line.some(({ text }) => text.includes("SERVER ADDRESS"))));
});
