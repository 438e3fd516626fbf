/** Programs that nobody knows yet: copies of executables. */
import { compile, type ProgramName } from "./programs.ts";

/** A directory of copies. `using` removes it. */
export class Copies implements Disposable {
  readonly #directory = Deno.makeTempDirSync({ prefix: "mda-test-" });

  constructor() {
    Deno.chmodSync(this.#directory, 0o755);
  }

  /** Copies a program to a file of its own; `name` is what the kernel calls its processes, 15 bytes at most. */
  add(name: string, program: ProgramName, flags: string[] = []): string {
    return this.addFile(name, compile(program, flags));
  }

  /** The same of an executable: its path, or its name in PATH. */
  addFile(name: string, executable: string): string {
    const path = `${this.#directory}/${name}`;
    // Not over a file that is there: it would stay the same program.
    Deno.copyFileSync(find(executable), path);
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

function find(executable: string): string {
  const { stdout } = new Deno.Command("sh", { args: ["-c", 'command -v "$1"', "sh", executable] })
    .outputSync();
  const path = new TextDecoder().decode(stdout).trim();
  if (!path) throw new Error(`Cannot copy ${executable}: it is not in PATH`);
  return path;
}
