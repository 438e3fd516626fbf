import { deepStrictEqual, strictEqual } from "node:assert";
import { parse as parseYaml, stringify } from "yaml";
import { parse } from "../../../src/config/parse.ts";
import { printRules, toPlainRule } from "../../../src/config/print.ts";
import { randomRules, withSeeds } from "../../lab/random.ts";

Deno.test("rules that are printed and read again are the same rules", () => {
  withSeeds(2_000, (random) => {
    const rules = randomRules(random, 5);
    deepStrictEqual(parse(printRules(rules)), { rules, settings: new Map(), mistakes: [] });
  });
});

Deno.test("rules are printed with their options in one order and every block with its length", () => {
  const { rules } = parse(
    "chain -j return -g 4 -u 3 -p 15006 -p 1-2 -i ::ffff:10.1.2.3/104 -i fd00::1\nchain -p 1\n",
  );
  strictEqual(
    printRules(rules),
    "chain --ip 10.0.0.0/8 --ip fd00::1/128 --port 15006 --port 1-2 --uid-owner 3 --gid-owner 4 --jump RETURN\n" +
      "chain --port 1 --jump ACCEPT\n",
  );
});

Deno.test("a plain rule survives JSON and YAML", () => {
  const plain = parse("# one\nchain -i 10.1.2.3/8 -p 80 -p 1-2 -u 1 -g 2 -j return\n").rules.map(toPlainRule);
  deepStrictEqual(plain, [{
    line: 2,
    addresses: ["10.0.0.0/8"],
    ports: ["80", "1-2"],
    uids: [1],
    gids: [2],
    jump: "RETURN",
  }]);
  deepStrictEqual(JSON.parse(JSON.stringify(plain)), plain);
  deepStrictEqual(parseYaml(stringify(plain)), plain);
});
