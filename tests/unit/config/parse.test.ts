import { deepStrictEqual, match, strictEqual } from "node:assert";
import { compile } from "../../../src/rules/compile.ts";
import { MISTAKES_MAX, parse } from "../../../src/config/parse.ts";
import { RULES_MAX, VALUES_MAX } from "../../../src/rules/rules.ts";

Deno.test("a rule holds its line, its values as bytes and numbers, and its jump", () => {
  const { rules, mistakes } = parse(
    "# first\n\nchain -i 10.1.2.3/8 -i fd00::1 -p 80-90 -u 1 -g 2 -j return\n",
  );
  deepStrictEqual(mistakes, []);
  deepStrictEqual(rules, [{
    line: 3,
    addresses: [
      { family: 4, bytes: new Uint8Array([10, 0, 0, 0]), prefixLength: 8 },
      { family: 6, bytes: new Uint8Array([0xfd, ...Array(14).fill(0), 1]), prefixLength: 128 },
    ],
    ports: [{ first: 80, last: 90 }],
    uids: [1],
    gids: [2],
    jump: "RETURN",
  }]);
});

Deno.test("columns count characters, not bytes or UTF-16 units", () => {
  const { mistakes } = parse("chain -i 试 -i 🙂 -p 0\n");
  deepStrictEqual(mistakes.map(({ line, column }) => [line, column]), [[1, 10], [1, 15], [1, 20]]);
});

Deno.test("a file may have as many rules as the limit, and one more is a mistake that names it", () => {
  const file = (count: number) => "chain -j RETURN\n".repeat(count);
  const within = parse(file(RULES_MAX));
  deepStrictEqual([within.rules.length, within.mistakes], [256, []]);
  const { mistakes } = parse(file(RULES_MAX + 3));
  strictEqual(mistakes.length, 1);
  strictEqual(mistakes[0].line, 257);
  match(mistakes[0].what, /the file has 259, the limit is 256/);
});

Deno.test("a file may have as many values as the limit, and one more is a mistake that names it", () => {
  const file = (count: number) => `chain -p 443 -u 1\nchain${" -p 80".repeat(count - 2)}`;
  deepStrictEqual(parse(file(VALUES_MAX)).mistakes, []);
  const { mistakes } = parse(file(VALUES_MAX + 2));
  strictEqual(mistakes.length, 1);
  deepStrictEqual([mistakes[0].line, mistakes[0].column], [2, "chain".length + (4096 - 2) * 6 + 5]);
  match(mistakes[0].what, /the file has 4098, the limit is 4096/);
});

Deno.test("a limit is told beside the other mistakes, in the order of the file", () => {
  const { mistakes } = parse("chain -j RETURN\n".repeat(RULES_MAX) + "chain -p 0\nchain -p 0\n");
  deepStrictEqual(mistakes.map(({ line, column }) => [line, column]), [[257, 1], [257, 10], [258, 10]]);
});

Deno.test("a file that is no configuration at all ends with one mistake that says so", () => {
  for (const text of ["nonsense\n".repeat(100_000), `chain${" nonsense".repeat(100_000)}`]) {
    const { mistakes } = parse(text);
    strictEqual(mistakes.length, MISTAKES_MAX + 1);
    match(mistakes.at(-1)!.what, /^more than 1000 mistakes/);
  }
});

Deno.test("the largest configuration is parsed and compiled", () => {
  const values: ((n: number) => string)[] = [
    (n) => `-i 10.${n >> 8}.${n & 255}.0/24`,
    (n) => `-i fd00:${n.toString(16)}::/48`,
    (n) => `-u ${n}`,
    (n) => `-p ${n + 1}-${65534 - n}`,
  ];
  for (const value of values) {
    let text = "";
    for (let n = 0; n < VALUES_MAX; n++) text += `${n % 16 === 0 ? "\nchain" : ""} ${value(n)}`;
    const { rules, mistakes } = parse(text);
    compile(rules, 0);
    deepStrictEqual([rules.length, mistakes.length], [256, 0]);
  }
});
