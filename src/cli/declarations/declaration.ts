/** How options and commands are declared: as data, of which the command line, the completions and the manual are made. */
import { Argument, type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { defaultConfig } from "../../config/default_file.ts";
import { inForce, type Said } from "../../config/in_force.ts";
import { readConfiguration } from "../../config/load.ts";
import { longNameOf, type SettingName, type SomeSettings } from "../../config/settings.ts";

/** An option. The name is its key among a command's options: that of `drainTimeout` is --drain-timeout. */
export interface OptionDeclaration<T> {
  /** What it does, as --help says it. */
  words: string;
  /** The short form: `c` for -c. */
  letter?: string;
  /** What stands for its value in --help: `FILE`. A switch has none. */
  value?: string;
  /** It may be given without its value, which is true then. */
  mayLackValue?: true;
  /** It may be given several times; its value is a list. */
  isList?: true;
  /** What the value can be. */
  choices?: readonly (T & string)[];
  /** What holds without it. A switch that is on is switched off: --no-adopt. */
  default?: T;
  /** What holds without it can also be said by the environment and by the configuration: see settings.ts. */
  setting?: SettingName;
  /** A switch that stands for another option's value. */
  implies?: Record<string, unknown>;
  /** Reads a value; undefined when it is none. */
  parse?(text: string): T | undefined;
  /** What a value is, as a sentence for who gives another. */
  expects?: string;
}

type OptionDeclarations = Record<string, OptionDeclaration<unknown>>;

type Values<O extends OptionDeclarations> = {
  -readonly [K in keyof O]: O[K] extends OptionDeclaration<infer T> ? T : never;
};

/** A command. */
export interface CommandDeclaration<O extends OptionDeclarations = OptionDeclarations> {
  name: string;
  /** What it does, in a line. */
  words: string;
  /** A list may be empty. */
  argument?: { name: string; words: string; choices: readonly string[]; isList?: undefined } | {
    name: string;
    words: string;
    isList: true;
  };
  /** In the order of --help. */
  options?: O;
  /** Paragraphs for --help, in lines of 80 columns. */
  text?: readonly string[];
  /** Command lines. */
  examples: readonly string[];
  /**
   * Does it, and loads by itself what it needs: --help and check do not wait for the data plane's parts.
   *
   * @returns the exit status
   */
  run(
    options: Values<O> & { pinDir: string },
    given: { argument: string; words: string[]; program: CommandUnknownOpts; said: Said },
  ): Promise<number>;
}

/** A command as it is declared: what `run` gets is known from its options. */
export function declare<O extends OptionDeclarations>(command: CommandDeclaration<O>): CommandDeclaration {
  return command;
}

/** Makes `program` understand a command. */
export function addCommand(program: CommandUnknownOpts, declaration: CommandDeclaration): void {
  const { name, words, argument, options = {}, text = [], examples } = declaration;
  const command: CommandUnknownOpts = program.command(name).description(words);
  if (argument?.isList) command.addArgument(new Argument(`[${argument.name}...]`, argument.words));
  else if (argument) {
    command.addArgument(new Argument(`<${argument.name}>`, argument.words).choices(argument.choices));
  }
  for (const [key, option] of Object.entries(options)) {
    command.addOption(toOption(key, option));
    if (option.setting && option.value === undefined) command.addOption(opposite(key, option));
  }
  const paragraphs = [...text, ["Examples:", ...examples.map((line) => `  ${line}`)].join("\n")];
  command.addHelpText("after", `\n${paragraphs.join("\n\n")}`);
  command.action(async () => {
    const values = command.optsWithGlobals() as { pinDir: string; config?: string };
    const names = Object.values(options).flatMap(({ setting }) => setting ?? []);
    const said = whatHolds(command, values.config ?? defaultConfig, ["pinDir", ...names]);
    const held = Object.fromEntries(
      ["pinDir" as const, ...names].map((name) => [name, said.held.values[name]]),
    );
    Deno.exitCode = await declaration.run({ ...values, ...held }, {
      argument: command.args[0],
      words: command.args,
      program,
      said,
    });
  });
}

/** Also for commands that have nothing to do with the file: they find what runs by what it says. */
function whatHolds(command: CommandUnknownOpts, file: string, names: SettingName[]): Said {
  const values = command.optsWithGlobals() as Record<string, unknown>;
  const isGiven = (name: string) =>
    ["cli", "implied"].includes(command.getOptionValueSourceWithGlobals(name)!);
  const given = Object.fromEntries(names.filter(isGiven).map((name) => [name, values[name]])) as SomeSettings;
  const configuration = readConfiguration(file);
  const held = inForce(configuration, given, { names: [] });
  const wrong = names.map((name) => held.wrongVariables.get(name)).find((text) => text !== undefined);
  if (wrong !== undefined) command.error(`error: ${wrong}`);
  return { given, configuration, held };
}

/** An option as the parser takes it. */
export function toOption(key: string, declaration: OptionDeclaration<unknown>): Option {
  const { words, letter, value, choices, default: otherwise, parse, expects, isList, mayLackValue, implies } =
    declaration;
  const name = longNameOf(key);
  const isOn = otherwise === true;
  const long = `--${isOn ? "no-" : ""}${name}`;
  const option = new Option(
    `${letter ? `-${letter}, ` : ""}${long}${value ? mayLackValue ? ` [${value}]` : ` <${value}>` : ""}`,
    words,
  );
  if (choices) option.choices(choices);
  if (otherwise !== undefined && !isOn) option.default(otherwise);
  if (implies) option.implies(implies);
  if (parse) {
    option.argParser((text, before) => {
      const read = parse(text);
      if (read === undefined) throw new InvalidArgumentError(expects!);
      return isList ? [...before as unknown[] | undefined ?? [], ...read as unknown[]] : read;
    });
  }
  return option;
}

/** What takes a switch back that the environment or the configuration has set; the page of `mda run` tells of all of them. */
function opposite(key: string, { default: isOn }: OptionDeclaration<unknown>): Option {
  const name = longNameOf(key);
  const [long, against] = isOn ? [`--${name}`, `--no-${name}`] : [`--no-${name}`, `--${name}`];
  return new Option(long, `the opposite of ${against}`).hideHelp();
}
