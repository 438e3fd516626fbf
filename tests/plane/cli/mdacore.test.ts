import { deepStrictEqual, match, strictEqual } from "node:assert";
import type { Output } from "./mda.ts";
import { binary, execute } from "./mda.ts";
import { Service } from "./service.ts";

/** Runs `mdacore` as Kmesh does, by its name only, on a service's cgroup and pins. */
async function mdacore(service: Service, ...args: string[]): Promise<Output> {
  const link = `${service.directory.path}/mdacore`;
  try {
    Deno.symlinkSync(binary, link);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const env = {
    PATH: `${service.directory.path}:${Deno.env.get("PATH")}`,
    MDA_CGROUP: service.cgroup.path,
    MDA_PIN_DIR: service.pinDir,
  };
  return await execute(["mdacore", ...args], env, { cgroup: service.processes });
}

Deno.test("mdacore enable, query and disable", async () => {
  await using service = new Service();
  strictEqual((await mdacore(service, "query")).code, 1);
  strictEqual((await mdacore(service, "enable", "-c", service.config)).code, 0);
  strictEqual((await mdacore(service, "query")).code, 0);
  deepStrictEqual(service.processes.pids(), []);
  const disabled = await mdacore(service, "disable");
  deepStrictEqual({ code: disabled.code, stderr: disabled.stderr }, { code: 0, stderr: "" });
  strictEqual((await mdacore(service, "query")).code, 1);
});

Deno.test("mdacore enable and disable succeed again", async () => {
  await using service = new Service();
  for (const word of ["enable", "enable", "disable", "disable"]) {
    const { code, stderr } = await mdacore(service, ...[
      word,
      ...word === "enable" ? ["-c", service.config] : [],
    ]);
    deepStrictEqual({ word, code, stderr }, { word, code: 0, stderr: "" });
  }
});

Deno.test("mdacore disable stops a running mda", async () => {
  await using service = new Service();
  await using mda = service.start(service.argv());
  await mda.says(/ready: /);
  strictEqual((await mdacore(service, "disable")).code, 0);
  strictEqual((await mda.ended()).code, 0);
});

for (
  const spelling of [
    ["-c", "FILE"],
    ["-cFILE"],
    ["--config", "FILE"],
    ["--config=FILE"],
    ["--conf=FILE"],
    ["--c", "FILE"],
  ]
) {
  Deno.test(`mdacore enable ${spelling.join(" ")}`, async () => {
    await using service = new Service();
    const bad = service.directory.write("bad.conf", "chian\n");
    const { code, stderr } = await mdacore(
      service,
      "enable",
      ...spelling.map((word) => word.replace("FILE", bad)),
    );
    strictEqual(code, 1);
    match(stderr, /bad\.conf:1:1: unknown word chian/);
  });
}

Deno.test("mdacore enable reads /etc/oncn-mda/oncn-mda.conf", async () => {
  await using service = new Service();
  const etc = `${service.directory.path}/etc`;
  Deno.mkdirSync(etc);
  Deno.symlinkSync(binary, `${service.directory.path}/mdacore`);
  // With an /etc of its own, where that file is not.
  const script = 'mount --bind "$0" /etc && exec "$@"';
  const env = { MDA_CGROUP: service.cgroup.path, MDA_PIN_DIR: service.pinDir };
  const argv = ["unshare", "--mount", "sh", "-c", script, etc, `${service.directory.path}/mdacore`, "enable"];
  const missing = await execute(argv, env);
  strictEqual(missing.code, 1);
  match(missing.stderr, /^Cannot read configuration \/etc\/oncn-mda\/oncn-mda\.conf: there is no such file/);
  Deno.mkdirSync(`${etc}/oncn-mda`);
  service.directory.write("etc/oncn-mda/oncn-mda.conf", "chain -p 80\n");
  deepStrictEqual((await execute(argv, env)).code, 0);
  strictEqual((await mdacore(service, "disable")).code, 0);
});

const usages: [args: string[], code: number, stdout: RegExp, stderr: RegExp][] = [
  [[], 1, /^Usage: mdacore COMMAND\n/, /^$/],
  [["help"], 0, /^Usage: mdacore COMMAND\n/, /^$/],
  [["help", "enable"], 0, /^Usage: mdacore COMMAND\n/, /^$/],
  [["enabel"], 255, /^Usage: mdacore COMMAND\n/, /^$/],
  [["--help"], 255, /^Usage: mdacore COMMAND\n/, /^$/],
  [["--version"], 255, /^Usage: mdacore COMMAND\n/, /^$/],
  [["run"], 255, /^Usage: mdacore COMMAND\n/, /^$/],
  [["enable", "-h"], 0, /^Usage: mdacore enable .*\n.*--config/, /^$/],
  [["enable", "--help"], 0, /^Usage: mdacore enable /, /^$/],
  [["enable", "--pin-dir", "/sys/fs/bpf/x"], 1, /^Usage: mdacore enable /, /^mdacore: .*--pin-dir/],
  [["enable", "-c"], 1, /^Usage: mdacore enable /, /^mdacore: .*--config/],
  [["enable", "now"], 1, /^Usage: mdacore enable /, /^mdacore: enable takes no argument, not now\n$/],
  [["disable", "--help"], 0, /^Usage: mdacore disable /, /^$/],
  [["disable", "-c", "x"], 1, /^Usage: mdacore disable /, /^mdacore: Unknown option '--config'\n$/],
  [["disable", "now"], 0, /^Usage: mdacore disable /, /^mdacore: disable takes no argument, not now\n$/],
  [["query", "-h"], 0, /^Usage: mdacore query /, /^$/],
  [["query", "-x"], 255, /^Usage: mdacore query /, /^mdacore: .*-x/],
  [["query", "now"], 255, /^Usage: mdacore query /, /^mdacore: query takes no argument/],
];
for (const [args, code, stdout, stderr] of usages) {
  Deno.test(`mdacore ${args.join(" ")} exits with ${code}`, async () => {
    await using service = new Service();
    const output = await mdacore(service, ...args);
    strictEqual(output.code, code);
    match(output.stdout, stdout);
    match(output.stderr, stderr);
  });
}

Deno.test("a mistake in the environment is an error of mdacore query, not a no", async () => {
  await using service = new Service();
  const link = `${service.directory.path}/mdacore`;
  Deno.symlinkSync(binary, link);
  const { code, stderr } = await execute([link, "query"], { MDA_LIBBPF: "/dev/null" });
  strictEqual(code, 255);
  match(stderr, /^mda: Cannot use \/dev\/null as libbpf/);
});
