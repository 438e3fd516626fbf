/** The Debian package: what it says and holds, and what installing, upgrading, removing and purging it does. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { execute, root as tree, shell, TemporaryDirectory } from "../../plane/cli/mda.ts";
import { testEither } from "./either.ts";
import { configuration, isLater, makePackages, newComment, newVersion, rows, version } from "./package.ts";
import { enabled, Root } from "./root.ts";

const rules = "chain --port 22 -j RETURN\n";

const packages = await makePackages("deb");
globalThis.addEventListener("unload", () => packages[Symbol.dispose]());

async function dpkg(root: Root, ...args: string[]): Promise<void> {
  const { code, stderr } = await tryDpkg(root, ...args);
  strictEqual(code, 0, stderr);
}

function tryDpkg(root: Root, ...args: string[]) {
  return root.beside("dpkg", `--root=${root.path}`, "--force-confdef", "--force-confold", ...args);
}

/** Makes a package of some fields and files in a directory. */
async function makeDeb(fields: string, files: string[], directory: TemporaryDirectory): Promise<string> {
  const { code, stderr } = await shell(
    `mkdir -p "$1/package/DEBIAN"
     printf 'Version: 1\nArchitecture: all\nMaintainer: A <a@example.com>\nDescription: a test\n%s\n' "$2" \
       >"$1/package/DEBIAN/control"
     package=$1
     shift 2
     for file in "$@"; do install -D /dev/null "$package/package$file"; done
     dpkg-deb -Znone --build "$package/package" "$package/test.deb"`,
    directory.path,
    fields,
    ...files,
  );
  strictEqual(code, 0, stderr);
  return `${directory.path}/test.deb`;
}

/** A root with Debian's own deb-systemd-helper and what mda depends on, as far as dpkg knows. */
async function makeRoot(options: { booted?: boolean } = {}): Promise<Root> {
  const root = await Root.make({ ...options, programs: ["/usr/bin/perl"] });
  const perl = 'cp -r --parents /usr/lib/*/perl-base /usr/bin/deb-systemd-helper "$1"';
  strictEqual((await shell(perl, root.path)).code, 0);
  root.write("/var/lib/dpkg/status", "");
  using directory = new TemporaryDirectory();
  const fields = "Package: base\nProvides: libc6 (= 2.34), libgcc-s1";
  await dpkg(root, "-i", await makeDeb(fields, [], directory));
  return root;
}

testEither({
  kind: "deb",
  name: "Debian package",
  packages,
  makeRoot,
  install: (root, path) => dpkg(root, "-i", path),
  upgrade: (root, path) => dpkg(root, "-i", path),
  removal: 'dpkg --root="$0" -r mda',
});

Deno.test("the Debian package has the version of deno.json, also in its changelog", async () => {
  const fields = ["Package", "Version", "Architecture"];
  const { stdout } = await execute(["dpkg-deb", "-f", packages.old, ...fields]);
  strictEqual(stdout, `Package: mda\nVersion: ${version}-1\nArchitecture: amd64\n`);
  const changelog = await Deno.readTextFile(`${tree}packaging/debian/changelog`);
  match(changelog, new RegExp(`^mda \\(${version}-1\\) `));
});

Deno.test("the Debian package holds these files, with these owners and modes", async () => {
  const { stdout } = await shell('dpkg-deb --fsys-tarfile "$1" | tar -tv', packages.old);
  const files = rows(stdout.replace(/ \d+ \S+ \S+ \./g, " "));
  deepStrictEqual(files.filter((row) => !/^drwxr-xr-x root\/root .*\/$/.test(row)), [
    "-rw------- root/root /etc/oncn-mda/oncn-mda.conf",
    "-rw-r--r-- root/root /usr/lib/systemd/system/mda.service",
    "-rw-r--r-- root/root /usr/share/bash-completion/completions/mda",
    "-rw-r--r-- root/root /usr/share/doc/mda/LICENSES",
    "-rw-r--r-- root/root /usr/share/doc/mda/changelog.Debian.gz",
    "-rw-r--r-- root/root /usr/share/doc/mda/changelog.gz",
    "-rw-r--r-- root/root /usr/share/doc/mda/copyright",
    "-rw-r--r-- root/root /usr/share/fish/vendor_completions.d/mda.fish",
    "-rw-r--r-- root/root /usr/share/lintian/overrides/mda",
    "-rw-r--r-- root/root /usr/share/man/man8/mda.8.gz",
    "-rw-r--r-- root/root /usr/share/zsh/vendor-completions/_mda",
    "-rwxr-xr-x root/root /usr/bin/mda",
    "lrwxrwxrwx root/root /usr/bin/mdacore -> mda",
    "lrwxrwxrwx root/root /usr/share/man/man8/mdacore.8.gz -> mda.8.gz",
  ]);
});

Deno.test("lintian finds nothing in the Debian package", async () => {
  // Only the tests' package is not compressed.
  const compression = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball";
  const lintianVersion = (await execute(["lintian", "--print-version"])).stdout.trim();
  const errorsOnly = isLater(lintianVersion, "2.122");
  const lintian = ["lintian", "--allow-root", "--fail-on", errorsOnly ? "error" : "error,warning,info"];
  const { code, stdout } = await execute([...lintian, "--suppress-tags", compression, packages.old]);
  if (!errorsOnly) strictEqual(stdout, "");
  strictEqual(code, 0, stdout);
});

Deno.test("the Debian package is installed, upgraded with the configuration as it was edited, removed and purged", async () => {
  await using root = await makeRoot();
  await dpkg(root, "-i", packages.old);
  deepStrictEqual(root.calls(), [
    "systemctl --root=/ --system --preset-mode=enable-only preset mda.service",
    "systemctl --system daemon-reload",
    "deb-systemd-invoke start mda.service",
  ]);
  ok(root.has(enabled));
  strictEqual((await root.run("mdacore", "query")).code, 1);
  match((await root.run("mda", "check")).stdout, /^# no rule: every local connection is accelerated$/m);

  root.write(configuration, rules, 0o600);
  await dpkg(root, "-i", packages.new);
  deepStrictEqual(root.calls(), [
    "systemctl --system daemon-reload",
    "deb-systemd-invoke restart mda.service",
  ]);
  match((await root.run("mda", "--version")).stdout, new RegExp(`^mda ${version}\n`));
  match(
    root.read("/var/lib/dpkg/status"),
    new RegExp(`^Package: mda\nStatus: install ok installed\n[^]*^Version: ${newVersion}-1$`, "m"),
  );
  strictEqual(root.read(configuration), rules);
  ok(root.read(`${configuration}.dpkg-dist`).endsWith(`${newComment}\n`));

  await dpkg(root, "-r", "mda");
  deepStrictEqual(root.calls(), ["deb-systemd-invoke stop mda.service", "systemctl --system daemon-reload"]);
  strictEqual(root.read(configuration), rules);
  for (const path of ["/usr/bin/mda", "/usr/bin/mdacore", "/usr/share/doc/mda"]) ok(!root.has(path), path);

  await dpkg(root, "-P", "mda");
  deepStrictEqual(root.calls(), ["systemctl daemon-reload"]);
  for (const path of ["/etc/oncn-mda", enabled]) ok(!root.has(path), path);
});

Deno.test("an upgrade of the Debian package does not enable a service that the operator has disabled", async () => {
  await using root = await makeRoot();
  await dpkg(root, "-i", packages.old);
  Deno.removeSync(root.path + enabled);
  await dpkg(root, "-i", packages.new);
  ok(!root.has(enabled));
});

Deno.test("a service that was masked before stays so when the Debian package is installed", async () => {
  await using root = await makeRoot();
  const unit = "/etc/systemd/system/mda.service";
  Deno.mkdirSync(`${root.path}/etc/systemd/system`, { recursive: true });
  Deno.symlinkSync("/dev/null", root.path + unit);
  await dpkg(root, "-i", packages.old);
  strictEqual(Deno.readLinkSync(root.path + unit), "/dev/null");
});

Deno.test("in a root that is not booted the Debian package starts and stops nothing", async () => {
  await using root = await makeRoot({ booted: false });
  await dpkg(root, "-i", packages.old);
  ok(root.has(enabled));
  await dpkg(root, "-i", packages.new);
  await dpkg(root, "-P", "mda");
  ok(!root.has(enabled));
  deepStrictEqual(root.calls(), [
    "systemctl --root=/ --system --preset-mode=enable-only preset mda.service",
  ]);
});

Deno.test("the Debian package is not installed over another mdacore", async () => {
  await using root = await makeRoot();
  using directory = new TemporaryDirectory();
  await dpkg(root, "-i", await makeDeb("Package: kmesh", ["/usr/bin/mdacore"], directory));
  const { code, stderr } = await tryDpkg(root, "-i", packages.old);
  ok(code !== 0);
  match(stderr, /trying to overwrite '\/usr\/bin\/mdacore', which is also in package kmesh/);
});
