/** What --output takes; `table` is for people. */
export const formats = ["table", "json", "yaml"] as const;

export type Format = typeof formats[number];

/** The same of commands whose table has more columns than most terminals have room for. */
export const connsFormats = ["table", "wide", "json", "yaml"] as const;

export type ConnsFormat = typeof connsFormats[number];

/**
 * Writes to standard output. When nobody reads it any more (`mda check | head`), what is left is dropped.
 *
 * @returns whether somebody reads it
 * @throws Error when it cannot be written: a file on a full disk
 */
export function print(text: string): boolean {
  try {
    return write(Deno.stdout, text);
  } catch (error) {
    throw new Error(`Cannot write to standard output: ${(error as Error).message}`);
  }
}

/** Writes to standard error, where everything goes that is not the answer. What cannot be written is lost. */
export function printError(text: string): void {
  try {
    write(Deno.stderr, text);
  } catch {
    // A file on a full disk: there is nobody else to tell.
  }
}

let failureOutputs: ((text: string) => void)[] = [printError];

/** Says why mda ends, wherever that is to be said. */
export function printFailure(text: string): void {
  for (const output of failureOutputs) output(text);
}

/** Where {@link printFailure} says it, instead of on standard error. */
export function setFailureOutputs(...outputs: ((text: string) => void)[]): void {
  failureOutputs = outputs;
}

/** Writes a value as a program reads it. Returns whether somebody reads it. */
export async function printAs(format: Exclude<Format, "table">, value: unknown): Promise<boolean> {
  if (format === "json") return print(`${JSON.stringify(value, null, 2)}\n`);
  const { stringify } = await import("yaml"); // 10 ms that only this format needs
  return print(stringify(value));
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  let rest = new TextEncoder().encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    return false;
  }
}
