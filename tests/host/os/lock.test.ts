import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { lockPinDirectory, PinDirectoryBusy, pinDirectoryHolder } from "../../../src/host/lock.ts";
import { assertClosesDescriptors } from "./descriptors.ts";
import { ownPinDirectory } from "./directories.ts";

const holder = fileURLToPath(new URL("hold_lock.ts", import.meta.url));

/** Starts a process that locks the directory, and waits until it has. */
async function startHolder(directory: string): Promise<Deno.ChildProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", holder, directory],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  assert.equal(new TextDecoder().decode(value), "locked\n");
  return child;
}

Deno.test("a pin directory is one holder's at a time", () => {
  using directory = ownPinDirectory("lock");
  assertClosesDescriptors(() => {
    assert.equal(pinDirectoryHolder(directory.path), undefined);
    using lock = lockPinDirectory(directory.path);
    assert.equal(pinDirectoryHolder(directory.path), Deno.pid);
    assert.throws(() => lockPinDirectory(directory.path), PinDirectoryBusy);
    lock.release();
    lock.release();
    assert.equal(pinDirectoryHolder(directory.path), undefined);
    lockPinDirectory(directory.path).release();
  });
});

Deno.test("a second instance is told which process is the first, and may start when that is killed", async () => {
  using directory = ownPinDirectory("killed");
  const child = await startHolder(directory.path);
  try {
    assert.throws(() => lockPinDirectory(directory.path), (error: PinDirectoryBusy) => {
      const who = `process ${child.pid} (deno)`;
      assert.ok(
        error.message.startsWith(`Cannot use the pin directory ${directory.path}: ${who} already uses it`),
      );
      return error.pid === child.pid;
    });
  } finally {
    child.kill("SIGKILL");
    await child.stdin.close();
    await child.status;
  }
  lockPinDirectory(directory.path).release();
});

Deno.test("locks of different directories have nothing to do with each other", () => {
  using first = ownPinDirectory("first");
  using second = ownPinDirectory("second");
  using _one = lockPinDirectory(first.path);
  using _two = lockPinDirectory(second.path);
});

Deno.test("a directory that is not there has no holder and cannot be locked", () => {
  assert.equal(pinDirectoryHolder("/sys/fs/bpf/mda-test-nowhere"), undefined);
  assert.throws(() => lockPinDirectory("/sys/fs/bpf/mda-test-nowhere"), /Cannot open \S+nowhere: ENOENT/);
});
