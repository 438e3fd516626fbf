/** What a suite of another project's tests is to run.ts. */

/** How a test ended. */
export type Result = "passed" | "failed" | "skipped";

/** A command of a suite, in the directory of one run. */
export interface Command {
  argv: string[];
  env?: Record<string, string>;
  /** The run's own directory when absent. */
  cwd?: string;
}

/** The tests of one project, out of a source package of Debian. */
export interface Suite {
  /** Where Debian has the sources: build.sh fetches a source package, and installs another one. */
  sources: { fetched: string } | { installed: string };
  /** One that uses what another one has built. */
  builtAs?: string;
  /** The commands that build the tests, in the directory of the sources. */
  build: Command[];
  /** The groups of tests that there are: each is one command, with one or more tests in it. */
  list(sources: string): Promise<string[]> | string[];
  /**
   * Puts what a group runs into a directory of its own, as copies: mda knows programs by their files, and one test that
   * uses splice(2), say, leaves its whole program to TCP.
   */
  prepare(sources: string, directory: string): void;
  command(group: string, directory: string, sources: string): Command;
  /** The group that is run first where programs are to be learnt, for mda to see how they receive. */
  warmUp?: string;
  /** What the output says of each test of a group, and of the group, which may have ended too early to say of all. */
  results(group: string, output: string, code: number): Map<string, Result>;
  /** How long a group may take; 60 s when absent. */
  timeoutMs?: number;
}

/** Where the library is that lets a program block on sockets that do not: blocking.c. */
export const blockingLibrary = new URL("../../build/programs/suites/blocking.so", import.meta.url).pathname;

/** A group that is one test, which has passed when its command says so. */
export function oneTest(group: string, code: number, skipped: boolean): Map<string, Result> {
  return new Map([[group, skipped ? "skipped" : code === 0 ? "passed" : "failed"]]);
}

/** Copies a directory with all that is in it, but for what `leaveOut` matches. */
export function copyDirectory(from: string, to: string, leaveOut = /^$/): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const { name, isDirectory, isFile } of Deno.readDirSync(from)) {
    if (leaveOut.test(name)) continue;
    if (isDirectory) copyDirectory(`${from}/${name}`, `${to}/${name}`, leaveOut);
    if (isFile) Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}
