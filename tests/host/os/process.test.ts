import assert from "node:assert/strict";
import { errnoName, errnoNumber } from "../../../src/host/libc/errno.ts";
import { identifyProcess, isRunning, ownPid, processName } from "../../../src/host/process.ts";

Deno.test("a process is known until it ends, and not mistaken for a later one", async () => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const identity = identifyProcess(child.pid)!;
  assert.equal(identity.pid, child.pid);
  assert.ok(isRunning(identity));
  assert.ok(!isRunning({ ...identity, startTicks: identity.startTicks - 1 }));
  child.kill("SIGKILL");
  await child.status;
  assert.ok(!isRunning(identity));
  assert.equal(identifyProcess(child.pid), undefined);
  assert.equal(processName(child.pid), undefined);
});

Deno.test("a process whose name has blanks and parentheses is read right", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/a) S 1 (b`;
    await Deno.copyFile("/bin/sleep", path);
    await Deno.chmod(path, 0o755);
    const child = new Deno.Command(path, { args: ["60"] }).spawn();
    const own = identifyProcess(Deno.pid)!;
    const identity = identifyProcess(child.pid)!;
    child.kill("SIGKILL");
    await child.status;
    assert.ok(identity.startTicks >= own.startTicks);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a process in another PID namespace is known by the number that it has there", async () => {
  const argv = ["--pid", "--fork", "--kill-child", "sh", "-c", "echo $$; exec sleep 60"];
  const child = new Deno.Command("unshare", { args: argv, stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "1\n");
  const children = Deno.readTextFileSync(`/proc/${child.pid}/task/${child.pid}/children`);
  assert.equal(ownPid(Number(children)), 1);
  assert.equal(ownPid(child.pid), child.pid);
  child.kill("SIGKILL");
  await reader.cancel();
  await child.status;
  assert.equal(ownPid(child.pid), undefined);
});

Deno.test("an error number has the name that Linux uses", () => {
  assert.equal(errnoName(1), "EPERM");
  assert.equal(errnoName(11), "EAGAIN");
  assert.equal(errnoName(95), "EOPNOTSUPP");
  assert.equal(errnoName(524), "ENOTSUPP");
  assert.equal(errnoName(9999), "errno 9999");
  assert.equal(errnoNumber("ENOENT"), 2);
});
