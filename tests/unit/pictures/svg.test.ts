import assert from "node:assert/strict";
import { foreignNames } from "../../../packaging/demo/names.ts";
import { draw, hex } from "../../../packaging/demo/svg.ts";
import { readLines } from "../../../packaging/demo/terminal.ts";

const drawn = (written: string) => draw(readLines(written), { title: "mda conns", columns: 20 });
const elements = (svg: string) =>
  [...svg.matchAll(/<text ([^>]*)>([^<]*)<\/text>/g)].map(([, its, text]) => [text, its]);

Deno.test("what XML would read as its own is escaped, and what it cannot have is left out", () => {
  const svg = draw(readLines('a<b> & "c"\x07'), { title: "<&>", columns: 20 });
  assert.match(svg, /<title>&lt;&amp;&gt;<\/title>/);
  assert.deepEqual(elements(svg).map(([text]) => text), ["a&lt;b&gt; &amp; &quot;c&quot;"]);
  assert.ok(!svg.includes("\x07"));
});

Deno.test("columns are below each other: what stands behind a gap has a place of its own", () => {
  const places = elements(drawn("STATE   PORT\nleft    6379\n")).map((
    [text, its],
  ) => [text, /x="([^"]+)"/.exec(its)![1]]);
  assert.deepEqual(places, [["STATE", "16"], ["PORT", "78.4"], ["left", "16"], ["6379", "78.4"]]);
});

Deno.test("colours, bold, and reverse with something behind the letters", () => {
  const svg = drawn("\x1b[1;38;5;74mgood\x1b[0m \x1b[38;5;16;48;5;74m key \x1b[0m \x1b[7mx\x1b[0m");
  assert.match(svg, /font-weight="bold" fill="#5fafd7">good</);
  assert.match(svg, /fill="#000000">key</);
  assert.match(svg, /<rect x="55" y="16" width="39" height="18" fill="#5fafd7"/);
  assert.match(svg, /fill="#0d1117">x</);
  assert.deepEqual([0, 15, 16, 21, 196, 231, 232, 255].map(hex).slice(2), [
    "#000000",
    "#0000ff",
    "#ff0000",
    "#ffffff",
    "#080808",
    "#eeeeee",
  ]);
});

Deno.test("a picture is as large as its lines, and fetches nothing", () => {
  const svg = drawn("one\ntwo\nthree");
  assert.match(svg, /width="188" height="86" viewBox="0 0 188 86"/);
  assert.deepEqual([...svg.matchAll(/https?:[^"]*|url\(|href|@import/g)].map(String), [
    "http://www.w3.org/2000/svg",
  ]);
});

Deno.test("names of the host, and addresses that are not of loopback, are found", () => {
  const fine =
    "127.0.0.1:42170 -> [::1]:80 in 127.0.0.0/8, 0.5 % of 2,358 MB, 6.18.44 at 23:09:36, chain --ip ::1";
  assert.deepEqual(foreignNames(fine, "alpha"), []);
  const told = "10.244.1.2:80 [fe80::1]:443 192.168.0.0/16 fd00::2 on alpha, alphabet";
  assert.deepEqual(foreignNames(told, "alpha"), ["10.244.1.2", "fe80::1", "192.168.0.0", "fd00::2", "alpha"]);
  assert.deepEqual(foreignNames("alphabet at localhost", "localhost"), []);
});
