/** build.sh, on this tree: what it makes, and what it says when it cannot. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import {
  binary,
  execute,
  nobody,
  type Output,
  root,
  shell,
  TemporaryDirectory,
} from "../../plane/cli/mda.ts";

const script = `${root}build.sh`;
const deno = `${root}build/tools/node_modules/@deno/linux-x64-glibc/deno`;

Deno.test("a build of what is built changes nothing", async () => {
  const before = Deno.statSync(binary).mtime;
  const { code, stdout } = await execute([script]);
  strictEqual(code, 0);
  match(stdout, /^build\.sh: .* is ready \(\d+ MB\)\n$/);
  deepStrictEqual(Deno.statSync(binary).mtime, before);
});

Deno.test("the binary is smaller than 110 MB", () => {
  ok(Deno.statSync(binary).size < 110e6);
});

Deno.test("build.sh help lists every command", async () => {
  const { code, stdout } = await execute([script, "help"]);
  strictEqual(code, 0);
  const [, cases] = Deno.readTextFileSync(script).split("case $command in\n");
  const commands = [...cases.matchAll(/^([a-z][a-z |-]*)\)/gm)].flatMap(([, names]) => names.split(" | "));
  ok(commands.includes("test-kernels") && commands.includes("help"), `${commands}`);
  for (const command of commands.filter((name) => !["build", "-h", "--help"].includes(name))) {
    match(stdout, new RegExp(`^  \\./build\\.sh ${command} `, "m"));
  }
});

Deno.test("build.sh with an unknown command prints the help and exits with 2", async () => {
  const { code, stdout, stderr } = await execute([script, "tset"]);
  strictEqual(code, 2);
  strictEqual(stdout, "");
  match(stderr, /^Builds dist\/mda/);
});

// Deno itself is not denort, and what it makes runs as Deno does; but the program in it is the one that denort would run.
Deno.test("deno compile puts the bundle in, and build.sh refuses what is not mda", async () => {
  using directory = new TemporaryDirectory();
  const output = `${directory.path}/mda`;
  const { code, stderr } = await execute([script], { OUTPUT: output, DENORT_BIN: deno });
  strictEqual(code, 1);
  match(
    stderr,
    /^build\.sh: Cannot use .*\/mda\.part: it is not mda; is .*\/deno denort, of the same version as .*\?\n$/,
  );
  strictEqual((await shell('test ! -e "$1"', output)).code, 0);
  const compiled = Buffer.from(await Deno.readFile(`${output}.part`));
  ok(
    compiled.includes(Buffer.from(await Deno.readFile(`${root}build/mda.js`))),
    "the bundle is not in the executable",
  );
});

Deno.test("build.sh names a DENORT_BIN that cannot be used", async () => {
  using directory = new TemporaryDirectory();
  const env = { OUTPUT: `${directory.path}/mda`, DENORT_BIN: "/nowhere/denort" };
  const { code, stderr } = await execute([script], env);
  strictEqual(code, 1);
  match(stderr, /^build\.sh: Cannot compile .* with DENORT_BIN=\/nowhere\/denort: see above/m);
});

Deno.test("build.sh tells a user who is not root what needs root", async () => {
  using directory = new TemporaryDirectory();
  await shell('cd "$1" && cp -r --parents build.sh packaging/build "$2"', root, directory.path);
  for (const command of ["run", "test", "bench", "test-kernels"]) {
    const { code, stderr } = await execute([`${directory.path}/build.sh`, command], {}, nobody);
    strictEqual(code, 1);
    match(stderr, /^build\.sh: Cannot .*: not root \(try: sudo \.\/build\.sh [a-z-]+\)\n$/);
  }
});

/**
 * Runs build.sh in a copy of the tree that has not been built, on a host that is made to differ by `setup`: shell
 * commands in a mount namespace and a network of their own.
 */
async function buildElsewhere(setup: string, env: Record<string, string> = {}): Promise<Output> {
  using directory = new TemporaryDirectory();
  const copied = await shell(
    'cd "$1" && cp -r --parents build.sh packaging/build packaging/tools "$2"',
    root,
    directory.path,
  );
  strictEqual(copied.code, 0, copied.stderr);
  return await execute(
    [
      "unshare",
      "--mount",
      "--net",
      "sh",
      "-ec",
      `${setup}\ncd "$1" && exec $user ./build.sh`,
      "sh",
      directory.path,
    ],
    env,
  );
}

/** Makes a PATH that has everything of /usr/bin but one program. */
const hide = (program: string) =>
  `mkdir "$1/bin" && ln -s /usr/bin/* "$1/bin" && rm "$1/bin/${program}" && export PATH="$1/bin"`;

Deno.test("build.sh says that Node.js is missing", async () => {
  const { code, stderr } = await buildElsewhere(hide("npm"));
  strictEqual(code, 1);
  strictEqual(stderr, "build.sh: Cannot install Deno: npm is missing (install Node.js 18 or later)\n");
});

Deno.test("build.sh says that the npm registry cannot be reached", async () => {
  const env = { npm_config_cache: "/mnt", npm_config_fetch_retries: "0" };
  const { code, stderr } = await buildElsewhere("mount -t tmpfs none /mnt", env);
  strictEqual(code, 1);
  match(
    stderr,
    /^build\.sh: Cannot install Deno [\d.]+ \(is the npm registry reachable\?\): see above, .*npm\.log\n/m,
  );
});

Deno.test("build.sh says what to install on a distribution it does not know", async () => {
  const osRelease = 'echo ID=plan9 >name && mount --bind name "$(readlink -f /etc/os-release)"';
  const { code, stderr } = await buildElsewhere(`cd "$1" && ${osRelease} && ${hide("clang")}`);
  strictEqual(code, 1);
  strictEqual(stderr, "build.sh: Cannot install packages on 'plan9': install the like of Debian's: clang\n");
});

Deno.test("build.sh tells a user who is not root which packages are missing", async () => {
  const asNobody = 'chmod -R a+w "$1"; user="setpriv --reuid=65534 --regid=65534 --clear-groups"';
  const { code, stderr } = await buildElsewhere(`${hide("clang")} && ${asNobody}`);
  strictEqual(code, 1);
  match(stderr, /^build\.sh: Cannot install clang: not root \(try: sudo \.\/build\.sh build\)\n$/);
});
