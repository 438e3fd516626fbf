import { Argument, Command, Option } from "@commander-js/extra-typings";
import { shells } from "./completions.ts";
import { formats, print, printError } from "./output.ts";

const configFile = "/etc/oncn-mda/oncn-mda.conf";
const pinDirectory = "/sys/fs/bpf/mda";

/**
 * The command line: every command with its options, as --help, the parser and the completions see it. An action sets
 * `Deno.exitCode`, and loads what it needs by itself: --help and check do not wait for the data plane's parts.
 *
 * @param printVersion what --version does, after which nothing else is done
 */
export function createProgram(printVersion: () => never) {
  const program = new Command("mda")
    .description("Lets TCP connections within this host skip the TCP/IP stack.")
    .usage("COMMAND [OPTION...]")
    .option("-V, --version", "print the versions of mda and of its parts")
    .helpOption("-h, --help", "print help for mda or a command")
    .helpCommand("help [COMMAND]", "print help for a command")
    .on("option:version", printVersion)
    .addOption(
      new Option("--pin-dir <DIR>", "directory on bpffs, one for each running mda").default(pinDirectory),
    )
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: print,
      writeErr: printError,
      outputError: (text, write) => write(text.replace(/^error: /, "mda: ")),
    })
    .exitOverride()
    .addHelpText(
      "after",
      `
Examples:
  mda check --config ./mda.conf    print the rules as understood
  mda run --config ./mda.conf      accelerate, until Ctrl-C or SIGTERM
  mda status                       what the mda that runs has done so far

Exit status: 0 done, 1 failed or "no", 2 wrong usage or configuration.
Environment: MDA_DEBUG=1 prints the whole of an error, with its stack.`,
    );
  // Each command inherits the settings above only from here on.
  const command = (name: string, description: string) => program.command(name).description(description);

  command("run", "accelerate in the foreground; SIGINT and SIGTERM stop it")
    .addOption(config())
    .option("--cgroup <DIR>", "accelerate what runs in this cgroup (default: the first cgroup2 mount)")
    .addOption(
      new Option("--sockets <KIND>", "which sockets to accelerate")
        .choices(["nonblocking", "all"] as const)
        .default("nonblocking" as const),
    )
    .addOption(
      new Option("--log-format <FORMAT>", "how to log, on standard error")
        .choices(["text", "json"] as const)
        .default("text" as const),
    )
    .addHelpText(
      "after",
      `
Connections that are open when mda stops go on, over TCP; no byte is lost.

With --sockets all, sockets in blocking mode are accelerated too. A blocking
read may then fail with EAGAIN, and MSG_WAITALL return less than was asked for:
only for programs that are known to expect both.

Examples:
  mda run
  mda run --config ./mda.conf --cgroup /sys/fs/cgroup/kubepods.slice
  mda run --pin-dir /sys/fs/bpf/mda-test --log-format json`,
    )
    .action(async (options, self) => {
      const { run } = await import("./run.ts");
      Deno.exitCode = await run({ ...options, pinDir: pinDirOf(self) });
    });

  command("check", "check a configuration and print its rules as understood")
    .addOption(config())
    .addOption(output())
    .addHelpText(
      "after",
      `
Exits with 2 when there is a mistake, and prints all of them.

Examples:
  mda check
  mda check --config ./mda.conf -o json`,
    )
    .action(async (options) => {
      const { check } = await import("./check.ts");
      Deno.exitCode = await check(options);
    });

  command("status", "show what the running mda has done so far")
    .addOption(output())
    .addHelpText(
      "after",
      `
Exits with 0 when connections are accelerated, with 1 when not.

Examples:
  mda status
  mda status -o json | jq .redirected.bytes`,
    )
    .action(async (options, self) => {
      const { status } = await import("./status.ts");
      Deno.exitCode = await status({ ...options, pinDir: pinDirOf(self) });
    });

  command("completions", "print the completions for a shell")
    .addArgument(new Argument("<SHELL>", "whose completions").choices(shells))
    .addHelpText(
      "after",
      `
Examples:
  mda completions bash > /etc/bash_completion.d/mda
  mda completions zsh > /usr/share/zsh/site-functions/_mda
  mda completions fish > /etc/fish/completions/mda.fish`,
    )
    .action(async (shell) => {
      const { completions } = await import("./completions.ts");
      print(completions(shell, program));
    });

  return program;
}

const config = () => new Option("-c, --config <FILE>", "the rules: chain lines").default(configFile);

const output = () =>
  new Option("-o, --output <FORMAT>", "how to print").choices(formats).default("table" as const);

/** Options of the program itself may stand before or after the command's name. */
function pinDirOf(command: { optsWithGlobals(): Record<string, unknown> }): string {
  return command.optsWithGlobals().pinDir as string;
}
