/** What holds for packages of either kind. */
import { ok, strictEqual } from "node:assert";
import { execute, root as tree, TemporaryDirectory } from "../../plane/cli/mda.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { configuration, type Kind, make, newComment, type Packages } from "./package.ts";
import type { Root } from "./root.ts";

export interface Manager {
  kind: Kind;
  /** As it follows "the". */
  name: string;
  packages: Packages;
  makeRoot(): Promise<Root>;
  install(root: Root, path: string): Promise<unknown>;
  upgrade(root: Root, path: string): Promise<unknown>;
  /** The shell's command that removes mda from the root in $0. */
  removal: string;
}

export function testEither({ kind, name, packages, makeRoot, install, upgrade, removal }: Manager): void {
  Deno.test(`two ${name}s of one commit are the same, byte by byte`, async () => {
    using directory = new TemporaryDirectory();
    const again = await make(kind, tree, directory.path);
    strictEqual((await execute(["cmp", packages.old, again])).stdout, "");
  });

  Deno.test(`an upgrade of the ${name} replaces a configuration that nobody has edited`, async () => {
    await using root = await makeRoot();
    await install(root, packages.old);
    await upgrade(root, packages.new);
    ok(root.read(configuration).endsWith(`${newComment}\n`));
  });

  Deno.test(`the ${name} takes the place of an mdacore of no package, and keeps its configuration`, async () => {
    await using root = await makeRoot();
    const rules = "chain --ip 10.0.0.0/8 --j ACCEPT\n";
    root.write(configuration, rules, 0o600);
    root.write("/usr/bin/mdacore", "", 0o500);
    await install(root, packages.old);
    strictEqual(root.read(configuration), rules);
    strictEqual((await root.run("mdacore", "query")).code, 1);
  });

  Deno.test(`removing the ${name} ends acceleration without a process`, async () => {
    await using root = await makeRoot();
    await using cgroup = createCgroup("packages");
    await install(root, packages.old);
    const script = `
      chroot "$0" mda enable --cgroup "$1"
      test -d "$0/sys/fs/bpf/mda"
      ${removal}
      test ! -e "$0/sys/fs/bpf/mda"`;
    const { code, stderr } = await root.beside("sh", "-ec", script, root.path, cgroup.path);
    strictEqual(code, 0, stderr);
  });
}
