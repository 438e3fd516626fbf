import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert";
import { compile } from "../../../src/rules/compile.ts";
import { load } from "../../../src/config/load.ts";
import { ConfigurationError } from "../../../src/config/mistakes.ts";
import { MISTAKES_MAX, parse, parseRules } from "../../../src/config/parse.ts";
import { printRules, toPlainRule } from "../../../src/config/print.ts";
import { printSetLines } from "../../../src/config/print_settings.ts";
import type { SetLines } from "../../../src/config/set_line.ts";
import { longNameOf, settingNames, settingOf } from "../../../src/config/settings.ts";
import { type Rule, RULES_MAX, VALUES_MAX } from "../../../src/rules/rules.ts";
import { type Random, randomRules, withSeeds } from "../../lab/random.ts";

Deno.test("rules are understood in every spelling", () => {
  withSeeds(5_000, (random) => {
    const { text, rules, set } = randomSpelling(random);
    const { settings, ...parsed } = parse(text);
    deepStrictEqual(parsed, { rules, mistakes: [] }, text);
    strictEqual(printSetLines(settings), set, text);
  });
});

Deno.test("a configuration that was damaged is parsed or refused, and nothing else happens", () => {
  withSeeds(5_000, (random) => check(damage(random, randomSpelling(random).text)));
});

Deno.test("words in any order are parsed or refused, and nothing else happens", () => {
  withSeeds(5_000, (random) => check(randomWords(random)));
});

Deno.test("any bytes are parsed or refused, and nothing else happens", () => {
  withSeeds(3_000, (random) => check(new TextDecoder().decode(randomBytes(random))));
});

Deno.test("any bytes in a file are loaded or refused, and nothing else happens", () => {
  const file = Deno.makeTempFileSync();
  try {
    withSeeds(500, (random) => {
      Deno.writeFileSync(file, randomBytes(random));
      try {
        load(file);
      } catch (error) {
        ok(error instanceof ConfigurationError, String(error));
        checkMessage(error.message);
      }
    });
  } finally {
    Deno.removeSync(file);
  }
});

/** What holds for every text. */
function check(text: string): void {
  const { rules, settings, mistakes } = parse(text);
  if (mistakes.length === 0) {
    deepStrictEqual(parseRules("fuzz.conf", text), rules);
    checkRules(rules);
    checkSettings(settings);
    return;
  }
  throws(() => parseRules("fuzz.conf", text), (error) => {
    ok(error instanceof ConfigurationError);
    deepStrictEqual(error.mistakes, mistakes);
    checkMessage(error.message);
    return true;
  });
  ok(mistakes.length <= MISTAKES_MAX + 2);
  const lines = text.replace(/^\ufeff/, "").split("\n");
  let before = 0;
  for (const { line, column, what, excerpt } of mistakes) {
    ok(line >= 1 && line <= lines.length && column >= 1 && column <= [...lines[line - 1]].length);
    ok(line >= before);
    before = line;
    ok(what.length > 0 && what.length < 500 && !what.includes("\n"), what);
    const [shown, carets, ...rest] = excerpt.split("\n");
    strictEqual(rest.length, 0);
    ok(shown.startsWith("    "));
    match(carets, /^ {4}[ \t]*\^~*$/);
  }
}

/** Nothing in a message may drive a terminal or hide from a reader. */
function checkMessage(message: string): void {
  ok(!/(?![ \n\t])[\p{C}\p{Z}]/u.test(message), JSON.stringify(message));
}

function checkRules(rules: Rule[]): void {
  ok(rules.length <= RULES_MAX);
  ok(rules.reduce((sum, rule) => sum + countValues(rule), 0) <= VALUES_MAX);
  const again = parse(printRules(rules));
  deepStrictEqual(again.mistakes, []);
  deepStrictEqual(again.rules, rules.map((rule, index) => ({ ...rule, line: index + 1 })));
  compile(rules, 0);
}

function checkSettings(settings: SetLines): void {
  const again = parse(printSetLines(settings));
  deepStrictEqual(again.mistakes, []);
  deepStrictEqual(values(again.settings), values(settings));
}

const values = (settings: SetLines) => [...settings].map(([name, { value }]) => [name, value]);

function countValues({ addresses, ports, uids, gids }: Rule): number {
  return addresses.length + ports.length + uids.length + gids.length;
}

const spellings = {
  ip: ["-i", "--i", "--ip"],
  port: ["-p", "--p", "--po", "--por", "--port", "--ports"],
  uid: ["-u", "--u", "--uid", "--uid-", "--uid-own", "--uid-owner"],
  gid: ["-g", "--g", "--gi", "--gid", "--gid-o", "--gid-owner"],
  jump: ["-j", "--j", "--ju", "--jum", "--jump"],
};

/** Values that each setting can have, as they are written. */
function randomValue(random: Random, name: typeof settingNames[number]): string {
  const { value, choices, place, listens } = settingOf(name);
  if (value === undefined) return random.pick(["yes", "no"]);
  if (choices) return random.pick(choices);
  if (place) return random.pick(["/", "/a", "/sys/fs/bpf/mda", "/a#b", "/试/é", "/-x"]);
  // Without an address the page is served on one that is then written.
  if (listens) return random.pick(["127.0.0.1:9464", "[::1]:1", name === "web" ? "[::]:1" : ":65535"]);
  return `${1 + random.below(3600)}`;
}

/** Rules and settings, and one of the many ways to write them. `set` is the plainest way to write the settings. */
function randomSpelling(random: Random): { text: string; rules: Rule[]; set: string } {
  const space = () => random.pick([" ", " ", " ", "\t", "  ", " \t", "\r", "\t\t"]);
  const option = (kind: keyof typeof spellings, value: string | number) => {
    const name = random.pick(spellings[kind]);
    const glue = random.chance(60) ? space() : name.startsWith("--") ? "=" : "";
    return `${name}${glue}${value}`;
  };
  const comment = () =>
    random.pick(["#", "# a comment", "#chain -p 0", "# 注释 \u0007", "##", "# -j DROP \ufffd"]);
  const end = () => random.pick(["\n", "\n", "\r\n", " \n", "\t\r\n", " # x\n", `${space()}${comment()}\n`]);
  let text = random.chance(10) ? "\ufeff" : "";
  let line = 1;
  let set = "";
  const left = settingNames.filter(() => random.chance(20));
  const settings = () => {
    for (; left.length > 0 && random.chance(50); line++) {
      const name = left.shift()!;
      const value = randomValue(random, name);
      set += `set ${longNameOf(name)} ${value}\n`;
      const written = value === "yes" && random.chance(30) ? "" : space() + value;
      text += `${random.pick(["", " ", "\t"])}set${space()}${longNameOf(name)}${written}${end()}`;
    }
  };
  const rules = randomRules(random, 6);
  for (const rule of rules) {
    for (; random.chance(30); line++) {
      text += `${random.pick(["", " ", "\t"])}${random.pick(["", comment()])}\n`;
    }
    settings();
    rule.line = line++;
    const { addresses, ports, uids, gids, jump } = toPlainRule(rule);
    const kinds = [
      addresses.map((value) => {
        const whole = value.includes(":") ? "/128" : "/32";
        return option("ip", random.chance(50) ? value.replace(whole, "") : value);
      }),
      ports.map((value) => option("port", value)),
      uids.map((value) => option("uid", value)),
      gids.map((value) => option("gid", value)),
      jump === "ACCEPT" && countValues(rule) > 0 && random.chance(50)
        ? []
        : [option("jump", random.chance(50) ? jump : jump.toLowerCase())],
    ];
    // Values keep their order within a kind; the kinds mix.
    const words = [];
    for (let left = kinds; left.length > 0; left = left.filter((kind) => kind.length > 0)) {
      const kind = random.pick(left);
      if (kind.length > 0) words.push(kind.shift()!);
    }
    text += `${random.pick(["", "", " ", "\t"])}chain${words.map((word) => space() + word).join("")}${end()}`;
  }
  return { text: random.chance(20) ? text.replace(/\n$/, "") : text, rules, set };
}

const fragments = [
  ..."chain|-i|--ip|-p|--port|--ports|-u|--uid-owner|-g|--gid-owner|-j|--jump|--|-|---|=|--=|-=|--p=|-pp|-ip"
    .split("|"),
  ...settingNames.map((name) => `set ${longNameOf(name)}`),
  ..."\nset|yes|no|daemon|demon|set watch=yes|/sys/fs/bpf/mda|:9464|[::1]:80|127.0.0.1:|text|5.5|--watch"
    .split("|"),
  "9".repeat(3000),
  `--${"p".repeat(3000)}`,
  ..."ACCEPT|return|DROP|Chain|chains|10.0.0.0/8|10.0.0.1|127.1|::1|fd00::/8|::ffff:1.2.3.4/95|::1.2.3.4|%"
    .split("|"),
  ..."80|0|65535|65536|80-90|90-80|80-|-80|4294967295|4294967296|1e3|0x1|00|1,2|80:90|9999999999999999999"
    .split("|"),
  ...'#|# c|\n|\r\n|\r|\t| |\0|\u001b[31m|\u00a0|\u200b|\u202e|\ufeff|\ufffd|\ud800|🙂|试|é|–port|!|"80"'
    .split("|"),
  ..."__proto__|constructor|--constructor|toString|--hasOwnProperty|-\u{1f642}|--\u{1f642}=1|/|/8|::/|.|..."
    .split("|"),
];

function randomWords(random: Random): string {
  const separators = [" ", " ", " ", "\n", "\nchain ", "", "\t"];
  return random.some(40, () => random.pick(fragments) + random.pick(separators)).join("");
}

function damage(random: Random, text: string): string {
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(text.length + 1);
    const end = at + random.below(8);
    const fragment = random.pick(["", text.slice(end, end + random.below(20)), random.pick(fragments)]);
    text = text.slice(0, at) + fragment + text.slice(random.chance(50) ? at : end);
  }
  return text;
}

function randomBytes(random: Random): Uint8Array {
  const bytes = random.chance(50)
    ? new TextEncoder().encode(random.chance(50) ? randomWords(random) : randomSpelling(random).text)
    : new Uint8Array(random.below(300));
  const share = random.pick([2, 20, 100]);
  return bytes.map((byte) => random.chance(share) ? random.below(256) : byte);
}
