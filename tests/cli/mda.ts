/** The built binary, run as a user runs it. */
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const binary = `${root}dist/mda`;

export interface Result {
  /** The exit status; 128 and more: ended by a signal. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command to its end, at most 30 s. Variables are the caller's own and `env`; no standard input. */
export async function execute(command: string[], env: Record<string, string> = {}): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command("timeout", {
    args: ["30", ...command],
    env,
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

export function mda(...args: string[]): Promise<Result> {
  return execute([binary, ...args]);
}

/** A shell script, with `args` as $1 and so on. */
export function shell(script: string, ...args: string[]): Promise<Result> {
  return execute(["sh", "-ec", script, "sh", ...args]);
}

/** A directory that `using` removes with everything in it; everyone may read it. */
export class TemporaryDirectory implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "mda-test-" });

  constructor() {
    Deno.chmodSync(this.path, 0o755);
  }

  /** Writes a file for its owner only to change. Returns its path. */
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
