/** Where packets are written: a file that only its owner reads, or standard output. */

/** What is collected before it is written. */
const ENOUGH_BYTES = 1 << 18;

export class DumpFile implements Disposable {
  readonly #file: Deno.FsFile | undefined;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  /**
   * @param path `-` for standard output
   * @throws Error when it cannot be opened, or a terminal would get what it cannot show
   */
  constructor(private readonly path: string) {
    if (path === "-") {
      if (Deno.stdout.isTerminal()) {
        throw new Error(
          "Cannot write packets to a terminal: name a file, or pipe it into a program (tshark -r -)",
        );
      }
      return;
    }
    try {
      this.#file = Deno.openSync(path, { write: true, create: true, truncate: true, mode: 0o600 });
      // One that was there may be for others to read.
      if (this.#file.statSync().isFile) Deno.chmodSync(path, 0o600);
    } catch (error) {
      this.#file?.close();
      throw new Error(`Cannot write packets to ${path}: ${(error as Error).message}`);
    }
  }

  /** Returns whether somebody reads it. */
  write(blocks: Uint8Array[]): boolean {
    for (const block of blocks) {
      this.#chunks.push(block);
      this.#bytes += block.length;
    }
    return this.#bytes < ENOUGH_BYTES || this.flush();
  }

  /** Writes what was collected. Returns whether somebody reads it. */
  flush(): boolean {
    if (this.#bytes === 0) return true;
    const all = new Uint8Array(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks.length = 0;
    this.#bytes = 0;
    const stream = this.#file ?? Deno.stdout;
    try {
      for (let rest = all; rest.length > 0;) rest = rest.subarray(stream.writeSync(rest));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      throw new Error(`Cannot write packets to ${this.path}: ${(error as Error).message}`);
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}
