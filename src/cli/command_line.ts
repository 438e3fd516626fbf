import { Command, CommanderError } from "@commander-js/extra-typings";
import { print, printError } from "../output/print.ts";
import { addCommand, toOption } from "./declarations/declaration.ts";
import { check } from "./declarations/check.ts";
import { conns } from "./declarations/conns.ts";
import { completions } from "./declarations/completions.ts";
import { disable } from "./declarations/disable.ts";
import { doctor } from "./declarations/doctor.ts";
import { dump } from "./declarations/dump.ts";
import { enable } from "./declarations/enable.ts";
import { explain } from "./declarations/explain.ts";
import { pass } from "./declarations/pass.ts";
import { query } from "./declarations/query.ts";
import { reload } from "./declarations/reload.ts";
import { run } from "./declarations/run.ts";
import { status } from "./declarations/status.ts";
import { top } from "./declarations/top.ts";
import { trace } from "./declarations/trace.ts";
import { pinDir } from "./declarations/options.ts";

/** In the order of --help. */
const commands = [
  run,
  enable,
  disable,
  reload,
  query,
  check,
  status,
  conns,
  top,
  explain,
  trace,
  dump,
  pass,
  doctor,
  completions,
];

const text = `
Examples:
  mda doctor                       does it work on this host?
  mda check --config ./mda.conf    print the rules as understood
  mda run --config ./mda.conf      accelerate, until Ctrl-C or SIGTERM
  mda enable                       accelerate with no process at all
  mda status                       what it has done so far
  mda explain --port 6379          what keeps connections off
  mda disable                      stop, without losing a byte

Exit status: 0 done, 1 failed or "no", 2 wrong usage or configuration.
Environment: what "set" lines of the configuration can say, variables can too,
with MDA_ and the name in capitals: MDA_DRAIN_TIMEOUT=10. The command line wins
over the environment, the environment over the file. MDA_DEBUG=1 prints the
whole of an error, with its stack.`;

/**
 * The command line: every command with its options, as --help, the parser and the completions see it. Each command sets
 * `Deno.exitCode`.
 *
 * @param printInstead what an option does that stands in the place of a command, after which nothing else is done
 */
export function createProgram(printInstead: (what: "version" | "licenses") => never) {
  const program = new Command("mda")
    .description("Lets TCP connections within this host skip the TCP/IP stack.")
    .usage("COMMAND [OPTION...]")
    .option("-V, --version", "print the versions of mda and of its parts")
    .option("--licenses", "print what is inside mda, and under which licences")
    .helpOption("-h, --help", "print help for mda or a command")
    .helpCommand("help [COMMAND]", "print help for a command")
    .on("option:version", () => printInstead("version"))
    .on("option:licenses", () => printInstead("licenses"))
    // Options of the program itself may stand before or after the command's name.
    .addOption(toOption("pinDir", pinDir))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: print,
      writeErr: printError,
      outputError: (text, write) => write(text.replace(/^error: /, "mda: ")),
    })
    .exitOverride()
    .addHelpText("after", text);
  // Each inherits the settings above only from here on.
  for (const command of commands) addCommand(program, command);
  return program;
}

/** The exit status of an error that the parser has thrown, and has said itself; undefined when it is another's. */
export function statusOfParser(error: unknown): number | undefined {
  return error instanceof CommanderError ? error.exitCode : undefined;
}
