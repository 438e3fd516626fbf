/** The RPM: what it says and holds, and what installing, upgrading and erasing it does. */
import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { execute, root as tree, TemporaryDirectory } from "../../plane/cli/mda.ts";
import { testEither } from "./either.ts";
import { configuration, isLater, makePackages, newComment, newVersion, rows, version } from "./package.ts";
import { enabled, Root } from "./root.ts";

const tags = "Version: 1\nRelease: 1\nSummary: A test\nLicense: MIT\nAutoReqProv: no";

/** What mda requires, as a package without a file. */
const base = `
Name: base
${tags}
Provides: /bin/sh systemd libc.so.6(GLIBC_2.34)(64bit) libgcc_s.so.1()(64bit)
%description
%files`;

/** Kmesh with the mdacore of oncn-mda, and without. */
const kmesh = `
Name: kmesh
${tags}
%description
%install
install -D -m 500 /dev/null %{buildroot}/usr/bin/mdacore
install -D -m 600 /dev/null %{buildroot}${configuration}
%files
/usr/bin/mdacore
%config(noreplace) ${configuration}`;
const kmeshAlone = `
Name: kmesh
${tags}
%description
%install
install -D -m 500 /dev/null %{buildroot}/usr/bin/kmesh-daemon
%files
/usr/bin/kmesh-daemon`;

const packages = await makePackages("rpm");
globalThis.addEventListener("unload", () => packages[Symbol.dispose]());

/** Runs rpm on the packages of a root. */
async function rpm(root: Root, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryRpm(root, ...args);
  strictEqual(code, 0, stderr);
  return stdout;
}

function tryRpm(root: Root, ...args: string[]) {
  return root.beside("rpm", "--root", root.path, "--dbpath", "/var/lib/rpm", ...args);
}

/** Makes a package of a spec file's text in a directory. */
async function makeRpm(spec: string, directory: TemporaryDirectory): Promise<string> {
  const file = directory.write("test.spec", `${spec}\n`);
  const places = { _topdir: `${directory.path}/rpmbuild`, _rpmdir: directory.path, _rpmfilename: "test.rpm" };
  const defines = Object.entries(places).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
  const { code, stderr } = await execute(["rpmbuild", "-bb", ...defines, file]);
  strictEqual(code, 0, stderr);
  return `${directory.path}/test.rpm`;
}

/** A root with what mda requires, as far as rpm knows, and openEuler's policy for services. */
async function makeRoot(options: { booted?: boolean } = {}): Promise<Root> {
  const root = await Root.make(options);
  using directory = new TemporaryDirectory();
  await rpm(root, "-i", await makeRpm(base, directory));
  root.write("/usr/lib/systemd/system-preset/99-default-disable.preset", "disable *\n");
  return root;
}

testEither({
  kind: "rpm",
  name: "RPM",
  packages,
  makeRoot,
  install: (root, path) => rpm(root, "-i", path),
  upgrade: (root, path) => rpm(root, "-U", path),
  removal: 'rpm --root "$0" --dbpath /var/lib/rpm -e mda',
});

async function query(format: string): Promise<string> {
  return (await execute(["rpm", "-qp", "--qf", format, packages.old])).stdout;
}

Deno.test("the RPM has the version of deno.json, also in its changelog", async () => {
  strictEqual(await query("%{NAME} %{VERSION} %{RELEASE} %{ARCH}"), `mda ${version} 1 x86_64`);
  match(await query("[%{CHANGELOGNAME}\n]"), new RegExp(`^mda maintainers <.*> - ${version}-1\n`));
});

Deno.test("the RPM holds these files, with these owners and modes", async () => {
  const format = "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILENAMES}\n]";
  deepStrictEqual(rows(await query(format)), [
    "-rw------- root root cn /etc/oncn-mda/oncn-mda.conf",
    "-rw-r--r-- root root /usr/lib/systemd/system/mda.service",
    "-rw-r--r-- root root /usr/share/bash-completion/completions/mda",
    "-rw-r--r-- root root /usr/share/fish/vendor_completions.d/mda.fish",
    "-rw-r--r-- root root /usr/share/zsh/site-functions/_mda",
    "-rw-r--r-- root root d /usr/share/man/man8/mda.8.gz",
    "-rw-r--r-- root root l /usr/share/licenses/mda/LICENSE",
    "-rw-r--r-- root root l /usr/share/licenses/mda/LICENSES",
    "-rwxr-xr-x root root /usr/bin/mda",
    "drwxr-xr-x root root /etc/oncn-mda",
    "drwxr-xr-x root root /usr/share/licenses/mda",
    "lrwxrwxrwx root root /usr/bin/mdacore",
    "lrwxrwxrwx root root d /usr/share/man/man8/mdacore.8.gz",
  ]);
});

Deno.test("the RPM's scripts are those of the distribution's systemd macros, where it has them", async () => {
  using directory = new TemporaryDirectory();
  const names = ["systemd_post", "systemd_preun", "systemd_postun_with_restart"];
  const macros = names.map((name) => `%${name}() distribution-${name} %{?*}\n`).join("");
  const load = ["--load", directory.write("macros.systemd", macros)];
  const spec = `${tree}packaging/mda.spec`;
  const { code, stdout, stderr } = await execute([
    "rpmspec",
    "-P",
    "--define",
    `mda_tree ${tree}`,
    ...load,
    spec,
  ]);
  strictEqual(code, 0, stderr);
  for (const name of names) match(stdout, new RegExp(`^distribution-${name} mda.service$`, "m"));
  doesNotMatch(stdout, /systemctl/);
});

Deno.test("rpmlint finds nothing in the RPM and its spec file", async () => {
  const { code, stdout } = await execute([
    "rpmlint",
    "-c",
    `${tree}packaging/rpmlint.toml`,
    packages.old,
    `${tree}packaging/mda.spec`,
  ]);
  const [, rpmlintVersion] = /^rpmlint: ([\d.]+)$/m.exec(stdout)!;
  const counted = /\n 1 packages and 1 specfiles checked; (\d+) errors, (\d+) warnings, .*badness;/.exec(
    stdout,
  )!;
  const [errors, warnings] = counted.slice(1).map(Number);
  deepStrictEqual([errors, isLater(rpmlintVersion, "2.7") ? 0 : warnings], [0, 0], stdout);
  strictEqual(code, 0, stdout);
});

Deno.test("the RPM is installed, upgraded with the configuration as it was edited, and erased", async () => {
  await using root = await makeRoot();
  await rpm(root, "-i", packages.old);
  deepStrictEqual(root.calls(), ["systemctl --no-reload preset mda.service"]);
  strictEqual((await root.run("mdacore", "query")).code, 1);
  match((await root.run("mda", "check")).stdout, /^# no rule: every local connection is accelerated$/m);
  match((await root.run("mda", "--version")).stdout, new RegExp(`^mda ${version}\n`));
  strictEqual(await rpm(root, "-V", "mda"), "");
  ok(!root.has(enabled));

  const rules = "chain --port 22 -j RETURN\n";
  root.write(configuration, rules, 0o600);
  await rpm(root, "-U", packages.new);
  deepStrictEqual(root.calls(), ["systemctl daemon-reload", "systemctl try-restart mda.service"]);
  strictEqual(await rpm(root, "-q", "mda"), `mda-${newVersion}-1.x86_64\n`);
  strictEqual(root.read(configuration), rules);
  ok(root.read(`${configuration}.rpmnew`).endsWith(`${newComment}\n`));

  await rpm(root, "-e", "mda");
  deepStrictEqual(root.calls(), [
    "systemctl stop mda.service",
    "systemctl --no-reload disable mda.service",
    "systemctl daemon-reload",
  ]);
  strictEqual(root.read(`${configuration}.rpmsave`), rules);
  for (const path of ["/usr/bin/mda", "/usr/bin/mdacore", "/usr/share/licenses/mda"]) {
    ok(!root.has(path), path);
  }
});

Deno.test("the RPM is enabled where a preset says so, stays so over an upgrade, and not over erasing", async () => {
  await using root = await makeRoot();
  root.write("/usr/lib/systemd/system-preset/50-site.preset", "enable mda.service\n");
  await rpm(root, "-i", packages.old);
  ok(root.has(enabled));
  await rpm(root, "-U", packages.new);
  ok(root.has(enabled));
  await rpm(root, "-e", "mda");
  ok(!root.has(enabled));
});

Deno.test("in a root that is not booted the RPM starts and stops nothing", async () => {
  await using root = await makeRoot({ booted: false });
  await rpm(root, "-i", packages.old);
  await rpm(root, "-U", packages.new);
  await rpm(root, "-e", "mda");
  deepStrictEqual(root.calls(), [
    "systemctl --no-reload preset mda.service",
    "systemctl --no-reload disable mda.service",
  ]);
});

Deno.test("the RPM is not installed beside another mdacore, nor the other way round", async () => {
  await using root = await makeRoot();
  using directory = new TemporaryDirectory();
  const other = await makeRpm(kmesh, directory);
  const conflict = /^error: Failed dependencies:\n\t\/usr\/bin\/mdacore conflicts with .*mda-/m;
  await rpm(root, "-i", other);
  const onTop = await tryRpm(root, "-i", packages.old);
  ok(onTop.code !== 0);
  match(onTop.stderr, conflict);
  await rpm(root, "-e", "kmesh");
  await rpm(root, "-i", packages.old);
  const below = await tryRpm(root, "-i", other);
  ok(below.code !== 0);
  match(below.stderr, conflict);
});

Deno.test("the RPM goes with a Kmesh that has no mdacore", async () => {
  await using root = await makeRoot();
  using directory = new TemporaryDirectory();
  await rpm(root, "-i", packages.old, await makeRpm(kmeshAlone, directory));
});
