import { unknownPrograms } from "../config/unknown.ts";
import { Argument, Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { type MetricsAddress, parseMetricsAddress } from "../http/address.ts";
import { addInspectCommands, WATCH_SECONDS, watchSeconds } from "./inspect_commands.ts";
import { shells } from "./commands/completions.ts";
import { defaults } from "../config/defaults.ts";
import { formats, print, printError } from "../output/print.ts";

const SECONDS_MAX = 3600;
const CONNECTIONS_MAX = 10_000_000;

/**
 * The command line: every command with its options, as --help, the parser and the completions see it. An action sets
 * `Deno.exitCode`, and loads what it needs by itself: --help and check do not wait for the data plane's parts.
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
    .addOption(
      new Option("--pin-dir <DIR>", "directory on bpffs, one for each running mda").default(defaults.pinDir),
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
  mda enable                       accelerate with no process at all
  mda status                       what it has done so far
  mda disable                      stop, without losing a byte

Exit status: 0 done, 1 failed or "no", 2 wrong usage or configuration.
Environment: MDA_PIN_DIR and MDA_CGROUP are the defaults of --pin-dir and
--cgroup; MDA_DEBUG=1 prints the whole of an error, with its stack.`,
    );
  // Each command inherits the settings above only from here on.
  const command = (name: string, description: string) => program.command(name).description(description);

  command("run", "accelerate until SIGINT or SIGTERM, also as a daemon")
    .addOption(config())
    .addOption(cgroup())
    .addOption(sockets())
    .addOption(unknown())
    .option("--no-adopt", "leave connections that are already open to TCP")
    .option("--watch", "reload when the configuration's file changes, as SIGHUP does")
    .addOption(drainTimeout())
    .option("--keep", "leave acceleration on when it stops, as mda enable does")
    .addOption(maxConnections())
    .option("--daemon", "return as soon as connections are accelerated, and go on")
    .option("--pid-file <FILE>", `file for the process number (default of --daemon: ${defaults.pidFile})`)
    .option("--log-file <FILE>", "log to a file (default: standard error; of --daemon: the journal)")
    .addOption(
      new Option("--log-format <FORMAT>", "how to log")
        .choices(["text", "json"] as const)
        .default("text" as const),
    )
    .addOption(metrics())
    .addHelpText(
      "after",
      `
Connections that are open when mda starts are adopted, and go on over TCP when
it stops; no byte is lost. SIGHUP makes it read its configuration again; when
there is a mistake in it, the rules that hold stay.

With --keep the next mda run takes over where this one has stopped, which no
connection notices: for upgrades. "mda disable" ends what is left on.

With --metrics it answers GET /metrics, /healthz and /readyz there.

${socketsHelp}

${unknownHelp}

Examples:
  mda run
  mda run --config ./mda.conf --cgroup /sys/fs/cgroup/kubepods.slice
  mda run --pin-dir /sys/fs/bpf/mda-test --log-format json
  mda run --daemon --log-file /var/log/mda.log
  mda run --metrics 127.0.0.1:9464`,
    )
    .action(async (options, self) => {
      const { run } = await import("./commands/run.ts");
      Deno.exitCode = await run({ ...options, pinDir: pinDirOf(self) });
    });

  command("enable", "accelerate without a process, until mda disable")
    .addOption(config())
    .addOption(cgroup())
    .addOption(sockets())
    .addOption(unknown())
    .option("--no-adopt", "leave connections that are already open to TCP")
    .addOption(maxConnections())
    .addHelpText(
      "after",
      `
What is enabled already gets the new rules, and keeps its cgroup unless another
is named. Without a process, readers that wait for edges (EPOLLET) are left to
TCP; "mda run" accelerates them too.

${socketsHelp}

${unknownHelp}

Examples:
  mda enable
  mda enable --config ./mda.conf --cgroup /sys/fs/cgroup/kubepods.slice`,
    )
    .action(async (options, self) => {
      const { enable } = await import("./commands/enable.ts");
      Deno.exitCode = await enable({ ...options, pinDir: pinDirOf(self) });
    });

  command("disable", "stop accelerating, whoever started it; no byte is lost")
    .addOption(drainTimeout())
    .option("--force", "then reset the connections that have unread bytes")
    .addHelpText(
      "after",
      `
Each connection goes over to TCP when its program has read what was redirected
to it. One whose program does not read stays in place until it does, and is
counted. With --force it is reset: both programs are told ECONNRESET, and what
is lost is said.

Examples:
  mda disable
  mda disable --drain-timeout 30
  mda disable --drain-timeout 1 --force`,
    )
    .action(async (options, self) => {
      const { disable } = await import("./commands/disable.ts");
      Deno.exitCode = await disable({ ...options, pinDir: pinDirOf(self) });
    });

  command("reload", "put new rules in force, for new connections")
    .option("-c, --config <FILE>", "the rules (default: the file that is in use)")
    .option("--reapply", "also for the connections that are there")
    .option("--no-adopt", "leave connections that are already open to TCP")
    .addHelpText(
      "after",
      `
All of the new rules hold from one moment on. When there is a mistake in the
file, it is printed, the exit status is 2, and the rules that hold stay.
Connections that only the new rules let in are adopted; with --reapply, those
that they do not let in any more go over to TCP.

Examples:
  mda reload
  mda reload --config ./new.conf --reapply`,
    )
    .action(async (options, self) => {
      const { reload } = await import("./commands/reload.ts");
      Deno.exitCode = await reload({ ...options, pinDir: pinDirOf(self) });
    });

  command("query", "tell by the exit status whether connections are accelerated")
    .addHelpText(
      "after",
      `
Exits with 0 when enabled, with 1 when disabled, and prints which.

Examples:
  mda query && echo on`,
    )
    .action(async (_options, self) => {
      const { query } = await import("./commands/query.ts");
      Deno.exitCode = query({ pinDir: pinDirOf(self) });
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
      const { check } = await import("./commands/check.ts");
      Deno.exitCode = await check(options);
    });

  command("status", "show what mda has done so far")
    .addOption(output())
    .option("-w, --watch [SECONDS]", "again and again with rates, every 2 seconds if not told", watchSeconds)
    .addHelpText(
      "after",
      `
Exits with 0 when connections are accelerated, with 1 when not. The last rows
are the reasons that keep most off; "mda explain" has it of each connection.

Examples:
  mda status
  mda status --watch
  mda status -o json | jq .redirected.bytes`,
    )
    .action(async ({ watch, ...options }, self) => {
      const { status } = await import("./commands/status.ts");
      Deno.exitCode = await status({
        ...options,
        watch: watch === true ? WATCH_SECONDS : watch,
        pinDir: pinDirOf(self),
      });
    });

  addInspectCommands(command, pinDirOf);

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
      const { completions } = await import("./commands/completions.ts");
      print(completions(shell, program));
    });

  return program;
}

const socketsHelp = `With --sockets all, sockets in blocking mode are accelerated too. A blocking
read may then fail with EAGAIN, and MSG_WAITALL return less than was asked for:
only for programs that are known to expect both.`;

const unknownHelp = `How programs take what they are sent, with recv(2) or in ways that only TCP can
serve as splice(2), is learnt from their first connections, which stay on TCP
until it is known. --unknown strict leaves programs that have splice(2) in their
code to TCP for good, --unknown fast accelerates the first ones too.`;

const cgroup = () => {
  const text = "accelerate what runs in this cgroup";
  return defaults.cgroup === undefined
    ? new Option("--cgroup <DIR>", `${text} (default: the whole host)`)
    : new Option("--cgroup <DIR>", text).default(defaults.cgroup);
};

const sockets = () =>
  new Option("--sockets <KIND>", "which sockets to accelerate")
    .choices(["nonblocking", "all"] as const)
    .default(defaults.sockets);

const unknown = () =>
  new Option("--unknown <HOW>", "what becomes of programs that are not known yet")
    .choices(unknownPrograms)
    .env("MDA_UNKNOWN")
    .default(defaults.unknown);

const drainTimeout = () =>
  new Option("--drain-timeout <SECONDS>", "how long a stop waits for programs that read late")
    .argParser(seconds)
    .default(defaults.drainTimeout);

const maxConnections = () =>
  new Option("--max-connections <COUNT>", "accelerated at once (default: 131072)").argParser(connections);

const metrics = () =>
  new Option("--metrics <ADDR:PORT>", "serve metrics for Prometheus over HTTP (:PORT for all addresses)")
    .argParser(metricsAddress);

function metricsAddress(text: string): MetricsAddress {
  const address = parseMetricsAddress(text);
  if (!address) {
    throw new InvalidArgumentError("It is as 127.0.0.1:9464, [::1]:9464, or :9464 for all addresses.");
  }
  return address;
}

function seconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(value <= SECONDS_MAX)) throw new InvalidArgumentError(`It is a number from 0 to ${SECONDS_MAX}.`);
  return value;
}

function connections(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= 1 && value <= CONNECTIONS_MAX)) {
    throw new InvalidArgumentError(`It is a number from 1 to ${CONNECTIONS_MAX}.`);
  }
  return value;
}

const config = () => new Option("-c, --config <FILE>", "the rules: chain lines").default(defaults.config);

const output = () =>
  new Option("-o, --output <FORMAT>", "how to print").choices(formats).default("table" as const);

/** Options of the program itself may stand before or after the command's name. */
function pinDirOf(command: { optsWithGlobals(): Record<string, unknown> }): string {
  return command.optsWithGlobals().pinDir as string;
}
