/** The built binary, and other programs, run to their end as a user runs them. */
import { fileURLToPath } from "node:url";
import { binary, runMda } from "../../lab/mda.ts";
import { type Output, type Place, tryRun } from "../../lab/program.ts";

export { binary, type Output };

export const root = fileURLToPath(new URL("../../../", import.meta.url));

export const nobody: Place = { uid: 65534, gid: 65534 };

const timeoutMs = 60_000;

export function mda(...args: string[]): Promise<Output> {
  return runMda(args);
}

/** Runs a command; its variables are the caller's own and `env`. */
export function execute(
  argv: string[],
  env: Record<string, string> = {},
  place: Place = {},
): Promise<Output> {
  return tryRun(place, argv, { env, timeoutMs });
}

/** Runs a shell script, with `args` as $1 and so on. */
export function shell(script: string, ...args: string[]): Promise<Output> {
  return execute(["sh", "-ec", script, "sh", ...args]);
}

/** A directory that everyone may read; `using` removes it with everything in it. */
export class TemporaryDirectory implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "mda-test-" });

  constructor() {
    Deno.chmodSync(this.path, 0o755);
  }

  /** Writes a file that only its owner may change. Returns its path. */
  write(name: string, text: string): string {
    const path = `${this.path}/${name}`;
    Deno.writeTextFileSync(path, text);
    Deno.chmodSync(path, 0o644);
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
