/** packaging/launcher, with a program that tells what it finds, and with mda itself where it has to run. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import {
  binary,
  execute,
  nobody,
  type Output,
  root,
  shell,
  TemporaryDirectory,
} from "../../plane/cli/mda.ts";
import { compile } from "../../lab/compile.ts";

/** The program that stands for mda, and what it can be asked for. */
const program = `
const [command, ...rest] = Deno.args;
switch (command) {
  case "arguments":
    console.log(JSON.stringify(rest));
    break;
  case "environment":
    console.log(JSON.stringify(Deno.env.toObject()));
    break;
  case "exit":
    Deno.exit(Number(rest[0]));
    break;
  case "copy":
    await Deno.stdin.readable.pipeTo(Deno.stdout.writable);
    break;
  case "read":
    console.log(Deno.readTextFileSync(rest[0]));
    break;
  case "write":
    Deno.writeTextFileSync(Deno.mainModule.slice("file://".length), "");
    break;
  case "wait":
    Deno.addSignalListener("SIGTERM", () => Deno.exit(43));
    console.log("waits");
    setTimeout(() => Deno.exit(1), 20_000);
}
`;

const directory = new TemporaryDirectory();
const launched = `${directory.path}/mda`;

Deno.test.beforeAll(async () => {
  const made = await execute([`${root}build.sh`, "link", directory.write("program.js", program), launched]);
  strictEqual(made.code, 0, made.stderr);
});
Deno.test.afterAll(() => directory[Symbol.dispose]());

function run(...args: string[]): Promise<Output> {
  return execute([launched, ...args]);
}

Deno.test("the launcher passes arguments as they are", async () => {
  const args = [
    "",
    "a b",
    "--help",
    "--allow-net",
    "-",
    "--",
    "ü\n\t'\"$",
    "x".repeat(100_000),
    ...Array(2000).fill("y"),
  ];
  const { stdout, stderr } = await run("arguments", ...args);
  strictEqual(stderr, "");
  deepStrictEqual(JSON.parse(stdout), args);
});

Deno.test("the launcher's exit status is the program's", async () => {
  for (const code of [0, 1, 2, 77]) strictEqual((await run("exit", `${code}`)).code, code);
});

Deno.test("the launcher is the process that signals go to", async () => {
  const child = new Deno.Command(launched, { args: ["wait"], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  match(new TextDecoder().decode((await reader.read()).value), /^waits/);
  child.kill("SIGTERM");
  strictEqual((await child.status).code, 43);
  await reader.cancel();
});

Deno.test("a signal that the program does not handle ends the launcher", async () => {
  const child = new Deno.Command(launched, { args: ["wait"], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGINT");
  strictEqual((await child.status).signal, "SIGINT");
  await reader.cancel();
});

Deno.test("the launcher leaves standard input and output to the program", async () => {
  const { stdout } = await shell('head -c 1000000 /dev/zero | "$1" copy | wc -c', launched);
  strictEqual(stdout.trim(), "1000000");
});

Deno.test("the launcher works with standard input and output closed", async () => {
  const { stdout } = await shell('"$1" exit 7 <&- >&- 2>&- || echo $?', launched);
  strictEqual(stdout, "7\n");
});

Deno.test("ps shows the launcher's own name and arguments", async () => {
  strictEqual((await run("read", "/proc/self/comm")).stdout.trim(), "mda");
  const { stdout } = await run("read", "/proc/self/cmdline");
  deepStrictEqual(stdout.trim().split("\0").slice(0, 3), [launched, "read", "/proc/self/cmdline"]);
});

Deno.test("variables for Deno and Node.js do not reach the program", async () => {
  const env = {
    DENO_V8_FLAGS: "--no-such-flag",
    DENO_DIR: directory.path,
    NODE_OPTIONS: "--no-such-option",
    DENOTED: "stays",
  };
  const { code, stdout, stderr } = await execute([launched, "environment"], env);
  deepStrictEqual({ code, stderr }, { code: 0, stderr: "" });
  const seen = JSON.parse(stdout);
  strictEqual(seen.DENOTED, "stays");
  strictEqual(seen.PATH, Deno.env.get("PATH"));
  const names = Object.keys(seen).filter((name) => /^(DENO|NODE)_/.test(name)).sort();
  deepStrictEqual(names, ["DENO_DIR", "DENO_LOG", "DENO_NO_UPDATE_CHECK"]);
  strictEqual(seen.DENO_DIR, "/dev/null/deno");
});

Deno.test("the launcher needs no variables at all", async () => {
  const { code, stdout, stderr } = await execute(["env", "-i", launched, "arguments", "HOME"]);
  deepStrictEqual({ code, stdout, stderr }, { code: 0, stdout: '["HOME"]\n', stderr: "" });
});

Deno.test("the launcher writes nothing to disk", async () => {
  // Each mount is remounted: those below / have flags of their own.
  const { code, stdout, stderr } = await shell(
    `exec unshare --mount sh -ec '
       for target in $(cut -d" " -f2 /proc/mounts | grep -v ^/proc); do
         mount -o remount,bind,ro "$target" 2>/dev/null || true
       done
       if touch "$(dirname "$1")/new" 2>/dev/null; then echo "not read-only"; fi
       cd / && env -u HOME "$1" arguments read-only' sh "$1"`,
    launched,
  );
  deepStrictEqual({ code, stdout, stderr }, { code: 0, stdout: '["read-only"]\n', stderr: "" });
});

Deno.test("the launcher works where executable memfds are forbidden", async () => {
  const { code, stdout, stderr } = await shell(
    `exec unshare --pid --fork --mount-proc sh -ec 'echo 2 >/proc/sys/vm/memfd_noexec; "$1" arguments' sh "$1"`,
    launched,
  );
  deepStrictEqual({ code, stdout, stderr }, { code: 0, stdout: "[]\n", stderr: "" });
});

Deno.test("the program in memory cannot be changed", async () => {
  const { code, stderr } = await run("write");
  strictEqual(code, 1);
  match(stderr, /EPERM|Operation not permitted/);
});

Deno.test("the launcher seals the program while something else holds its pages", async () => {
  const { code, stdout, stderr } = await execute([compile("host/build/held"), launched, "write"]);
  match(stdout, /^mda\.js is held: EBUSY\nlaunch\.js is held: EBUSY\n$/);
  // What is written to is sealed.
  match(stderr, /EPERM|Operation not permitted/);
  strictEqual(code, 1);
});

/** Runs the launcher with system calls that fail; `inject` as strace wants it. Returns which did, too. */
async function runInjected(inject: string, ...args: string[]): Promise<Output & { injected: string[] }> {
  const file = `${directory.path}/calls`;
  const trace = ["-e", `trace=${inject.split(":")[0]}`, "-e", `inject=${inject}`];
  const output = await execute(["strace", "-qq", "-o", file, ...trace, launched, ...args]);
  const calls = Deno.readTextFileSync(file).split("\n");
  return { ...output, injected: calls.filter((line) => line.endsWith("(INJECTED)")) };
}

Deno.test("the launcher works where the kernel does not know its seals", async () => {
  // After the two that copy a descriptor.
  const { code, stdout, stderr, injected } = await runInjected("fcntl:error=EINVAL:when=3..4", "arguments");
  deepStrictEqual({ code, stdout, stderr }, { code: 0, stdout: "[]\n", stderr: "" });
  deepStrictEqual(injected.map((line) => /F_ADD_SEALS/.test(line)), [true, true], injected.join("\n"));
});

Deno.test("the launcher says an error's name, and the number of one that is not expected", async () => {
  for (const [error, text] of [["EBUSY", "EBUSY: in use"], ["EXDEV", "errno 18"]]) {
    const { code, stdout, stderr } = await runInjected(`memfd_create:error=${error}`, "arguments");
    const said = `mda: Cannot make a memfd for mda.js: ${text}\n`;
    deepStrictEqual({ code, stdout, stderr }, { code: 1, stdout: "", stderr: said });
  }
});

Deno.test("the launcher keeps no copy of Deno in memory", async () => {
  const { stdout } = await run("read", "/proc/self/status");
  const kB = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(stdout)![1]);
  ok(kB("RssShmem") < 4096, `RssShmem is ${kB("RssShmem")} kB`);
  ok(kB("VmRSS") < 60 * 1024, `VmRSS is ${kB("VmRSS")} kB`);
});

Deno.test("strip leaves the launcher whole", async () => {
  const stripped = `${directory.path}/stripped`;
  await shell('strip -o "$1" "$2"', stripped, launched);
  const { stdout } = await execute([stripped, "arguments", "stripped"]);
  strictEqual(stdout, '["stripped"]\n');
});

Deno.test("a host without the dynamic linker is told so in one line", async () => {
  const { code, stderr } = await shell(
    `mkdir -p "$2/proc"
     exec unshare --mount sh -c 'mount --bind /proc "$2/proc" && cp "$1" "$2/mda" && chroot "$2" /mda' sh "$1" "$2"`,
    launched,
    `${directory.path}/empty`,
  );
  strictEqual(code, 1);
  strictEqual(stderr, "mda: Cannot open /lib64/ld-linux-x86-64.so.2: ENOENT: no such file\n");
});

const unprivileged = ["--help", "check --config CONFIG", "check --config CONFIG -o yaml", "completions bash"];
for (const command of unprivileged) {
  Deno.test(`nobody, without a home, can run mda ${command}`, async () => {
    using own = new TemporaryDirectory();
    const config = own.write("mda.conf", "chain -p 80\n");
    // The source tree may be where nobody else can read.
    const copy = `${own.path}/mda`;
    await Deno.copyFile(binary, copy);
    const args = command.replace("CONFIG", config).split(" ");
    const { code, stdout, stderr } = await execute(["env", "-i", copy, ...args], {}, nobody);
    deepStrictEqual({ code, stderr }, { code: 0, stderr: "" });
    ok(stdout.length > 0);
  });
}

// Why the launcher gives all permissions: docs/security.md.
Deno.test("Deno opens nothing in /proc where one permission is missing", async () => {
  const script = directory.write("open.js", `Deno.readTextFileSync("/proc/mounts"); console.log("open");`);
  const open = (permissions: string[]) =>
    execute([Deno.execPath(), "run", "--quiet", "--no-prompt", ...permissions, script]);
  const all = ["read", "write", "net", "env", "sys", "run", "ffi", "import"];
  strictEqual((await open(all.map((name) => `--allow-${name}`))).stdout, "open\n");
  for (const missing of all) {
    const { code, stderr } = await open(
      all.filter((name) => name !== missing).map((name) => `--allow-${name}`),
    );
    strictEqual(code, 1, missing);
    match(stderr, /Requires (all|read) access to "\/proc\/mounts"/);
  }
});
