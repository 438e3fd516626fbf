import { ConfigurationError } from "../config/mistakes.ts";
import { isShortage } from "../host/descriptors.ts";
import { commonAdvice } from "../host/libc/errno.ts";
import { ownName } from "../host/process.ts";
import { print, printFailure } from "../output/print.ts";

/** Wrong usage, or a configuration with mistakes. */
const exitUsage = 2;

/** What stands in the place of a command. */
type Text = "version" | "licenses";

/** Alone these need no parser, whose modules take half as long to load as the rest of `mda --version` lasts. */
const texts = new Map<string, Text>([["-V", "version"], ["--version", "version"], [
  "--licenses",
  "licenses",
]]);

/** Thrown out of the parser, whose events cannot wait: --version needs libbpf, which has to be loaded. */
class PrintWanted extends Error {
  constructor(readonly what: Text) {
    super();
  }
}

/** Runs one command to its end. Returns the exit status, and prints what went wrong. */
export async function runCommandLine(args: string[]): Promise<number> {
  // What fails where nobody waits for it must not look different.
  for (const event of ["error", "unhandledrejection"] as const) {
    globalThis.addEventListener(event, (event) => {
      event.preventDefault();
      Deno.exit(report(event instanceof ErrorEvent ? event.error : event.reason));
    });
  }
  if (ownName() === "mdacore") {
    const { runMdacore } = await import("./mdacore.ts");
    return await runMdacore(args, report);
  }
  const text = args.length === 1 ? texts.get(args[0]) : undefined;
  if (text) return await printText(text);
  const { createProgram, statusOfParser } = await import("./command_line.ts");
  const program = createProgram((what) => {
    throw new PrintWanted(what);
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return Deno.exitCode;
  } catch (error) {
    if (error instanceof PrintWanted) return await printText(error.what);
    const status = statusOfParser(error);
    if (status === undefined) return report(error);
    return status === 0 ? 0 : exitUsage;
  }
}

async function printText(what: Text): Promise<number> {
  try {
    if (what === "version") {
      const { versionText } = await import("./commands/version.ts");
      print(versionText());
    } else {
      const { licensesText } = await import("./commands/licenses.ts");
      print(licensesText);
    }
    return 0;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  const debug = Deno.env.get("MDA_DEBUG") === "1";
  if (error instanceof ConfigurationError) {
    printFailure(`${debug ? error.stack : error.message}\n`);
    return exitUsage;
  }
  const said = error instanceof Error ? (debug ? error.stack : error.message) : String(error);
  const isDenos = isShortage(error) && !error.message.startsWith("Cannot ");
  printFailure(`mda: ${isDenos ? `Cannot go on: ${said}; ${commonAdvice[error.code]}` : said}\n`);
  return 1;
}
