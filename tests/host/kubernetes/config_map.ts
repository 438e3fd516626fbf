/** A ConfigMap's volume on disk, laid out and changed as the kubelet's AtomicWriter does it. */
export class ConfigMapVolume implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "mda-test-" });
  #made = 0;

  /** @param mode of the files: the volume's defaultMode */
  constructor(files: Record<string, string>, readonly mode: number) {
    Deno.chmodSync(this.path, 0o755);
    this.update(files);
    for (const name of Object.keys(files)) Deno.symlinkSync(`..data/${name}`, `${this.path}/${name}`);
  }

  /** Replaces the contents of all files at once. */
  update(files: Record<string, string>): void {
    const before = this.#data();
    const next = `..2026_01_01_00_00_00.${++this.#made}`;
    Deno.mkdirSync(`${this.path}/${next}`, { mode: 0o755 });
    for (const [name, text] of Object.entries(files)) {
      const file = `${this.path}/${next}/${name}`;
      Deno.writeTextFileSync(file, text);
      Deno.chmodSync(file, this.mode);
    }
    Deno.symlinkSync(next, `${this.path}/..data_tmp`);
    Deno.renameSync(`${this.path}/..data_tmp`, `${this.path}/..data`);
    if (before) Deno.removeSync(`${this.path}/${before}`, { recursive: true });
  }

  #data(): string | undefined {
    try {
      return Deno.readLinkSync(`${this.path}/..data`);
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
