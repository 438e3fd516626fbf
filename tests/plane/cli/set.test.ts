/** `mda run` by what `set` lines of the configuration say. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { parse as parseYaml } from "yaml";
import { statusOf } from "../../lab/mda.ts";
import { freePort } from "../../lab/servers.ts";
import { binary, execute, mda, type Output, root, TemporaryDirectory } from "./mda.ts";
import { end, Service } from "./service.ts";

/** Of a command line of mda run, what it says as set lines. */
function setLines(args: string[]): string {
  const lines = [];
  for (let i = 0; i < args.length; i++) {
    const [name, glued] = args[i].slice(2).split("=");
    if (name === "daemon") lines.push("set mode daemon");
    else if (name.startsWith("no-")) lines.push(`set ${name.slice(3)} no`);
    else if (["watch", "keep"].includes(name)) lines.push(`set ${name} yes`);
    else lines.push(`set ${name} ${glued ?? args[++i]}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** Each command line of mda run that the pages, the help and the packages have, without what is before and behind it. */
function documented(): string[] {
  const files = ["README.md", "README.zh-CN.md", "packaging/mda.service"];
  const pages = [...Deno.readDirSync(`${root}docs`)].map(({ name }) => `docs/${name}`).filter((name) =>
    name.endsWith(".md")
  );
  const lines = [...files, ...pages].flatMap((file) => Deno.readTextFileSync(root + file).split("\n"));
  const found = lines.flatMap((line) => [
    /^(?: {4}|ExecStart=).*?\bmda (run(?: +(?:--?[a-z]|[^\s#|&>`]).*?)?)(?: +[#&>|].*)?$/.exec(line)?.[1] ??
      "",
    ...[...line.matchAll(/`mda (run --[^`]*)`/g)].map(([, said]) => said),
  ]);
  // In lists of commands two spaces are before what one does.
  return [...new Set(found.map((line) => line.split(/ {2,}/)[0].trim()))].filter((line) =>
    /^run( -|$)/.test(line)
  );
}

function tokenFile(directory: TemporaryDirectory): string {
  const file = directory.write("token", "correct-horse-battery-staple\n");
  Deno.chmodSync(file, 0o600);
  return file;
}

/** The same options, with places of the test's own. */
function adapted(line: string, service: Service): string[] {
  const { directory, cgroup, pinDir } = service;
  const own: Record<string, string> = {
    "cgroup": cgroup.path,
    "pin-dir": pinDir,
    "log-file": `${directory.path}/mda.log`,
    "pid-file": `${directory.path}/mda.pid`,
    "metrics": `127.0.0.1:${freePort()}`,
    "web": `127.0.0.1:${freePort()}`,
    "web-token-file": tokenFile(directory),
  };
  const words = line.split(/\s+/).slice(1);
  const args: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [name, glued] = words[i].slice(2).split("=");
    if (name === "config" || words[i] === "-c") {
      if (glued === undefined) i++;
    } else if (own[name] !== undefined) {
      args.push(`--${name}`, own[name]);
      if (glued === undefined) i++;
    } else args.push(words[i]);
  }
  const needed = ["cgroup", "pin-dir", ...args.includes("--daemon") ? ["log-file", "pid-file"] : []];
  for (const name of needed) if (!args.includes(`--${name}`)) args.push(`--${name}`, own[name]);
  return args;
}

/** Starts it, asks it how it is, and stops it. Returns what could differ. */
async function lifeOf(service: Lives, args: string[]): Promise<Record<string, unknown>> {
  const argv = [binary, "run", ...args];
  const started: Partial<Output> = {};
  const isDaemon = service.isDaemon;
  const program = isDaemon ? undefined : service.start(argv, service.env);
  if (program) await program.says(/ready: /);
  else Object.assign(started, await service.run(argv, service.env));
  const { code, status } = await statusOf(service.pinDir);
  const { enabled, cgroup, rules, connections, programs } = status;
  if (!program) {
    await end(service.daemon());
    return { started, code, enabled, cgroup, rules, connections, programs };
  }
  const { code: ended } = await program.stop("SIGTERM", 15_000);
  return { ended, code, enabled, cgroup, rules, connections, programs };
}

class Lives extends Service {
  isDaemon = false;
  /** What the tests of others say must not win over the file. */
  readonly env = { MDA_UNKNOWN: "" };
}

const lines = documented();

Deno.test("the pages have command lines of mda run", () => {
  ok(lines.length >= 5, lines.join("\n"));
  ok(lines.some((line) => line.includes("--daemon")) && lines.some((line) => line.includes("--metrics")));
});

for (const line of lines) {
  Deno.test(`a configuration alone does what mda ${line} does`, async () => {
    await using service = new Lives();
    const args = adapted(line, service);
    service.isDaemon = args.includes("--daemon");
    const said = await lifeOf(service, ["--config", service.config, ...args]);
    const config = service.directory.write("set.conf", `chain -p 80\n${setLines(args)}`);
    deepStrictEqual(await lifeOf(service, ["--config", config]), said);
  });
}

Deno.test("mda run with set mode daemon returns with 0 and without a word when it accelerates", async () => {
  await using service = new Service();
  const set = setLines(service.daemonArgv().slice(4));
  const config = service.directory.write("mda.conf", `${set}chain -p 80\n`);
  deepStrictEqual(await service.run([binary, "run", "--config", config]), {
    code: 0,
    stdout: "",
    stderr: "",
  });
  ok(await service.isEnabled());
  match(service.log(), /^\S+ info ready: 1 rule; .*\n/);
  await end(service.daemon());
});

const failures: [what: string, wrong: string, stderr: RegExp][] = [
  ["a mistake in its rules", "chian\n", /mda\.conf:6:1: unknown word chian/],
  ["a mistake in its settings", "set watch maybe\n", /mda\.conf:6:11: bad watch maybe: it is yes or no\n/],
];
for (const [what, wrong, stderr] of failures) {
  Deno.test(`mda run with set mode daemon and ${what} says what prevented it, as --daemon does`, async () => {
    await using service = new Service();
    const set = setLines(service.daemonArgv().slice(4));
    const config = service.directory.write("mda.conf", `${set}${wrong}`);
    const failed = await service.run([binary, "run", "--config", config]);
    strictEqual(failed.code, 2);
    match(failed.stderr, stderr);
    ok(service.log().includes(failed.stderr.trimEnd()));
    deepStrictEqual(service.processes.pids(), []);
    deepStrictEqual(await service.run([binary, "run", "--config", config, "--mode", "foreground"]), failed);
  });
}

Deno.test("a path that is not there and a port in use are mistakes of the file, all in one run", async () => {
  await using service = new Service();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const text = [
    `set cgroup ${service.cgroup.path}-none`,
    `set metrics 127.0.0.1:${listener.addr.port}`,
    "chain",
    `set web 0.0.0.0:${freePort()}`,
    "",
  ].join("\n");
  const config = service.directory.write("mda.conf", text);
  for (const command of ["run", "check"]) {
    const { code, stderr } = await mda(command, "--config", config, "--pin-dir", service.pinDir);
    strictEqual(code, 2);
    const said = stderr.split("\n").filter((line) => line.startsWith(config)).map((line) =>
      line.slice(config.length)
    );
    strictEqual(said.length, 4, stderr);
    match(said[0], /^:1:12: there is no directory \S+-none/);
    match(said[1], new RegExp(`^:2:13: port ${listener.addr.port} is in use by process ${Deno.pid} `));
    match(said[2], /^:3:1: a rule needs an option/);
    match(said[3], /^:4:9: others than this host reach 0\.0\.0\.0, so the page needs set web-token-file$/);
  }
  strictEqual(await service.isEnabled(), false);
});

Deno.test("mda check says what holds by the command line, the environment, the file and nobody", async () => {
  using directory = new TemporaryDirectory();
  const config = directory.write(
    "mda.conf",
    "set keep yes\nset drain-timeout 9\nset pin-dir /sys/fs/bpf/a\n",
  );
  const check = (...args: string[]) =>
    execute([binary, "check", "--config", config, "--pin-dir", "/sys/fs/bpf/b", ...args], {
      MDA_UNKNOWN: "strict",
      MDA_DRAIN_TIMEOUT: "10",
    });
  const { code, stdout } = await check();
  strictEqual(code, 0);
  match(stdout, /^set pin-dir \/sys\/fs\/bpf\/b +# command line$/m);
  match(stdout, /^set drain-timeout 10 +# MDA_DRAIN_TIMEOUT$/m);
  match(stdout, /^set keep yes +# line 1$/m);
  match(stdout, /^#set adopt yes +# default$/m);
  const { settings } = JSON.parse((await check("-o", "json")).stdout);
  deepStrictEqual(settings["pin-dir"], { value: "/sys/fs/bpf/b", from: "command line" });
  deepStrictEqual(settings.unknown, { value: "strict", from: "environment", variable: "MDA_UNKNOWN" });
  deepStrictEqual(settings.keep, { value: true, from: "file", line: 1 });
  deepStrictEqual(settings.adopt, { value: true, from: "default" });
  deepStrictEqual(parseYaml((await check("-o", "yaml")).stdout).settings, settings);
});

Deno.test("a variable with what is no value is wrong usage, of commands that have that option", async () => {
  const env = { MDA_DRAIN_TIMEOUT: "soon" };
  const disabled = await execute([binary, "disable", "--pin-dir", "/sys/fs/bpf/mda-test-none"], env);
  strictEqual(disabled.code, 2);
  strictEqual(
    disabled.stderr,
    "mda: variable MDA_DRAIN_TIMEOUT: 'soon' is invalid. It is a number from 0 to 3600.\n",
  );
  const queried = await execute([binary, "query", "--pin-dir", "/sys/fs/bpf/mda-test-none"], env);
  deepStrictEqual([queried.code, queried.stderr], [1, ""]);
});

for (const name of ["mda", "mdacore"]) {
  Deno.test(`${name} enable heeds the set lines that need no process, and tells the others once`, async () => {
    await using service = new Service();
    const text = [
      "set mode daemon",
      `set cgroup ${service.cgroup.path}`,
      `set pin-dir ${service.pinDir}`,
      "set unknown strict",
      "set watch yes",
      "set metrics 127.0.0.1:9464",
      "set web 0.0.0.0:9465",
      "chain -p 80",
      "",
    ].join("\n");
    const config = service.directory.write("mda.conf", text);
    const link = `${service.directory.path}/${name}`;
    Deno.symlinkSync(binary, link);
    const { code, stderr } = await execute([link, "enable", "-c", config], { MDA_UNKNOWN: "" });
    strictEqual(code, 0, stderr);
    strictEqual(
      stderr,
      `mda: ignored in ${config}, as no process stays: set mode (line 1), watch (line 5), metrics (line 6), web (line 7)\n`,
    );
    const { status } = await statusOf(service.pinDir);
    deepStrictEqual(
      [status.enabled, status.cgroup, status.programs.unknown, status.rules],
      [true, service.cgroup.path, "strict", 1],
    );
    strictEqual((await mda("--pin-dir", service.pinDir, "disable")).code, 0);
  });
}
