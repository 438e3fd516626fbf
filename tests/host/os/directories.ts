/** Directories of the test's own on the filesystems that mda uses; `using` removes them. */
import { findCgroup2 } from "../../../src/host/cgroup.ts";

export class OwnDirectory implements Disposable {
  constructor(readonly path: string) {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  [Symbol.dispose](): void {
    const files = [...Deno.readDirSync(this.path)].filter((entry) => entry.isFile);
    // A cgroup's files are the kernel's and go with it.
    if (!this.path.startsWith(findCgroup2())) {
      for (const { name } of files) Deno.removeSync(`${this.path}/${name}`);
    }
    Deno.removeSync(this.path);
  }
}

/** A cgroup below the cgroup2 mount. */
export function ownCgroup(name: string): OwnDirectory {
  return new OwnDirectory(`${findCgroup2()}/mda-test-${name}-${Deno.pid}`);
}

/** A directory on the bpffs. */
export function ownPinDirectory(name: string): OwnDirectory {
  return new OwnDirectory(`/sys/fs/bpf/mda-test-${name}-${Deno.pid}`);
}
