import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { connsFormats } from "../output/print.ts";
import { sortKeys, type State, states } from "../views/words.ts";

/** Makes a command of the program. */
type Make = (name: string, description: string) => Command;

/** The pin directory that a command was given. */
type PinDirOf = (self: { optsWithGlobals(): Record<string, unknown> }) => string;

/** Adds the commands that show what mda does. */
export function addInspectCommands(
  command: Make,
  pinDirOf: PinDirOf,
): void {
  filtered(command("conns", "show connections, and why each is redirected or is not"))
    .option("-a, --all", "also those that are not accelerated")
    .addOption(new Option("--sort <KEY>", "what to sort by").choices(sortKeys).default("bytes" as const))
    .option("-w, --watch [SECONDS]", "again and again, every 2 seconds if not told", watchSeconds)
    .addOption(
      new Option("-o, --output <FORMAT>", "how to print").choices(connsFormats).default("table" as const),
    )
    .addHelpText(
      "after",
      `
${filterHelp}

A row is a connection. MSGS and BYTES are those of both directions that went past
TCP, BYTCP the messages that did not, REASON why the last of them did not, IDLE
the time since the last message.

Examples:
  mda conns
  mda conns --program nginx --state passed
  mda conns --all --port 6379 -o wide
  mda conns -w --sort messages`,
    )
    .action(async ({ watch, ...options }, self) => {
      const { conns } = await import("./commands/conns.ts");
      Deno.exitCode = await conns({
        ...options,
        watch: watch === true ? WATCH_SECONDS : watch,
        pinDir: pinDirOf(self as never),
      });
    });
  addTop(command, pinDirOf);
}

function addTop(command: Make, pinDirOf: PinDirOf): void {
  filtered(command("top", "show what connections do, live, with rates"))
    .option("-a, --all", "also those that are not accelerated")
    .addOption(new Option("--sort <KEY>", "what to sort by").choices(sortKeys).default("bytes" as const))
    .addOption(
      new Option("--tree <BY>", "connections below what they belong to")
        .choices(["program", "pod", "off"] as const).default("off" as const),
    )
    .option("-d, --delay <SECONDS>", "between two readings", watchSeconds, WATCH_SECONDS)
    .option("-n, --count <COUNT>", "print so many readings, and end", count)
    .addHelpText(
      "after",
      `
${filterHelp}

Keys are those of htop: F1 has them all, F3 filters, F5 makes a tree of
connections by program or pod, F6 sorts, space pauses, q ends it. MSG/S and
BYTE/S are those of both directions past TCP, TCP/S messages by TCP.

With --count, or where there is no terminal, it prints one reading after the
other; NO_COLOR=1 turns colours off.

Examples:
  mda top
  mda top --program nginx --sort messages
  mda top --tree pod --delay 5
  mda top --count 1 > top.txt`,
    )
    .action(async (options, self) => {
      const { top } = await import("./commands/top.ts");
      Deno.exitCode = await top({ ...options, pinDir: pinDirOf(self as never) });
    });
}

const WATCH_SECONDS = 2;
const WATCH_SECONDS_MAX = 3600;

const filterHelp = `Filters are as in chain lines, and each takes several values, one of which must
match at either end. --program and --pod take the beginning of a name too; --pod
also a container's id or a unit of systemd.`;

const several = (value: string, before: string[] = []) => [...before, ...value.split(",")];

/** Gives a command the options of a filter. */
function filtered(command: Command) {
  return command
    .option("-i, --ip <ADDRESS>", "with an end in this CIDR block", several)
    .option("-p, --port <PORT>", "with this port, or one of this range, at an end", several)
    .option("-u, --uid-owner <UID>", "with a socket of this user at an end", several)
    .option("-g, --gid-owner <GID>", "with a socket of this group at an end", several)
    .option("--pid <PID>", "with an end in this process", pids)
    .option("--program <NAME>", "with an end in a program of this name", several)
    .option("--pod <ID>", "with an end in this pod, container or unit", several)
    .addOption(
      new Option("--state <STATE>", `in this state: ${states.join(", ")}`).argParser(stateNames),
    );
}

function pids(value: string, before: number[] = []): number[] {
  const all = value.split(",").map((text) => /^[1-9]\d{0,9}$/.test(text) ? Number(text) : NaN);
  if (all.some(Number.isNaN)) throw new InvalidArgumentError("It is a process's number.");
  return [...before, ...all];
}

function stateNames(value: string, before: State[] = []): State[] {
  const all = value.split(",");
  if (!all.every((name): name is State => (states as readonly string[]).includes(name))) {
    throw new InvalidArgumentError(`It is one of ${states.join(", ")}.`);
  }
  return [...before, ...all];
}

function watchSeconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(value >= 0.1 && value <= WATCH_SECONDS_MAX)) {
    throw new InvalidArgumentError(`It is a number from 0.1 to ${WATCH_SECONDS_MAX}.`);
  }
  return value;
}

function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It is a number from 1.");
  return Number(text);
}
