import type { CommandUnknownOpts, Option } from "@commander-js/extra-typings";

export const shells = ["bash", "zsh", "fish"] as const;

export type Shell = typeof shells[number];

/** What can stand where a value is expected. */
type Values = "files" | "directories" | readonly string[];

interface OptionWords {
  /** `--config`, `-c` */
  names: string[];
  description: string;
  /** Nothing: the option takes no value. */
  values?: Values;
}

interface CommandWords {
  name: string;
  description: string;
  options: OptionWords[];
  /** What its argument may be; empty: it takes none. */
  values: readonly string[];
}

/** A command line as the generators below see it. */
interface ProgramWords {
  name: string;
  /** Options that every command takes. */
  options: OptionWords[];
  commands: CommandWords[];
}

/** The script that makes `shell` complete what `program` parses. */
export function completions(shell: Shell, program: CommandUnknownOpts): string {
  const help = program.createHelp();
  return { bash, zsh, fish }[shell]({
    name: program.name(),
    options: help.visibleOptions(program).map(optionWords),
    commands: help.visibleCommands(program).map((command) => ({
      name: command.name(),
      description: command.description(),
      options: command.options.map(optionWords),
      values: command.name() === "help"
        ? program.commands.map((command) => command.name())
        : command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    })),
  });
}

function optionWords({ long, short, description, required, argChoices, flags }: Option): OptionWords {
  const values = argChoices ?? (flags.endsWith("<DIR>") ? "directories" : "files");
  return {
    names: [long, short].filter((name) => name !== undefined),
    description,
    values: required ? values : undefined,
  };
}

function bash({ name, options, commands }: ProgramWords): string {
  const names = (options: OptionWords[]) => options.flatMap((option) => option.names);
  const generator = (values: Values) =>
    values === "files" ? "-f" : values === "directories" ? "-d" : `-W '${values.join(" ")}'`;
  const optionCases = (command: string, options: OptionWords[]) =>
    options.filter((option) => option.values).map((option) =>
      `${option.names.map((name) => `${command}:${name}`).join(" | ")}) generate=(${
        generator(option.values!)
      }) ;;`
    );
  const commandCase = (command: string, words: readonly string[]) =>
    `${command}:*) generate=(-W '${[...words, ...names(options)].join(" ")}') ;;`;
  return `# bash completions for ${name}
_${name}() {
	local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command= word generate
	# --option=value arrives as three words.
	if [[ $current == = ]]; then
		current=
	elif [[ $before == = ]]; then
		before=\${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for word in "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
		case $word in
		${commands.map(({ name }) => name).join(" | ")})
			command=$word
			break
			;;
		esac
	done
	case $command:$before in
	${
    [
      ...commands.flatMap((command) => optionCases(command.name, command.options)),
      ...optionCases("*", options),
      ...commands.map(({ name, values, options }) => commandCase(name, [...values, ...names(options)])),
      commandCase("", commands.map(({ name }) => name)),
    ].join("\n\t")
  }
	esac
	[[ \${generate[0]} == -W ]] || compopt -o filenames
	mapfile -t COMPREPLY < <(compgen "\${generate[@]}" -- "$current")
}
complete -F _${name} ${name}
`;
}

function zsh({ name, options, commands }: ProgramWords): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const escaped = (text: string) => text.replace(/[\\:\[\]]/g, "\\$&");
  const action = (values: Values) =>
    values === "files" ? "_files" : values === "directories" ? "_directories" : `(${values.join(" ")})`;
  // The mark says that the value may stand in the same word: --config=FILE, -cFILE.
  const valueMark = (name: string) => name.startsWith("--") ? "=" : "+";
  const optionSpec = (name: string, { names, description, values }: OptionWords) =>
    quoted([
      `(${names.join(" ")})${name}${values ? valueMark(name) : ""}[${escaped(description)}]`,
      ...values ? ["value", action(values)] : [],
    ].join(":"));
  const optionSpecs = (options: OptionWords[]) =>
    options.flatMap((option) => option.names.map((name) => optionSpec(name, option)));
  const describe = ({ name, description }: CommandWords) => quoted(`${name}:${escaped(description)}`);
  const commandCase = (command: CommandWords) => {
    const argument = command.values.length > 0 ? [quoted(`1:argument:(${command.values.join(" ")})`)] : [];
    return `${command.name})
			_arguments ${[...optionSpecs([...command.options, ...options]), ...argument].join(" \\\n\t\t\t\t")}
			;;`;
  };
  return `#compdef ${name}
_${name}() {
	local curcontext=$curcontext state line
	local -a commands=(
		${commands.map(describe).join("\n\t\t")}
	)
	_arguments -C ${optionSpecs(options).join(" \\\n\t\t")} \\
		'1: :->command' '*:: :->rest'
	case $state in
	command)
		_describe command commands
		;;
	rest)
		case $words[1] in
		${commands.map(commandCase).join("\n\t\t")}
		esac
		;;
	esac
}
# Sourced, or found in $fpath and run as the function itself.
if [[ $funcstack[1] == _${name} ]]; then
	_${name} "$@"
else
	compdef _${name} ${name}
fi
`;
}

function fish({ name, options, commands }: ProgramWords): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const action = (values: Values) =>
    values === "files"
      ? "-r -F"
      : values === "directories"
      ? "-x -a '(__fish_complete_directories)'"
      : `-x -a '${values.join(" ")}'`;
  const optionLine = (condition: string, { names, description, values }: OptionWords) =>
    [
      `complete -c ${name}`,
      ...condition ? [`-n '${condition}'`] : [],
      ...names.map((name) => name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`),
      `-d ${quoted(description)}`,
      ...values ? [action(values)] : [],
    ].join(" ");
  const commandLines = (command: CommandWords) => {
    const seen = `__fish_seen_subcommand_from ${command.name}`;
    return [
      `complete -c ${name} -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.description)}`,
      ...command.options.map((option) => optionLine(seen, option)),
      ...command.values.length > 0
        ? [`complete -c ${name} -n '${seen}' -a '${command.values.join(" ")}'`]
        : [],
    ];
  };
  return [
    `# fish completions for ${name}`,
    `complete -c ${name} -f`,
    ...options.map((option) => optionLine("", option)),
    ...commands.flatMap(commandLines),
    "",
  ].join("\n");
}
