import { CommanderError } from "@commander-js/extra-typings";
import { ConfigurationError } from "../config/mistakes.ts";
import { isShortage } from "../host/descriptors.ts";
import { commonAdvice } from "../host/libc/errno.ts";
import { ownName } from "../host/process.ts";
import { print, printFailure } from "../output/print.ts";
import { createProgram } from "./command_line.ts";

/** Wrong usage, or a configuration with mistakes. */
const exitUsage = 2;

/** Thrown out of the parser, whose events cannot wait: --version needs libbpf, which has to be loaded. */
class PrintWanted extends Error {
  constructor(readonly what: "version" | "licenses") {
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
  const program = createProgram((what) => {
    throw new PrintWanted(what);
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return Deno.exitCode;
  } catch (error) {
    if (!(error instanceof PrintWanted)) return report(error);
    if (error.what === "version") {
      const { versionText } = await import("./commands/version.ts");
      print(versionText());
    } else {
      const { licensesText } = await import("./commands/licenses.ts");
      print(licensesText);
    }
    return 0;
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitUsage; // said already
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
