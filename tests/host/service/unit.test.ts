/** packaging/mda.service: what systemd thinks of it, and mda with no more rights than it gives. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { settings } from "../../../src/config/settings.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Older } from "../../lab/streams/older.ts";
import { binary, execute, root, shell, TemporaryDirectory } from "../../plane/cli/mda.ts";
import { Commands } from "../../plane/trouble/commands.ts";

const unit = `${root}packaging/mda.service`;

/** The values of a setting, which may be given more than once. */
function setting(name: string): string[] {
  const lines = Deno.readTextFileSync(unit).split("\n").filter((line) => line.startsWith(`${name}=`));
  return lines.flatMap((line) => line.slice(name.length + 1).split(" "));
}

Deno.test("systemd has nothing to complain of in mda.service", async () => {
  using directory = new TemporaryDirectory();
  const text = Deno.readTextFileSync(unit).replace("/usr/bin/mda", binary);
  const path = directory.write("mda.service", text);
  const { code, stdout, stderr } = await execute(
    ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path],
  );
  deepStrictEqual({ code, stdout, stderr }, { code: 0, stdout: "", stderr: "" });
});

Deno.test("systemd rates the exposure of mda.service as OK", async () => {
  const { stdout } = await execute(["systemd-analyze", "security", "--no-pager", "--offline=true", unit]);
  const [, exposure] = /exposure level for mda\.service: (\d+\.\d) OK/.exec(stdout)!;
  ok(Number(exposure) <= 3, `the exposure has grown to ${exposure}`);
});

Deno.test("mda.service stops with time to spare, and does not try a mistake again", () => {
  ok(Number(setting("TimeoutStopSec")) > settings.drainTimeout.default!);
  deepStrictEqual(setting("RestartPreventExitStatus"), ["2"]);
});

Deno.test("mda with the capabilities of mda.service alone adopts, accelerates and warns of nothing", async () => {
  const has = setting("CapabilityBoundingSet").map((name) => name.toLowerCase());
  const { stdout } = await shell("setpriv --list-caps");
  const without = stdout.trimEnd().split("\n").filter((name) =>
    /^[a-z]/.test(name) && !has.includes(`cap_${name}`)
  );
  // As systemd mounts it (sys-kernel-tracing.mount).
  const setup = "mount -t tracefs tracefs /sys/kernel/tracing";
  const hooks: string[] = [];
  await using cgroup = createCgroup("service");
  await using older = await Older.start({ cgroup });
  for (const where of [{}, { without, setup }]) {
    await using mda = new Commands(cgroup);
    await using running = await mda.run(where);
    await running.says(/adopted \d+ connections/);
    await older.trips(10, 100);
    const status = JSON.parse(await mda.succeed("status", { args: ["-o", "json"] }));
    ok(status.redirected.messages > 0);
    hooks.push(status.programs.hooks);
    strictEqual((await running.stop()).code, 0);
    match(running.stderr, /stopped: every connection is on TCP$/m);
    ok(!/warning|error/.test(running.stderr), running.stderr);
  }
  strictEqual(hooks[1], hooks[0]);
});
