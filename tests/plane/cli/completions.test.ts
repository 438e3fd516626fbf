import { deepStrictEqual } from "node:assert";
import { readCommands } from "../../../packaging/manual/commands.ts";
import { execute, mda, TemporaryDirectory } from "./mda.ts";

/** What a shell offers for the last of these words. */
type Complete = (directory: TemporaryDirectory, words: string[]) => Promise<string[]>;

const inBash: Complete = async (directory, words) => {
  const script = directory.write("completions.bash", (await mda("completions", "bash")).stdout);
  // bash splits at = before the function sees the words.
  const split = words.flatMap((word) => word.split(/(=)/));
  const { stdout } = await execute([
    "bash",
    "-c",
    `compopt() { :; } # it needs an interactive shell
     source "$0"
     COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
     _mda
     printf '%s\\n' "\${COMPREPLY[@]}"`,
    script,
    ...split,
  ]);
  return lines(stdout);
};

const inFish: Complete = async (directory, words) => {
  const script = directory.write("completions.fish", (await mda("completions", "fish")).stdout);
  const { stdout } = await execute([
    "fish",
    "--no-config",
    "-c",
    `source $argv[1]; complete -C $argv[2]`,
    script,
    words.join(" "),
  ]);
  return lines(stdout).map((line) => line.split("\t")[0]!.replace(/^.*=/, ""));
};

/** Types the words and a tab in a terminal, and reads what the line has become. */
const inZsh: Complete = async (directory, words) => {
  const script = directory.write("_mda", (await mda("completions", "zsh")).stdout);
  const { stdout } = await execute([
    "zsh",
    "-fc",
    `zmodload zsh/zpty
     zpty shell zsh -f
     zpty -w shell 'autoload -Uz compinit; compinit -D -u; source '$1
     zpty -w shell 'show() { print -r -- "<$BUFFER>"; BUFFER= }; zle -N show; bindkey "^X" show; print loaded'
     zpty -r shell text '*'$'\\n''loaded*'
     zpty -nw shell $2$'\\t'
     zpty -nw shell $'\\x18'
     zpty -r shell text '*<*>*'
     print -r -- "$text"`,
    "zsh",
    script,
    words.join(" "),
  ]);
  const line = /<(.*)>/.exec(stdout)?.[1] ?? "";
  // After --option zsh adds the = that may follow.
  return lines(/([^ =]*)=?$/.exec(line.trimEnd())![1]!);
};

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

const shells = { bash: inBash, fish: inFish, zsh: inZsh };

for (const [shell, complete] of Object.entries(shells)) {
  Deno.test(`${shell} completes a command`, async () => {
    using directory = new TemporaryDirectory();
    deepStrictEqual(await complete(directory, ["mda", "che"]), ["check"]);
  });

  Deno.test(`${shell} completes an option`, async () => {
    using directory = new TemporaryDirectory();
    deepStrictEqual(await complete(directory, ["mda", "run", "--log-fo"]), ["--log-format"]);
    deepStrictEqual(await complete(directory, ["mda", "status", "--pin"]), ["--pin-dir"]);
  });

  Deno.test(`${shell} completes what an option can be`, async () => {
    using directory = new TemporaryDirectory();
    deepStrictEqual(await complete(directory, ["mda", "status", "-o", "js"]), ["json"]);
    deepStrictEqual(await complete(directory, ["mda", "run", "--sockets=non"]), ["nonblocking"]);
  });

  Deno.test(`${shell} completes an argument`, async () => {
    using directory = new TemporaryDirectory();
    deepStrictEqual(await complete(directory, ["mda", "completions", "z"]), ["zsh"]);
    deepStrictEqual(await complete(directory, ["mda", "help", "stat"]), ["status"]);
  });

  Deno.test(`${shell} completes files and directories`, async () => {
    using directory = new TemporaryDirectory();
    const file = directory.write("mda.conf", "");
    deepStrictEqual(await complete(directory, ["mda", "check", "--config", file.slice(0, -3)]), [file]);
    const inside = `${directory.path}/mda-cgroup`;
    Deno.mkdirSync(inside);
    const offered = await complete(directory, ["mda", "run", "--cgroup", `${directory.path}/mda`]);
    deepStrictEqual(offered.map((path) => path.replace(/\/$/, "")), [inside]);
  });
}

Deno.test("bash offers every command and option", async () => {
  using directory = new TemporaryDirectory();
  const everywhere = ["--version", "-V", "--licenses", "--pin-dir", "--help", "-h"];
  const commands = readCommands().commands.map(({ name }) => name);
  const words = [...commands, "help", ...everywhere];
  deepStrictEqual((await inBash(directory, ["mda", ""])).sort(), words.sort());
  const options = ["--config", "-c", "--output", "-o", ...everywhere];
  deepStrictEqual((await inBash(directory, ["mda", "check", ""])).sort(), options.sort());
});
