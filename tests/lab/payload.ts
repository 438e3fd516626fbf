import { type Place, run } from "./program.ts";

/** Random bytes in a file that everyone may read. `await using` removes it. */
export class Payload implements AsyncDisposable {
  private constructor(readonly directory: string, readonly path: string, readonly sha256: string) {}

  static async create(mib: number): Promise<Payload> {
    const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
    await Deno.chmod(directory, 0o755);
    const path = `${directory}/payload`;
    try {
      await run({}, ["dd", "if=/dev/urandom", `of=${path}`, "bs=1M", `count=${mib}`]);
      return new Payload(directory, path, await sha256Of(path));
    } catch (error) {
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** The digest of a file, in hexadecimal. */
export async function sha256Of(path: string): Promise<string> {
  return (await run({}, ["sha256sum", path])).split(" ")[0];
}

/** The digest of what a program writes to its standard output. */
export async function sha256OfOutput(place: Place, argv: string[]): Promise<string> {
  const output = await run(place, ["bash", "-c", 'set -o pipefail; "$@" | sha256sum', "bash", ...argv]);
  return output.split(" ")[0];
}
