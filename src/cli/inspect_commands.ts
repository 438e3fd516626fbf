import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { connsFormats, formats } from "../output/print.ts";
import { type Endpoint, parseEndpoint } from "../rules/endpoint.ts";
import { sortKeys, type State, states } from "../views/words.ts";

/** Makes a command of the program. */
type Make = (name: string, description: string) => Command;

/** Adds the commands that show what mda does. */
export function addInspectCommands(
  command: Make,
  pinDirOf: (self: { optsWithGlobals(): Record<string, unknown> }) => string,
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

A row is a connection. MSGS and BYTES are those of both directions that went
past TCP, BYTCP the messages that did not, REASON why the last of them did not,
IDLE the time since the last message.

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

  filtered(command("explain", "say step by step why connections are accelerated or not"))
    .option("--src <ADDR:PORT>", "ask about a connection from here; again for its other names", ends)
    .option("--dst <ADDR:PORT>", "and to here; a port may be left out", ends)
    .option("--uid <UID>", "users of the sockets of --src,--dst", owners)
    .option("--gid <GID>", "groups of the sockets of --src,--dst", owners)
    .option("-c, --config <FILE>", "the rules (default: the file that is in use)")
    .addOption(
      new Option("-o, --output <FORMAT>", "how to print").choices(formats).default("table" as const),
    )
    .addHelpText(
      "after",
      `
Without --src and --dst it explains the connections that are there: each step
of the way, the first obstacle and what would remove it. Connections that are
alike are told once. When there is none now, it tells of who listens, and what
was refused there since the start.

With --src and --dst it says of every rule whether it matches such a connection,
and if not, the first option that does not. With --config as well it needs no
mda that runs.

${filterHelp}

Exits with 0 when nothing stands in the way of any, with 1 when something does
or there is no such connection.

Examples:
  mda explain --port 6379
  mda explain --pid 812
  mda explain --src 10.244.1.2 --dst 10.244.1.3:15006 --uid 1337
  mda explain --src ::1 --dst [::1]:80 --config ./new.conf`,
    )
    .action(async (options, self) => {
      const { src, dst, uid, gid } = options;
      if (!src !== !dst) self.error(`error: --${src ? "dst" : "src"} is missing: rules look at both ends`);
      if (!src && (uid || gid)) {
        self.error("error: --uid and --gid go with --src and --dst; see --uid-owner and --gid-owner");
      }
      const { explain } = await import("./commands/explain.ts");
      Deno.exitCode = await explain({ ...options, pinDir: pinDirOf(self as never) });
    });
}

/** How often something is shown again, when it is not told. */
export const WATCH_SECONDS = 2;
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

function ends(value: string, before: Endpoint[] = []): Endpoint[] {
  const endpoint = parseEndpoint(value);
  if (!endpoint) throw new InvalidArgumentError("It is as 10.0.0.1, 10.0.0.1:80, ::1 or [::1]:80.");
  return [...before, endpoint];
}

function owners(value: string, before: number[] = []): number[] {
  const all = [...before, ...value.split(",").map((text) => /^\d{1,10}$/.test(text) ? Number(text) : NaN)];
  if (!all.every((id) => id < OWNER_MAX)) throw new InvalidArgumentError("It is a number, as id prints it.");
  if (all.length > 2) throw new InvalidArgumentError("A connection has two ends.");
  return all;
}

/** What the kernel gives nobody. */
const OWNER_MAX = 2 ** 32 - 1;

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

/** Reads what --watch takes. */
export function watchSeconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(value >= 0.1 && value <= WATCH_SECONDS_MAX)) {
    throw new InvalidArgumentError(`It is a number from 0.1 to ${WATCH_SECONDS_MAX}.`);
  }
  return value;
}
