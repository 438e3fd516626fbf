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

  /** The same of any executable. */
  addFile(name: string, executable: string): string {
    const path = `${this.#directory}/${name}`;
    // Not over a file that is there: it would stay the same program.
    Deno.copyFileSync(executable, path);
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#directory, { recursive: true });
  }
}
