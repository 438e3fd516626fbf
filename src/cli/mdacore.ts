import { parseArgs } from "node:util";
import { defaultConfig } from "../config/default_file.ts";
import { inForce } from "../config/in_force.ts";
import { readConfiguration } from "../config/load.ts";
import { settingOf } from "../config/settings.ts";
import { print, printError } from "../output/print.ts";

/** Exit statuses of oncn-mda's mdacore: its FAILED, and its ERROR (-1) as the shell sees it. */
const FAILED = 1;
const ERROR = 255;

const usage = `Usage: mdacore COMMAND
  enable [-c FILE]  accelerate connections within this host
  disable           stop that
  query             tell by the exit status whether they are accelerated
  help              print this text
`;

const commandUsage = {
  enable: `Usage: mdacore enable [OPTION...]
  -c, --config FILE  the rules (default: ${defaultConfig})
  -h, --help         print this text
`,
  disable: `Usage: mdacore disable [OPTION...]
  -h, --help  print this text
`,
  query: `Usage: mdacore query [OPTION...]
  -h, --help  print this text
Exits with 0 when connections are accelerated, with 1 when not.
`,
};

type Word = keyof typeof commandUsage;

/**
 * The command line of oncn-mda's mdacore, for what calls it by that name: Kmesh executes `mdacore enable` and
 * `mdacore disable`. Its words, options and exit statuses; nothing of mda's own command line.
 *
 * @param report prints an error
 * @returns the exit status
 */
export async function runMdacore(args: string[], report: (error: unknown) => void): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined || word === "help") {
    print(usage);
    return word === undefined ? FAILED : 0;
  }
  if (!isWord(word)) {
    print(usage);
    return ERROR;
  }
  const failed = word === "query" ? ERROR : FAILED;
  const options = parse(word, rest);
  if (options === undefined) {
    print(commandUsage[word]);
    return failed;
  }
  if (options.help) {
    print(commandUsage[word]);
    return 0;
  }
  try {
    return await execute(word, options.config);
  } catch (error) {
    report(error);
    return failed;
  }
}

function isWord(word: string): word is Word {
  return Object.hasOwn(commandUsage, word);
}

async function execute(word: Word, config: string = defaultConfig): Promise<number> {
  const configuration = readConfiguration(config);
  const { values, wrongVariables } = inForce(configuration, {}, { names: [] });
  const { pinDir, cgroup, sockets, unknown, adopt, maxConnections, drainTimeout } = values;
  switch (word) {
    case "enable": {
      for (const [name, wrong] of wrongVariables) {
        if (!settingOf(name).needsProcess) throw new Error(`Cannot use ${wrong}`);
      }
      const { enable } = await import("./commands/enable.ts");
      return await enable({ config, cgroup, pinDir, sockets, unknown, adopt, maxConnections }, {
        configuration,
        given: {},
      });
    }
    case "disable": {
      const { disable } = await import("./commands/disable.ts");
      return await disable({ pinDir, drainTimeout });
    }
    case "query": {
      const { query } = await import("./commands/query.ts");
      return await query({ pinDir });
    }
  }
}

/** The options of a command; undefined when there is a mistake, which is printed. */
function parse(word: Word, args: string[]): { config?: string; help?: boolean } | undefined {
  const options = { config: { type: "string", short: "c" }, help: { type: "boolean", short: "h" } } as const;
  try {
    const longArgs = args.map((arg) => unabbreviate(arg, Object.keys(options)));
    const { values, positionals } = parseArgs({ args: longArgs, options, allowPositionals: true });
    if (word !== "enable" && values.config !== undefined) throw new Error("Unknown option '--config'");
    if (positionals.length > 0) {
      printError(`mdacore: ${word} takes no argument, not ${positionals.join(" ")}\n`);
      if (word !== "disable") return undefined;
      // As the ancestor does: it stops what runs all the same.
      print(commandUsage[word]);
    }
    return values;
  } catch (error) {
    printError(`mdacore: ${(error as Error).message}\n`);
    return undefined;
  }
}

/** getopt_long takes a long option's beginning for the option. */
function unabbreviate(arg: string, names: string[]): string {
  const [, begin] = /^--([^=]+)/.exec(arg) ?? [];
  const found = begin && names.find((name) => name.startsWith(begin));
  return found ? arg.replace(begin, found) : arg;
}
