import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import manifest from "../../../deno.json" with { type: "json" };
import { readCommands } from "../../../packaging/manual/commands.ts";
import { binary, execute, mda, shell, TemporaryDirectory } from "./mda.ts";

const commands = readCommands().commands.map(({ name }) => name);

Deno.test("mda --help lists every command and fits 80 columns", async () => {
  const { code, stdout, stderr } = await mda("--help");
  strictEqual(code, 0);
  strictEqual(stderr, "");
  for (const command of commands) match(stdout, new RegExp(`^  ${command} `, "m"));
  match(stdout, /^Examples:$/m);
  deepStrictEqual(stdout.split("\n").filter((line) => line.length > 80), []);
});

for (const command of commands) {
  Deno.test(`mda ${command} --help has examples and --pin-dir, and fits 80 columns`, async () => {
    const { code, stdout } = await mda(command, "--help");
    strictEqual(code, 0);
    match(stdout, new RegExp(`^Usage: mda ${command}`));
    match(stdout, /^Examples:$/m);
    match(stdout, /--pin-dir <DIR>/);
    deepStrictEqual(stdout.split("\n").filter((line) => line.length > 80), []);
    strictEqual((await mda("help", command)).stdout, stdout);
  });
}

Deno.test("mda without a command prints the help on standard error and exits with 2", async () => {
  const { code, stdout, stderr } = await mda();
  strictEqual(code, 2);
  strictEqual(stdout, "");
  match(stderr, /^Usage: mda/);
});

Deno.test("MDA_PIN_DIR and MDA_CGROUP are defaults, unless they are empty", async () => {
  const help = async (env: Record<string, string>) => (await execute([binary, "run", "--help"], env)).stdout;
  const set = await help({ MDA_PIN_DIR: "/sys/fs/bpf/own", MDA_CGROUP: "/sys/fs/cgroup/own" });
  match(set, /--pin-dir <DIR> [^-]*\(default:\s+"\/sys\/fs\/bpf\/own"\)/);
  match(set, /--cgroup <DIR> [^-]*\(default:\s+"\/sys\/fs\/cgroup\/own"\)/);
  strictEqual(await help({ MDA_PIN_DIR: "", MDA_CGROUP: "" }), await help({}));
});

const mistakes: [args: string, message: RegExp][] = [
  ["chek", /^mda: unknown command 'chek'\n\(Did you mean check\?\)\n$/],
  ["frobnicate", /^mda: unknown command 'frobnicate'\n$/],
  ["run --confg x", /^mda: unknown option '--confg'\n\(Did you mean --config\?\)\n$/],
  [
    "run --sockets some",
    /^mda: option '--sockets <KIND>' argument 'some' is invalid\..*nonblocking, all\.\n$/,
  ],
  [
    "run --drain-timeout soon",
    /^mda: option '--drain-timeout <SECONDS>' argument 'soon' is invalid\. .*0 to 3600/,
  ],
  [
    "enable --max-connections 0",
    /^mda: option '--max-connections <COUNT>' argument '0' is invalid\. .*from 1/,
  ],
  [
    "run --metrics localhost:9464",
    /^mda: option '--metrics <ADDR:PORT>' argument 'localhost:9464' is invalid\. It is as 127\.0\.0\.1:9464, .*\n$/,
  ],
  [
    "run --web localhost:9465",
    /^mda: option '--web <ADDR:PORT>' argument 'localhost:9465' is invalid\. It is as 127\.0\.0\.1:9465, .*\n$/,
  ],
  [
    "check -o jsn",
    /^mda: option '-o, --output <FORMAT>' argument 'jsn' is invalid\..*table, json, yaml\.\n$/,
  ],
  ["check --config", /^mda: option '-c, --config <FILE>' argument missing\n$/],
  ["check file", /^mda: too many arguments for 'check'/],
  ["explain --src 10.0.0.1", /^mda: --dst is missing: rules look at both ends\n$/],
  ["explain --dst 10.0.0.1", /^mda: --src is missing: rules look at both ends\n$/],
  [
    "explain --src 10.0.0.1 --dst 10.0.0.2:0",
    /^mda: option '--dst <ADDR:PORT>' argument '10\.0\.0\.2:0' is invalid\. It is as 10\.0\.0\.1, .*\n$/,
  ],
  ["explain --uid 0", /^mda: --uid and --gid go with --src and --dst; .*\n$/],
  ["completions", /^mda: missing required argument 'SHELL'\n$/],
  ["completions tcsh", /^mda: .*'tcsh' is invalid.*bash, zsh, fish\.\n$/],
];
for (const [args, message] of mistakes) {
  Deno.test(`mda ${args} is wrong usage`, async () => {
    const { code, stdout, stderr } = await mda(...args.split(" "));
    strictEqual(code, 2);
    strictEqual(stdout, "");
    match(stderr, message);
  });
}

Deno.test("mda --version names mda and each part", async () => {
  const { code, stdout, stderr } = await mda("--version");
  strictEqual(code, 0);
  strictEqual(stderr, "");
  const object = await Deno.readFile(new URL("../../../build/mda.bpf.o", import.meta.url));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", object)).toHex().slice(0, 12);
  const [first, ...parts] = stdout.trimEnd().split("\n");
  strictEqual(first, `mda ${manifest.version}`);
  const named = Object.fromEntries(parts.map((line) => line.split(/ {2,}/)));
  match(named.binary, /^(launcher|compiled)$/);
  strictEqual(named.Deno, Deno.version.deno);
  match(named.libbpf, /^1\.\d+ \(host\)$/);
  strictEqual(named["BPF object"], hash);
});

Deno.test("mda --version tells when the libbpf inside it is used", async () => {
  const { stdout } = await execute([binary, "--version"], { MDA_LIBBPF: "carried" });
  match(stdout, /^libbpf +1\.\d+ \(carried\)$/m);
});

Deno.test("--help and check do not load libbpf", async () => {
  using directory = new TemporaryDirectory();
  const config = directory.write("mda.conf", "chain -j ACCEPT\n");
  const trace = `${directory.path}/trace`;
  for (const args of [["--help"], ["check", "--config", config]]) {
    // The dynamic linker writes one file a process when it is asked for what it loads.
    const env = { LD_DEBUG: "files", LD_DEBUG_OUTPUT: trace };
    strictEqual((await execute([binary, ...args], env)).code, 0);
    const files = [...Deno.readDirSync(directory.path)].filter(({ name }) => name.startsWith("trace."));
    const loaded = files.map(({ name }) => Deno.readTextFileSync(`${directory.path}/${name}`)).join("");
    match(loaded, /libc\.so\.6/);
    ok(!loaded.includes("libbpf"));
  }
});

Deno.test("an output that nobody reads is no error", async () => {
  for (const command of ["--help", "completions zsh", "--version"]) {
    const { stderr } = await shell(`{ "$1" ${command}; echo "status $?" >&2; } | true`, binary);
    strictEqual(stderr, "status 0\n");
  }
});

Deno.test("a failure is one line, and the whole error with MDA_DEBUG=1", async () => {
  const env = { MDA_LIBBPF: "/dev/null" };
  const args = ["status", "--pin-dir", "/sys/fs/bpf/mda-test-none"];
  const plain = await execute([binary, ...args], env);
  strictEqual(plain.code, 1);
  match(plain.stderr, /^mda: Cannot use \/dev\/null as libbpf: .*\n$/);
  const whole = await execute([binary, ...args], { ...env, MDA_DEBUG: "1" });
  strictEqual(whole.code, 1);
  match(whole.stderr, /^mda: Error: Cannot use \/dev\/null as libbpf: .*\n +at /);
});
