/** Prints docs/commands.md. */
import { type CommandWords, type OptionWords, readCommands } from "./commands.ts";

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");

function options(options: OptionWords[]): string {
  if (options.length === 0) return "";
  const rows = options.map(({ flags, description }) => `| \`${flags}\` | ${cell(description)} |\n`);
  return `\n| option | what it does |\n| --- | --- |\n${rows.join("")}`;
}

const width = 100;

/** Lines of no more columns than the other pages have. */
function wrap(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

const paragraphs = (text: string[]) => text.map((paragraph) => `\n${wrap(cell(paragraph))}\n`).join("");

const sentence = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const code = (lines: string[]) => `\n${lines.map((line) => `    ${line}\n`).join("")}`;

function section({ name, usage, description, ...command }: CommandWords): string {
  return `
## mda ${name}

    ${usage}

${sentence(description)}
${paragraphs(command.text)}${options(command.options)}${code(command.examples)}`;
}

const { program, commands } = readCommands();
const list = commands.map(({ name, description }) => `| [\`mda ${name}\`](#mda-${name}) | ${description} |\n`)
  .join("");

Deno.stdout.writeSync(new TextEncoder().encode(`# Commands

\`mda help\` and \`mda help COMMAND\` print all of this. \`./build.sh manual\` makes the page from the
same words.

    ${program.usage}

| command | what it does |
| --- | --- |
${list}${paragraphs(program.text)}
These options are for every command:
${options(program.options)}${code(program.examples)}${commands.map(section).join("")}`));
