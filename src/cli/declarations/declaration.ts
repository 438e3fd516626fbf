/** How options and commands are declared: as data, of which the command line, the completions and the manual are made. */
import { Argument, type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";

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
  /** The environment's variable that holds without it, before the default. */
  env?: string;
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
    given: { argument: string; words: string[]; program: CommandUnknownOpts },
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
  for (const [key, option] of Object.entries(options)) command.addOption(toOption(key, option));
  const paragraphs = [...text, ["Examples:", ...examples.map((line) => `  ${line}`)].join("\n")];
  command.addHelpText("after", `\n${paragraphs.join("\n\n")}`);
  command.action(async () => {
    const values = command.optsWithGlobals() as { pinDir: string };
    Deno.exitCode = await declaration.run(values, {
      argument: command.args[0],
      words: command.args,
      program,
    });
  });
}

/** An option as the parser takes it. */
export function toOption(key: string, declaration: OptionDeclaration<unknown>): Option {
  const { words, letter, value, choices, default: otherwise, env, parse, expects, isList, mayLackValue } =
    declaration;
  const name = key.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
  const isOn = otherwise === true;
  const long = `--${isOn ? "no-" : ""}${name}`;
  const option = new Option(
    `${letter ? `-${letter}, ` : ""}${long}${value ? mayLackValue ? ` [${value}]` : ` <${value}>` : ""}`,
    words,
  );
  if (choices) option.choices(choices);
  if (otherwise !== undefined && !isOn) option.default(otherwise);
  if (env) option.env(env);
  if (parse) {
    option.argParser((text, before) => {
      const read = parse(text);
      if (read === undefined) throw new InvalidArgumentError(expects!);
      return isList ? [...before as unknown[] | undefined ?? [], ...read as unknown[]] : read;
    });
  }
  return option;
}
