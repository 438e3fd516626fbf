import { strictEqual } from "node:assert";
import { ConfigurationError } from "../../../src/config/mistakes.ts";
import { parse, parseRules } from "../../../src/config/parse.ts";
import { printRules } from "../../../src/config/print.ts";
import { printSetLines } from "../../../src/config/print_settings.ts";

/** Each `NAME.conf` of a directory with the text of the `NAME.txt` beside it. */
function corpus(directory: string): { name: string; text: string; expected: string }[] {
  const path = `${import.meta.dirname}/${directory}`;
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => name.endsWith(".conf"));
  return names.sort().map((name) => ({
    name,
    text: new TextDecoder().decode(Deno.readFileSync(`${path}/${name}`)),
    expected: Deno.readTextFileSync(`${path}/${name.replace(/conf$/, "txt")}`),
  }));
}

for (const { name, text, expected } of corpus("good")) {
  Deno.test(`good/${name} is understood as its .txt says`, () => {
    const rules = parseRules(name, text);
    strictEqual(printSetLines(parse(text).settings) + printRules(rules), expected);
  });
}

for (const { name, text, expected } of corpus("bad")) {
  Deno.test(`bad/${name} has the mistakes that its .txt says`, () => {
    let message = "";
    try {
      parseRules(name, text);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      message = `${error.message}\n`;
    }
    strictEqual(message, expected);
  });
}
