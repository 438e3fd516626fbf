/** What `mda --help` and `mda help COMMAND` say, in parts. */
import type { CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { createProgram } from "../../src/cli/command_line.ts";

export interface OptionWords {
  /** `-c, --config <FILE>` */
  flags: string;
  /** With its choices and its default. */
  description: string;
}

export interface CommandWords {
  name: string;
  /** `mda run [OPTION...]` */
  usage: string;
  description: string;
  options: OptionWords[];
  /** Paragraphs, each in one line. */
  text: string[];
  /** Command lines. */
  examples: string[];
}

/** The program itself, then its commands in the order of --help. */
export function readCommands(): { program: CommandWords; commands: CommandWords[] } {
  const program = createProgram(() => {
    throw new Error("--version or --licenses among the words of the manual");
  });
  const help = program.createHelp();
  return {
    program: words(program, help.visibleOptions(program), "mda COMMAND [OPTION...]"),
    commands: program.commands.map((command) => {
      const args = command.registeredArguments.map((argument) =>
        ` ${argument.variadic ? `[${argument.name()}...]` : argument.name()}`
      ).join("");
      return words(
        command,
        command.options.filter(({ hidden }) => !hidden),
        `mda ${command.name()}${args} [OPTION...]`,
      );
    }),
  };
}

function words(command: CommandUnknownOpts, options: Option[], usage: string): CommandWords {
  const help = command.createHelp();
  const { text, examples } = parse(textAfter(command));
  return {
    name: command.name(),
    usage,
    description: command.description(),
    options: options.map((option) => ({ flags: option.flags, description: help.optionDescription(option) })),
    text,
    examples,
  };
}

/** What the help has after the lists of options and commands. */
function textAfter(command: CommandUnknownOpts): string {
  let all = "";
  command.configureOutput({ writeOut: (text) => (all += text), getOutHelpWidth: () => 80 });
  const before = command.helpInformation();
  command.outputHelp();
  if (!all.startsWith(before)) {
    throw new Error(`The help of ${command.name()} does not begin with its options`);
  }
  return all.slice(before.length);
}

function parse(text: string): Pick<CommandWords, "text" | "examples"> {
  const examples: string[] = [], paragraphs: string[] = [];
  for (const block of text.trim().split("\n\n").filter(Boolean)) {
    const lines = block.split("\n");
    if (lines[0] === "Examples:") examples.push(...lines.slice(1).map((line) => line.trim()));
    // A line that ends with what the next one does not go on with.
    else paragraphs.push(...block.replaceAll(/\n(?![A-Z][a-z ]+: )/g, " ").split("\n"));
  }
  return { text: paragraphs, examples };
}
